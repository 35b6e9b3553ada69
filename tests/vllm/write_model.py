"""Write the default model as a folder of safetensors, and two LoRA adapters, as vLLM reads them.

``python -m tests.vllm.write_model FOLDER``; needs the training extra.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from fim_lsp.models.store import ModelStore
from fim_lsp.paths import models_folder


def main(folder: Path) -> None:
    """Write ``base``, ``adapter1`` and ``adapter2``."""
    file = ModelStore(models_folder()).resolve("default").path
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.bfloat16)
    # Without it vLLM would look for quantised weights, and transformers refuses to save.
    del read.config.quantization_config
    model = AutoModelForCausalLM.from_config(read.config, dtype=torch.bfloat16)
    model.load_state_dict({name: value.to(torch.bfloat16) for name, value in read.state_dict().items()})
    model.tie_weights()
    model.save_pretrained(folder / "base")
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder / "base")
    for seed in (1, 2):
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.bfloat16)
        shape = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        get_peft_model(base, shape).save_pretrained(folder / f"adapter{seed}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
