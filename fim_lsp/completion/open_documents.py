"""The documents of a session, those closed recently among them, and the parts of them a prompt may hold.

Nothing is read from disk: only documents that the editor opened are known.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import PurePath
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from fim_lsp.code.outline import outline
from fim_lsp.completion.edited_places import TextChange, move_edits, move_unfinished
from fim_lsp.completion.enabled import is_disabled
from fim_lsp.completion.screening import SCREENED_AT_ONCE, Screening
from fim_lsp.prompt.snippets import Chunk, OtherDocument, cut, is_readable
from fim_lsp.prompt.window import visible
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import DocumentSnapshot

Folders = Callable[[], Sequence[PurePath]]
"""The workspace folders that the client names; none where it names none."""
Related = Callable[[DocumentSnapshot], Sequence[OtherDocument]]
"""From a document to files that no editor opened and that may help in it. It must not wait."""

_REMEMBERED = 24
"""Closed documents are forgotten beyond so many, the one used longest ago first; open ones never are."""
_CONSIDERED = 12
"""Documents that a choice is made from, those used last."""
_CUT_AT_ONCE = 3
"""Documents cut for one choice, some 10 to 30 ms each on the event loop; the others have their turn later."""
_LONGEST = 1_000_000
"""Characters of a document whose edits are followed."""


@frozen
class WorkspaceLocation:
    """The path of a document in its workspace, and the folder's name."""

    path: str
    repository: str = ""


@frozen
class _Known:
    """A document of the session, and what was computed for it."""

    document: DocumentSnapshot
    is_open: bool = True
    edited: tuple[int, ...] = ()
    """Offsets, the last first."""
    unfinished: tuple[int, ...] = ()
    """Offsets where the user stopped typing without having ended the line, the last first."""
    chunks: tuple[Chunk, ...] | None = field(default=None, repr=False)
    """None until they are first asked for; empty for a text that must not be shown."""
    screening: Screening = field(factory=Screening)

    @property
    def holds_no_secret(self) -> bool:
        """False for a document that serves itself alone, also while it is not looked through yet."""
        return self.screening.allows(self.document.text)

    def screened(self, most: int) -> _Known:
        """Return the document with more of it looked at. One that is too long to be shown is not."""
        text = self.document.text
        screening = self.screening if len(text) > _LONGEST else self.screening.go_on(text, most)
        return self if screening == self.screening else evolve(self, screening=screening)


