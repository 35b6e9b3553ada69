"""Turn samples into examples to fit on: the features of parts of suggestions, and which were right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.ranking import filter_suggestion
from fim_lsp.completion.showing.cuts import cut_to_parsing_lines, line_ends
from fim_lsp.completion.showing.decision import word_ends
from fim_lsp.completion.showing.features import Facts, features_of
from fim_lsp.completion.showing.places import find_place
from fim_lsp.settings import Settings
from training.confidence import ConfidenceError
from training.confidence.collect import Sample, request_at

_LINE_WEIGHT, _WORD_WEIGHT = 0.5, 0.3
"""Weights of examples that are a part of a text, beside the 1 of whole texts."""


@frozen
class Shown:
    """A suggestion as it would be shown were nothing hidden, and the truth."""

    sample: Sample = field(repr=False)
    facts: Facts = field(repr=False)
    replaced: int
    missing: str
    """The text that belongs there; empty where the code is complete."""
    suffix: str = field(repr=False)

    @property
    def text(self) -> str:
        """The whole text."""
        return self.facts.text

    @property
    def complete(self) -> bool:
        """True where nothing is missing."""
        return not self.missing.strip()

    def is_right(self, end: int) -> bool:
        """Tell whether accepting the first ``end`` characters writes what belongs there.

        A text may write a beginning of what is missing.
        """
        part, replaced = self.text[:end], self.replaced if end == len(self.text) else 0
        if part + self.suffix[replaced:] == self.missing + self.suffix:
            return bool(part.strip())
        return not replaced and bool(part.strip()) and self.missing.startswith(part.rstrip())


@frozen
class Example:
    """One part of a suggestion."""

    source: str
    features: Mapping[str, float]
    right: bool
    weight: float


def read_shown(samples: Iterable[Sample], repositories: Path) -> Iterator[Shown]:
    """Yield what would be shown for each sample; nothing for those that the filters drop.

    Raises:
        ConfidenceError: a file of a sample is not there.
    """
    texts: dict[str, dict[str, str]] = {}
    for sample in samples:
        if sample.source not in texts:
            texts[sample.source] = _texts(repositories / sample.source)
        text = texts[sample.source].get(sample.path)
        if text is None or len(text) < sample.end:
            raise ConfidenceError(
                f"{sample.source}/{sample.path} is not what the samples were collected in.",
                "Collect them anew, or name the folder of the same repositories.",
            )
        shown = _shown(sample, text)
        if shown is not None:
            yield shown


def examples_of(shown: Shown) -> Iterator[Example]:
    """Yield the examples of a suggestion: the whole text, its lines, and the words of its first line."""

    def example(end: int, weight: float) -> Example:
        return Example(shown.sample.source, features_of(shown.facts, end), shown.is_right(end), weight)

    yield example(len(shown.text), 1.0)
    for end in line_ends(shown.text, shown.facts.context):
        if end < len(shown.text):
            yield example(end, _LINE_WEIGHT)
    for end in word_ends(shown.facts):
        yield example(end, _WORD_WEIGHT)


def _shown(sample: Sample, text: str) -> Shown | None:
    position = sample.position(text)
    context = CursorContext.of(request_at(position))
    filtered = filter_suggestion(sample.suggestion, context, "", Settings())
    if filtered.dropped_because:
        return None
    cut = cut_to_parsing_lines(filtered.filtered.text, context)
    replaced = filtered.filtered.replace_suffix_chars if cut == filtered.filtered.text else 0
    facts = Facts(sample.suggestion, cut, context, find_place(context))
    return Shown(sample, facts, replaced, position.missing, text[sample.end :])


def _texts(root: Path) -> dict[str, str]:
    from training.evaluate.cuts import source_files

    return {file.path: file.text for file in source_files(root)}
