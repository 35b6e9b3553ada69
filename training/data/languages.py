"""Which files hold code, by name, and which grammar parses them: the first and the last word on a language.

Ids are those of the Language Server Protocol, so that a training row's document looks like an editor's.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Parser

_EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {
        extension: language
        for language, extensions in (
            ("python", ".py"),
            ("javascript", ".js .mjs .cjs"),
            ("javascriptreact", ".jsx"),
            ("typescript", ".ts .mts .cts"),
            ("typescriptreact", ".tsx"),
            ("go", ".go"),
            ("rust", ".rs"),
            ("java", ".java"),
            ("c", ".c"),
            ("cpp", ".cc .cpp .cxx .hpp .hh .hxx"),
            ("sql", ".sql"),
            ("csharp", ".cs"),
            ("kotlin", ".kt .kts"),
            ("swift", ".swift"),
            ("scala", ".scala"),
            ("ruby", ".rb"),
            ("php", ".php"),
            ("lua", ".lua"),
            ("shellscript", ".sh .bash"),
        )
        for extension in extensions.split()
    }
)
_GRAMMARS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "python": ("tree_sitter_python", "language"),
        "javascript": ("tree_sitter_javascript", "language"),
        "javascriptreact": ("tree_sitter_javascript", "language"),
        "typescript": ("tree_sitter_typescript", "language_typescript"),
        "typescriptreact": ("tree_sitter_typescript", "language_tsx"),
        "go": ("tree_sitter_go", "language"),
        "rust": ("tree_sitter_rust", "language"),
        "java": ("tree_sitter_java", "language"),
        "c": ("tree_sitter_c", "language"),
        "cpp": ("tree_sitter_cpp", "language"),
        "sql": ("tree_sitter_sql", "language"),
    }
)
_CPP_WORDS = ("namespace", "template", "class ", "public:", "private:", "std::", "constexpr", "using ")


def language_of(path: str, text: str = "") -> str | None:
    """The language id of a file, or None for what is not code.

    A ``.h`` file is C++ where its text says so; the text is not needed otherwise.
    """
    extension = PurePosixPath(path).suffix.lower()
    if extension == ".h":
        return "cpp" if any(word in text for word in _CPP_WORDS) else "c"
    return _EXTENSIONS.get(extension)


def is_code(path: str) -> bool:
    """Whether the name alone says that a file may hold code."""
    return language_of(path) is not None


@lru_cache(maxsize=32)
def parser_for(language: str) -> Parser | None:
    """A tree-sitter parser from the grammar's own wheel, or None where there is none."""
    from tree_sitter import Language, Parser

    if language not in _GRAMMARS:
        return None
    module, function = _GRAMMARS[language]
    try:
        grammar = importlib.import_module(module)
    except ImportError:
        return None
    return Parser(Language(getattr(grammar, function)()))
