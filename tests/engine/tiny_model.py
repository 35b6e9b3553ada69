"""A model of two layers with random weights: wrong tokens show in its logits, and it evaluates fast."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.unit.models.tiny_gguf import tiny_llama

ALPHABET = "ABCDEF()=.\n "
"""Characters that its vocabulary can spell."""


def write_random_llama(path: Path, seed: int = 0) -> Path:
    """Write the model. Its logits spread over several units, so that a wrong token shows."""
    model, draw = tiny_llama(), np.random.default_rng(seed)
    model.metadata["llama.context_length"] = 512
    weights = [
        np.ones(tensor.shape) if "norm" in tensor.name else draw.normal(size=tensor.shape) * 0.4
        for tensor in model.tensors
    ]
    data = b"".join(weight.astype(np.float32).tobytes() for weight in weights)
    assert len(data) == len(model.data())
    path.write_bytes(model.header() + data)
    return path
