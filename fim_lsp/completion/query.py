"""One request, and what is looked up for it once."""

from __future__ import annotations

from attrs import frozen

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.multiline import wants_multiline
from fim_lsp.completion.showing.eagerness import ShowingRules
from fim_lsp.settings import Settings
from fim_lsp.types import AppliedAdapter, CompletionRequest, Trigger


@frozen
class Query:
    """A request with its settings, the code around its cursor, and the rules for showing its answer."""

    request: CompletionRequest
    settings: Settings
    adapters: tuple[AppliedAdapter, ...]
    context: CursorContext
    rules: ShowingRules

    @property
    def uri(self) -> str:
        """The document's."""
        return self.request.document.uri

    @property
    def automatic(self) -> bool:
        """True for a request while typing: its answer may be hidden."""
        return self.request.trigger is Trigger.AUTOMATIC

    def wants_multiline(self, *, accepted: bool) -> bool:
        """Tell whether the answer may have several lines.

        Args:
            accepted: True if the cursor is behind a suggestion that was accepted just now.
        """
        completion, one_line_first = self.settings.completion, self.rules.one_line_first and not accepted
        return wants_multiline(
            self.context,
            self.request.trigger,
            completion,
            one_line_first=one_line_first,
            accepted=accepted and self.rules.one_line_first,
        )
