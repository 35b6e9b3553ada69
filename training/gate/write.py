"""Write a copy of a model's file with the weights of its gate."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fim_lsp.files import atomic_write
from fim_lsp.gguf_keys import MEMORY_GATE
from fim_lsp.models.disk import disk_errors
from fim_lsp.models.gguf_header import check_model


def write_gate(model: Path, gate: str, output: Path) -> None:
    """Copy a GGUF file, with the gate in its metadata. Tensors are copied as they are.

    Args:
        model: The file.
        gate: What :meth:`fim_lsp.engine.memory.gate.Gate.dump` returns.
        output: The copy; it appears when it is whole.

    Raises:
        ModelError: the file is no model, or the disk is full.
    """
    import gguf

    check_model(model)
    reader = gguf.GGUFReader(model)
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(output), atomic_write(output) as partial:
        writer = gguf.GGUFWriter(partial, str(reader.fields["general.architecture"].contents()))
        for key, field in reader.fields.items():
            value = field.contents()
            # The writer makes the first ones itself, and can't write the element type of an empty list.
            if key.startswith("GGUF.") or key in ("general.architecture", MEMORY_GATE) or value == []:
                continue
            writer.add_key_value(key, value, field.types[0], field.types[-1] if field.types[1:] else None)
        writer.add_string(MEMORY_GATE, gate)
        for tensor in reader.tensors:
            writer.add_tensor(tensor.name, np.asarray(tensor.data), raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
