"""Write an adapter as a LoRA-GGUF, which llama.cpp can apply to its base, and remove, while it runs.

The format holds products of two matrices beside linear layers and nothing else. llama.cpp scales by alpha /
rank; rsLoRA scales by alpha / sqrt(rank), so alpha * sqrt(rank) is written for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fim_lsp.files import atomic_write
from fim_lsp.gguf_keys import BASE_SHA256
from fim_lsp.models import ModelError
from fim_lsp.models.adapter_file import Adapter, Floats
from fim_lsp.models.disk import disk_errors
from fim_lsp.models.gguf_header import read_header
from fim_lsp.models.merge import check_base, gguf_names, permute_rows

_MERGE = "Export the merged model instead: --formats q8_0."


def find_problem(adapter: Adapter) -> ModelError | None:
    """Return the reason why an adapter can't be a LoRA-GGUF, or None if it can."""
    if adapter.token_rows:
        return ModelError(
            f"This adapter has its own rows for {len(adapter.token_rows)} markers of the embedding, "
            "and a LoRA-GGUF holds linear layers only.",
            _MERGE,
        )
    for module, update in adapter.updates.items():
        if update.magnitude is not None:
            return ModelError("DoRA scales whole rows, which llama.cpp's adapters can't do.", _MERGE)
        if update.gain is not None:
            return ModelError("IA3 is no product of two matrices, so no LoRA-GGUF can hold it.", _MERGE)
        if update.down is None or update.up is None:
            return ModelError(f"The adapter has only one of the two matrices of {module}.", _MERGE)
    return None


def write_lora_gguf(base: Path, adapter: Adapter, output: Path) -> None:
    """Write the adapter for ``llama_adapter_lora_init``, in float16.

    Args:
        base: the GGUF that it belongs to.
        adapter: linear layers only.
        output: the file to write; it appears when it is whole.

    Raises:
        ModelError: another base, or something that a LoRA-GGUF can't hold.
    """
    import gguf

    check_base(base, adapter)
    problem = find_problem(adapter)
    if problem is not None:
        raise problem
    header = read_header(base)
    heads = _count(header.hyperparameter("attention.head_count"), 1)
    shared = _count(header.hyperparameter("attention.head_count_kv"), heads)
    layers = _count(header.hyperparameter("block_count"), 0)
    available = frozenset(tensor.name for tensor in header.tensors)
    names = gguf_names(header.architecture, layers, tuple(adapter.updates), available)
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(output), atomic_write(output) as partial:
        writer = gguf.GGUFWriter(partial, header.architecture)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_name(f"{adapter.base_name} LoRA")
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, adapter.base_name)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter.scale * adapter.rank)
        writer.add_string(BASE_SHA256, adapter.base_sha256)
        for module, tensor in sorted(names.items(), key=lambda item: item[1]):
            update = adapter.updates[module]
            up = permute_rows(header.architecture, tensor, update.up, heads, shared)
            writer.add_tensor(f"{tensor}.lora_a", _half(update.down))
            writer.add_tensor(f"{tensor}.lora_b", _half(up))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _half(values: Floats | None) -> Any:
    return np.ascontiguousarray(values, dtype=np.float16)


def _count(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
