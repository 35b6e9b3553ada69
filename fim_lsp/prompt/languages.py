"""What the prompt needs to know of languages: how a line is commented out, and CodeGeeX4's names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_HASH = (
    "python ruby perl perl6 raku r shellscript bash sh zsh fish yaml toml ini dockerfile makefile cmake "
    "elixir julia powershell coffeescript nim crystal graphql gdscript starlark bazel terraform hcl nix "
    "properties dotenv gitignore ignore git-commit git-rebase awk tcl"
)
_DASHES = "sql lua haskell ada elm vhdl purescript plsql"
_SEMICOLONS = "clojure lisp commonlisp scheme racket emacs-lisp asm nasm"
_PERCENTS = "latex tex bibtex erlang prolog matlab octave"
_ANGLES = "html xml xsl svg markdown vue svelte xhtml"
_STARS = "css"

COMMENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        language: mark
        for languages, mark in (
            (_HASH, ("# ", "")),
            (_DASHES, ("-- ", "")),
            (_SEMICOLONS, ("; ", "")),
            (_PERCENTS, ("% ", "")),
            (_ANGLES, ("<!-- ", " -->")),
            (_STARS, ("/* ", " */")),
        )
        for language in languages.split()
    }
)
"""Language id -> what opens and closes a comment line; ``//`` for those that are not listed."""

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "cpp": "C++",
        "csharp": "C#",
        "css": "CSS",
        "cuda-cpp": "Cuda",
        "html": "HTML",
        "javascript": "JavaScript",
        "javascriptreact": "JavaScript",
        "json": "JSON",
        "latex": "TeX",
        "objective-c": "Objective-C",
        "objective-cpp": "Objective-C++",
        "php": "PHP",
        "plaintext": "",
        "shellscript": "Shell",
        "sql": "SQL",
        "typescript": "TypeScript",
        "typescriptreact": "TypeScript",
        "xml": "XML",
    }
)
"""Language id -> name, where that is not the id with a capital; empty where there is none."""


def commented(text: str, language_id: str) -> str:
    """Every line of ``text`` as a comment, with a line break at the end."""
    opening, closing = COMMENTS.get(language_id, ("// ", ""))
    return "".join(f"{opening}{line}".rstrip() + f"{closing}\n" for line in text.rstrip("\n").split("\n"))


def language_name(language_id: str) -> str:
    """The name of a language as CodeGeeX4 writes it: ``Python``, ``C++``."""
    return NAMES.get(language_id, language_id.capitalize())
