"""The tokens of one choice on their way from the inference thread to the client."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from fim_lsp.serving.orders import Choice, EndedBy, LimitsOfText, ServedPiece, ServedToken
from fim_lsp.serving.stop_strings import IndentLimit, StopStrings
from fim_lsp.types import FinishReason, Generation, StreamedToken


@define
class ChoiceStream:
    """One choice while it is generated. Written on the inference thread until the generation has ended."""

    index: int
    limits: LimitsOfText
    emit: Callable[[ServedPiece], None]
    """Takes each piece of text that is certain; must be callable from any thread."""
    _indent: IndentLimit = field(init=False)
    _stops: StopStrings = field(init=False)
    _text: list[str] = field(factory=list, init=False)
    _tokens: list[ServedToken] = field(factory=list, init=False)
    _emitted: int = field(default=0, init=False)
    """Tokens that a piece has carried."""
    _has_line_break: bool = field(default=False, init=False)
    _out_of_time: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._indent = IndentLimit(self.limits.min_indent)
        self._stops = StopStrings(self.limits.stop)

    def on_token(self, token: StreamedToken) -> bool:
        """Take a token; return False to end the generation."""
        self._tokens.append(ServedToken(token.text, token.probability))
        self._release(self._stops.add(self._indent.add(token.text)))
        self._has_line_break = self._has_line_break or "\n" in token.text
        limit = self.limits.time_limit_ms
        self._out_of_time = limit is not None and self._has_line_break and token.elapsed_ms > limit
        return self._stops.found is None and not self._indent.reached and not self._out_of_time

    def finish(self, generation: Generation) -> Choice:
        """Release the text that was held back, and return the finished choice."""
        if self._stops.found is None:
            self._release(self._stops.add(self._indent.rest()))
        if self._stops.found is None:
            self._release(self._stops.rest())
        return Choice("".join(self._text), self._ended_by(generation), self._stops.found or "", self.tokens)

    @property
    def tokens(self) -> tuple[ServedToken, ...]:
        """The tokens so far."""
        return tuple(self._tokens)

    def _release(self, text: str) -> None:
        if text:
            tokens = self.tokens[self._emitted :]
            self._emitted = len(self._tokens)
            self._text.append(text)
            self.emit(ServedPiece(self.index, text, tokens))

    def _ended_by(self, generation: Generation) -> EndedBy:
        if self._stops.found is not None:
            return "stop"
        if generation.finish_reason is FinishReason.END:
            return "end"
        return "length"
