"""Which pieces of other files may help at a cursor: cut, rate, choose. Pure; recency is an ordinal.

A piece has ten lines, as in the rows that models are trained on (``training.data.neighbours``). It is rated
by BM25 over the words of its identifiers, a few hundred pieces at most, so that no index is worth keeping.
Definitions of names that the document imports and has in sight of the cursor come before all that is only
similar; of these, what was just edited counts most, then what stands in an open document.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import PurePosixPath

from attrs import evolve, field, frozen

from fim_lsp.code.outline import Definition
from fim_lsp.prompt.window import CHARS_PER_TOKEN, typed_text, visible
from fim_lsp.types import CompletionRequest, Snippet

CHUNK_LINES = 10
_MOST_BYTES = 1_000_000
_LONGEST_LINE = 1000
"""Characters; a file with a longer line is minified, generated or data."""
_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f\ufffd]")
_READ_CHARS = 65_536
"""Of a long file only the beginning is considered: this is done on the event loop."""
_BEFORE, _AFTER = 1500, 500
"""Characters around the cursor whose names are looked for."""

_NAME = re.compile(r"[^\W\d]\w{2,}")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")
_EVERYWHERE = re.compile(
    "and|any|async|await|bool|break|case|catch|char|class|const|continue|def|default|else|enum|export|false|"
    "final|for|from|func|function|get|impl|implements|import|include|int|interface|let|match|mod|mut|new|nil|"
    "none|not|null|package|pass|private|protected|pub|public|raise|return|self|set|static|str|string|struct|"
    "super|switch|this|throw|true|try|type|undefined|unsigned|use|using|var|void|while|with|yield"
)
"""Words that any two files share."""
_FEWEST_SHARED = 2
"""Words that a piece and the cursor's surroundings must share at least; fewer are chance."""
_K1, _B = 1.2, 0.75
"""BM25's usual constants: how soon repetition saturates, and how far long pieces are held back."""

_DEFINITION = 2.0
"""More than similarity alone can give."""
_WEIGHTS = {"recent": 1.5, "open": 1.2, "similar": 1.0}
_CHOSEN_BEFORE, _STAYS = 1.25, 0.01
"""What is in the prompt already stays unless something is better by a quarter: a change is a prefill. So it
does where it is no longer alike at all and nothing else is."""
_FRAMING = 8
"""Characters that stand for a snippet's marker and line breaks."""
_HEADER_TOKENS = 32
"""Tokens of the snippets' share that repository name and current path may take."""
_CHARS_PER_TOKEN = 2.8
"""Characters of a snippet to a token, estimated low: a snippet that does not fit is left out in the end."""


@frozen
class Chunk:
    """A few lines of a document."""

    text: str = field(repr=False)
    lines: tuple[int, int]
    defines: str = ""
    """The name whose definition it begins with, where it was cut for that."""
    words: Mapping[str, int] = field(factory=dict, repr=False)

    @classmethod
    def of(cls, text: str, lines: tuple[int, int], defines: str = "") -> Chunk:
        """A chunk with its words counted."""
        return cls(text, lines, defines, words_of(text))


@frozen
class OtherDocument:
    """Another document of the session, cut into chunks."""

    path: str
    text: str = field(repr=False)
    chunks: tuple[Chunk, ...] = field(repr=False)
    is_open: bool = True
    edited: tuple[int, ...] = ()
    """Lines that were edited last."""


@frozen
class SnippetQuery:
    """What is seen from a cursor."""

    around: str = field(repr=False)
    """Text near it, whose names are looked for."""
    window: str = field(repr=False)
    """What of the document may be in the prompt and need not be said twice."""
    imported: frozenset[str] = frozenset()
    """Every word of the document's imports."""

    @classmethod
    def of(
        cls, request: CompletionRequest, max_tokens: int, imported: frozenset[str] = frozenset()
    ) -> SnippetQuery:
        """What is seen where a prompt may have ``max_tokens``."""
        text, cursor = typed_text(request)
        reach = int(max_tokens * CHARS_PER_TOKEN)
        return cls(
            visible(text[max(0, cursor - _BEFORE) : cursor + _AFTER]),
            visible(text[max(0, cursor - reach) : cursor + reach]),
            imported,
        )


def is_readable(text: str) -> bool:
    """Whether a file is one that people write: not binary, minified, or over a megabyte."""
    if not text.strip() or len(text) > _MOST_BYTES or len(text.encode("utf-8", "replace")) > _MOST_BYTES:
        return False
    if "\0" in text or len(_CONTROL.findall(text)) * 100 > len(text):
        return False
    return max(map(len, text.splitlines())) <= _LONGEST_LINE


def cut(text: str, definitions: Iterable[Definition] = ()) -> tuple[Chunk, ...]:
    """A document's chunks: the beginning of each definition, and all of it by tens of lines.

    They overlap, and no two that do are chosen together.
    """
    lines = visible(text[:_READ_CHARS]).split("\n")
    named = ((one.name, one.lines[0], min(one.lines[1], one.lines[0] + CHUNK_LINES)) for one in definitions)
    tens = (("", first, first + CHUNK_LINES) for first in range(0, len(lines), CHUNK_LINES))
    chunks = []
    for name, first, end in chain(named, tens):
        text = "\n".join(lines[first:end]).strip("\n")
        if text.strip():
            chunks.append(Chunk.of(text, (first, min(end, len(lines))), name))
    return tuple(chunks)


def words_of(text: str) -> Mapping[str, int]:
    """The words of a text's identifiers, split by case and underscore, and the identifiers themselves."""
    counts: Counter[str] = Counter()
    for name, times in Counter(_NAME.findall(text)).items():
        for word in {name.lower(), *(part.lower() for part in _WORD.findall(name))}:
            if len(word) > 2 and not _EVERYWHERE.fullmatch(word):
                counts[word] += times
    return dict(counts)


