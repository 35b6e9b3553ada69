"""The one table of programming languages: ids, file names, comment marks, delimiters, grammars and habits.

To add a language, add a row to ``LANGUAGES``. The first id of a row is the one in the specification of the
Language Server Protocol or, where that has none, Visual Studio Code's. The others are Neovim's filetypes, the
ids that Emacs' eglot derives from its major modes, and Helix's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from attrs import field, frozen


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@frozen
class Delimiters:
    """The marks that open and close comments and strings. Languages of one family share it."""

    line_comments: tuple[str, ...] = field(default="", converter=_words)
    """Marks of comments that end with their line. Comments are written with the first one."""
    block_comments: tuple[tuple[str, str], ...] = ()
    """Opening and closing marks of comments that may span lines."""
    strings: str = ""
    """Characters that open and close strings which end with their line at the latest."""
    long_strings: tuple[tuple[str, str], ...] = ()
    """Opening and closing delimiters of strings that may span lines."""
    chars: bool = False
    """True if a single quote delimits one character or begins a lifetime. It never opens a longer string."""
    spaced_hash: bool = False
    """True if ``#`` opens a comment only after a blank; the shell has ``$#`` and ``${x#y}``."""
    interpolations: tuple[tuple[str, str], ...] = ()
    """Opening and closing marks of expressions within strings."""
    plain_strings: str = ""
    """Characters of ``strings`` that open strings without such expressions."""


@frozen
class Language:
    """One language: a row of the table."""

    ids: tuple[str, ...] = field(converter=_words)
    """Ids that editors send for it, the canonical one first."""
    name: str
    """Its name as CodeGeeX4's training data has it; empty if a document of this kind is in no language."""
    delimiters: Delimiters
    extensions: tuple[str, ...] = field(default="", converter=_words)
    """Lower-case extensions of its files. A ``.h`` file is C or C++: see ``language_of``."""
    file_names: tuple[str, ...] = field(default="", converter=_words)
    """Names of its files that have no extension of their own."""
    grammar: str | None = None
    """Module and function of its tree-sitter grammar. A module that is not installed counts as none."""
    indented_blocks: bool = False
    """True if a colon at the end of a line begins a block, which its indentation delimits."""
    balanced: bool = True
    """False if brackets need not pair up, as in prose and in ``case`` of the shell."""
    indentation: str | None = None
    """Character that the language prescribes for indentation, a tab or a space; None if it does not."""
    markup: bool = False
    """True if its documents consist of elements, as HTML's do."""
    jsx: bool = False
    """True if elements stand in its code."""
    text_expressions: tuple[str, str] | None = None
    """Opening and closing marks of expressions in the text of its elements."""
    prose: bool = False
    """True for text in a natural language. Comments and strings are not looked for in it."""
    trained: bool = False
    """True if files with its extensions are taken into data sets for training."""

    @property
    def id(self) -> str:
        """The canonical id."""
        return self.ids[0]

    @property
    def comment(self) -> tuple[str, str]:
        """The marks of a comment on a line of its own, with its blanks; ``//`` if it has none."""
        if self.delimiters.line_comments:
            return f"{self.delimiters.line_comments[0]} ", ""
        if self.delimiters.block_comments:
            opening, closing = self.delimiters.block_comments[0]
            return f"{opening} ", f" {closing}"
        return "// ", ""


_QUOTES = "\"'"
_C_BLOCK = (("/*", "*/"),)
_TRIPLE = (('"""', '"""'),)
_BRACES = (("{", "}"),)
_DOLLAR_BRACES = (("${", "}"),)
_HASH_BRACES = (("#{", "}"),)
_DOLLAR_PARENTHESES = (("$(", ")"),)

