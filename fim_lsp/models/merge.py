"""Join a base GGUF and an adapter into one GGUF, with numpy and the gguf package alone.

Metadata, tokenizer and tensor order are copied from the base, so no tokenizer is converted. The weights that
the adapter changes become W + s B A, the markers' rows are replaced, and the FIM format is written to the
metadata (``tokenizer.ggml.fim_*_token_id`` and :mod:`fim_lsp.gguf_keys`). One tensor is in memory at a time.
``fim-lsp model pull default`` and ``python -m training export`` use it, so it must not need torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from attrs import evolve, frozen

from fim_lsp.files import atomic_write, sha256_of
from fim_lsp.gguf_keys import (
    ANCHORED_MIDDLES,
    BASE_SHA256,
    END_BIAS,
    FIM_ORDER,
    MEMORY_GATE,
    REPOSITORY_CONTEXT,
)
from fim_lsp.models import ModelError
from fim_lsp.models.adapter_file import Adapter, Floats, LinearUpdate, read_adapter
from fim_lsp.models.disk import check_room, disk_errors
from fim_lsp.models.gguf_header import check_model

FileType = Literal["f32", "f16", "q8_0", "q4_0"]
FILE_TYPES: tuple[FileType, ...] = get_args(FileType)

OnTensor = Callable[[int, int], None]
"""Called with the number of tensors written so far, and of all tensors."""

_PERMUTED = frozenset({"llama", "granite", "minicpm", "olmo"})
"""Architectures whose q and k rows llama.cpp's converter reorders (its rotary embedding pairs neighbours)."""
_AS_THEY_ARE = frozenset(
    {"qwen2", "qwen3", "starcoder2", "gemma", "gemma2", "gemma3", "stablelm", "phi3", "olmo2", "granite4"}
)
"""Architectures whose linear layers are the same in a GGUF and in transformers."""
_FULL_PRECISION_OUTPUT = ("token_embd.weight", "output.weight")
"""Q8_0 in a Q4_0 file, because llama.cpp's own quantiser gives them more bits, too."""
_CONTROL = 3
"""``tokenizer.ggml.token_type`` of a marker."""
_SKIPPED = ("GGUF.", "general.architecture", "general.file_type")


@frozen
class _Target:
    """The number and the tensor type of a file type."""

    number: int
    """``general.file_type``, as in llama.cpp's enum llama_ftype."""
    quantised: str


_TARGETS: Mapping[FileType, _Target] = {
    "f32": _Target(0, "F32"),
    "f16": _Target(1, "F16"),
    "q8_0": _Target(7, "Q8_0"),
    "q4_0": _Target(2, "Q4_0"),
}


def merge_files(
    base: Path,
    adapter: Path,
    output: Path,
    file_type: FileType = "q8_0",
    *,
    name: str | None = None,
    on_tensor: OnTensor = lambda done, total: None,
) -> None:
    """Join a base with an adapter on disk; see :func:`merge`."""
    merge(base, read_adapter(adapter), output, file_type, name=name, on_tensor=on_tensor)


def merge(
    base: Path,
    adapter: Adapter,
    output: Path,
    file_type: FileType = "q8_0",
    *,
    name: str | None = None,
    on_tensor: OnTensor = lambda done, total: None,
) -> None:
    """Write the tuned model as a GGUF.

    Args:
        base: the GGUF that the adapter was trained on.
        adapter: the changes.
        output: the file to write. It appears when it is complete.
        file_type: type of the weights; norms and biases stay float32.
        name: ``general.name`` of the result; None keeps the base's.
        on_tensor: called after each tensor.

    Raises:
        ModelError: the adapter is for another base, the architecture or a layer can't be merged, or the disk
            is full.
    """
    check_model(base)
    check_base(base, adapter)
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        check_room(output.parent, _about_size(base, file_type))
    with disk_errors(output), atomic_write(output) as partial:
        _write(base, adapter, partial, file_type, name, on_tensor)


def check_base(base: Path, adapter: Adapter) -> None:
    """Refuse a base that the adapter was not trained on.

    Raises:
        ModelError: the hashes differ.
    """
    found = sha256_of(base)
    if found != adapter.base_sha256:
        raise ModelError(
            f"The adapter was made for {adapter.base_name} (sha256 {adapter.base_sha256[:12]}…), "
            f"and {base} is another file ({found[:12]}…).",
            "Name the base that it was trained on.",
        )


