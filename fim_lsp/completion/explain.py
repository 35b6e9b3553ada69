"""The explanation of an answer, for ``fimLsp.explain`` and ``fim-lsp complete``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from fim_lsp.completion.filters import FilterStep
from fim_lsp.types import AppliedAdapter, Completion, MemoryUse, PromptPart, Timings

if TYPE_CHECKING:
    from fim_lsp.completion.cache import Suggestion

Source = Literal["cache", "joined", "generated", "silent"]


@frozen
class Explanation:
    """The origin of an answer, step by step. Texts are the user's own code: never log this above DEBUG."""

    uri: str = ""
    line: int = 0
    """Counted from 0."""
    source: Source = "generated"
    """A remembered suggestion, a generation that was already running, or one of its own; ``silent`` where
    nothing was looked for."""
    model: str = ""
    host: str = ""
    """The host that the prompt was sent to; empty if it stayed in this process."""
    notice: str = ""
    """A remark for the user: another model had to answer."""
    arm: str = ""
    """Experiment and arm of the document; empty without an experiment."""
    template: str = ""
    adapters: tuple[AppliedAdapter, ...] = ()
    """Those that were applied; one that was refused is not among them."""
    multiline: bool = False
    delay_ms: float = 0.0
    """The debounce, in milliseconds."""
    timings: Timings = field(factory=Timings)
    """Zero evaluated and generated tokens where the cache answered."""
    speculation: str = ""
    """The decision about drafts, and its reason; their number is in the timings."""
    parts: tuple[PromptPart, ...] = field(default=(), repr=False)
    layout: str = ""
    """The layout of the prompt, and why."""
    length: str = ""
    """Why the prompt was shorter than it may be; empty if it was not."""
    snippets: str = ""
    """Which snippets of other files the prompt held and why, or why none."""
    memory: MemoryUse = field(factory=MemoryUse)
    """The tokens that the repository memory decided, and where from."""
    echo: str = field(default="", repr=False)
    """The first text, if it only repeated what stands around the cursor and the model was asked again."""
    generated: str = field(default="", repr=False)
    """The text of the model, up to where a stop rule ended it."""
    ended_by: str = ""
    """The stop rule that ended the text, or how the model ended it itself."""
    steps: tuple[FilterStep, ...] = field(default=(), repr=False)
    """The filters that changed something, in order."""
    shown: str | None = field(default=None, repr=False)
    """The suggestion, or None where none is shown."""
    alternatives: tuple[str, ...] = field(default=(), repr=False)
    """Other suggestions to choose from."""
    dropped_because: str = ""
    """Why nothing is shown."""
    confidence: float = 0.0
    """Mean probability of the tokens, 0 to 1."""
    chance: float = 0.0
    """Estimated chance that the suggestion is kept, 0 to 1; 1 where none was estimated."""


@frozen
class Answer:
    """The answer to one request."""

    completion: Completion | None
    """The text to show at the cursor; None for nothing."""
    explanation: Explanation = field(factory=Explanation)
    suggestion: Suggestion | None = field(default=None, repr=False)
    """The model's text that the answer was made of, or would have been."""
    rest: str = field(default="", repr=False)
    """The text behind the completion, to be shown when that is accepted."""