_C = Delimiters("//", _C_BLOCK, '"', chars=True)
_GO = Delimiters("//", _C_BLOCK, '"', (("`", "`"),), chars=True)
_RUST = Delimiters("//", _C_BLOCK, '"', (('r#"', '"#'),), chars=True, interpolations=_BRACES)
_JAVASCRIPT = Delimiters(
    "//", _C_BLOCK, _QUOTES, (("`", "`"),), interpolations=_DOLLAR_BRACES, plain_strings=_QUOTES
)
_DART = Delimiters("//", _C_BLOCK, _QUOTES, (("`", "`"),), interpolations=_DOLLAR_BRACES)
_TRIPLE_QUOTED = Delimiters("//", _C_BLOCK, '"', _TRIPLE, chars=True)
_DOLLAR_QUOTED = Delimiters("//", _C_BLOCK, '"', _TRIPLE, chars=True, interpolations=_DOLLAR_BRACES)
_CSHARP = Delimiters("//", _C_BLOCK, '"', _TRIPLE, chars=True, interpolations=_BRACES)
_SWIFT = Delimiters("//", _C_BLOCK, '"', _TRIPLE, chars=True, interpolations=(("\\(", ")"),))
_PHP = Delimiters("// #", _C_BLOCK, _QUOTES, interpolations=(("{$", "}"),))
_SLASHES = Delimiters("//", _C_BLOCK, _QUOTES)
_TERRAFORM = Delimiters("# //", _C_BLOCK, '"', interpolations=_DOLLAR_BRACES)
_PYTHON = Delimiters("#", (), _QUOTES, (*_TRIPLE, ("'''", "'''")), interpolations=_BRACES)
_HASH = Delimiters("#", (), _QUOTES, spaced_hash=True)
_RUBY = Delimiters("#", (), _QUOTES, spaced_hash=True, interpolations=_HASH_BRACES, plain_strings="'")
_DOLLAR = Delimiters("#", (), _QUOTES, spaced_hash=True, interpolations=_DOLLAR_BRACES, plain_strings="'")
_SHELL = Delimiters(
    "#",
    (),
    _QUOTES,
    spaced_hash=True,
    interpolations=(*_DOLLAR_PARENTHESES, *_DOLLAR_BRACES),
    plain_strings="'",
)
_COFFEESCRIPT = Delimiters(
    "#", (), _QUOTES, _TRIPLE, spaced_hash=True, interpolations=_HASH_BRACES, plain_strings="'"
)
_JULIA = Delimiters("#", (), _QUOTES, spaced_hash=True, interpolations=_DOLLAR_PARENTHESES, plain_strings="'")
_NIM = Delimiters("#", (("#[", "]#"),), '"', _TRIPLE, chars=True)
_DASHES = Delimiters("--", (), '"', chars=True)
_SQL = Delimiters("--", _C_BLOCK, _QUOTES)
_LUA = Delimiters("--", (("--[[", "]]"),), _QUOTES, (("[[", "]]"),))
_HASKELL = Delimiters("--", (("{-", "-}"),), '"', chars=True)
_LISP = Delimiters(";", (), '"')
_ASSEMBLY = Delimiters(";", (), _QUOTES)
_PERCENT = Delimiters("%", (), '"', chars=True)
_TEX = Delimiters("%")
_MARKUP = Delimiters("", (("<!--", "-->"),))
_NONE = Delimiters()
_CURLY = ("{{", "}}")

