"""Hash the names in a text, and those that it seems to define: 4 bytes a name, and no text is kept."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

NameHashes = npt.NDArray[np.uint32]

_NAME = re.compile(r"[^\W\d]\w{2,}")
_DEFINED = re.compile(
    r"^[ \t]{0,8}(?:(?:export|default|pub|public|private|protected|internal|static|async|abstract|final|"
    r"const|inline|extern|unsafe|virtual|override|pub\(\w+\))[ \t]+)*"
    r"(?:def|class|func|fn|function\*?|fun|sub|struct|enum|union|interface|type|trait|impl|module|object|"
    r"record|macro_rules!|const|let|var|val|#[ \t]*define)[ \t]+(?:\([^)\n]{0,80}\)[ \t]*)?([^\W\d]\w{2,})"
    r"|^(?:[\w:<>,*&~\[\]]+[ \t]+){1,5}[*&]*([^\W\d]\w{2,})[ \t]*\([^;\n]*$"
    r"|^([^\W\d]\w{2,})[ \t]*(?::[^=\n]{1,60})?=[^=]",
    re.MULTILINE,
)
"""Definitions behind a keyword, C's functions at a line's beginning, and variables at top level."""


def hash_name(name: str) -> int:
    """Return the hash of a name, 32 bits."""
    return zlib.crc32(name.encode("utf-8", "replace"))


def hash_names(names: Iterable[str]) -> NameHashes:
    """Return the hashes of names, ascending, each once."""
    return np.unique(np.fromiter((hash_name(name) for name in set(names)), np.uint32))


def names_in(text: str) -> set[str]:
    """Return the names of at least three characters in a text, words of comments among them."""
    return set(_NAME.findall(text))


def defined_in(text: str) -> set[str]:
    r"""Return the names that a text seems to define, by patterns that fit most languages.

    Example: ``"def total(a):\n    b = 1"`` -> ``{"total"}``.
    """
    return {name for groups in _DEFINED.findall(text) for name in groups if name}