def similarities(wanted: Iterable[str], chunks: Sequence[Chunk]) -> list[float]:
    """BM25 of each chunk for a set of words; 0 where too few are shared."""
    words = set(wanted)
    containing = Counter(word for chunk in chunks for word in words & chunk.words.keys())
    weights = {
        word: math.log(1 + (len(chunks) - count + 0.5) / (count + 0.5)) for word, count in containing.items()
    }
    lengths = [sum(chunk.words.values()) for chunk in chunks]
    mean = max(1.0, sum(lengths) / max(1, len(lengths)))

    def score(chunk: Chunk, length: int) -> float:
        shared = words & chunk.words.keys()
        if len(shared) < _FEWEST_SHARED:
            return 0.0
        held_back = _K1 * (1 - _B + _B * length / mean)
        # In a fixed order, as a set's own differs from run to run, and with it the sum's last bit.
        return sum(
            weights[word] * chunk.words[word] * (_K1 + 1) / (chunk.words[word] + held_back)
            for word in sorted(shared)
        )

    return [score(chunk, length) for chunk, length in zip(chunks, lengths, strict=True)]


def snippet_chars(tokens: int) -> int:
    """Return how many characters of snippets, with their paths, fit into a share of ``tokens`` tokens."""
    return int((tokens - _HEADER_TOKENS) * _CHARS_PER_TOKEN)


def choose(
    sight: SnippetQuery,
    neighbours: Sequence[OtherDocument],
    current: tuple[Snippet, ...] = (),
    *,
    most: int,
    chars: int,
) -> tuple[Snippet, ...]:
    """The snippets for a prompt, the best last.

    Args:
        sight: what is seen from the cursor.
        neighbours: the other documents that may be shown, the one used last first.
        current: the snippets that the document's prompts have now. Returned as they are where nothing better
            by far has come up; one whose text is no longer in its document goes.
        most: how many at most.
        chars: how long they may be together, with their paths.
    """
    before = {(snippet.path, snippet.text) for snippet in current}
    # Sorting keeps the order of equals: what was used last comes first.
    rated = sorted(_rated(sight, neighbours, current), key=lambda one: -one[0].score)
    chosen = _fitting(rated, most, chars)
    if {(snippet.path, snippet.text) for snippet in chosen} == before:
        return current
    return tuple(reversed(chosen))


def _rated(
    sight: SnippetQuery, neighbours: Sequence[OtherDocument], current: Sequence[Snippet]
) -> Iterator[tuple[Snippet, Chunk]]:
    """All that could be chosen, with its score."""
    places = [
        (neighbour, chunk)
        for neighbour in neighbours
        for chunk in (*_moved(neighbour, current), *neighbour.chunks)
        if chunk.text not in sight.window
    ]
    scores = similarities(words_of(sight.around), [chunk for _, chunk in places])
    best = max(scores, default=0.0) or 1.0
    seen = frozenset(_NAME.findall(sight.around))
    before = {(snippet.path, snippet.text) for snippet in current}
    for (neighbour, chunk), score in zip(places, scores, strict=True):
        snippet = _snippet(neighbour, chunk, score / best, _wants(sight, seen, neighbour, chunk))
        if (snippet.path, snippet.text) in before:
            snippet = evolve(snippet, score=snippet.score * _CHOSEN_BEFORE + _STAYS)
        if snippet.score > 0:
            yield snippet, chunk


def _moved(neighbour: OtherDocument, current: Iterable[Snippet]) -> Iterable[Chunk]:
    """The snippets of a document that are still in it, though its chunks now begin at other lines."""
    cut_now = {chunk.text for chunk in neighbour.chunks}
    for snippet in current:
        if snippet.path == neighbour.path and snippet.text not in cut_now:
            at = neighbour.text.find(snippet.text)
            if at >= 0:
                first = neighbour.text.count("\n", 0, at)
                yield Chunk.of(snippet.text, (first, first + snippet.text.count("\n") + 1))


def _wants(sight: SnippetQuery, seen: frozenset[str], neighbour: OtherDocument, chunk: Chunk) -> bool:
    """Whether a chunk defines a name that is in sight and imported, by itself or with its whole file."""
    if chunk.defines not in seen:
        return False
    return chunk.defines in sight.imported or PurePosixPath(neighbour.path).stem in sight.imported


def _snippet(neighbour: OtherDocument, chunk: Chunk, similarity: float, wanted: bool) -> Snippet:
    edited = any(chunk.lines[0] <= line < chunk.lines[1] for line in neighbour.edited)
    source = "recent" if edited else "open" if neighbour.is_open else "similar"
    score = similarity * _WEIGHTS[source]
    if wanted:
        return Snippet(neighbour.path, chunk.text, score + _DEFINITION, "definition")
    return Snippet(neighbour.path, chunk.text, score, source)


def _fitting(rated: Iterable[tuple[Snippet, Chunk]], most: int, chars: int) -> list[Snippet]:
    """The first that fit, no two of them with the same lines or the same text."""
    taken: list[tuple[Snippet, Chunk]] = []
    for snippet, chunk in rated:
        length = len(snippet.path) + len(snippet.text) + _FRAMING
        if len(taken) == most:
            break
        if length <= chars and not any(_repeats(snippet, chunk, *other) for other in taken):
            taken.append((snippet, chunk))
            chars -= length
    return [snippet for snippet, _ in taken]


def _repeats(snippet: Snippet, chunk: Chunk, other: Snippet, taken: Chunk) -> bool:
    overlap = chunk.lines[0] < taken.lines[1] and taken.lines[0] < chunk.lines[1]
    return snippet.text == other.text or (snippet.path == other.path and overlap)