LANGUAGES: Final[tuple[Language, ...]] = (
    # With a grammar, and in the training data.
    Language(
        "python",
        "Python",
        _PYTHON,
        ".py",
        grammar="tree_sitter_python.language",
        indented_blocks=True,
        trained=True,
    ),
    Language(
        "javascript js",
        "JavaScript",
        _JAVASCRIPT,
        ".js .mjs .cjs",
        grammar="tree_sitter_javascript.language",
        trained=True,
    ),
    Language(
        "javascriptreact jsx javascript.jsx",
        "JavaScript",
        _JAVASCRIPT,
        ".jsx",
        grammar="tree_sitter_javascript.language",
        jsx=True,
        text_expressions=("{", "}"),
        trained=True,
    ),
    Language(
        "typescript",
        "TypeScript",
        _JAVASCRIPT,
        ".ts .mts .cts",
        grammar="tree_sitter_typescript.language_typescript",
        trained=True,
    ),
    Language(
        "typescriptreact tsx typescript.tsx",
        "TypeScript",
        _JAVASCRIPT,
        ".tsx",
        grammar="tree_sitter_typescript.language_tsx",
        jsx=True,
        text_expressions=("{", "}"),
        trained=True,
    ),
    Language("go", "Go", _GO, ".go", grammar="tree_sitter_go.language", indentation="\t", trained=True),
    Language("rust", "Rust", _RUST, ".rs", grammar="tree_sitter_rust.language", trained=True),
    Language("java", "Java", _TRIPLE_QUOTED, ".java", grammar="tree_sitter_java.language", trained=True),
    Language("c", "C", _C, ".c", grammar="tree_sitter_c.language", trained=True),
    Language(
        "cpp c++", "C++", _C, ".cc .cpp .cxx .hpp .hh .hxx", grammar="tree_sitter_cpp.language", trained=True
    ),
    # tree-sitter-sql is installed with the training package only.
    Language("sql", "SQL", _SQL, ".sql", grammar="tree_sitter_sql.language", trained=True),
    # In the training data, without a grammar.
    Language("csharp cs c-sharp", "C#", _CSHARP, ".cs", trained=True),
    Language("kotlin", "Kotlin", _DOLLAR_QUOTED, ".kt .kts", trained=True),
    Language("swift", "Swift", _SWIFT, ".swift", trained=True),
    Language("scala", "Scala", _DOLLAR_QUOTED, ".scala", trained=True),
    Language("ruby", "Ruby", _RUBY, ".rb", "Gemfile Rakefile Vagrantfile", trained=True),
    Language("php", "PHP", _PHP, ".php", trained=True),
    Language("lua", "Lua", _LUA, ".lua", trained=True),
    Language("solidity sol", "Solidity", _SLASHES, ".sol", trained=True),
    Language(
        "shellscript sh bash",
        "Shell",
        _SHELL,
        ".sh .bash",
        ".bashrc .bash_profile .profile",
        balanced=False,
        trained=True,
    ),
    # Other languages.
    Language("zsh", "Zsh", _SHELL, ".zsh", ".zshrc .zprofile .zshenv", balanced=False),
    Language("fish", "Fish", _SHELL, ".fish", balanced=False),
    Language("powershell ps1", "Powershell", _SHELL, ".ps1 .psm1 .psd1", balanced=False),
    Language(
        "makefile make makefile-gmake",
        "Makefile",
        _SHELL,
        ".mk",
        "Makefile makefile GNUmakefile",
        balanced=False,
        indentation="\t",
    ),
    Language("cmake", "Cmake", _DOLLAR, ".cmake", "CMakeLists.txt"),
    Language("dockerfile", "Dockerfile", _DOLLAR, ".dockerfile", "Dockerfile Containerfile"),
    Language("cython", "Cython", _PYTHON, ".pyx .pxd .pxi", indented_blocks=True),
    Language(
        "starlark bazel bzl",
        "Starlark",
        _PYTHON,
        ".bzl .star",
        "BUILD BUILD.bazel WORKSPACE",
        indented_blocks=True,
    ),
    Language("gdscript", "Gdscript", _PYTHON, ".gd", indented_blocks=True),
    Language("nim", "Nim", _NIM, ".nim .nims", indented_blocks=True),
    Language("dart", "Dart", _DART, ".dart"),
    Language("zig", "Zig", _C, ".zig"),
    Language("objective-c objc", "Objective-C", _C, ".m"),
    Language("objective-cpp objcpp", "Objective-C++", _C, ".mm"),
    Language("cuda-cpp cuda", "Cuda", _C, ".cu .cuh"),
    Language("perl cperl", "Perl", _HASH, ".pl .pm"),
    Language("raku perl6", "Raku", _HASH, ".raku .rakumod"),
    Language("r", "R", _HASH, ".r"),
    Language("julia", "Julia", _JULIA, ".jl"),
    Language("elixir", "Elixir", _RUBY, ".ex .exs"),
    Language("crystal", "Crystal", _RUBY, ".cr"),
    Language("coffeescript coffee", "Coffeescript", _COFFEESCRIPT, ".coffee", "Cakefile"),
    Language("nix", "Nix", _DOLLAR, ".nix"),
    Language("awk", "Awk", _HASH, ".awk"),
    Language("tcl", "Tcl", Delimiters("#", (), '"', spaced_hash=True), ".tcl"),
    Language("graphql", "Graphql", Delimiters("#", (), '"', _TRIPLE), ".graphql .gql"),
    Language("terraform hcl tfvars", "Terraform", _TERRAFORM, ".tf .tfvars .hcl"),
    Language("plsql", "Plsql", _SQL, ".pls .plsql"),
    Language("haskell", "Haskell", _HASKELL, ".hs"),
    Language("elm", "Elm", _HASKELL, ".elm"),
    Language("purescript", "Purescript", _HASKELL, ".purs"),
    Language("ada", "Ada", _DASHES, ".adb .ads"),
    Language("vhdl", "Vhdl", _DASHES, ".vhd .vhdl"),
    Language("clojure", "Clojure", _LISP, ".clj .cljs .cljc .edn"),
    Language("lisp commonlisp common-lisp", "Lisp", _LISP, ".lisp .lsp"),
    Language("scheme", "Scheme", _LISP, ".scm .ss"),
    Language("racket", "Racket", _LISP, ".rkt"),
    Language("emacs-lisp elisp", "Emacs-lisp", _LISP, ".el"),
    Language("asm", "Asm", _ASSEMBLY, ".asm"),
    Language("nasm", "Nasm", _ASSEMBLY, ".nasm"),
    Language("erlang", "Erlang", _PERCENT, ".erl .hrl"),
    Language("prolog", "Prolog", _PERCENT, ".pro .prolog"),
    Language("matlab", "Matlab", _PERCENT),
    Language("octave", "Octave", _PERCENT),
    # Styles, markup and data.
    Language("css", "CSS", Delimiters("", _C_BLOCK, _QUOTES), ".css"),
    Language("scss", "Scss", _SLASHES, ".scss"),
    Language("less", "Less", _SLASHES, ".less"),
    Language("html mhtml", "HTML", _MARKUP, ".html .htm", markup=True),
    Language("xhtml", "Xhtml", _MARKUP, ".xhtml", markup=True),
    Language("xml nxml", "XML", _MARKUP, ".xml .xsd", markup=True),
    Language("xsl", "Xsl", _MARKUP, ".xsl .xslt", markup=True),
    Language("svg", "Svg", _MARKUP, ".svg", markup=True),
    Language("vue", "Vue", _MARKUP, ".vue", markup=True, text_expressions=_CURLY),
    Language(
        "handlebars mustache", "Handlebars", _MARKUP, ".hbs .mustache", markup=True, text_expressions=_CURLY
    ),
    Language(
        "django-html jinja-html jinja", "Jinja", _MARKUP, ".j2 .jinja", markup=True, text_expressions=_CURLY
    ),
    Language("twig liquid", "Twig", _MARKUP, ".twig .liquid", markup=True, text_expressions=_CURLY),
    Language("erb eruby ejs", "ERB", _MARKUP, ".erb .ejs", markup=True, text_expressions=("<%", "%>")),
    Language("astro", "Astro", _MARKUP, ".astro", markup=True, text_expressions=("{", "}")),
    Language("svelte", "Svelte", _MARKUP, ".svelte", markup=True, text_expressions=("{", "}")),
    Language(
        "haml",
        "Haml",
        Delimiters("-#", (), _QUOTES, interpolations=_HASH_BRACES),
        ".haml",
        indented_blocks=True,
    ),
    Language("json", "JSON", _C, ".json"),
    Language("jsonc json5", "Jsonc", _C, ".jsonc .json5"),
    Language("yaml", "Yaml", _HASH, ".yaml .yml", indented_blocks=True, indentation=" "),
    Language("toml conf-toml", "Toml", _HASH, ".toml"),
    Language("ini dosini", "Ini", _HASH, ".ini .cfg", ".editorconfig"),
    Language("properties jproperties", "Properties", _HASH, ".properties"),
    Language("dotenv env", "Dotenv", _DOLLAR, ".env", ".env"),
    Language(
        "gitignore ignore git-ignore",
        "Gitignore",
        Delimiters("#", spaced_hash=True),
        "",
        ".gitignore .dockerignore",
    ),
    Language("latex tex plaintex LaTeX", "TeX", _TEX, ".tex .sty", balanced=False),
    Language("bibtex bib", "Bibtex", _TEX, ".bib", balanced=False),
    # Prose.
    Language("markdown", "Markdown", _MARKUP, ".md .markdown", balanced=False, prose=True),
    Language("restructuredtext rst", "Restructuredtext", _NONE, ".rst", balanced=False, prose=True),
    Language(
        "git-commit gitcommit",
        "Git-commit",
        Delimiters("#"),
        "",
        "COMMIT_EDITMSG",
        balanced=False,
        prose=True,
    ),
    Language("git-rebase gitrebase", "Git-rebase", Delimiters("#", spaced_hash=True), "", "git-rebase-todo"),
    Language("asciidoc adoc asciidoctor", "Asciidoc", _NONE, ".adoc .asciidoc", balanced=False, prose=True),
    Language("org", "Org", _NONE, ".org", balanced=False, prose=True),
    Language("mail email", "", _NONE, ".eml", balanced=False, prose=True),
    Language("plaintext text", "", _NONE, ".txt", balanced=False, prose=True),
)
"""Every language that is known here."""

