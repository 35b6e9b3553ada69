"""What the completer knows of each open document to decide whether an automatic suggestion may appear."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve, frozen

from fim_lsp.completion.acceptance import ShownSuggestion, ShownSuggestions
from fim_lsp.completion.explain import Answer
from fim_lsp.completion.query import Query
from fim_lsp.completion.showing.chance import default_model
from fim_lsp.completion.showing.choice import Judge
from fim_lsp.completion.showing.features import KnowsName, no_names
from fim_lsp.completion.showing.habits import Habits
from fim_lsp.completion.showing.places import allowed_at, find_place
from fim_lsp.completion.showing.refusals import Refusals, SuggestedLine
from fim_lsp.types import LineEdit

_RESTLESS_MS = 1000.0
"""Time after a key that made a suggestion wrong, in which the next one may be wrong as well."""
_LONG_AGO = float("-inf")


@frozen
class _Record:
    """The last events of one document. Times are in milliseconds of the display's clock."""

    edited_at: float = _LONG_AGO
    deleted: bool = False
    """True if the last edit only took text away."""
    dismissed_at: float = _LONG_AGO
    contradicted_at: float = _LONG_AGO
    """When the user last typed something else than what was shown."""
    accepted_to: int | None = None
    """Offset behind a suggestion that was accepted, and after which nothing was edited."""


class SuggestionDisplay:
    """The display of all documents.

    Args:
        clock: seconds of any steady clock.
        knows_name: tells whether a name stands in the workspace.
    """

    def __init__(self, clock: Callable[[], float], knows_name: KnowsName = no_names) -> None:
        self._clock = clock
        self._knows_name = knows_name
        self._records: dict[str, _Record] = {}
        self._refusals = Refusals()
        self._habits = Habits()
        self.shown = ShownSuggestions()

    # --- What happens in the editor

    def edited(self, uri: str, edits: Sequence[LineEdit]) -> None:
        """Note that a document was edited."""
        deleted = bool(edits) and all(edit.deletes for edit in edits)
        self._records[uri] = evolve(
            self._record(uri), edited_at=self._now(), deleted=deleted, accepted_to=None
        )
        self._refusals.edited(uri, edits)

    def accepted(self, shown: ShownSuggestion) -> None:
        """Note that a suggestion was accepted: behind it, more than one line may follow."""
        uri = shown.request.document.uri
        record, accepted_to = self._record(uri), shown.accepted.offset
        if record.accepted_to != accepted_to:  # else the command comes after the edit, or before it
            self._habits.note(shown.chance, kept=True)
        self._records[uri] = evolve(record, accepted_to=accepted_to)

    def dismissed(self, uri: str | None) -> None:
        """Note that the user dismissed a document's suggestion, or the last of all."""
        if (last := self.shown.last(uri)) is not None:
            found, shown = last
            self._refusals.dismissed(found, shown.line)
            self._habits.note(shown.chance, kept=False)
            self._records[found] = evolve(self._record(found), dismissed_at=self._now())
            self.shown.drop(found)

    def closed(self, uri: str) -> None:
        """Forget a document."""
        self.shown.drop(uri)
        self._records.pop(uri, None)
        self._refusals.forget(uri)

    def settings_changed(self) -> None:
        """Note that other suggestions may be due: none that is shown is kept for calm."""
        self.shown = ShownSuggestions()

    # --- What may be shown

    def follow(self, query: Query) -> tuple[str, str]:
        """Return what is left of the shown suggestion, or why nothing is to be shown; both may be empty."""
        following = self.shown.follow(query.request, query.adapters)
        if following.typed_past is not None:
            self._typed_past(query.uri, following.typed_past)
        if following.left or not query.automatic:
            return following.left, ""
        because = self._silent_because(query)
        if because:
            self.shown.drop(query.uri)
        return "", because

    def is_accepted(self, query: Query) -> bool:
        """Tell whether the cursor is behind a suggestion that was accepted just now."""
        return self._record(query.uri).accepted_to == query.request.offset

    def put(self, query: Query, answer: Answer, version: int | None) -> None:
        """Note what may be on the screen; nothing where the document has another ``version`` by now."""
        moved_on = version not in (None, query.request.document.version)
        if moved_on or answer.completion is None:
            self.shown.drop(query.uri)
            return
        chance = answer.explanation.chance
        self.shown.put(query.request, answer.completion, query.settings, query.adapters, chance)

    def _typed_past(self, uri: str, shown: ShownSuggestion) -> None:
        self._refusals.typed_past(uri, shown.line)
        self._habits.note(shown.chance, kept=False)
        self._records[uri] = evolve(self._record(uri), contradicted_at=self._now())
        self.shown.drop(uri)

    def _silent_because(self, query: Query) -> str:
        rules, record = query.rules, self._record(query.uri)
        if record.deleted and not rules.while_deleting:
            return "text was deleted (completion.whileDeleting)"
        if self._now() - record.dismissed_at < rules.cooldown_ms:
            return "a suggestion was dismissed just now (completion.cooldownMs)"
        place = find_place(query.context)
        return f"the cursor is {place.value}" if allowed_at(place, rules) == "never" else ""

    def judge(self, query: Query) -> Judge:
        """Return what decides about suggestions for a query."""

        def is_refused(text: str) -> bool:
            return self._refusals.is_refused(query.uri, SuggestedLine.of(query.request, text))

        shift, accepted = self._habits.shift, self.is_accepted(query)
        return Judge(is_refused, default_model(), shift, self._knows_name, accepted)

    def wait_ms(self, query: Query) -> float:
        """Return how long a suggestion must wait so that the editor does not flicker.

        While keys make one suggestion after the other wrong, the next one appears in the first pause.
        """
        record, now = self._record(query.uri), self._now()
        if now - record.contradicted_at > _RESTLESS_MS:
            return 0.0
        return max(0.0, query.rules.appear_after_ms - (now - record.edited_at))

    def _now(self) -> float:
        return self._clock() * 1000

    def _record(self, uri: str) -> _Record:
        return self._records.get(uri, _Record())
