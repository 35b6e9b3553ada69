"""Snippets from other files, written the way each family was trained to read a repository.

Families with a file separator get it with the path and the code; the others get comment blocks. Where the
snippets stand is the family's way too, but always in front of what changes while typing.
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
"""Where snippets go: before all markers, after the preamble's first line, or after the prefix marker."""

_LONGEST_TOKEN = 64
"""Characters; a snippet longer than this times the budget is dropped before anything is tokenised."""


@frozen
class RepositoryPart:
    """A piece of the prompt: what it is, its text, and the ids that stand for it."""

    kind: str
    text: str = field(repr=False)
    ids: tuple[int, ...] = field(repr=False)


@frozen
class Repository:
    """What of the repository goes into the prompt."""

    position: SnippetPosition = "front"
    pieces: tuple[RepositoryPart, ...] = ()
    inside: tuple[RepositoryPart, ...] = ()
    """What follows the prefix marker in any case: StarCoder writes the current path there."""
    snippets: tuple[Snippet, ...] = ()
    """Those that found room."""

    @property
    def tokens(self) -> int:
        """What it costs."""
        return _count((*self.pieces, *self.inside))


@frozen
class CurrentFile:
    """What the prompt may say of the file being edited."""

    path: str
    language_id: str
    repository: str = ""


@frozen
class _Style:
    """How a family writes files; ``{sep}`` and ``{repo}`` are its markers."""

    opening: str
    file: str
    current: str
    position: SnippetPosition = "front"
    inside: str = ""
    is_known: bool = True
    """Whether every model of the family was trained with it; otherwise its file must say so."""


# Qwen2.5-Coder technical report (arXiv 2409.12186); the format for families not listed below.
_LINES = _Style("{repo}{name}\n", "{sep}{path}\n{code}\n", "{sep}{path}\n")
# StarCoder 2 (arXiv 2402.19173): the current path stands behind the prefix marker.
_STARCODER = _Style("{repo}{name}", "{sep}{path}\n{code}\n", "{sep}", inside="{path}\n")
# SmolLM2 read StarCoder's format, but no holes; with an empty prefix slot the path stays with its separator.
_SMOLLM2 = _Style("{repo}{name}", "{sep}{path}\n{code}\n", "{sep}{path}\n", is_known=False)
# CodeGemma (arXiv 2406.11409): the separator stands between files.
_CODEGEMMA = _Style("", "{path}\n{code}\n{sep}", "{path}\n")
_CODESTRAL = _Style("", "+++++ {path}\n{code}\n\n", "+++++ {path}\n", position="prefix")
# CodeGeeX4's infilling guideline; its preamble names the current file.
_CODEGEEX4 = _Style("", "###REFERENCE:\n###PATH:{path}\n{code}\n", "", position="preamble")
_STYLES: Mapping[str, _Style] = MappingProxyType(
    {
        "starcoder": _STARCODER,
        "granite-code": _STARCODER,
        "fim-lsp": _SMOLLM2,
        "smollm2": _SMOLLM2,
        "codegemma": _CODEGEMMA,
        "codestral": _CODESTRAL,
        "codegeex4": _CODEGEEX4,
    }
)


def render(
    snippets: Sequence[Snippet],
    template: FimTemplate | None,
    tokenizer: Tokenizer,
    file: CurrentFile,
    budget: int,
) -> Repository:
    """Write what ``budget`` tokens hold of the snippets, best (last) first, and the current file's header.

    Without a snippet there is no header either: a single file needs none in any family.
    """
    if not snippets or budget <= 0:
        return Repository()
    writer = _Writer(template, tokenizer, file)
    opening, current, inside = writer.opening(), writer.current(), writer.inside()
    room = budget - _count((*opening, *current, *inside))
    kept: list[tuple[Snippet, tuple[RepositoryPart, ...]]] = []
    for snippet in reversed(snippets):
        if len(snippet.text) > room * _LONGEST_TOKEN:
            continue
        pieces = writer.snippet(snippet)
        if _count(pieces) <= room:
            kept.append((snippet, pieces))
            room -= _count(pieces)
    if not kept:
        return Repository()
    kept.reverse()
    files = tuple(piece for _, pieces in kept for piece in pieces)
    written = tuple(snippet for snippet, _ in kept)
    return Repository(writer.position, (*opening, *files, *current), inside, written)


