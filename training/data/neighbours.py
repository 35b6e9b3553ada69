"""Snippets of other files for a row: chunks of the same repository that share rare names with the cursor.

A stand-in for what the server gathers, rank for rank: identifiers weighted by how few chunks have them. It
only has to give the model reason to look at snippets and reason to doubt them, hence the chance in it.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from random import Random

from attrs import field, frozen

from fim_lsp.prompt.snippets import CHUNK_LINES
from fim_lsp.types import Snippet
from training.data.screening import SourceFile
from training.data.spans import Hole

_BEFORE, _AFTER = 1500, 500
"""Characters around the cursor whose names are looked for."""
_NAME = re.compile(r"[A-Za-z_]\w{2,}")
_CANDIDATES = 8
_SNIPPET_CHARS_PER_ROW_TOKEN = 1.0
"""Longest snippet: about a third of the row, at three characters to a token."""
_COMMON = 400
"""A name in more chunks than this tells nothing and is not looked up."""


@frozen
class _Chunk:
    path: str
    text: str = field(repr=False)
    length: int


class Neighbours:
    """The chunks of all files, indexed by name when a repository is first asked for."""

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._files: dict[str, list[SourceFile]] = defaultdict(list)
        for file in files:
            self._files[file.source].append(file)
        self._index = lru_cache(maxsize=8)(self._build)

    def snippets(
        self, file: SourceFile, hole: Hole, most: int, budget: int, rng: Random
    ) -> tuple[Snippet, ...]:
        """One to ``most`` snippets of other files, the best last, for a row of ``budget`` tokens.

        Chance picks how many, and which among the best few.
        """
        chunks, places = self._index(file.source)
        around = hole.before_cursor[-_BEFORE:] + hole.suffix[:_AFTER]
        scores: dict[int, float] = defaultdict(float)
        for name in sorted(set(_NAME.findall(around))):
            found = places.get(name, ())
            if found and len(found) <= _COMMON:
                weight = math.log(1 + len(chunks) / len(found))
                for number in found:
                    scores[number] += weight / math.sqrt(chunks[number].length)
        ranked = sorted(scores, key=lambda number: (-scores[number], number))
        room = budget * _SNIPPET_CHARS_PER_ROW_TOKEN
        others = [
            number
            for number in ranked[: 8 * _CANDIDATES]
            if chunks[number].path != file.path and len(chunks[number].text) <= room
        ][:_CANDIDATES]
        count = min(rng.randint(1, most), len(others))
        picked = sorted(rng.sample(others, count), key=lambda number: scores[number])
        return tuple(
            Snippet(chunks[number].path, chunks[number].text, scores[number], "similar") for number in picked
        )

    def _build(self, source: str) -> tuple[list[_Chunk], dict[str, list[int]]]:
        chunks: list[_Chunk] = []
        places: dict[str, list[int]] = defaultdict(list)
        for file in self._files[source]:
            lines = file.text.split("\n")
            for first in range(0, len(lines), CHUNK_LINES):
                text = "\n".join(lines[first : first + CHUNK_LINES]).strip("\n")
                names = set(_NAME.findall(text))
                if len(names) < 3:
                    continue
                for name in names:
                    places[name].append(len(chunks))
                chunks.append(_Chunk(file.path, text, len(names)))
        return chunks, places
