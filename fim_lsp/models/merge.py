"""A base GGUF and an adapter joined into one GGUF, with numpy and the gguf package alone.

The base's file is the template: metadata, tokenizer and tensor order are copied as they are, so no conversion
of a tokenizer can go wrong; only weights that the adapter touches become W + s B A, the markers' rows are
replaced, and what the file says of its FIM format is written down (``tokenizer.ggml.fim_*_token_id``,
``fim_lsp.fim_order``). One tensor is in memory at a time. This is what ``fim-lsp model pull default`` and
``python -m training export`` do, so it must not need torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from attrs import evolve, frozen

from fim_lsp.files import atomic_write, sha256_of
from fim_lsp.gguf_keys import ANCHORED_MIDDLES, BASE_SHA256, END_BIAS, FIM_ORDER, REPOSITORY_CONTEXT
from fim_lsp.models import ModelError
from fim_lsp.models.adapter_file import Adapter, Floats, LinearUpdate, read_adapter
from fim_lsp.models.disk import check_room, disk_errors
from fim_lsp.models.gguf_header import check_model

FileType = Literal["f32", "f16", "q8_0", "q4_0"]
FILE_TYPES: tuple[FileType, ...] = get_args(FileType)

OnTensor = Callable[[int, int], None]
"""Told how many tensors are written, and how many there are."""

_PERMUTED = frozenset({"llama", "granite", "minicpm", "olmo"})
"""Architectures whose q and k rows llama.cpp's converter reorders (its rotary embedding pairs neighbours)."""
_AS_THEY_ARE = frozenset(
    {"qwen2", "qwen3", "starcoder2", "gemma", "gemma2", "gemma3", "stablelm", "phi3", "olmo2", "granite4"}
)
"""Architectures whose linear layers stand in the GGUF as in transformers."""
_FULL_PRECISION_OUTPUT = ("token_embd.weight", "output.weight")
"""In a Q4_0 file these stay Q8_0: llama.cpp's own quantiser gives them more bits too."""
_CONTROL = 3
"""``tokenizer.ggml.token_type`` of a marker."""
_SKIPPED = ("GGUF.", "general.architecture", "general.file_type")


@frozen
class _Target:
    """How a file type is written."""

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
    """Join a base with an adapter from disk; see :func:`merge`."""
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
        adapter: what training changed.
        output: the file to write; it appears when it is whole.
        file_type: of the weights; norms and biases stay float32.
        name: ``general.name`` of the result; the base's where None.
        on_tensor: told how far it is.

    Raises:
        ModelError: another base than the adapter's, an architecture or a layer that can't be merged, a full
            disk.
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
    """The GGUF tensor of each module's weight.

    Args:
        architecture: llama.cpp's name of it.
        layers: how many blocks it has.
        modules: names in transformers, without ``.weight``.
        available: the tensors that the base has.

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
    """Bring rows from transformers' order into the GGUF's.

    For each head llama.cpp keeps the pairs that are rotated together beside each other, transformers the
    halves (``LlamaModel.permute`` in convert_hf_to_gguf.py).

    Args:
        architecture: llama.cpp's name of it.
        tensor: the weight's or bias's name in the GGUF.
        values: anything whose first axis are the output rows: W, B, a bias, a magnitude.
        heads: query heads.
        shared_heads: key and value heads.
    """
    kind = tensor.split(".")[2] if tensor.startswith("blk.") else ""
    if architecture not in _PERMUTED or kind not in ("attn_q", "attn_k"):
        return values
    count = heads if kind == "attn_q" else shared_heads
    split = values.reshape(count, 2, values.shape[0] // count // 2, *values.shape[1:])
    return split.swapaxes(1, 2).reshape(values.shape)


def merged_weight(weight: Floats, update: LinearUpdate, scale: float) -> Floats:
    """One weight with its update applied; both in the same order of rows.

    Args:
        weight: (out, in); it may be changed in place.
        update: A and B, DoRA's magnitude, IA3's gain.
        scale: of B A.
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
    """A tensor of the base as float32, with whatever the adapter does to it."""
    import gguf

    values = np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
    values = values.reshape(_shape(tensor))
    if tensor.name == "token_embd.weight":
        for token, row in adapter.token_rows.items():
            values[token] = row
    if update is None:
        return values
    if values.ndim == 1:  # a bias: IA3 scales what the layer puts out, and the bias with it
        return values if update.gain is None or update.of_input else values * update.gain
    return merged_weight(values, update, adapter.scale)