def gguf_names(
    architecture: str, layers: int, modules: Sequence[str], available: frozenset[str]
) -> dict[str, str]:
    """Return the GGUF tensor of each module's weight.

    Args:
        architecture: llama.cpp's name of the architecture.
        layers: number of layers.
        modules: names in transformers, without ``.weight``.
        available: names of the base's tensors.

    Raises:
        ModelError: the architecture is not known here, or a module has no tensor.
    """
    import gguf

    if architecture not in _PERMUTED | _AS_THEY_ARE:
        raise ModelError(
            f"Merging into the architecture {architecture} is not supported.",
            f"Supported are {', '.join(sorted(_PERMUTED | _AS_THEY_ARE))}.",
        )
    number = next(key for key, text in gguf.MODEL_ARCH_NAMES.items() if text == architecture)
    table = gguf.get_tensor_name_map(number, layers)
    names = {module: table.get_name(module) for module in modules}
    lacking = [module for module, found in names.items() if f"{found}.weight" not in available]
    if lacking:
        raise ModelError(
            f"The adapter changes {lacking[0]}, and the base has no such tensor.",
            "Name the base that it was trained on.",
        )
    return {module: f"{found}.weight" for module, found in names.items()}


def permute_rows(architecture: str, tensor: str, values: Any, heads: int, shared_heads: int) -> Any:
    """Change the order of rows from that of transformers to that of the GGUF.

    In each head llama.cpp puts the two numbers of a rotated pair beside each other. transformers puts all
    first ones before all second ones (``LlamaModel.permute`` in convert_hf_to_gguf.py).

    Args:
        architecture: llama.cpp's name of the architecture.
        tensor: the weight's or bias's name in the GGUF.
        values: an array whose first axis is the output rows: W, B, a bias or a magnitude.
        heads: number of query heads.
        shared_heads: number of key and value heads.
    """
    kind = tensor.split(".")[2] if tensor.startswith("blk.") else ""
    if architecture not in _PERMUTED or kind not in ("attn_q", "attn_k"):
        return values
    count = heads if kind == "attn_q" else shared_heads
    split = values.reshape(count, 2, values.shape[0] // count // 2, *values.shape[1:])
    return split.swapaxes(1, 2).reshape(values.shape)


def merged_weight(weight: Floats, update: LinearUpdate, scale: float) -> Floats:
    """Apply an update to a weight. Both have the same order of rows.

    Args:
        weight: (out, in). It may be changed in place.
        update: A and B, DoRA's magnitude, IA3's gain.
        scale: factor of B A.
    """
    if update.down is not None and update.up is not None:
        weight += (scale * update.up) @ update.down
    if update.magnitude is not None:
        # peft takes the norm over the inputs and adds nothing to it (DoRA, arXiv 2402.09353, eq. 5).
        weight *= (update.magnitude / np.linalg.norm(weight, axis=1))[:, None]
    if update.gain is not None:
        weight *= update.gain[None, :] if update.of_input else update.gain[:, None]
    return weight


def _write(
    base: Path, adapter: Adapter, output: Path, file_type: FileType, name: str | None, on_tensor: OnTensor
) -> None:
    import gguf

    reader = gguf.GGUFReader(base)
    architecture = str(reader.fields["general.architecture"].contents())
    updates = _updates_by_tensor(reader, architecture, adapter)
    types = {tensor.name: _stored_type(tensor, file_type) for tensor in reader.tensors}
    writer = gguf.GGUFWriter(output, architecture)
    try:
        _copy_metadata(reader, writer, adapter, _TARGETS[file_type].number, name)
        for tensor in reader.tensors:
            shape, stored = _shape(tensor), types[tensor.name]
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), _nbytes(shape, stored), stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for number, tensor in enumerate(reader.tensors, 1):
            values = _merged(tensor, updates.get(tensor.name), adapter)
            writer.write_tensor_data(_stored(values, types[tensor.name]))
            on_tensor(number, len(reader.tensors))
    finally:
        writer.close()


def _merged(tensor: Any, update: LinearUpdate | None, adapter: Adapter) -> Floats:
    """Return a tensor of the base as float32, with the adapter applied."""
    import gguf

    values = np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
    values = values.reshape(_shape(tensor))
    if tensor.name == "token_embd.weight":
        for token, row in adapter.token_rows.items():
            values[token] = row
    if update is None:
        return values
    if values.ndim == 1:  # a bias: IA3 scales the layer's output, which includes the bias
        return values if update.gain is None or update.of_input else values * update.gain
    return merged_weight(values, update, adapter.scale)


def _updates_by_tensor(reader: Any, architecture: str, adapter: Adapter) -> dict[str, LinearUpdate]:
    """Return the adapter's updates by GGUF tensor, for weights and biases, with rows in the GGUF's order."""
    shapes = {tensor.name: _shape(tensor) for tensor in reader.tensors}
    layers = _hyperparameter(reader, architecture, "block_count", 0)
    heads = _hyperparameter(reader, architecture, "attention.head_count", 1)
    shared = _hyperparameter(reader, architecture, "attention.head_count_kv", heads)
    names = gguf_names(architecture, layers, tuple(adapter.updates), frozenset(shapes))
    found: dict[str, LinearUpdate] = {}
    for module, tensor in names.items():
        update = adapter.updates[module]
        _check_shape(module, update, shapes[tensor])
        rows = {
            part: permute_rows(architecture, tensor, values, heads, shared)
            for part, values in (("up", update.up), ("magnitude", update.magnitude), ("gain", update.gain))
            if values is not None and not (part == "gain" and update.of_input)
        }
        found[tensor] = evolve(update, **rows)
        if update.gain is not None:
            found[tensor.removesuffix("weight") + "bias"] = found[tensor]
    return found


