"""A llama with random weights and an adapter for it, for tests that join the two."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from fim_lsp.models.adapter_file import Adapter, FimFormat, LinearUpdate
from tests.unit.models.tiny_gguf import tiny_llama

RNG = np.random.default_rng(0)
WIDTH, TOKENS, RANK = 32, 64, 4
SHAPES = {
    "self_attn.q_proj": ("attn_q", 32, WIDTH),
    "self_attn.k_proj": ("attn_k", 16, WIDTH),
    "self_attn.o_proj": ("attn_output", WIDTH, 32),
    "mlp.down_proj": ("ffn_down", WIDTH, 64),
}
FORMAT = FimFormat(
    template="fim-lsp",
    order="suffix_first",
    end_id=0,
    sentinels={"<|fim_prefix|>": 5, "<|fim_suffix|>": 6, "<|fim_middle|>": 7},
    marks={
        "pre": "<|fim_prefix|>",
        "suf": "<|fim_suffix|>",
        "mid": "<|fim_middle|>",
        "rep": "ab",
        "sep": "none",
    },
    sees_repository=True,
    anchored=True,
    end_bias=1.75,
    memory_gate='{"bias": -2.0}',
)


def noise(*shape: int) -> Any:
    return RNG.normal(0, 0.2, shape).astype(np.float32)


def write_base(path: Path, architecture: str = "llama") -> Path:
    """Random weights, the matrices in Q8_0."""
    empty = tiny_llama()
    blank = empty.write(path.with_name("blank.gguf"))
    reader = gguf.GGUFReader(blank)
    writer = gguf.GGUFWriter(path, architecture)
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            kinds = field.types
            writer.add_key_value(
                key.replace("llama.", f"{architecture}."),
                field.contents(),
                kinds[0],
                kinds[-1] if kinds[1:] else None,
            )
    for tensor in reader.tensors:
        values = noise(*(int(length) for length in reversed(tensor.shape)))
        if values.ndim == 1:
            writer.add_tensor(tensor.name, values)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tiny_adapter(base: Path) -> Adapter:
    """Random changes of some linear layers and of the markers' rows."""
    updates = {
        f"model.layers.{layer}.{module}": LinearUpdate(noise(RANK, wide), noise(high, RANK))
        for layer in range(2)
        for module, (_, high, wide) in SHAPES.items()
    }
    return Adapter(
        base_sha256=sha256(base.read_bytes()).hexdigest(),
        base_name="base.gguf",
        scale=8 / RANK**0.5,
        rank=RANK,
        alpha=8,
        rslora=True,
        updates=updates,
        token_rows={5: noise(WIDTH), 6: noise(WIDTH), 7: noise(WIDTH)},
        fim=FORMAT,
        description={"recipe": {"stage": "a"}},
    )
