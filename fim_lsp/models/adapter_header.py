"""Check that a LoRA in a GGUF fits a model, before llama.cpp reads it.

llama.cpp returns an error for most bad files, but a few values end the whole process, at load or at the first
token (llama-cpp-python 0.3.36). And it only compares architecture and shapes, which another base of the same
family has as well.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fim_lsp.gguf_keys import BASE_SHA256
from fim_lsp.models import ModelError
from fim_lsp.models.gguf_format import FETCH_AGAIN, GgufHeader, TensorInfo
from fim_lsp.models.gguf_header import read_header
from fim_lsp.models.gguf_rules import number_of_parts

_BASE_NAME = "general.base_model.0.name"
_ALPHA = "adapter.lora.alpha"
_INVOCATION = "adapter.alora.invocation_tokens"
_FLOAT32 = 6
"""Number of the type in GGUF metadata. llama.cpp asserts that alpha has it."""
_TYPES = ("f32", "f16", "bf16", "q8_0")
_LARGEST_PRODUCT = 1e4
"""Largest scaled product of a number of each factor. Those of trained adapters are below 10; far above, the
adapter drowns the weight that it adds to."""
_ANOTHER_BASE = "Choose the model that it was trained on, or an adapter for this one."
_MERGE = "Merge it into its base model and choose the result."


def check_adapter(
    path: Path, base: Path, base_header: GgufHeader, base_sha256: Callable[[], str]
) -> str | None:
    """Check that a file is a LoRA that was trained on this model.

    Args:
        path: the LoRA in a GGUF.
        base: the loaded model's file.
        base_header: its header.
        base_sha256: returns its digest. Called only if the adapter names one, since that may read the file.

    Returns:
        A notice for the user about an adapter that passed, or None.

    Raises:
        ModelError: no such file, no LoRA, damaged, or made for another model.
    """
    _check_no_peft(path)
    header = read_header(path)
    _check_kind(path, header)
    _check_architecture(path, header, base, base_header)
    named = header.metadata.get(BASE_SHA256)
    if named is not None and named != base_sha256():
        raise ModelError(
            f"The adapter {path} was made for {_base_name(header)} (sha256 {str(named)[:12]}…), "
            f"and the loaded model is {base.name} (sha256 {base_sha256()[:12]}…).",
            _ANOTHER_BASE,
        )
    _check_metadata(path, header)
    _check_tensors(path, header, base, base_header)
    _check_numbers(path, header)
    _check_strength(path, header)
    return None if named else f"it does not name the model that it was made for; {base.name} fits its layers"


def _check_no_peft(path: Path) -> None:
    """Refuse the forms in which peft saves an adapter, with the way to a GGUF."""
    is_folder = path.is_dir() and (
        (path / "adapter_config.json").is_file() or any(path.glob("*.safetensors"))
    )
    if is_folder or path.suffix in (".safetensors", ".bin", ".pt", ".pth"):
        folder = path if path.is_dir() else path.parent
        raise ModelError(
            f"{path} is an adapter as peft saves it, and llama.cpp reads GGUF files.",
            f"Convert its folder: fim-lsp train export --adapter {folder} --base MODEL --output FOLDER "
            "--formats lora, for a run of fim-lsp, or llama.cpp's convert_lora_to_gguf.py for any other.",
        )


def _check_kind(path: Path, header: GgufHeader) -> None:
    kind = header.metadata.get("general.type", "model")
    if kind == "model":
        raise ModelError(f"{path} is a whole model, not an adapter.", "Choose it as model.name instead.")
    if kind != "adapter" or header.metadata.get("adapter.type") != "lora":
        raise ModelError(f"{path} is no LoRA adapter.", "Choose a LoRA in GGUF form.")
    if _INVOCATION in header.metadata:
        raise ModelError(f"{path} is an activated LoRA, which only follows certain tokens.", _MERGE)


def _check_architecture(path: Path, header: GgufHeader, base: Path, base_header: GgufHeader) -> None:
    if header.architecture != base_header.architecture:
        raise ModelError(
            f"The adapter {path} is for models of the architecture {header.architecture or '(none)'}, "
            f"and {base.name} is of {base_header.architecture}.",
            _ANOTHER_BASE,
        )
    if number_of_parts(base_header) > 1:
        raise ModelError(
            f"{base.name} is split over several files, and adapters are only put on whole ones.",
            "Join them with llama-gguf-split --merge.",
        )


def _check_metadata(path: Path, header: GgufHeader) -> None:
    alpha = header.metadata.get(_ALPHA, 0.0)
    if not isinstance(alpha, float) or not math.isfinite(alpha):
        raise ModelError(f"{path} has the impossible {_ALPHA} {alpha!r}.", FETCH_AGAIN)
    if _ALPHA in header.metadata and not _has_float32(path, header, _ALPHA, alpha):
        raise ModelError(f"{path} has an {_ALPHA} that is no float32.", FETCH_AGAIN)


def _has_float32(path: Path, header: GgufHeader, key: str, value: float) -> bool:
    """Look in the file for the entry as float32, because the parsed header does not keep the width."""
    with path.open("rb") as file:
        written = file.read(header.data_offset)
    entry = struct.pack("<Q", len(key)) + key.encode() + struct.pack("<If", _FLOAT32, value)
    return entry in written


def _check_tensors(path: Path, header: GgufHeader, base: Path, base_header: GgufHeader) -> None:
    """Check that each weight has both factors, of a type that llama.cpp multiplies and the base's shape."""
    weights = {tensor.name: tensor for tensor in base_header.tensors}
    factors = {tensor.name: tensor for tensor in header.tensors}
    if not factors:
        raise ModelError(f"{path} holds no weights.", FETCH_AGAIN)
    for name, tensor in factors.items():
        weight, dot, kind = name.rpartition(".")
        if name.endswith("_norm.weight"):  # llama.cpp ignores these
            continue
        other = {"lora_a": "lora_b", "lora_b": "lora_a"}.get(kind)
        if other is None or weight + dot + other not in factors:
            raise ModelError(f"{path} has {name}, which is half of no pair of factors.", FETCH_AGAIN)
        if tensor.type.name not in _TYPES:
            raise ModelError(
                f"{path} has factors of the type {tensor.type.name}: {name}.",
                f"Convert it with one of {', '.join(_TYPES)}.",
            )
        if weight == "token_embd.weight":
            raise ModelError(f"{path} changes the token embedding, which is not done here.", _MERGE)
        if kind == "lora_a" and not _fits(weights.get(weight), tensor, factors[weight + ".lora_b"]):
            raise ModelError(f"{path} has factors for {weight} that don't fit {base.name}.", _ANOTHER_BASE)


