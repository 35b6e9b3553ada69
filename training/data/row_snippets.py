"""Choose snippets of other files for a training row, with the server's own code.

The server chooses among the documents that the user used last
(:class:`fim_lsp.completion.open_documents.OpenDocuments`). A repository does not record which those were, so
they are drawn: files that the row's file imports, files of its folder, and files from anywhere.
:func:`fim_lsp.prompt.snippets.choose` then chooses among them as it does for a prompt. Because the documents
are drawn, some snippets are of no use, as when serving: the model has to learn when to ignore them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from random import Random

from fim_lsp.code.outline import outline
from fim_lsp.prompt.snippets import OtherDocument, SnippetQuery, choose, cut, snippet_chars
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Snippet
from training.data.rows import SNIPPET_SHARE
from training.data.screening import SourceFile
from training.data.spans import Hole

_DOCUMENTS = 12
"""Number of open documents; the server chooses from as many."""
_IMPORTED_DOCUMENTS = 5
"""At most this many of them are files that the row's file imports. An assumption, as the next one is."""
_SAME_FOLDER_DOCUMENTS = 4
"""At most this many of the others are files of its folder."""
_CUT_FILES = 2048
"""Files whose chunks stay in memory: 0.085 MB each, measured on files of 19 kB. Cutting one takes 4 ms."""


class SnippetSource:
    """The files of all repositories, from which the snippets of a row are chosen."""

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._files: dict[str, list[SourceFile]] = defaultdict(list)
        self._by_stem: dict[tuple[str, str], list[SourceFile]] = defaultdict(list)
        self._by_folder: dict[tuple[str, PurePosixPath], list[SourceFile]] = defaultdict(list)
        for file in files:
            path = PurePosixPath(file.path)
            self._files[file.source].append(file)
            self._by_stem[file.source, path.stem].append(file)
            self._by_folder[file.source, path.parent].append(file)
        self._document = lru_cache(maxsize=_CUT_FILES)(_document)

    def snippets(
        self, file: SourceFile, hole: Hole, most: int, budget: int, rng: Random
    ) -> tuple[Snippet, ...]:
        """Choose snippets of other files in the same repository, the best last.

        Args:
            file: the row's file.
            hole: the hole in it.
            most: highest number of snippets; their number is drawn between 1 and this.
            budget: tokens of the row.
            rng: draws the number of snippets, and the documents to choose from.
        """
        text = hole.before_cursor + hole.suffix
        # The missing text is not parsed: an import in it would give away which definition is needed.
        imported = outline(file.language, text).imported
        documents = [self._document(other) for other in self._open_files(file, imported, rng)]
        request = CompletionRequest(
            DocumentSnapshot(file.path, file.language, 1, text), len(hole.before_cursor)
        )
        return choose(
            SnippetQuery.of(request, budget, imported),
            documents,
            most=rng.randint(1, most),
            chars=snippet_chars(int(budget * SNIPPET_SHARE)),
        )

    def _open_files(self, file: SourceFile, imported: frozenset[str], rng: Random) -> list[SourceFile]:
        """Draw the files that are open beside ``file``, the one used last first."""
        stems = sorted(imported)
        related = [other for stem in stems for other in self._by_stem.get((file.source, stem), ())]
        siblings = self._by_folder.get((file.source, PurePosixPath(file.path).parent), ())
        drawn = (
            *_sample(related, _IMPORTED_DOCUMENTS, rng),
            *_sample(siblings, _SAME_FOLDER_DOCUMENTS, rng),
            *_sample(self._files.get(file.source, ()), _DOCUMENTS, rng),
        )
        others = {other.path: other for other in drawn if other.path != file.path}
        opened = list(others.values())[:_DOCUMENTS]
        rng.shuffle(opened)
        return opened


def _sample(files: Sequence[SourceFile], count: int, rng: Random) -> list[SourceFile]:
    return rng.sample(files, min(count, len(files)))


def _document(file: SourceFile) -> OtherDocument:
    """Cut a file as the server cuts a document."""
    definitions = outline(file.language, file.text).definitions
    return OtherDocument(file.path, file.text, cut(file.text, definitions))