class OpenDocuments:
    """Remembers the session's documents, their last edits, and which was used when."""

    def __init__(self, folders: Folders = tuple) -> None:
        self._folders = folders
        self._known: dict[str, _Known] = {}
        self._kept_out: set[str] = set()

    def opened(self, document: DocumentSnapshot) -> None:
        """Note that a document was opened: it is now the one used last."""
        self._use(_Known(document).screened(SCREENED_AT_ONCE))

    def edited(self, uri: str, version: int, text: str) -> str | None:
        """Note that an open document's text changed.

        Returns:
            The document's path, as prompts show it, if others might be shown it before and must not be any
            more: a secret was typed or pasted, or so much that it has to be looked through first.
        """
        known = self._known.get(uri)
        if known is None or not known.is_open:
            return None
        document = evolve(known.document, version=version, text=text)
        if len(text) > _LONGEST:
            # No prompt shows parts of a longer one, and to compare its texts would take a while at each key.
            changed = _Known(document)
        else:
            before = known.document.text
            change = TextChange.between(before, text)
            edited = move_edits(known.edited, change)
            unfinished = move_unfinished(known.unfinished, change, before, text)
            screening = known.screening.after_edit(change, text)
            changed = _Known(document, edited=edited, unfinished=unfinished, screening=screening)
        self._use(changed)
        is_withdrawn = known.holds_no_secret and not changed.holds_no_secret
        return self.locate(document).path if is_withdrawn else None

    def used(self, uri: str) -> None:
        """Note that the user is in this document."""
        if (known := self._known.get(uri)) is not None:
            self._use(known)

    def closed(self, uri: str) -> None:
        """Note that a document was closed; its text stays of use for a while."""
        if (known := self._known.get(uri)) is not None:
            self._known[uri] = evolve(known, is_open=False)
            self._forget()

    def keep_out(self, uris: Iterable[str]) -> None:
        """Show these to no other document: the user ignores them, which only the editor knows."""
        self._kept_out.update(uris)

    def others(self, document: DocumentSnapshot, completion: CompletionSettings) -> tuple[OtherDocument, ...]:
        """Return the other documents that a prompt may show, the one used last first.

        Not those kept out, without completions, with a secret, outside of the workspace, too large, binary or
        minified.
        """
        found: list[OtherDocument] = []
        left = _CUT_AT_ONCE
        for known, location in self._shown(document, completion):
            if len(found) == _CONSIDERED:
                break
            if known.chunks is None and not left:
                continue
            left -= known.chunks is None
            if chunks := self._chunks(known):
                found.append(_as_other(location, known, chunks))
        return tuple(found)

    def voting(
        self, document: DocumentSnapshot, completion: CompletionSettings
    ) -> tuple[DocumentSnapshot, ...]:
        """Return the other documents whose code may vote on this one's, the one used last first.

        They are those that a prompt may show; whether a text is readable is not checked here.
        """
        shown = islice(self._shown(document, completion), _CONSIDERED)
        return tuple(known.document for known, _ in shown)

    def _shown(
        self, document: DocumentSnapshot, completion: CompletionSettings
    ) -> Iterator[tuple[_Known, WorkspaceLocation]]:
        """Yield the documents that may be shown to another one, the one used last first."""
        folders = _normal(self._folders())
        left = SCREENED_AT_ONCE
        for uri, known in reversed(tuple(self._known.items())):
            location = _locate(known.document, folders)
            if uri == document.uri or uri in self._kept_out or location is None:
                continue
            if is_disabled(known.document, completion):
                continue
            screened = known.screened(left)
            if screened is not known:
                refused = screened.screening.refused
                left = 0 if refused else left - (screened.screening.clean - known.screening.clean)
                self._known[uri] = screened
            if screened.holds_no_secret:
                yield screened, location

    def unfinished(self, document: DocumentSnapshot) -> tuple[int, ...]:
        """Return the offsets in a document where the user stopped typing without having ended the line."""
        known = self._known.get(document.uri)
        return known.unfinished if known is not None and known.document.text == document.text else ()

    @property
    def uris(self) -> tuple[str, ...]:
        """The documents that are known, whether or not they may be shown."""
        return tuple(self._known)

    def locate(self, document: DocumentSnapshot) -> WorkspaceLocation:
        """Locate a document; one outside of the workspace has its name alone."""
        return _locate(document, _normal(self._folders())) or WorkspaceLocation(document.path.name)

    def _use(self, known: _Known) -> None:
        self._known.pop(known.document.uri, None)
        self._known[known.document.uri] = known
        self._forget()

    def _forget(self) -> None:
        closed = [uri for uri, known in self._known.items() if not known.is_open]
        for uri in closed[: max(0, len(self._known) - _REMEMBERED)]:
            del self._known[uri]

    def _chunks(self, known: _Known) -> tuple[Chunk, ...]:
        """Return a document's chunks, cut once for each version that is looked at."""
        if known.chunks is None:
            document = known.document
            chunks: tuple[Chunk, ...] = ()
            if is_readable(document.text):
                chunks = cut(document.text, outline(document.language_id, document.text).definitions)
            known = self._known[document.uri] = evolve(known, chunks=chunks)
        return known.chunks or ()


def no_related(document: DocumentSnapshot) -> Sequence[OtherDocument]:
    """Return no files: without an index of the workspace, only documents that an editor opened are known."""
    return ()


def _as_other(location: WorkspaceLocation, known: _Known, chunks: tuple[Chunk, ...]) -> OtherDocument:
    text = known.document.text
    lines = tuple(text.count("\n", 0, offset) for offset in known.edited)
    return OtherDocument(location.path, visible(text), chunks, known.is_open, lines)


def _locate(document: DocumentSnapshot, folders: Sequence[PurePath]) -> WorkspaceLocation | None:
    """Locate a file in the innermost folder that holds it; None outside of all, and for what is no file."""
    if urlsplit(document.uri).scheme != "file":
        return None
    (path,) = _normal([document.path])
    holding = [folder for folder in folders if path.is_relative_to(folder)]
    if not holding:
        return None if folders else WorkspaceLocation(path.name)
    folder = max(holding, key=lambda candidate: len(candidate.parts))
    return WorkspaceLocation(path.relative_to(folder).as_posix(), folder.name)


def _normal(paths: Iterable[PurePath]) -> tuple[PurePath, ...]:
    """Resolve ``..`` by name alone: a path that climbs out of its folder is not in it."""
    return tuple(PurePath(os.path.normpath(path)) for path in paths)
