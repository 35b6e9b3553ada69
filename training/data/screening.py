"""Screen files one by one: read each, and return it with its MinHash, or the reason why it can't be used.

This runs in several processes, so all input is an argument and all output a return value. The manifest counts
the reasons by the words used here.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import field, frozen

from fim_lsp.code.languages import language_of
from fim_lsp.workspace.content import is_generated, is_minified, is_table
from training.data.contamination import is_contaminated
from training.data.licences import header_licence, is_permissive
from training.data.secrets import find_secret

PERMUTATIONS = 128
SHINGLE = 5
MIN_CHARS = 120
_TOKEN = re.compile(r"\w+|[^\w\s]")


@frozen
class SourceFile:
    """A file to train on; its text has LF line ends."""

    source: str
    """Name of the repository or package."""
    path: str
    language: str
    text: str = field(repr=False)
    licence: str = ""

    @property
    def key(self) -> str:
        """Name of the file that is unique among all sources."""
        return f"{self.source}/{self.path}"

    @property
    def digest(self) -> str:
        """The sha256 of the text."""
        return sha256(self.text.encode("utf-8", "replace")).hexdigest()


@frozen
class ScreeningRules:
    """Limits that a file must keep to be used."""

    max_file_bytes: int
    max_line_chars: int
    grams: frozenset[str] = field(factory=frozenset, repr=False)
    """13-grams of the evaluation files."""


@frozen
class CandidateFile:
    """A file that has the name of a code file and is not read yet."""

    source: str
    root: Path
    path: str
    licence: str
    """The licence of its folder, or ``own`` for the user's own code."""


@frozen
class ScreenedFile:
    """A file with its MinHash, or the reason why it is not used."""

    reason: str = ""
    file: SourceFile | None = None
    likeness: Any = field(default=None, repr=False, eq=False)
    """``datasketch.LeanMinHash`` of the text's 5-token shingles."""


def screen(candidate: CandidateFile, rules: ScreeningRules) -> ScreenedFile:
    """Read one file and apply every check that needs no other file."""
    text, reason = read_text(candidate.root / candidate.path, rules)
    if reason:
        return ScreenedFile(reason)
    reason = text_problem(text, rules) or _licence_problem(candidate, text)
    language = language_of(candidate.path, text)
    if reason or language is None:
        return ScreenedFile(reason or "not code")
    file = SourceFile(candidate.source, candidate.path, language.id, text, candidate.licence)
    return ScreenedFile("", file, likeness(text))


def _licence_problem(candidate: CandidateFile, text: str) -> str:
    header = header_licence(text) if candidate.licence != "own" else None
    return "licence" if header is not None and not is_permissive(header) else ""


def read_text(path: Path, rules: ScreeningRules) -> tuple[str, str]:
    """Return a file's text with LF line ends and an empty reason; or the reason why it can't be read."""
    try:
        if path.stat().st_size > rules.max_file_bytes:
            return "", "too large"
        data = path.read_bytes()
    except OSError:
        return "", "unreadable"
    if b"\0" in data:
        return "", "binary"
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n"), ""
    except UnicodeDecodeError:
        return "", "undecodable"


def text_problem(text: str, rules: ScreeningRules) -> str:
    """Return the reason why a text can't be trained on; empty if it can."""
    if problem := _quality_problem(text, rules):
        return problem
    if find_secret(text):
        return "secret"
    return "evaluation data" if is_contaminated(text, rules.grams) else ""


def _quality_problem(text: str, rules: ScreeningRules) -> str:
    if len(text.strip()) < MIN_CHARS:
        return "too short"
    lines = text.split("\n")
    if max(map(len, lines)) > rules.max_line_chars:
        return "long lines"
    if is_minified(text):
        return "minified"
    if is_generated(text):
        return "generated"
    return "data" if is_table(text) else ""


def likeness(text: str) -> Any:
    """Return the MinHash of a text's 5-token shingles, hashed by crc32; sha1 would take most of the time."""
    from datasketch import LeanMinHash, MinHash  # type: ignore[import-untyped]

    minhash = MinHash(num_perm=PERMUTATIONS, hashfunc=zlib.crc32)
    minhash.update_batch(sorted(shingles(_TOKEN.findall(text))))
    return LeanMinHash(minhash)


def shingles(tokens: list[str]) -> set[bytes]:
    """Return every 5 tokens in a row, joined by spaces; for a shorter text, all of its tokens."""
    runs: Iterable[str] = map(" ".join, zip(*(tokens[start:] for start in range(SHINGLE)), strict=False))
    return {run.encode() for run in runs} or {" ".join(tokens).encode()}
