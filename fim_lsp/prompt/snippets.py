"""Choose snippets of other files that may help at a cursor: cut documents into chunks, rate them, choose.

A chunk has ten lines. It is rated by BM25 over the words of its identifiers; with a few hundred chunks at
most an index is not worth its upkeep. Definitions of names that the document imports and uses near the cursor
come before all chunks that are only similar; among those, chunks that were just edited count most, then
chunks of open documents. Training rows are given the same choice (:mod:`training.data.row_snippets`).
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
"""Only this much of a long file is considered, because files are cut on the event loop."""
_BEFORE, _AFTER = 1500, 500
"""Characters before and after the cursor whose names are compared with the chunks."""

_NAME = re.compile(r"[^\W\d]\w{2,}")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")
_COMMON_WORDS = (
    "and any async await bool break case catch char class const continue def default else enum export false "
    "final for from func function get impl implements import include int interface let match mod mut new nil "
    "none not null package pass private protected pub public raise return self set static str string struct "
    "super switch this throw true try type undefined unsigned use using var void while with yield"
)
_EVERYWHERE = frozenset(_COMMON_WORDS.split())
"""Words that occur in most files."""
_FEWEST_SHARED = 2
"""Fewest words that a chunk and the text around the cursor must share; one may be chance."""
_K1, _B = 1.2, 0.75
"""BM25's usual constants: saturation of repeated words, and normalisation by length."""

_DEFINITION = 2.0
"""Added for a definition; more than similarity alone can give."""
_WEIGHTS = {"recent": 1.5, "open": 1.2, "similar": 1.0}
_CHOSEN_BEFORE, _STAYS = 1.25, 0.01
"""Factor and addend for snippets that the prompt has already: exchanging one costs a prefill, so they stay
unless another one is better by a quarter, and also if no chunk is similar any more."""
_FRAMING = 8
"""Characters counted for a snippet's marker and line breaks."""
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
    """The name whose definition it was cut for; empty for other chunks."""
    words: Mapping[str, int] = field(factory=dict, repr=False)


@frozen
class OtherDocument:
    """Another document of the session, cut into chunks."""

    path: str
    text: str = field(repr=False)
    chunks: tuple[Chunk, ...] = field(repr=False)
    is_open: bool = True
    edited: tuple[int, ...] = ()
    """Numbers of the lines that were edited last, from 0."""


@frozen
class SnippetQuery:
    """The text around a cursor, as far as snippets are chosen by it."""

    around: str = field(repr=False)
    """Text near the cursor, whose names are compared."""
    window: str = field(repr=False)
    """Text that may be in the prompt already; chunks in it are not chosen."""
    imported: frozenset[str] = frozenset()
    """The words of the document's imports."""

    @classmethod
    def of(
        cls, request: CompletionRequest, max_tokens: int, imported: frozenset[str] = frozenset()
    ) -> SnippetQuery:
        """Return the query of a request, for a prompt of at most ``max_tokens``."""
        text, cursor = typed_text(request)
        reach = int(max_tokens * CHARS_PER_TOKEN)
        return cls(
            visible(text[max(0, cursor - _BEFORE) : cursor + _AFTER]),
            visible(text[max(0, cursor - reach) : cursor + reach]),
            imported,
        )


def is_readable(text: str) -> bool:
    """Check that a file was written by hand: not blank, binary, minified, or over a megabyte."""
    if len(text) > _MOST_BYTES or not text.strip() or len(text.encode("utf-8", "replace")) > _MOST_BYTES:
        return False
    if "\0" in text or len(_CONTROL.findall(text)) * 100 > len(text):
        return False
    return max(map(len, text.splitlines())) <= _LONGEST_LINE


def cut(text: str, definitions: Iterable[Definition] = ()) -> tuple[Chunk, ...]:
    """Cut a document into chunks: the first lines of each definition, and all of the text by tens of lines.

    25 lines with one definition of 3 lines from line 12 (from 0) -> lines 12 to 14, 0 to 9, 10 to 19, 20 to
    24. Chunks may overlap; two that do are never chosen together.
    """
    lines = visible(text[:_READ_CHARS]).split("\n")
    named = (
        (definition.name, definition.lines[0], min(definition.lines[1], definition.lines[0] + CHUNK_LINES))
        for definition in definitions
    )
    tens = (("", first, first + CHUNK_LINES) for first in range(0, len(lines), CHUNK_LINES))
    # A document repeats its identifiers, and splitting them takes most of the time.
    known_names: dict[str, tuple[str, ...]] = {}
    chunks = []
    for name, first, end in chain(named, tens):
        text = "\n".join(lines[first:end]).strip("\n")
        if text.strip():
            chunks.append(Chunk(text, (first, min(end, len(lines))), name, words_of(text, known_names)))
    return tuple(chunks)


def words_of(text: str, known_names: dict[str, tuple[str, ...]] | None = None) -> Mapping[str, int]:
    """Count the identifiers of a text and the words in them, split by case and underscore, in lower case.

    ``"total_price = getPrice()"`` -> ``{"total_price": 1, "total": 1, "price": 2, "getprice": 1}``; short and
    common words (``get``) are left out. ``known_names`` holds the words of names that were split before; the
    others are added to it.
    """
    known_names = {} if known_names is None else known_names
    counts: dict[str, int] = {}
    for name in _NAME.findall(text):
        if (words := known_names.get(name)) is None:
            words = known_names[name] = _split_name(name)
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    return counts


