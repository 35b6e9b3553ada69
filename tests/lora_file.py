"""Small LoRA-GGUFs of random numbers, for any base: the same seed is the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fim_lsp.files import atomic_write
from fim_lsp.gguf_keys import BASE_SHA256
from fim_lsp.models.gguf_header import read_header

RANK = 4


def write_lora(
    path: Path,
    base: Path,
    *,
    seed: int = 0,
    strength: float = 1.0,
    modules: tuple[str, ...] = ("attn_v", "ffn_down"),
    base_sha256: str | None = None,
    base_name: str = "",
    architecture: str | None = None,
) -> Path:
    """Write a LoRA for some matrices of each layer of ``base``; it appears when it is whole.

    ``strength`` is about how large what it adds is, beside the matrix's own product.
    """
    import gguf

    header, draw = read_header(base), np.random.default_rng(seed)
    with atomic_write(path) as partial:
        writer = gguf.GGUFWriter(partial, architecture or header.architecture)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(RANK))
        if base_sha256 is not None:
            writer.add_string(BASE_SHA256, base_sha256)
        if base_name:
            writer.add_base_model_count(1)
            writer.add_base_model_name(0, base_name)
        for tensor in header.tensors:
            if any(tensor.name.endswith(f".{module}.weight") for module in modules):
                width, height = tensor.shape
                down = draw.normal(size=(RANK, width)) / np.sqrt(width)
                up = draw.normal(size=(height, RANK)) * strength
                writer.add_tensor(f"{tensor.name}.lora_a", down.astype(np.float16))
                writer.add_tensor(f"{tensor.name}.lora_b", up.astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return path
