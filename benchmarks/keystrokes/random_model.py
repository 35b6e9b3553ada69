"""Write models with the exact shapes of Qwen2.5-Coder and random weights, which are as fast as trained ones.

The tokenizer is the base model's, padded to the size of Qwen's vocabulary with tokens that no text contains,
because embedding and output layer are a large part of a small model. Unused markers get Qwen's texts and the
GGUF keys that name them, so that every peer takes the file for a PSM model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from attrs import frozen

from fim_lsp.files import atomic_write

_VOCABULARY = 151_936
_MARKERS = {
    "<jupyter_start>": ("pre", "<|fim_prefix|>"),
    "<jupyter_text>": ("suf", "<|fim_suffix|>"),
    "<jupyter_code>": ("mid", "<|fim_middle|>"),
    "<file_sep>": ("sep", "<|file_sep|>"),
    "<repo_name>": ("rep", "<|repo_name|>"),
}
"""SmolLM2's markers, and the GGUF key and text that they get."""
_COPIED = ("model", "pre", "bos_token_id", "eos_token_id", "unknown_token_id", "padding_token_id")
_UNUSED = int(gguf.TokenType.UNUSED)
_BLOCK, _BLOCK_BYTES = 32, 34


@frozen
class Shape:
    """The sizes that decide how long a token takes, from the models' config.json."""

    name: str
    width: int
    feed_forward: int
    layers: int
    heads: int
    shared_heads: int
    """Number of key and value heads."""


SHAPES = {
    "qwen2.5-coder-0.5b-random": Shape("qwen2.5-coder-0.5b-random", 896, 4864, 24, 14, 2),
    "qwen2.5-coder-1.5b-random": Shape("qwen2.5-coder-1.5b-random", 1536, 8960, 28, 12, 2),
}


def write_random_model(shape: Shape, base: Path, folder: Path, vocabulary: int = _VOCABULARY) -> Path:
    """Write the model in Q8_0, 0.5 GB or 1.6 GB, unless it exists; return its path.

    Args:
        shape: of the model.
        base: GGUF file of SmolLM2, for its tokenizer.
        folder: folder of the file.
        vocabulary: number of tokens, at least the base's.
    """
    path = folder / f"{shape.name}.gguf"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        _write(partial, shape, base, vocabulary)
    return path


def _write(path: Path, shape: Shape, base: Path, vocabulary: int) -> None:
    writer = gguf.GGUFWriter(path, "qwen2")
    _describe(writer, shape, vocabulary)
    _copy_tokenizer(writer, gguf.GGUFReader(base), vocabulary)
    tensors = list(_tensors(shape, vocabulary))
    for name, rows, columns in tensors:
        if columns is None:
            writer.add_tensor_info(name, (rows,), np.dtype(np.float32), rows * 4)
        else:
            stored = (rows, columns // _BLOCK * _BLOCK_BYTES)
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor_info(name, stored, np.dtype(np.uint8), stored[0] * stored[1], kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(0)
    for name, rows, columns in tensors:
        writer.write_tensor_data(_vector(name, rows) if columns is None else _matrix(rng, rows, columns))
    writer.close()


def _describe(writer: gguf.GGUFWriter, shape: Shape, vocabulary: int) -> None:
    writer.add_name(shape.name)
    writer.add_block_count(shape.layers)
    writer.add_context_length(32_768)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.shared_heads)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def _copy_tokenizer(writer: gguf.GGUFWriter, base: gguf.GGUFReader, vocabulary: int) -> None:
    def read(key: str) -> Any:
        field = base.get_field(f"tokenizer.ggml.{key}")
        return None if field is None else field.contents()

    tokens, types = list(read("tokens")), list(read("token_type"))
    for marker, (key, text) in _MARKERS.items():
        # The default model is made of SmolLM2, and has renamed some of its markers itself.
        token = tokens.index(text if text in tokens else marker)
        tokens[token] = text
        writer.add_uint32(f"tokenizer.ggml.fim_{key}_token_id", token)
    missing = vocabulary - len(tokens)
    writer.add_token_list(tokens + [f"<unused_{number}>" for number in range(missing)])
    writer.add_token_types(types + [_UNUSED] * missing)
    writer.add_token_merges(read("merges"))
    writer.add_add_bos_token(False)
    for key in _COPIED:
        value = read(key)
        if isinstance(value, str):
            writer.add_string(f"tokenizer.ggml.{key}", value)
        elif value is not None:
            writer.add_uint32(f"tokenizer.ggml.{key}", int(value))


def _tensors(shape: Shape, vocabulary: int) -> Iterator[tuple[str, int, int | None]]:
    """Yield name, rows and columns of every tensor; None as columns of a vector.

    The output layer is the embedding.
    """
    width, shared = shape.width, shape.width // shape.heads * shape.shared_heads
    yield "token_embd.weight", vocabulary, width
    yield "output_norm.weight", width, None
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", width, None
        yield block + "ffn_norm.weight", width, None
        for part, rows in (("q", width), ("k", shared), ("v", shared)):
            yield f"{block}attn_{part}.weight", rows, width
            yield f"{block}attn_{part}.bias", rows, None
        yield block + "attn_output.weight", width, width
        yield block + "ffn_gate.weight", shape.feed_forward, width
        yield block + "ffn_up.weight", shape.feed_forward, width
        yield block + "ffn_down.weight", width, shape.feed_forward


def _vector(name: str, rows: int) -> npt.NDArray[np.float32]:
    return np.full(rows, 1.0 if "norm" in name else 0.0, np.float32)


def _matrix(rng: np.random.Generator, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """Draw blocks of a scale and 32 bytes as they are stored, shape (rows, bytes).

    Quantising floats would take minutes.
    """
    blocks = np.empty((rows, columns // _BLOCK, _BLOCK_BYTES), np.uint8)
    scale = np.float16(0.02 / 73)  # bytes spread evenly over -128 to 127 have a deviation of about 73
    blocks[:, :, :2] = np.frombuffer(scale.tobytes(), np.uint8)
    blocks[:, :, 2:] = rng.integers(0, 256, (rows, columns // _BLOCK, _BLOCK), np.uint8)
    return blocks.reshape(rows, -1)
