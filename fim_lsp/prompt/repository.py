"""Write snippets of other files in the format in which each family was trained to read a repository.

Families with a file separator get it with the path and the code; the others get comment blocks. The family
also decides where the snippets stand, always in front of the text that changes while the user types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from attrs import field, frozen

from fim_lsp.code.languages import commented
from fim_lsp.gguf_keys import REPOSITORY_CONTEXT
from fim_lsp.prompt.markers import marker_id
from fim_lsp.prompt.window import visible
from fim_lsp.types import FimTemplate, ModelInfo, Snippet, Tokenizer

SnippetPosition = Literal["front", "preamble", "prefix"]
"""Position of the snippets: before all markers, after the preamble's first line, or after the prefix
marker."""

_LONGEST_TOKEN = 64
"""Characters; a snippet that is longer than this times the budget is dropped before it is tokenised."""


@frozen
class EncodedPart:
    """A part of the prompt: its kind, its text, and the token ids that the model gets for it."""

    kind: str
    text: str = field(repr=False)
    ids: tuple[int, ...] = field(repr=False)


@frozen
class RenderedSnippets:
    """Snippets and the header of the current file, as parts of the prompt."""

    position: SnippetPosition = "front"
    parts: tuple[EncodedPart, ...] = ()
    after_prefix_marker: tuple[EncodedPart, ...] = ()
    """Parts behind the prefix marker, whatever the position is: StarCoder has the current path there."""
    snippets: tuple[Snippet, ...] = ()
    """The snippets that fit into the budget."""

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return _count((*self.parts, *self.after_prefix_marker))


@frozen
class CurrentFile:
    """The file being edited, as far as a prompt names it."""

    path: str
    language_id: str
    repository: str = ""


@frozen
class _Format:
    """The format in which a family reads files; ``{sep}`` and ``{repo}`` are its markers."""

    opening: str
    file: str
    current: str
    position: SnippetPosition = "front"
    after_prefix_marker: str = ""
    is_trained: bool = True
    """True if all models of the family were trained on it; otherwise the model's file must tell."""


# Qwen2.5-Coder technical report (arXiv 2409.12186); the format for families not listed below.
_LINES = _Format("{repo}{name}\n", "{sep}{path}\n{code}\n", "{sep}{path}\n")
# StarCoder 2 (arXiv 2402.19173): the current path stands behind the prefix marker.
_STARCODER = _Format("{repo}{name}", "{sep}{path}\n{code}\n", "{sep}", after_prefix_marker="{path}\n")
# SmolLM2 was trained on StarCoder's format, but without holes. In the suffix-first layout no text stands
# behind the prefix marker, so the path stays behind its separator.
_SMOLLM2 = _Format("{repo}{name}", "{sep}{path}\n{code}\n", "{sep}{path}\n", is_trained=False)
# Mellum 4B's model card, "Fill-in-the-middle with additional files as context".
_MELLUM = _Format("", "{sep}{path}\n{code}\n", "{sep}{path}\n")
# CodeGemma (arXiv 2406.11409): the separator stands between files.
_CODEGEMMA = _Format("", "{path}\n{code}\n{sep}", "{path}\n")
_CODESTRAL = _Format("", "+++++ {path}\n{code}\n\n", "+++++ {path}\n", position="prefix")
# CodeGeeX4's infilling guideline; its preamble names the current file.
_CODEGEEX4 = _Format("", "###REFERENCE:\n###PATH:{path}\n{code}\n", "", position="preamble")
_FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        "starcoder": _STARCODER,
        "mellum": _MELLUM,
        "granite-code": _STARCODER,
        "fim-lsp": _SMOLLM2,
        "smollm2": _SMOLLM2,
        "codegemma": _CODEGEMMA,
        "codestral": _CODESTRAL,
        "codegeex4": _CODEGEEX4,
    }
)


