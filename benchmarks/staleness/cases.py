"""Choose the position at which a kept prompt was made, before the cursor came to the hole."""

from __future__ import annotations

from random import Random
from urllib.parse import quote

from attrs import field, frozen

from fim_lsp.types import CompletionRequest, DocumentSnapshot, Order, Trigger
from training.evaluate.infilling import EvaluationHole

EXACT, NEAR, FAR = ARMS = ("exact", "near", "far")
_NEAR_CHARS = 200


@frozen
class Case:
    """A hole, and the requests that lead to the prompt for it."""

    hole: EvaluationHole
    arm: str
    """One of :data:`ARMS`."""
    request: CompletionRequest = field(repr=False)
    before: CompletionRequest | None = field(default=None, repr=False)
    """The request for which the prompt was made; None for a prompt made for the hole."""
    distance: int = 0
    """Characters from its cursor to the hole."""


def cases(hole: EvaluationHole, order: Order, seed: int, reach: int = 700) -> tuple[Case, ...]:
    """Return three cases: exact, kept over at most 200 characters, and over more.

    Return none if there is too little text before the hole.

    Args:
        hole: the hole to fill.
        order: of the model's template; decides what is kept.
        seed: draws the distances.
        reach: longest distance, in characters.
    """
    rng = Random(f"{seed}\0{hole.name}")
    found = [Case(hole, EXACT, _request(hole, hole.prefix, hole.suffix))]
    for arm, low, high in ((NEAR, 1, _NEAR_CHARS), (FAR, _NEAR_CHARS, reach)):
        starts = [start for start in _line_starts(hole.prefix) if low <= len(hole.prefix) - start < high]
        if not starts:
            return ()
        start = rng.choice(starts)
        passed = hole.prefix[start:] if order == "suffix_first" else ""
        before = _request(hole, hole.prefix[:start], passed + hole.suffix)
        found.append(Case(hole, arm, found[0].request, before, len(hole.prefix) - start))
    return tuple(found)


def _request(hole: EvaluationHole, prefix: str, suffix: str) -> CompletionRequest:
    document = DocumentSnapshot(f"file:///{quote(hole.path)}", hole.language, 1, prefix + suffix)
    return CompletionRequest(document, len(prefix), Trigger.INVOKED)


def _line_starts(text: str) -> list[int]:
    return [0, *(index + 1 for index, character in enumerate(text) if character == "\n")]
