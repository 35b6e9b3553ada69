"""Recognise prompts that a client has rendered in the markers of a model family. Pure.

Editors render prompts themselves, often for another family than the loaded model's. Such a prompt is taken
apart into the text around the hole, so that it can be laid out anew. For all orders of a template, the text
before the hole is the prefix and the middle that has begun, and the text after it is the suffix.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from fim_lsp.prompt.families import FAMILIES
from fim_lsp.prompt.markers import strip_marker
from fim_lsp.serving.orders import HolePrompt
from fim_lsp.serving.refusals import RefusedError
from fim_lsp.types import FimTemplate, Snippet

_SPACES = " \n"


@frozen
class _Markers:
    """The markers of a family, without the spaces that its format has around them."""

    prefix: str
    suffix: str
    middle: str
    separator: str
    repository: str
    opening: str
    """The beginning of the text in front of all markers; empty where there is none."""
    epilogue: str
    spaced: bool = field(default=False)
    """True if one space on the inner side of a marker belongs to the format (Code Llama)."""

    @classmethod
    def of(cls, template: FimTemplate) -> _Markers:
        return cls(
            strip_marker(template.prefix),
            strip_marker(template.suffix),
            strip_marker(template.middle),
            strip_marker(template.file_separator),
            strip_marker(template.repo_name),
            template.preamble.partition("{")[0],
            template.epilogue,
            template.prefix.endswith(" "),
        )

    def begin(self, text: str) -> bool:
        """Tell whether a prompt begins as this family's prompts do."""
        openings = (self.prefix, self.suffix, self.separator, self.repository, self.opening)
        return any(opening and text.startswith(opening) for opening in openings)


def recognise(text: str) -> HolePrompt | None:
    """Take a rendered prompt apart; None for a text that is not rendered.

    Example: ``<|fim_prefix|>a<|fim_suffix|>c<|fim_middle|>`` is a hole between ``a`` and ``c``.

    Raises:
        RefusedError: the text begins with a family's markers, and has them more or less often than once.
    """
    begun: _Markers | None = None
    for markers in _all_markers():
        if not markers.begin(text):
            continue
        hole = _take_apart(text, markers)
        if hole is not None:
            return hole
        if text.startswith((markers.prefix, markers.suffix)):
            begun = begun or markers
    if begun is None:
        return None
    expected = " ".join(filter(None, (begun.prefix, begun.suffix, begun.middle)))
    raise RefusedError(
        400,
        f"The prompt begins with a fill-in-the-middle marker, but does not have each of {expected} once.",
        "Send the text before the cursor as prompt, and the text after it as suffix.",
        param="prompt",
        name="markers_not_understood",
    )


def _all_markers() -> Iterator[_Markers]:
    """Yield each set of markers once: families may share one."""
    seen: set[_Markers] = set()
    for family in FAMILIES:
        markers = _Markers.of(family.template)
        if markers not in seen:
            seen.add(markers)
            yield markers


def _take_apart(text: str, markers: _Markers) -> HolePrompt | None:
    named = [marker for marker in (markers.prefix, markers.suffix, markers.middle) if marker]
    if any(text.count(marker) != 1 for marker in named):
        return None
    order = sorted((text.index(marker), marker) for marker in named)
    if markers.middle and order[-1][1] != markers.middle:
        return None
    parts: dict[str, str] = {}
    for index, (start, marker) in enumerate(order):
        end = order[index + 1][0] if index + 1 < len(order) else len(text)
        parts[marker] = text[start + len(marker) : end]
    prefix, suffix = parts[markers.prefix], parts[markers.suffix]
    middle = parts.get(markers.middle, "")
    if markers.epilogue:
        middle = middle.removeprefix(markers.epilogue)
    if markers.spaced:
        prefix = prefix.removeprefix(" ").removesuffix(" ")
        suffix = suffix.removesuffix(" ")
    return _with_files(text[: order[0][0]], prefix, suffix, middle, markers)


def _with_files(context: str, prefix: str, suffix: str, middle: str, markers: _Markers) -> HolePrompt:
    """Return the hole, with the files that stand in front of it as snippets."""
    if not markers.separator or markers.separator not in context:
        return HolePrompt(prefix + middle, suffix)
    opening, *files = context.split(markers.separator)
    repository = opening.removeprefix(markers.repository).strip(_SPACES) if markers.repository else ""
    *others, current = files
    path = current.strip(_SPACES)
    if not path and prefix.partition("\n")[0].strip():
        # StarCoder: the path of the current file is the first line behind the prefix marker.
        path, _, prefix = prefix.partition("\n")
    snippets = [_snippet(file) for file in others]
    return HolePrompt(prefix + middle, suffix, path.strip(), "", tuple(snippets), repository)


def _snippet(file: str) -> Snippet:
    """Return a file of a rendered prompt: its path, a line break, and its code."""
    path, _, code = file.lstrip("\n").partition("\n")
    return Snippet(path.strip(), code.removesuffix("\n"), source="sent")
