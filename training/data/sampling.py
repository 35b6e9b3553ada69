"""Draw rows: choose language, repository, file and hole of each row, with a random generator for each row.

A repository is drawn with a probability proportional to the square root of its characters, as is common in
mixtures of corpora of unequal size, so that a large one does not crowd out the small ones.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from random import Random

from attrs import field, frozen

from fim_lsp.types import Snippet
from training.bases import Base
from training.config import DataSettings
from training.data.history import PastHole
from training.data.row_snippets import SnippetSource
from training.data.rows import TrainingRow, cut_off, draw_budget, fim_row, left_to_right_row
from training.data.screening import SourceFile
from training.data.secrets import find_secret
from training.data.spans import Hole, ParsedFile, anchored, choose_hole

_LARGEST = 60_000
"""Characters; a longer file is drawn as often as one of this length."""
_TRIES_A_ROW = 8


@frozen
class DrawnRows:
    """Rows, and the number of draws that gave no row, by reason."""

    rows: tuple[TrainingRow, ...] = field(repr=False)
    dropped: Counter[str]


def draw_rows(
    files: Sequence[SourceFile],
    count: int,
    base: Base,
    settings: DataSettings,
    part: str,
    snippet_source: SnippetSource,
    history: Mapping[str, Sequence[PastHole]],
    on_progress: Callable[[int], None] = lambda done: None,
) -> DrawnRows:
    """Draw up to ``count`` different rows.

    Args:
        files: one side of the split.
        count: number of rows; there are fewer if the files are too few.
        base: vocabulary and template.
        settings: the recipe's.
        part: ``train`` or ``held_out``; together with the seed it decides every draw.
        snippet_source: chooses the snippets of a row.
        history: holes cut at insertions of commits, by source.
        on_progress: called with the number of rows.
    """
    if not files or not count:
        return DrawnRows((), Counter())
    drawer = _Drawer(files, base, settings, snippet_source, history)
    rows: list[TrainingRow] = []
    seen: set[tuple[int, ...]] = set()
    dropped: Counter[str] = Counter()
    for number in range(count * _TRIES_A_ROW):
        row = drawer.draw(Random(f"{settings.seed}/{part}/{number}"))
        if isinstance(row, str):
            dropped[row] += 1
        elif row.tokens in seen:
            dropped["drawn twice"] += 1
        else:
            seen.add(row.tokens)
            rows.append(row)
            on_progress(len(rows))
            if len(rows) == count:
                break
    return DrawnRows(tuple(rows), dropped)


class _Drawer:
    """Draws one row at a time. The syntax trees of the files drawn last are cached."""

    def __init__(
        self,
        files: Sequence[SourceFile],
        base: Base,
        settings: DataSettings,
        snippet_source: SnippetSource,
        history: Mapping[str, Sequence[PastHole]],
    ) -> None:
        self._base = base
        self._settings = settings
        self._snippet_source = snippet_source
        self._choose = _FileChoice(files, settings.language_weights)
        self._parsed = lru_cache(maxsize=512)(lambda file: ParsedFile(file.text, file.language))
        by_path = {(file.source, file.path): file for file in files}
        past = [
            (by_path[source, past_hole.path], past_hole)
            for source, holes in history.items()
            for past_hole in holes
            if (source, past_hole.path) in by_path
        ]
        self._past = past
        self._past_weights = list(accumulate(past_hole.weight for _, past_hole in past))

    def draw(self, rng: Random) -> TrainingRow | str:
        """Return a row, or the reason why this draw gives none."""
        settings = self._settings
        budget = draw_budget(settings, rng)
        if rng.random() >= settings.fim_rate:
            file = self._choose(rng)
            cursor = _line_end(file.text, rng.randrange(len(file.text)))
            row = left_to_right_row(file, cursor, self._base, settings, budget)
            return row or "left to right: too short"
        file, hole = self._hole(rng)
        if hole is None:
            return "no hole found"
        if hole.kind != "empty" and rng.random() < settings.no_suffix_rate:
            hole = cut_off(hole)
        snippets: tuple[Snippet, ...] = ()
        if settings.max_snippets and rng.random() < settings.context_rate:
            room = rng.randint(settings.max_tokens // 2, settings.max_tokens)
            snippets = self._snippet_source.snippets(file, hole, settings.max_snippets, room, rng)
        if snippets:
            budget = room
        row = fim_row(hole, file, self._base, settings, budget, snippets)
        if row is None:
            return "too long or too short"
        # Screened files hold no secrets, but a past version may, and so may the joint of two texts.
        return "secret" if find_secret(self._base.tokenizer.decode(row.tokens)) else row

    def _hole(self, rng: Random) -> tuple[SourceFile, Hole | None]:
        settings = self._settings
        if self._past and rng.random() < settings.history_share:
            file, past = rng.choices(self._past, cum_weights=self._past_weights)[0]
            hole = past.hole
            return file, anchored(hole, rng) if rng.random() < settings.anchored_rate else hole
        file = self._choose(rng)
        hole_or_none = choose_hole(
            self._parsed(file),
            settings.spans,
            rng,
            max_chars=settings.max_middle_chars,
            anchored_rate=settings.anchored_rate,
        )
        return file, hole_or_none


class _FileChoice:
    """Draws files: the language by its weight, the source by the root of its size, the file by its size."""

    def __init__(self, files: Sequence[SourceFile], weights: Mapping[str, float]) -> None:
        groups: dict[str, dict[str, list[SourceFile]]] = defaultdict(lambda: defaultdict(list))
        for file in files:
            groups[_family(file.language)][file.source].append(file)
        self._groups = {
            language: [(members, _sizes(members)) for members in sources.values()]
            for language, sources in groups.items()
        }
        self._sources = {
            language: list(accumulate(math.sqrt(sizes[-1]) for _, sizes in sources))
            for language, sources in self._groups.items()
        }
        self._weights = _language_weights(
            {language: sum(sizes[-1] for _, sizes in s) for language, s in self._groups.items()}, weights
        )

    def __call__(self, rng: Random) -> SourceFile:
        language = rng.choices(list(self._weights), list(self._weights.values()))[0]
        members, sizes = rng.choices(self._groups[language], cum_weights=self._sources[language])[0]
        return rng.choices(members, cum_weights=sizes)[0]


def _family(language: str) -> str:
    """Return the language whose weight counts: JavaScript's for JSX, TypeScript's for TSX."""
    return language.removesuffix("react")


def _sizes(files: Sequence[SourceFile]) -> list[int]:
    return list(accumulate(min(len(file.text), _LARGEST) for file in files))


def _language_weights(sizes: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, float]:
    """Return a weight for each language of the files.

    Languages without a weight in the recipe share what the others leave, by the square root of their sizes.
    If the recipe has no weights, all are weighted by their sizes.
    """
    if not weights:
        return {language: float(size) for language, size in sizes.items()}
    named = {language: weights[language] for language in sizes if weights.get(language, 0) > 0}
    others = {language: math.sqrt(size) for language, size in sizes.items() if language not in weights}
    rest = max(0.0, 1 - sum(weights.values()))
    total = sum(others.values())
    return named | {language: rest * root / total for language, root in others.items() if rest}


def _line_end(text: str, offset: int) -> int:
    newline = text.find("\n", offset)
    return len(text) if newline < 0 else newline + 1
