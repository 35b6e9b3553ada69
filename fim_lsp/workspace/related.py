"""Find files that no editor opened for the snippets of a prompt, and hold their chunks.

A prompt never waits for them: what a pause asks for is there in the next one. The process that indexes reads
and cuts the files, because both take too long for the event loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from cachetools import LRUCache

from fim_lsp.engine.memory import MemoryPart
from fim_lsp.prompt.snippets import Chunk, OtherDocument
from fim_lsp.prompt.window import visible
from fim_lsp.types import CompletionRequest

_MOST_FILES = 6
"""Files for one prompt: their chunks are compared on the event loop, as those of open documents are."""
_MOST_DEFINITIONS = 3
"""Files with a definition of a name, at most; a name that more of them define tells nothing."""
_KEPT = 32
_BEFORE, _AFTER = 1500, 500
"""Characters before and after the cursor whose names are looked up."""
_MOST_PLACES = 64
"""A pair of tokens that stands at more places tells little about a file."""
_MOST_SIMILAR = 12
_NAME = re.compile(r"[^\W\d]\w{2,}")


def find_related(
    request: CompletionRequest,
    definitions: Callable[[str], list[str]],
    parts: Sequence[MemoryPart],
    encode: Callable[[str], Sequence[int]],
) -> list[str]:
    """Return the paths of files that may help at a cursor, the most useful first. In a thread.

    First those that define a name around the cursor, then those that share most rare pairs of tokens with the
    text there.

    Args:
        request: the cursor.
        definitions: returns the files that seem to define a name.
        parts: the corpora that are ready.
        encode: the model's tokenizer.
    """
    before, after = request.prefix[-_BEFORE:], request.suffix[:_AFTER]
    found: dict[str, None] = {}
    for name in dict.fromkeys((*reversed(_NAME.findall(before)), *_NAME.findall(after))):
        defining = definitions(name)
        if len(defining) <= _MOST_DEFINITIONS:
            found.update(dict.fromkeys(defining))
    found.update(dict.fromkeys(similar_files(parts, encode(visible(before + after)))))
    return list(found)


def similar_files(parts: Sequence[MemoryPart], tokens: Sequence[int]) -> list[str]:
    """Return the paths of the files that share most rare pairs of tokens with a text, the best first."""
    scores: dict[str, float] = {}
    for part in parts:
        for first, second in sorted(set(pairwise(tokens))):
            found = part.corpus.find_pair(first, second)
            places = found.stop - found.start
            if 0 < places <= _MOST_PLACES:
                at = part.corpus.positions[found]
                holding = np.unique(part.corpus.starts.searchsorted(at, side="right") - 1)
                for index in holding.tolist():
                    path = part.corpus.paths[index]
                    scores[path] = scores.get(path, 0.0) + 1 / len(holding)
    excluded = frozenset().union(*(part.excluded for part in parts))
    return sorted(scores.keys() - excluded, key=lambda path: (-scores[path], path))[:_MOST_SIMILAR]


class RelatedFiles:
    """The chunks of files near the cursors of documents. Lives on one asyncio loop.

    Args:
        ask: asks for the chunks of files, by path; the answer comes to :meth:`take`.
    """

    def __init__(self, ask: Callable[[Sequence[str]], None]) -> None:
        self._ask = ask
        self._documents: LRUCache[str, OtherDocument] = LRUCache(_KEPT)
        self._chosen: LRUCache[str, tuple[str, ...]] = LRUCache(_KEPT)
        self._asked: set[str] = set()

    def of(self, uri: str) -> tuple[OtherDocument, ...]:
        """Return the files near a document's cursor that are ready, the most useful first."""
        chosen = self._chosen.get(uri, ())
        return tuple(self._documents[path] for path in chosen if path in self._documents)

    def choose(self, uri: str, paths: Sequence[str]) -> None:
        """Choose the files for a document, the most useful first; ask for those that are not there yet."""
        chosen = self._chosen[uri] = tuple(paths[:_MOST_FILES])
        missing = [path for path in chosen if path not in self._documents and path not in self._asked]
        if missing:
            self._asked.update(missing)
            self._ask(missing)

    def take(self, documents: Sequence[Mapping[str, Any]], shown_path: Callable[[str], str]) -> None:
        """Take the chunks of files.

        Args:
            documents: as :mod:`fim_lsp.workspace.process` sends them.
            shown_path: returns the path that a prompt shows for a file.
        """
        self._asked.clear()
        for document in documents:
            chunks = tuple(
                Chunk(text, (first, last), defines, words)
                for text, first, last, defines, words in document["chunks"]
            )
            path = document["path"]
            self._documents[path] = OtherDocument(shown_path(path), document["text"], chunks, is_open=False)

    def forget(self, paths: Sequence[str]) -> None:
        """Forget files that changed or are gone."""
        for path in paths:
            self._documents.pop(path, None)

    def clear(self) -> None:
        """Forget everything."""
        self._documents.clear()
        self._chosen.clear()
        self._asked.clear()
