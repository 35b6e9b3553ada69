"""Why was this suggested: the last answer taken apart, for ``fimLsp.explain`` and ``fim-lsp complete``."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from fim_lsp.completion.filters import FilterStep
from fim_lsp.types import AppliedAdapter, PromptPart, Timings

Source = Literal["cache", "joined", "generated"]


@frozen
class Explanation:
    """How the last answer came about. Texts are the user's own code: never log this above DEBUG."""

    uri: str = ""
    line: int = 0
    """Counted from 0."""
    source: Source = "generated"
    """A remembered suggestion, a generation that was already running, or one of its own."""
    model: str = ""
    template: str = ""
    adapters: tuple[AppliedAdapter, ...] = ()
    """Those that were applied; one that was refused is not among them."""
    multiline: bool = False
    delay_ms: float = 0.0
    timings: Timings = field(factory=Timings)
    """Zero evaluated and generated tokens where the cache answered."""
    speculation: str = ""
    """Whether guesses were evaluated along, and why; how many is in the timings."""
    parts: tuple[PromptPart, ...] = field(default=(), repr=False)
    context: str = ""
    """Which pieces of other files were shown to the model and why, or why none."""
    echo: str = field(default="", repr=False)
    """What the model said first, where that only stood around the cursor already and it was asked again."""
    said: str = field(default="", repr=False)
    """What the model said, up to where a stop rule ended it."""
    ended_by: str = ""
    steps: tuple[FilterStep, ...] = field(default=(), repr=False)
    """The filters that changed something, in order."""
    offered: str | None = field(default=None, repr=False)
    alternatives: tuple[str, ...] = field(default=(), repr=False)
    """What was offered besides."""
    dropped_because: str = ""
    confidence: float = 0.0