def _split_name(name: str) -> tuple[str, ...]:
    words = {name.lower(), *(part.lower() for part in _WORD.findall(name))}
    return tuple(word for word in sorted(words) if len(word) > 2 and word not in _EVERYWHERE)


def similarities(query: Iterable[str], chunks: Sequence[Chunk]) -> list[float]:
    """Return the BM25 score of each chunk for the words of a query; 0 where too few words are shared."""
    words = set(query)
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
        normaliser = _K1 * (1 - _B + _B * length / mean)
        # Sorted, because the order of a set differs from run to run, and with it the last bit of the sum.
        return sum(
            weights[word] * chunk.words[word] * (_K1 + 1) / (chunk.words[word] + normaliser)
            for word in sorted(shared)
        )

    return [score(chunk, length) for chunk, length in zip(chunks, lengths, strict=True)]


def snippet_chars(tokens: int) -> int:
    """Return how many characters of snippets, with their paths, fit into a share of ``tokens`` tokens."""
    return int((tokens - _HEADER_TOKENS) * _CHARS_PER_TOKEN)


def choose(
    query: SnippetQuery,
    documents: Sequence[OtherDocument],
    current: tuple[Snippet, ...] = (),
    *,
    most: int,
    chars: int,
) -> tuple[Snippet, ...]:
    """Choose the snippets for a prompt, the best last.

    Args:
        query: the text around the cursor.
        documents: the other documents that may be shown, the one used last first.
        current: the snippets that the document's prompts have now. They are returned unchanged unless another
            one is clearly better; one whose text is no longer in its document is dropped.
        most: highest number of snippets.
        chars: their highest length together, with their paths.
    """
    before = {(snippet.path, snippet.text) for snippet in current}
    # Sorting keeps the order of equal scores: the document used last comes first.
    rated = sorted(_rate(query, documents, current), key=lambda rating: -rating[0].score)
    chosen = _take_fitting(rated, most, chars)
    if {(snippet.path, snippet.text) for snippet in chosen} == before:
        return current
    return tuple(reversed(chosen))


def _rate(
    query: SnippetQuery, documents: Sequence[OtherDocument], current: Sequence[Snippet]
) -> Iterator[tuple[Snippet, Chunk]]:
    """Yield every chunk with a score above 0, as a snippet with its score."""
    candidates = [
        (document, chunk)
        for document in documents
        for chunk in (*_moved_chunks(document, current), *document.chunks)
        if chunk.text not in query.window
    ]
    scores = similarities(words_of(query.around), [chunk for _, chunk in candidates])
    best = max(scores, default=0.0) or 1.0
    names = frozenset(_NAME.findall(query.around))
    before = {(snippet.path, snippet.text) for snippet in current}
    for (document, chunk), score in zip(candidates, scores, strict=True):
        is_definition = _defines_imported(query, names, document, chunk)
        snippet = _snippet(document, chunk, score / best, is_definition=is_definition)
        if (snippet.path, snippet.text) in before:
            snippet = evolve(snippet, score=snippet.score * _CHOSEN_BEFORE + _STAYS)
        if snippet.score > 0:
            yield snippet, chunk


def _moved_chunks(document: OtherDocument, current: Iterable[Snippet]) -> Iterable[Chunk]:
    """Yield the current snippets that are still in the document's text but in none of its chunks.

    An edit above a snippet moves the borders of the chunks.
    """
    chunk_texts = {chunk.text for chunk in document.chunks}
    for snippet in current:
        if snippet.path == document.path and snippet.text not in chunk_texts:
            offset = document.text.find(snippet.text)
            if offset >= 0:
                first = document.text.count("\n", 0, offset)
                lines = (first, first + snippet.text.count("\n") + 1)
                yield Chunk(snippet.text, lines, words=words_of(snippet.text))


def _defines_imported(
    query: SnippetQuery, names: frozenset[str], document: OtherDocument, chunk: Chunk
) -> bool:
    """Check if a chunk defines a name near the cursor that is imported, by itself or with its whole file."""
    if chunk.defines not in names:
        return False
    return chunk.defines in query.imported or PurePosixPath(document.path).stem in query.imported


def _snippet(document: OtherDocument, chunk: Chunk, similarity: float, *, is_definition: bool) -> Snippet:
    edited = any(chunk.lines[0] <= line < chunk.lines[1] for line in document.edited)
    source = "recent" if edited else "open" if document.is_open else "similar"
    score = similarity * _WEIGHTS[source]
    if is_definition:
        return Snippet(document.path, chunk.text, score + _DEFINITION, "definition")
    return Snippet(document.path, chunk.text, score, source)


def _take_fitting(rated: Iterable[tuple[Snippet, Chunk]], most: int, chars: int) -> list[Snippet]:
    """Take the first snippets that fit, no two of them with the same lines or the same text."""
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