def _check_shape(module: str, update: LinearUpdate, shape: tuple[int, ...]) -> None:
    wide = update.down.shape[1] if update.down is not None else shape[-1]
    high = update.up.shape[0] if update.up is not None else shape[0]
    if (high, wide) != shape:
        raise ModelError(
            f"The adapter changes {module} as a matrix of {high} x {wide}, and the base has {shape}.",
            "Name the base that it was trained on.",
        )


def _copy_metadata(reader: Any, writer: Any, adapter: Adapter, file_type: int, name: str | None) -> None:
    """Copy the base's metadata, except for what the merge changes."""
    import gguf

    tokens = list(reader.fields["tokenizer.ggml.tokens"].contents())
    changed = _fim_metadata(adapter, tokens)
    if name is not None:
        changed["general.name"] = name
    for key, field in reader.fields.items():
        if key.startswith(_SKIPPED) or key in changed:
            continue
        value = _with_markers(key, field.contents(), adapter)
        if isinstance(value, list) and not value:
            continue  # GGUFWriter can't write the element type of an empty list
        writer.add_key_value(key, value, field.types[0], field.types[-1] if len(field.types) > 1 else None)
    writer.add_file_type(file_type)
    types = gguf.GGUFValueType
    kinds = {bool: types.BOOL, int: types.UINT32, float: types.FLOAT32, str: types.STRING}
    for key, value in changed.items():
        writer.add_key_value(key, value, kinds[type(value)])


def _with_markers(key: str, value: Any, adapter: Adapter) -> Any:
    """Give the token ids that became markers their new texts and types."""
    sentinels = adapter.fim.sentinels
    if key == "tokenizer.ggml.tokens":
        for text, token in sentinels.items():
            value[token] = text
    if key == "tokenizer.ggml.token_type":
        for token in sentinels.values():
            value[token] = _CONTROL
    return value


def _fim_metadata(adapter: Adapter, tokens: Sequence[str]) -> dict[str, str | int | float]:
    """Return metadata that tells llama.cpp and fim-lsp the FIM format."""
    fim = adapter.fim
    written: dict[str, str | int | float] = {BASE_SHA256: adapter.base_sha256}
    if fim.order is not None:
        written[FIM_ORDER] = fim.order
    if fim.sees_repository:
        written[REPOSITORY_CONTEXT] = True
    if fim.anchored:
        written[ANCHORED_MIDDLES] = True
    if fim.end_bias is not None:
        written[END_BIAS] = fim.end_bias
    if fim.memory_gate is not None:
        written[MEMORY_GATE] = fim.memory_gate
    if not fim.sentinels:
        return written
    for key, text in fim.marks.items():
        token = fim.sentinels.get(text, tokens.index(text) if text in tokens else None)
        if token is not None:
            written[f"tokenizer.ggml.fim_{key}_token_id"] = token
    return written


def _stored_type(tensor: Any, file_type: FileType) -> Any:
    """Return the type to write a tensor in: F32 for vectors, the chosen one for matrices whose rows fit."""
    import gguf

    kinds = gguf.GGMLQuantizationType
    shape = _shape(tensor)
    if len(shape) < 2 or not tensor.name.endswith(".weight"):
        return kinds.F32
    chosen = kinds[_TARGETS[file_type].quantised]
    if file_type == "q4_0" and tensor.name in _FULL_PRECISION_OUTPUT:
        chosen = kinds.Q8_0
    return kinds.F16 if shape[-1] % gguf.GGML_QUANT_SIZES[chosen][0] else chosen


def _stored(values: Floats, stored: Any) -> Any:
    import gguf

    return gguf.quants.quantize(np.ascontiguousarray(values), stored)


def _nbytes(shape: tuple[int, ...], stored: Any) -> int:
    import gguf

    length, size = gguf.GGML_QUANT_SIZES[stored]
    return int(np.prod(shape)) // length * size


def _shape(tensor: Any) -> tuple[int, ...]:
    """Return a tensor's shape in numpy's order, rows first."""
    return tuple(int(length) for length in reversed(tensor.shape))


def _hyperparameter(reader: Any, architecture: str, name: str, default: int) -> int:
    field = reader.fields.get(f"{architecture}.{name}")
    value = default if field is None else field.contents()
    if not isinstance(value, int):
        raise ModelError(f"The base counts {name} layer by layer, which merging does not support.")
    return value


def _about_size(base: Path, file_type: FileType) -> int:
    """Estimate the size of the result in bytes from the base's header."""
    import gguf

    length, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[_TARGETS[file_type].quantised]]
    numbers = sum(int(np.prod(tensor.shape)) for tensor in check_model(base).tensors)
    return numbers * size // length + (16 << 20)