def _fits(weight: TensorInfo | None, down: TensorInfo, up: TensorInfo) -> bool:
    """Tell whether up x down has the weight's shape. A stack of matrices (experts) needs stacked factors."""
    if weight is None or len(weight.shape) < 2 or 0 in (*down.shape, *up.shape):
        return False
    width, rank, *stack = _four(down)
    also_rank, height, *also_stack = _four(up)
    return _four(weight) == (width, height, *stack) and rank == also_rank and stack == also_stack


def _four(tensor: TensorInfo) -> tuple[int, ...]:
    return (*tensor.shape, *(1,) * (4 - len(tensor.shape)))


def _check_numbers(path: Path, header: GgufHeader) -> None:
    """Refuse weights that are infinite or NaN, which damage causes."""
    for tensor in header.tensors:
        if header.data_offset + tensor.offset + tensor.nbytes > header.file_size:
            raise ModelError(f"{path} is cut off inside {tensor.name}.", FETCH_AGAIN)
        if not all(np.isfinite(part).all() for part in _floats(path, header, tensor)):
            raise ModelError(f"{path} is damaged: {tensor.name} holds what is no number.", FETCH_AGAIN)


def _check_strength(path: Path, header: GgufHeader) -> None:
    """Refuse factors whose product is so large that nothing of the model is left: its training diverged."""
    largest: dict[str, float] = {}
    for tensor in header.tensors:
        # The scales of q8_0's blocks stand for numbers of up to 127 times as much.
        times = 127 if tensor.type.name == "q8_0" else 1
        parts = (float(np.abs(part).max(initial=0)) * times for part in _floats(path, header, tensor))
        largest[tensor.name] = max(parts, default=0.0)
    alpha = header.metadata.get(_ALPHA, 0.0)
    for tensor in header.tensors:
        weight, _, kind = tensor.name.rpartition(".")
        up, rank = largest.get(f"{weight}.lora_b"), max(1, _four(tensor)[1])
        if kind != "lora_a" or up is None:
            continue
        scale = float(alpha) / rank if isinstance(alpha, float) and alpha else 1.0
        product = largest[tensor.name] * up * abs(scale)
        if product > _LARGEST_PRODUCT:
            raise ModelError(
                f"The numbers of {path} explode: at {weight} they reach {product:.0e}, "
                "so nothing of the model would be left.",
                "Its training diverged: train it again with a lower learning rate, or take an earlier state.",
            )


def _floats(path: Path, header: GgufHeader, tensor: TensorInfo) -> Iterator[np.ndarray]:
    """Yield the values of a tensor, or the scales of its blocks; all values are finite if these are."""
    raw = np.fromfile(path, np.uint8, tensor.nbytes, offset=header.data_offset + tensor.offset)
    kind = tensor.type.name
    if kind in ("f32", "f16"):
        yield raw.view(np.float32 if kind == "f32" else np.float16)
    elif kind == "bf16":
        # The upper half of a float32.
        yield np.left_shift(raw.view(np.uint16).astype(np.uint32), 16).view(np.float32)
    elif kind == "q8_0":
        # Each block is a float16 scale and 32 bytes.
        yield np.ascontiguousarray(raw.reshape(-1, tensor.type.block_bytes)[:, :2]).view(np.float16)


def _base_name(header: GgufHeader) -> str:
    return str(header.metadata.get(_BASE_NAME, "another model"))
