"""A random model of two layers, as a folder and as a GGUF that llama.cpp loads, and rows to train it on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from training.data.dataset import write_dataset
from training.data.rows import TrainingRow

Architecture = Literal["llama", "qwen2"]

WIDTH, HEADS, SHARED_HEADS, LAYERS, FEED_FORWARD = 64, 4, 2, 2, 96
SPECIALS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<repo_name>",
    "<reponame>",
    "<file_sep>",
    "<filename>",
    "<gh_stars>",
    "<issue_start>",
    "<issue_comment>",
    "<issue_closed>",
    "<jupyter_start>",
    "<jupyter_text>",
    "<jupyter_code>",
    "<jupyter_output>",
    "<jupyter_script>",
]
SENTINELS = {"<|fim_prefix|>": 11, "<|fim_suffix|>": 12, "<|fim_middle|>": 13}
END = 0
VOCABULARY = 288


def tiny_model(architecture: Architecture = "llama", seed: int = 0, spread: float = 0.3) -> Any:
    """Provide a causal model of transformers with weights large enough to make its logits differ."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    make_config, make = (
        (LlamaConfig, LlamaForCausalLM) if architecture == "llama" else (Qwen2Config, Qwen2ForCausalLM)
    )
    torch.manual_seed(seed)
    config = make_config(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=SHARED_HEADS,
        max_position_embeddings=512,
        initializer_range=spread,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    model = make(config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(0, spread)
    return model


def save_folder(model: Any, folder: Path) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    model.save_pretrained(str(folder))
    tokens, _ = vocabulary()
    tokenizer = Tokenizer(models.BPE(vocab={text: index for index, text in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(str(folder))
    return folder


def save_gguf(model: Any, path: Path, architecture: Architecture = "llama") -> Path:
    """Write the file that llama.cpp's converter would write, in float32."""
    import gguf

    from fim_lsp.models.merge import permute_rows

    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(SHARED_HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(0)
    tokens, types = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    names = gguf.get_tensor_name_map(
        gguf.MODEL_ARCH.LLAMA if architecture == "llama" else gguf.MODEL_ARCH.QWEN2, LAYERS
    )
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert stored is not None
        values = value.detach().float().numpy()
        writer.add_tensor(stored, permute_rows(architecture, stored, values, HEADS, SHARED_HEADS).copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def vocabulary() -> tuple[list[str], list[int]]:
    """Sixteen markers, every byte as GPT-2 spells it, and some tokens that stand for nothing."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]
    tokens = [*SPECIALS, *letters, "ab"]
    tokens += [f"<unused{number}>" for number in range(VOCABULARY - len(tokens))]
    types = [3] * len(SPECIALS) + [1] * (len(letters) + 1)
    return tokens, types + [5] * (VOCABULARY - len(types))


def rows(count: int, seed: int, longest: int = 60) -> list[TrainingRow]:
    """Rows of a language in which each token follows from the one before, nine in ten with a hole."""
    rng = np.random.default_rng(seed)
    return [_row(rng, longest, left_to_right=number % 10 == 9) for number in range(count)]


def _row(rng: np.random.Generator, longest: int, *, left_to_right: bool) -> TrainingRow:
    length = int(rng.integers(12, longest))
    start = int(rng.integers(16, 250))
    tokens = [16 + (start + 3 * place) % 240 for place in range(length)]
    middle_start, weights = 0, [0.0] + [0.3] * (length - 1)
    if not left_to_right:
        middle_start = int(rng.integers(length // 2, length - 2))
        tokens[0], tokens[2], tokens[4], tokens[-1] = 11, 12, 13, END
        weights = [0.0] * middle_start + [1.0] * (length - middle_start)
    return TrainingRow(
        tokens=tuple(tokens),
        weights=tuple(weights),
        middle_start=middle_start,
        kind="left_to_right" if left_to_right else "node",
        start_kind="mid_line",
        end_kind="mid_line",
        language="python",
        source="tiny",
    )


def save_rows(
    folder: Path,
    base_sha256: str | None = None,
    train: Sequence[TrainingRow] | None = None,
    *,
    markers: bool = True,
) -> Path:
    """Provide a data set of 64 rows for training and 40 held out."""
    manifest = {
        "base": {
            "name": "tiny",
            "sha256": base_sha256,
            "template": "fim-lsp",
            "order": "suffix_first",
            "end_id": END,
            "sentinels": SENTINELS if markers else {},
            "vocabulary_size": VOCABULARY,
        },
        "recipe": {"stage": "a" if markers else "b"},
    }
    parts = {"train": rows(64, 1) if train is None else train, "held_out": rows(40, 2)}
    write_dataset(folder, parts, VOCABULARY, manifest)
    return folder