def render_snippets(
    snippets: Sequence[Snippet],
    template: FimTemplate | None,
    tokenizer: Tokenizer,
    file: CurrentFile,
    budget: int,
) -> RenderedSnippets:
    """Write the snippets that fit into ``budget`` tokens, the best (last) first, and the file's header.

    Without a snippet there is no header either: no family needs one in front of a single file.
    """
    if not snippets or budget <= 0:
        return RenderedSnippets()
    writer = _Writer(template, tokenizer, file)
    opening, current, after_prefix_marker = writer.opening(), writer.current(), writer.after_prefix_marker()
    room = budget - _count((*opening, *current, *after_prefix_marker))
    kept: list[tuple[Snippet, tuple[EncodedPart, ...]]] = []
    for snippet in reversed(snippets):
        if len(snippet.text) > room * _LONGEST_TOKEN:
            continue
        parts = writer.snippet(snippet)
        if _count(parts) <= room:
            kept.append((snippet, parts))
            room -= _count(parts)
    if not kept:
        return RenderedSnippets()
    kept.reverse()
    files = tuple(part for _, parts in kept for part in parts)
    written = tuple(snippet for snippet, _ in kept)
    return RenderedSnippets(writer.position, (*opening, *files, *current), after_prefix_marker, written)


def knows_repositories(template: FimTemplate | None, tokenizer: Tokenizer, info: ModelInfo) -> bool:
    """Check if a model was trained on snippets of other files, in a format that its vocabulary can express.

    Its GGUF tells (:data:`~fim_lsp.gguf_keys.REPOSITORY_CONTEXT`), or else the format of its family.
    """
    known = _format(template, tokenizer) if template is not None else None
    if known is None:
        return False
    in_file = info.metadata.get(REPOSITORY_CONTEXT)
    return known.is_trained if in_file is None else in_file.lower() == "true"


def _format(template: FimTemplate | None, tokenizer: Tokenizer) -> _Format | None:
    """Return the family's format; None, for comment blocks, if the vocabulary can't express it."""
    found = _FORMATS.get(template.name, _LINES) if template else _LINES
    separator = template.file_separator if template else ""
    if "{sep}" in found.file and not (separator and marker_id(separator, tokenizer) is not None):
        return None
    return found


class _Writer:
    """Writes one family's format with one vocabulary."""

    def __init__(self, template: FimTemplate | None, tokenizer: Tokenizer, file: CurrentFile) -> None:
        self._tokenizer = tokenizer
        self._file = file
        self._separator = template.file_separator if template else ""
        self._repo_name = template.repo_name if template else ""
        self._format = _format(template, tokenizer)
        self.position: SnippetPosition = self._format.position if self._format else "prefix"

    def opening(self) -> tuple[EncodedPart, ...]:
        if self._format is None or not self._file.repository or not self._marker(self._repo_name):
            return ()
        return self._fill("repository", self._format.opening, name=self._file.repository)

    def snippet(self, snippet: Snippet) -> tuple[EncodedPart, ...]:
        code = visible(snippet.text).rstrip("\n")
        if self._format is None:
            return self._comment("snippet", f"Path: {snippet.path}\n{code}")
        return self._fill("snippet", self._format.file, path=snippet.path, code=code)

    def current(self) -> tuple[EncodedPart, ...]:
        if self._format is None:
            return self._comment("path", f"Path: {self._file.path}")
        return self._fill("path", self._format.current, path=self._file.path)

    def after_prefix_marker(self) -> tuple[EncodedPart, ...]:
        if self._format is None:
            return ()
        return self._fill("path", self._format.after_prefix_marker, path=self._file.path)

    def _comment(self, kind: str, text: str) -> tuple[EncodedPart, ...]:
        comment = visible(commented(text, self._file.language_id))
        return (EncodedPart(kind, comment, self._tokenizer.encode(comment)),)

    def _fill(self, kind: str, form: str, **values: str) -> tuple[EncodedPart, ...]:
        """Fill in a form. Its markers become ids; markers inside the values stay text."""
        parts: list[EncodedPart] = []
        for name, marker in (("{repo}", self._repo_name), ("{sep}", self._separator)):
            if form.startswith(name):
                parts.append(EncodedPart("marker", marker, self._marker(marker)))
                form = form[len(name) :]
        ends_with_separator = form.endswith("{sep}")
        text = visible(form.removesuffix("{sep}").format_map(values))
        if text:
            parts.append(EncodedPart(kind, text, self._tokenizer.encode(text)))
        if ends_with_separator:
            parts.append(EncodedPart("marker", self._separator, self._marker(self._separator)))
        return tuple(parts)

    def _marker(self, marker: str) -> tuple[int, ...]:
        token = marker_id(marker, self._tokenizer) if marker else None
        return () if token is None else (token,)


def _count(parts: Sequence[EncodedPart]) -> int:
    return sum(len(part.ids) for part in parts)
