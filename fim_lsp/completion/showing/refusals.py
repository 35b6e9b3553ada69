"""Remember what the user refused, and where, through later edits.

A suggestion is refused where the user dismissed it, or typed something else while it was shown, twice. It is
known by the line that it would make, so that it is the same one when the user has typed a part of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, field, frozen

from fim_lsp.types import CompletionRequest, LineEdit

_TYPED_PAST = 2
"""Times that the user types past a suggestion before it is refused."""
_MOST = 50
"""Refusals remembered in a document."""


@frozen
class SuggestedLine:
    """The first line with text that a suggestion makes, and its place in the document."""

    line: int
    column: int
    """Where its text begins."""
    text: str = field(repr=False)
    """Without the blanks around it."""
    behind: str = field(default="", repr=False)
    """The cursor's line, where the suggestion makes a line below it: so far, that line counts as complete."""

    @classmethod
    def of(cls, request: CompletionRequest, suggestion: str) -> SuggestedLine:
        r"""Return the line that a suggestion makes at the cursor.

        Example: behind ``x =`` the suggestion ``" 1\ny = 2"`` makes the line ``x = 1``.
        """
        line = request.cursor_line
        lines = suggestion.split("\n")
        below = next((index for index, part in enumerate(lines) if part.strip()), 0)
        made = lines[below] if below else request.line_prefix + lines[0]
        behind = request.line_prefix.strip() if below else ""
        return cls(line + below, len(made) - len(made.lstrip()), made.strip(), behind)

    def is_same(self, other: SuggestedLine) -> bool:
        """Tell whether both suggest one thing at one place; once a line is begun, no line is behind it."""
        same_place = self.line == other.line and (self.behind == other.behind or not other.behind)
        return same_place and self.text == other.text

    def after(self, edit: LineEdit) -> SuggestedLine:
        """Return the line where an edit moves it."""
        moved = edit.line_breaks - (edit.end[0] - edit.start[0])
        if edit.end <= (self.line, self.column):
            return evolve(self, line=self.line + moved)
        return self if edit.start >= (self.line, 0) else evolve(self, line=edit.start[0])


@frozen
class _Refusal:
    suggested: SuggestedLine
    times: int


class Refusals:
    """The refused suggestions of all documents."""

    def __init__(self) -> None:
        self._by_uri: dict[str, tuple[_Refusal, ...]] = {}

    def dismissed(self, uri: str, suggested: SuggestedLine) -> None:
        """Note that the user dismissed a suggestion."""
        self._add(uri, suggested, _TYPED_PAST)

    def typed_past(self, uri: str, suggested: SuggestedLine) -> None:
        """Note that the user typed something else."""
        self._add(uri, suggested, 1)

    def is_refused(self, uri: str, suggested: SuggestedLine) -> bool:
        """Tell whether the user has refused this suggestion at this place."""
        return self._times(uri, suggested) >= _TYPED_PAST

    def edited(self, uri: str, edits: Iterable[LineEdit]) -> None:
        """Move the places of a document's refusals along with edits."""
        refusals = self._by_uri.get(uri)
        for edit in edits if refusals else ():
            refusals = tuple(
                evolve(refusal, suggested=refusal.suggested.after(edit)) for refusal in refusals or ()
            )
        if refusals:
            self._by_uri[uri] = refusals

    def forget(self, uri: str) -> None:
        """Forget a document."""
        self._by_uri.pop(uri, None)

    def _times(self, uri: str, suggested: SuggestedLine) -> int:
        same = (refusal for refusal in self._by_uri.get(uri, ()) if refusal.suggested.is_same(suggested))
        return next((refusal.times for refusal in same), 0)

    def _add(self, uri: str, suggested: SuggestedLine, times: int) -> None:
        times += self._times(uri, suggested)
        others = [
            refusal for refusal in self._by_uri.get(uri, ()) if not refusal.suggested.is_same(suggested)
        ]
        self._by_uri[uri] = (*others[-_MOST + 1 :], _Refusal(suggested, times))
