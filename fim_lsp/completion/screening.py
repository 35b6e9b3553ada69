"""Screen the documents of a session for secrets: one that holds a secret is shown to no other document."""

from __future__ import annotations

from attrs import frozen

from fim_lsp.code.secrets import holds_secret, piece_around
from fim_lsp.completion.edited_places import TextChange
from fim_lsp.prompt.window import visible

SCREENED_AT_ONCE = 50_000
"""Characters that are looked at in one go: 2 ms on the event loop."""
_LONGEST_PIECE = 200_000
"""Characters between two lines' ends: a document with more of them is shown to no other one anyway."""


@frozen
class Screening:
    """The part of a document that was looked at for secrets. An edit costs a look at its lines alone."""

    clean: int = 0
    """Characters from the beginning, whole pieces, that hold no secret."""
    refused: bool = False
    """True if what was looked at next holds one, or can't be looked at."""

    def allows(self, text: str) -> bool:
        """Tell whether all of a text was looked at, and holds no secret."""
        return not self.refused and self.clean >= len(text)

    def after_edit(self, change: TextChange, text: str) -> Screening:
        """Return the screening of the text behind an edit. A secret that was found may be gone then."""
        if self.refused:
            return Screening()
        start, end = piece_around(text, change.start, change.new_end)
        if change.old_end > self.clean or end - start > SCREENED_AT_ONCE:
            return Screening(min(self.clean, start))
        if holds_secret(visible(text[start:end])):
            return Screening(refused=True)
        return Screening(max(end, self.clean + change.new_end - change.old_end))

    def go_on(self, text: str, most: int = SCREENED_AT_ONCE) -> Screening:
        """Look at the next characters, about as many as given."""
        if self.refused or self.allows(text) or most <= 0:
            return self
        _, end = piece_around(text, self.clean, min(len(text), self.clean + most))
        if end - self.clean > most + _LONGEST_PIECE or holds_secret(visible(text[self.clean : end])):
            return Screening(refused=True)
        return Screening(end)
