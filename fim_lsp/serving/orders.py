"""The orders that all protocols are translated into, and the pieces and outcomes that come back."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from fim_lsp.types import AppliedAdapter, Snippet, Timings

EndedBy = Literal["end", "stop", "rule", "length"]
"""The end of a choice: an end token, a stop string, a stop rule or filter, or a limit."""


@frozen
class HolePrompt:
    """Text around a hole. The server lays it out for the loaded model, and cuts it to the model's window."""

    before: str = field(repr=False)
    after: str = field(default="", repr=False)
    path: str = ""
    """Path of the file, if the client names it."""
    language: str = ""
    """Language id, if the client names it; otherwise the path tells."""
    snippets: tuple[Snippet, ...] | None = field(default=None, repr=False)
    """Parts of other files, the best last; None if the client sent none."""
    repository: str = ""


@frozen
class TextPrompt:
    """Text to go on from, as it is."""

    text: str = field(repr=False)


@frozen
class TokenPrompt:
    """Token ids to go on from, as they are."""

    ids: tuple[int, ...] = field(repr=False)


ServedPrompt = HolePrompt | TextPrompt | TokenPrompt


@frozen
class LimitsOfText:
    """The ends of a generation that a request sets."""

    max_tokens: int
    stop: tuple[str, ...] = field(default=(), repr=False)
    """The text ends in front of the first of these."""
    time_limit_ms: float | None = None
    """Milliseconds from the first token on; takes effect once there is a line break."""
    min_indent: int = 0
    """The text ends in front of a line that is indented by fewer columns."""


@frozen
class CompletionOrder:
    """One prompt to complete, whatever protocol it came by."""

    prompt: ServedPrompt
    limits: LimitsOfText
    adapters: tuple[AppliedAdapter, ...] = ()
    temperature: float = 0.0
    top_k: int = 40
    top_p: float = 0.95
    seed: int = 0
    count: int = 1
    """Choices to generate."""
    filters: bool = False
    """True to complete as in an editor: with the language server's stop rules, memory, retry and filters."""


@frozen
class ServedToken:
    """A token of a choice."""

    text: str = field(repr=False)
    probability: float


@frozen
class ServedPiece:
    """Text of one choice that will not change any more."""

    choice: int
    text: str = field(repr=False)
    tokens: tuple[ServedToken, ...] = field(default=(), repr=False)


@frozen
class Choice:
    """A finished choice."""

    text: str = field(repr=False)
    ended_by: EndedBy
    stop: str = field(default="", repr=False)
    """The stop string that ended it."""
    tokens: tuple[ServedToken, ...] = field(default=(), repr=False)

    @property
    def finish_reason(self) -> Literal["stop", "length"]:
        """The reason in OpenAI's words."""
        return "length" if self.ended_by == "length" else "stop"


@frozen
class Outcome:
    """Everything that was generated for one order, and what it cost."""

    choices: tuple[Choice, ...]
    timings: Timings = field(factory=Timings)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, evaluated now or before."""
        return self.timings.evaluated_tokens + self.timings.reused_tokens

    @property
    def generated_tokens(self) -> int:
        """Tokens sampled for all choices."""
        return sum(len(choice.tokens) for choice in self.choices) or self.timings.generated_tokens