def knows_repositories(template: FimTemplate | None, tokenizer: Tokenizer, info: ModelInfo) -> bool:
    """Whether a model was trained on snippets of other files, in a format that its vocabulary can express.

    Its file says so (:data:`REPOSITORY_CONTEXT`), or its family's table.
    """
    style = _style(template, tokenizer) if template is not None else None
    if style is None:
        return False
    said = info.metadata.get(REPOSITORY_CONTEXT)
    return style.is_known if said is None else said.lower() == "true"


def _style(template: FimTemplate | None, tokenizer: Tokenizer) -> _Style | None:
    """The family's style, or None for comment blocks where the vocabulary can't express it."""
    style = _STYLES.get(template.name, _LINES) if template else _LINES
    separator = template.file_separator if template else ""
    if "{sep}" in style.file and not (separator and marker_id(separator, tokenizer) is not None):
        return None
    return style


class _Writer:
    """Writes one family's format with one vocabulary."""

    def __init__(self, template: FimTemplate | None, tokenizer: Tokenizer, file: CurrentFile) -> None:
        self._tokenizer = tokenizer
        self._file = file
        self._separator = template.file_separator if template else ""
        self._repo_name = template.repo_name if template else ""
        self._style = _style(template, tokenizer)
        self.position: SnippetPosition = self._style.position if self._style else "prefix"

    def opening(self) -> tuple[RepositoryPart, ...]:
        if self._style is None or not self._file.repository or not self._marker(self._repo_name):
            return ()
        return self._fill("repository", self._style.opening, name=self._file.repository)

    def snippet(self, snippet: Snippet) -> tuple[RepositoryPart, ...]:
        code = visible(snippet.text).rstrip("\n")
        if self._style is None:
            return self._comment("snippet", f"Path: {snippet.path}\n{code}")
        return self._fill("snippet", self._style.file, path=snippet.path, code=code)

    def current(self) -> tuple[RepositoryPart, ...]:
        if self._style is None:
            return self._comment("path", f"Path: {self._file.path}")
        return self._fill("path", self._style.current, path=self._file.path)

    def inside(self) -> tuple[RepositoryPart, ...]:
        return self._fill("path", self._style.inside, path=self._file.path) if self._style else ()

    def _comment(self, kind: str, text: str) -> tuple[RepositoryPart, ...]:
        comment = visible(commented(text, self._file.language_id))
        return (RepositoryPart(kind, comment, self._tokenizer.encode(comment)),)

    def _fill(self, kind: str, form: str, **values: str) -> tuple[RepositoryPart, ...]:
        """Fill a form: markers become ids, and what is filled in never does."""
        pieces: list[RepositoryPart] = []
        for slot, marker in (("{repo}", self._repo_name), ("{sep}", self._separator)):
            if form.startswith(slot):
                pieces.append(RepositoryPart("marker", marker, self._marker(marker)))
                form = form[len(slot) :]
        closing = form.endswith("{sep}")
        text = visible(form.removesuffix("{sep}").format_map(values))
        if text:
            pieces.append(RepositoryPart(kind, text, self._tokenizer.encode(text)))
        if closing:
            pieces.append(RepositoryPart("marker", self._separator, self._marker(self._separator)))
        return tuple(pieces)

    def _marker(self, marker: str) -> tuple[int, ...]:
        token = marker_id(marker, self._tokenizer) if marker else None
        return () if token is None else (token,)


def _count(pieces: Sequence[RepositoryPart]) -> int:
    return sum(len(piece.ids) for piece in pieces)