UNKNOWN: Final = Language(
    "unknown", "Unknown", Delimiters("// #", _C_BLOCK, '"', chars=True, spaced_hash=True)
)
"""The guess for a language that is not in the table: like C, with ``#`` for comments too."""

_BY_ID: Final[Mapping[str, Language]] = MappingProxyType(
    {language_id: language for language in LANGUAGES for language_id in language.ids}
)
_BY_EXTENSION: Final[Mapping[str, Language]] = MappingProxyType(
    {extension: language for language in LANGUAGES for extension in language.extensions}
)
_BY_FILE_NAME: Final[Mapping[str, Language]] = MappingProxyType(
    {name: language for language in LANGUAGES for name in language.file_names}
)
_CPP_WORDS = ("namespace", "template", "class ", "public:", "private:", "std::", "constexpr", "using ")


def find_language(language_id: str) -> Language:
    """Return the language with an id, or ``UNKNOWN``."""
    return _BY_ID.get(language_id, UNKNOWN)


def language_of(path: str, text: str = "") -> Language | None:
    """Return the language of a file by its name, or None if the name does not tell.

    A ``.h`` file is C++ if its text looks like it, else C. The text is not needed for other files.
    """
    name = PurePosixPath(path).name
    extension = PurePosixPath(path).suffix.lower()
    if extension == ".h":
        return _BY_ID["cpp" if any(word in text for word in _CPP_WORDS) else "c"]
    return _BY_FILE_NAME.get(name) or _BY_EXTENSION.get(extension)


def is_code(path: str) -> bool:
    """Tell whether a file is taken into data sets for training, by its extension alone."""
    extension = PurePosixPath(path).suffix.lower()
    language = _BY_EXTENSION.get(extension)
    return extension == ".h" or (language is not None and language.trained)


def language_name(language_id: str) -> str:
    """Return the name of a language as CodeGeeX4 writes it: ``cpp`` -> ``C++``, ``gleam`` -> ``Gleam``."""
    language = _BY_ID.get(language_id)
    return language_id.capitalize() if language is None else language.name


def commented(text: str, language_id: str) -> str:
    """Turn every line of ``text`` into a comment: ``x = 1`` -> ``# x = 1`` in Python."""
    opening, closing = find_language(language_id).comment
    return "".join(f"{opening}{line}".rstrip() + f"{closing}\n" for line in text.rstrip("\n").split("\n"))