def _updates_by_tensor(reader: Any, architecture: str, adapter: Adapter) -> dict[str, LinearUpdate]:
    """The adapter's updates by GGUF tensor, their rows in the GGUF's order; biases beside weights."""
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
    """Everything the base says of itself, but for what the merge changes."""
    import gguf

    tokens = list(reader.fields["tokenizer.ggml.tokens"].contents())
    changed = _fim_metadata(adapter, tokens)
    if name is not None:
        changed["general.name"] = name
    for key, field in reader.fields.items():
        if key.startswith(_SKIPPED) or key in changed:
            continue
        value = _spelled_anew(key, field.contents(), adapter)
        if isinstance(value, list) and not value:
            continue  # GGUFWriter can't say of what type an empty list is
        writer.add_key_value(key, value, field.types[0], field.types[-1] if len(field.types) > 1 else None)
    writer.add_file_type(file_type)
    types = gguf.GGUFValueType
    kinds = {bool: types.BOOL, int: types.UINT32, float: types.FLOAT32, str: types.STRING}
    for key, value in changed.items():
        writer.add_key_value(key, value, kinds[type(value)])


def _spelled_anew(key: str, value: Any, adapter: Adapter) -> Any:
    """Give the ids that became markers their new texts, and the type of a marker."""
    sentinels = adapter.fim.sentinels
    if key == "tokenizer.ggml.tokens":
        for text, token in sentinels.items():
            value[token] = text
    if key == "tokenizer.ggml.token_type":
        for token in sentinels.values():
            value[token] = _CONTROL
    return value


def _fim_metadata(adapter: Adapter, tokens: Sequence[str]) -> dict[str, str | int | float]:
    """What lets llama.cpp and fim-lsp know the format without guessing from token texts."""
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
    if not fim.sentinels:
        return written
    for key, text in fim.marks.items():
        token = fim.sentinels.get(text, tokens.index(text) if text in tokens else None)
        if token is not None:
            written[f"tokenizer.ggml.fim_{key}_token_id"] = token
    return written


def _stored_type(tensor: Any, file_type: FileType) -> Any:
    """The type a tensor is written in: matrices as asked where their rows allow it, the rest as it was."""
    import gguf

    kinds = gguf.GGMLQuantizationType
    shape = _shape(tensor)
    if len(shape) < 2 or not tensor.name.endswith(".weight"):
        return kinds.F32
    wanted = kinds[_TARGETS[file_type].quantised]
    if file_type == "q4_0" and tensor.name in _FULL_PRECISION_OUTPUT:
        wanted = kinds.Q8_0
    return kinds.F16 if shape[-1] % gguf.GGML_QUANT_SIZES[wanted][0] else wanted


def _stored(values: Floats, stored: Any) -> Any:
    import gguf

    return gguf.quants.quantize(np.ascontiguousarray(values), stored)


def _nbytes(shape: tuple[int, ...], stored: Any) -> int:
    import gguf

    length, size = gguf.GGML_QUANT_SIZES[stored]
    return int(np.prod(shape)) // length * size


def _shape(tensor: Any) -> tuple[int, ...]:
    """In numpy's order: rows first."""
    return tuple(int(length) for length in reversed(tensor.shape))


def _hyperparameter(reader: Any, architecture: str, name: str, default: int) -> int:
    field = reader.fields.get(f"{architecture}.{name}")
    value = default if field is None else field.contents()
    if not isinstance(value, int):
        raise ModelError(f"The base counts {name} layer by layer, which merging does not support.")
    return value


def _about_size(base: Path, file_type: FileType) -> int:
    """Bytes of the result, from the base's header."""
    import gguf

    length, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[_TARGETS[file_type].quantised]]
    numbers = sum(int(np.prod(tensor.shape)) for tensor in check_model(base).tensors)
    return numbers * size // length + (16 << 20)
