"""The table of languages: no fact twice, every grammar there, and the answers that others rely on."""

from __future__ import annotations

from collections import Counter

import pytest

from fim_lsp.code.languages import (
    LANGUAGES,
    UNKNOWN,
    Language,
    commented,
    find_language,
    is_code,
    language_name,
    language_of,
)
from fim_lsp.code.lexical import lexis
from fim_lsp.code.syntax import parser_for

_COMMENTS = {
    ("# ", ""): (
        "python ruby perl perl6 raku r shellscript bash sh zsh fish yaml toml ini dockerfile makefile cmake "
        "elixir julia powershell coffeescript nim crystal graphql gdscript starlark bazel terraform hcl nix "
        "properties dotenv gitignore ignore git-commit git-rebase awk tcl"
    ),
    ("-- ", ""): "sql lua haskell ada elm vhdl purescript plsql",
    ("; ", ""): "clojure lisp commonlisp scheme racket emacs-lisp asm nasm",
    ("% ", ""): "latex tex bibtex erlang prolog matlab octave",
    (
        "<!-- ",
        " -->",
    ): "html xml xsl svg markdown vue svelte xhtml handlebars jinja twig liquid erb ejs astro",
    ("/* ", " */"): "css",
    ("// ", ""): (
        "javascript javascriptreact typescript typescriptreact go rust java c cpp csharp kotlin swift scala "
        "solidity php dart zig objective-c objective-cpp cuda-cpp json jsonc scss less plaintext "
        "restructuredtext no-such-language"
    ),
}
_NAMES = {
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
    "python": "Python",
    "git-commit": "Git-commit",
    "no-such-language": "No-such-language",
}
_TRAINED = {
    "python": ".py",
    "javascript": ".js .mjs .cjs",
    "javascriptreact": ".jsx",
    "typescript": ".ts .mts .cts",
    "typescriptreact": ".tsx",
    "go": ".go",
    "rust": ".rs",
    "java": ".java",
    "c": ".c",
    "cpp": ".cc .cpp .cxx .hpp .hh .hxx",
    "sql": ".sql",
    "csharp": ".cs",
    "kotlin": ".kt .kts",
    "swift": ".swift",
    "scala": ".scala",
    "ruby": ".rb",
    "php": ".php",
    "lua": ".lua",
    "solidity": ".sol",
    "shellscript": ".sh .bash",
}


@pytest.mark.parametrize("kind", ["ids", "extensions", "file_names"])
def test_no_two_languages_claim_the_same(kind: str) -> None:
    counts = Counter(value for language in LANGUAGES for value in getattr(language, kind))
    assert [value for value, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("language", [row for row in LANGUAGES if row.grammar], ids=lambda row: row.id)
def test_every_grammar_loads(language: Language) -> None:
    assert language.grammar is not None
    if language.id == "sql":
        pytest.importorskip(language.grammar.partition(".")[0])
    assert parser_for(language.id) is not None


def test_a_language_without_a_grammar_has_no_parser() -> None:
    assert parser_for("lua") is None
    assert parser_for("no-such-language") is None


@pytest.mark.parametrize(
    ("alias", "language_id"),
    [
        ("bash", "shellscript"),
        ("sh", "shellscript"),
        ("tsx", "typescriptreact"),
        ("c++", "cpp"),
        ("cs", "csharp"),
        ("c-sharp", "csharp"),
        ("make", "makefile"),
        ("gitcommit", "git-commit"),
        ("rst", "restructuredtext"),
        ("tex", "latex"),
    ],
)
def test_editors_name_the_same_language_differently(alias: str, language_id: str) -> None:
    assert find_language(alias) is find_language(language_id)
    assert find_language(alias).id == language_id


@pytest.mark.parametrize(
    ("language_id", "mark"), [(name, mark) for mark, names in _COMMENTS.items() for name in names.split()]
)
def test_comment_marks(language_id: str, mark: tuple[str, str]) -> None:
    assert find_language(language_id).comment == mark


def test_every_line_is_commented() -> None:
    assert commented("a\n\nb\n", "python") == "# a\n#\n# b\n"
    assert commented("a", "html") == "<!-- a -->\n"


@pytest.mark.parametrize(("language_id", "name"), _NAMES.items())
def test_names(language_id: str, name: str) -> None:
    assert language_name(language_id) == name


def test_files_that_are_trained_on() -> None:
    trained = {language.id: " ".join(language.extensions) for language in LANGUAGES if language.trained}
    assert trained == _TRAINED
    assert all(is_code(f"src/file{extension}") for row in _TRAINED.values() for extension in row.split())
    assert is_code("a.h")
    assert not any(is_code(path) for path in ("Rakefile", "a.md", "a.json", "a.zsh", "README"))


@pytest.mark.parametrize(
    ("path", "text", "language_id"),
    [
        ("src/A.PY", "", "python"),
        ("a.h", "int a(void);\n", "c"),
        ("a.h", "namespace a {}\n", "cpp"),
        ("lib/Makefile", "", "makefile"),
        ("CMakeLists.txt", "", "cmake"),
        (".env", "", "dotenv"),
        ("notes.txt", "", "plaintext"),
    ],
)
def test_language_of_a_file(path: str, text: str, language_id: str) -> None:
    language = language_of(path, text)
    assert language is not None
    assert language.id == language_id


def test_an_unknown_name_tells_nothing() -> None:
    assert language_of("a.unheard-of") is None
    assert find_language("no-such-language") is UNKNOWN


def test_the_guess_is_like_c() -> None:
    assert set(lexis("no-such-language").openings) == {"//", "#", "/*", '"'}


def test_delimiters_of_prose_are_not_looked_for() -> None:
    assert not lexis("markdown").openings
    assert not lexis("git-commit").openings
    assert set(lexis("latex").openings) == {"%"}


def test_habits() -> None:
    assert [row.id for row in LANGUAGES if row.indentation == "\t"] == ["go", "makefile"]
    assert [row.id for row in LANGUAGES if row.indentation == " "] == ["yaml"]
    assert {row.id for row in LANGUAGES if row.indented_blocks} == {
        "python",
        "cython",
        "starlark",
        "yaml",
        "nim",
        "gdscript",
        "haml",
    }
    assert not any(row.balanced for row in LANGUAGES if row.prose)
    assert not find_language("sh").balanced
