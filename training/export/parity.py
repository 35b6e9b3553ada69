"""The gate before anything is shipped: does the file compute what was trained?

The reference is transformers in float32 with the adapter beside the base; each exported file is evaluated by
llama.cpp on the same tokens. A wrong permutation or scale, a lost row or a swapped tensor shows at once as
another distribution; what a quantisation costs is known and small. The figures are the mean Kullback-Leibler
divergence (nats a token) and how often the likeliest token is the same.

A tolerance belongs to a file type: three to five times what SmolLM2-135M with a stage A adapter was measured
at (f16 0.0000, q8_0 0.004, q6_k 0.010, q5_k_m 0.045, q4_k_m 0.047, q4_0 0.22), as small models suffer most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from attrs import frozen

from fim_lsp.types import Tokenizer
from training.export.llama_cpp import Logits


@frozen
class Tolerance:
    """How far a file may be from its reference."""

    divergence: float
    """Mean KL divergence, nats a token."""
    same_top: float
    """Least part of the tokens whose likeliest next token is the same."""


TOLERANCES: Mapping[str, Tolerance] = MappingProxyType(
    {
        "f32": Tolerance(0.002, 0.98),
        "f16": Tolerance(0.002, 0.98),
        "q8_0": Tolerance(0.02, 0.90),
        "lora": Tolerance(0.03, 0.88),
        "q6_k": Tolerance(0.05, 0.88),
        "q5_k_m": Tolerance(0.2, 0.75),
        "q5_0": Tolerance(0.2, 0.75),
        "q4_k_m": Tolerance(0.3, 0.70),
        "q4_k_s": Tolerance(0.4, 0.65),
        "q4_0": Tolerance(0.7, 0.50),
        "q3_k_m": Tolerance(1.0, 0.45),
    }
)


@frozen
class Parity:
    """One file held against its reference."""

    name: str
    against: str
    divergence: float
    same_top: float
    tokens: int
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """Whether both figures are within the tolerance."""
        return self.divergence <= self.tolerance.divergence and self.same_top >= self.tolerance.same_top

    def __str__(self) -> str:
        return (
            f"{self.name} against {self.against}: KL {self.divergence:.4f} (at most "
            f"{self.tolerance.divergence:g}), same top {self.same_top:.1%} (at least "
            f"{self.tolerance.same_top:.0%})"
        )


def compare(
    name: str, found: Sequence[Logits], against: str, reference: Sequence[Logits], tolerance: Tolerance
) -> Parity:
    """Hold logits against a reference's on the same prompts.

    Args:
        name: of what is judged.
        found: for each prompt (tokens, vocabulary).
        against: the reference's name.
        reference: likewise.
        tolerance: what is allowed.
    """
    ours, theirs = (_log_softmax(np.concatenate(list(part))) for part in (found, reference))
    divergence = float((np.exp(theirs) * (theirs - ours)).sum(axis=1).mean())
    same = float((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean())
    return Parity(name, against, divergence, same, len(ours), tolerance)


def trained_logits(base: str, adapter: Path, prompts: Sequence[Sequence[int]]) -> list[Logits]:
    """The reference: transformers in float32, the adapter beside the base."""
    import torch

    from training.train.base_model import load_weights, prepare_weights
    from training.train.lora import attach, load_adapter, plan_of

    model: Any = load_weights(prepare_weights(base), "fp32")
    model = attach(model, plan_of(adapter))
    load_adapter(model, adapter)
    model.eval()
    found = []
    with torch.inference_mode():
        for prompt in prompts:
            output = model(input_ids=torch.tensor([list(prompt)]), row_lengths=(len(prompt),))
            found.append(output.logits[0].float().numpy())
    return found


def parity_prompts(tokenizer: Tokenizer, marks: Mapping[str, int], end: int | None) -> list[tuple[int, ...]]:
    """Code to compare on: plain, and with a hole where the model has markers.

    Args:
        tokenizer: the base's.
        marks: marker ids by llama.cpp's names, ``pre suf mid``.
        end: the id that ends a middle; it is part of what is compared.
    """
    plain = [tokenizer.encode(text) for text in _TEXTS]
    if not {"pre", "suf", "mid"} <= marks.keys():
        return plain
    holes = []
    for ids in plain:
        third = len(ids) // 3
        prefix, middle, suffix = ids[:third], ids[third : 2 * third], ids[2 * third :]
        ending = () if end is None else (end,)
        holes.append((marks["pre"], marks["suf"], *suffix, marks["mid"], *prefix, *middle, *ending))
    return [*plain, *holes]


def _log_softmax(logits: Any) -> Any:
    rows = logits.astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


_TEXTS = (
    '''import json
from pathlib import Path


def load_settings(path: Path, defaults: dict[str, object]) -> dict[str, object]:
    """Read a JSON file over the defaults; a missing file is no error."""
    if not path.exists():
        return dict(defaults)
    with path.open(encoding="utf-8") as file:
        values = json.load(file)
    unknown = set(values) - set(defaults)
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
    return {**defaults, **values}
''',
    """export function debounce(callback, wait) {
  let timer = null;
  return function (...args) {
    if (timer !== null) {
      clearTimeout(timer);
    }
    timer = setTimeout(() => {
      timer = null;
      callback.apply(this, args);
    }, wait);
  };
}
""",
    """SELECT author.name, COUNT(book.id) AS books
FROM author LEFT JOIN book ON book.author_id = author.id
WHERE author.born >= 1900
GROUP BY author.id
ORDER BY books DESC;
""",
)
