"""Small GGUF files, written byte by byte so that a test can write wrong ones as well."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from attrs import define, field

KINDS = {
    "uint8": (0, "B"),
    "int8": (1, "b"),
    "uint16": (2, "H"),
    "int16": (3, "h"),
    "uint32": (4, "I"),
    "int32": (5, "i"),
    "float32": (6, "f"),
    "bool": (7, "?"),
    "string": (8, ""),
    "array": (9, ""),
    "uint64": (10, "Q"),
    "int64": (11, "q"),
    "float64": (12, "d"),
}
BLOCKS = {0: (1, 4), 1: (1, 2), 8: (32, 34), 9: (32, 36), 15: (256, 292), 24: (1, 1), 26: (1, 4), 30: (1, 2)}
WIDTH, LAYERS, TOKENS = 32, 2, 64


@define
class Raw:
    """A value with its type, or with a type and bytes of the test's own."""

    kind: str | int
    value: Any


@define
class Tensor:
    name: str
    shape: list[int]
    type: int = 0
    offset: int | None = None

    @property
    def nbytes(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        length, size = BLOCKS.get(self.type, (1, 4))
        return count // length * size if 0 <= count < 1 << 24 else 0


@define
class TinyGguf:
    """A llama with two layers and 64 tokens; change any part of it, then write it."""

    metadata: dict[str, Any] = field(factory=dict)
    tensors: list[Tensor] = field(factory=list)
    version: int = 3
    order: str = "<"
    counts: tuple[int, int] | None = None
    alignment: int = 32

    def header(self) -> bytes:
        tensors, entries = self.counts or (len(self.tensors), len(self.metadata))
        parts = [b"GGUF", self._pack("IQQ", self.version, tensors, entries)]
        for key, value in self.metadata.items():
            parts += [self._string(key), self._value(value)]
        position = 0
        for tensor in self.tensors:
            offset = position if tensor.offset is None else tensor.offset
            shape = struct.pack(f"{self.order}{len(tensor.shape)}q", *tensor.shape)
            parts += [self._string(tensor.name), self._pack("I", len(tensor.shape)), shape]
            parts.append(self._pack("IQ", tensor.type, offset))
            position += -(-tensor.nbytes // self.alignment) * self.alignment
        written = b"".join(parts)
        return written + bytes(-len(written) % self.alignment)

    def data(self) -> bytes:
        return bytes(sum(-(-tensor.nbytes // self.alignment) * self.alignment for tensor in self.tensors))

    def write(self, path: Path) -> Path:
        path.write_bytes(self.header() + self.data())
        return path

    def tensor(self, name: str) -> Tensor:
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def _pack(self, layout: str, *values: Any) -> bytes:
        return struct.pack(self.order + layout, *values)

    def _string(self, text: str | bytes) -> bytes:
        written = text.encode() if isinstance(text, str) else text
        return self._pack("Q", len(written)) + written

    def _value(self, value: Any) -> bytes:
        raw = value if isinstance(value, Raw) else Raw(_kind(value), value)
        if isinstance(raw.kind, int):
            return self._pack("I", raw.kind) + raw.value
        return self._pack("I", KINDS[raw.kind][0]) + self._content(raw.kind, raw.value)

    def _content(self, kind: str, value: Any) -> bytes:
        if kind == "string":
            return self._string(value)
        if kind == "array":
            inner = (
                value[0].kind
                if value and isinstance(value[0], Raw)
                else _kind(value[0])
                if value
                else "uint32"
            )
            items = [item.value if isinstance(item, Raw) else item for item in value]
            head = self._pack("IQ", KINDS[inner][0], len(items))
            return head + b"".join(self._content(inner, item) for item in items)
        return self._pack(KINDS[kind][1], value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    kinds = {int: "uint32", float: "float32", str: "string", bytes: "string", list: "array"}
    return kinds[type(value)]


def tiny_llama() -> TinyGguf:
    """Provide a model that llama.cpp loads and evaluates (its weights are zeros)."""
    tokens = ["<|endoftext|>", "\u010a", "\u0120", "ab"] + [chr(33 + i) for i in range(TOKENS - 4)]
    metadata: dict[str, Any] = {
        "general.architecture": "llama",
        "general.type": "model",
        "llama.block_count": LAYERS,
        "llama.context_length": 128,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": 64,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 1,
        "llama.rope.dimension_count": 16,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [Raw("int32", 1)] * TOKENS,
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": 0,
    }
    tensors = [Tensor("token_embd.weight", [WIDTH, TOKENS]), Tensor("output_norm.weight", [WIDTH])]
    for layer in range(LAYERS):
        shapes = {
            "attn_norm": [WIDTH],
            "ffn_norm": [WIDTH],
            "attn_q": [WIDTH, 32],
            "attn_k": [WIDTH, 16],
            "attn_v": [WIDTH, 16],
            "attn_output": [32, WIDTH],
            "ffn_gate": [WIDTH, 64],
            "ffn_up": [WIDTH, 64],
            "ffn_down": [64, WIDTH],
        }
        tensors += [Tensor(f"blk.{layer}.{name}.weight", shape) for name, shape in shapes.items()]
    return TinyGguf(metadata, tensors)
