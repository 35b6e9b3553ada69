"""The parity check of an export: does a file compute what was trained?

The reference is transformers in float32 with the adapter beside the base. Each exported file is evaluated by
llama.cpp on the same tokens. A wrong permutation or scale, a lost row or a swapped tensor gives another
distribution at once, while a quantisation changes it by a small, known amount. The figures are the mean
Kullback-Leibler divergence (nats a token) and the share of tokens with the same likeliest next token.

Each file type has a tolerance: three to five times the divergence measured for SmolLM2-135M with a stage A
adapter (f16 0.0000, q8_0 0.004, q6_k 0.010, q5_k_m 0.045, q4_k_m 0.047, q4_0 0.22), because quantisation
changes small models most.
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
    """The largest allowed difference of a file from its reference."""

    divergence: float
    """Highest mean KL divergence, in nats a token."""
    same_top: float
    """Lowest share of tokens with the same likeliest next token."""


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
    """The comparison of one file with its reference."""

    name: str
    against: str
    """Name of the reference."""
    divergence: float
    """Mean KL divergence, in nats a token."""
    same_top: float
    """Share of tokens with the same likeliest next token."""
    tokens: int
    """Number of tokens compared."""
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """True if both figures are within the tolerance."""
        return self.divergence <= self.tolerance.divergence and self.same_top >= self.tolerance.same_top

    def __str__(self) -> str:
        return (
            f"{self.name} against {self.against}: KL {self.divergence:.4f} (at most "
            f"{self.tolerance.divergence:g}), same top {self.same_top:.1%} (at least "
            f"{self.tolerance.same_top:.0%})"
        )


def compare(
    name: str, found: Sequence[Logits], against: str, expected: Sequence[Logits], tolerance: Tolerance
) -> Parity:
    """Compare logits with those of a reference on the same prompts.

    Args:
        name: name of the file.
        found: its logits, (tokens, vocabulary) for each prompt.
        against: name of the reference.
        expected: the reference's logits, of the same shapes.
        tolerance: the largest allowed difference.
    """
    log_p, log_q = (_log_softmax(np.concatenate(list(logits))) for logits in (expected, found))
    divergence = float((np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean())
    same = float((log_q.argmax(axis=1) == log_p.argmax(axis=1)).mean())
    return Parity(name, against, divergence, same, len(log_q), tolerance)


def trained_logits(base: str, adapter: Path, prompts: Sequence[Sequence[int]]) -> list[Logits]:
    """Return the reference's logits: transformers in float32, with the adapter beside the base.

    Args:
        base: path or name of the base.
        adapter: the adapter's folder.
        prompts: token ids.

    Returns:
        For each prompt its logits, (tokens, vocabulary).
    """
    import torch

    from training.train.base_model import load_weights, prepare_weights
    from training.train.lora import attach, load_adapter, read_plan

    model: Any = load_weights(prepare_weights(base), "fp32")
    model = attach(model, read_plan(adapter))
    load_adapter(model, adapter)
    model.eval()
    logits = []
    with torch.inference_mode():
        for prompt in prompts:
            output = model(input_ids=torch.tensor([list(prompt)]), row_lengths=(len(prompt),))
            logits.append(output.logits[0].float().numpy())
    return logits


def parity_prompts(tokenizer: Tokenizer, marks: Mapping[str, int], end: int | None) -> list[tuple[int, ...]]:
    """Return prompts to compare on: three texts of code, and the same with a hole if the model has markers.

    Args:
        tokenizer: the base's.
        marks: marker ids by llama.cpp's names, ``pre suf mid``.
        end: id of the token that ends a middle, to be compared too; None to leave it out.
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
    """Return the logarithms of the probabilities, (tokens, vocabulary), in float64."""
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
