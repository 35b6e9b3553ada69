"""Where the cursor is: code, comment or string, whether several lines would help there, and what would fit.

Asked by the completer before the prompt is built, and again of several suggestions. tree-sitter parses a
bounded window around the cursor; languages without a grammar, and strings that are still open (a parser only
reports an error there), are scanned for delimiters instead.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache

from attrs import frozen
from tree_sitter import Language, Node, Parser

from fim_lsp.code.cursor import Surroundings, surroundings
from fim_lsp.code.languages import find_language
from fim_lsp.code.lexical import Scope, scan
from fim_lsp.completion.filters.replace_range import only_closers
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import CompletionRequest, Trigger

__all__ = ["Scope", "cursor_scope", "parser_for", "syntax_errors", "wants_multiline"]

_BEFORE = 8192
_AFTER = 2048

_STRINGS = re.compile(
    "string|(raw_|interpreted_)?string_literal|template_string|char(acter)?_literal|rune_literal|"
    "system_lib_string"
)
_COMMENTS = re.compile("((line|block|html)_)?comment")
_INTERPOLATIONS = re.compile("interpolation|template_substitution")

_STATEMENT_WORDS = re.compile(
    "if|elif|else|for|while|do|try|catch|except|finally|with|switch|case|match|loop|unsafe"
)
_DEFINITION_WORDS = re.compile(
    "def|class|function|func|fn|struct|enum|union|interface|trait|impl|mod|namespace"
)
_BODILESS = re.compile(
    "function_signature(_item)?|method_signature|(function|method)_declaration|"
    "(impl|struct|enum|trait|mod)_item|(if|for|for_in|while|do)_statement|else_clause"
)
"""Nodes that, at the end of the text and without a body, are headers of a block."""
_OPENS = re.compile(r"(?:[(\[{]|=>|->)$")
_LABEL = re.compile(r"\s*(?:case\b.*|default|public|private|protected)\s*:$")
_OPENING_WORD = re.compile(r"\b(?:do|then|begin|else|repeat|of)$|\bdo\s*\|[^|]*\|$")
"""Words that begin a block at the end of a line, in languages without a grammar here."""


@frozen
class _CursorScope:
    """The cursor's scope, and whether it ends with the line."""

    scope: Scope
    one_line: bool = False


def cursor_scope(request: CompletionRequest) -> Scope:
    """Tell whether the cursor is in code, in a comment or in a string (a docstring is one).

    An expression inside an interpolated string is code.
    """
    return _place(request).scope


def wants_multiline(request: CompletionRequest, settings: CompletionSettings) -> bool:
    """Decide whether a suggestion may have several lines.

    The setting ``never`` is kept even for a suggestion asked for by a key; otherwise such a suggestion has
    as many lines as it likes. While typing (``auto``), several lines come only at the end of a line, outside
    line comments and one-line strings, where the line is blank or a block may begin: anywhere else they
    jump into view with every keystroke and cost time that the user spends typing on.
    """
    if settings.multiline != "auto":
        return settings.multiline == "always"
    if request.trigger is Trigger.INVOKED:
        return True
    around = surroundings(request, _BEFORE, _AFTER)
    if not only_closers(around.rest) or _place(request).one_line:
        return False
    line = around.line_prefix.rstrip()
    return not line or _opens_block(line, request.document.language_id) or _is_header(request, around)


def _opens_block(line: str, language_id: str) -> bool:
    """Whether the last characters of a line begin a block or a list."""
    if line.endswith(":"):
        # Not in brackets: there a colon belongs to a dictionary, a slice or an annotation.
        if find_language(language_id).indented_blocks:
            return not _unclosed(line, language_id)
        return _LABEL.match(line) is not None
    if _grammar(language_id) is None and _OPENING_WORD.search(line):
        return True
    return _OPENS.search(line) is not None


def _unclosed(line: str, language_id: str) -> int:
    chars = [mark.char for mark in scan(line, language_id).marks]
    return sum(char in "([{" for char in chars) - sum(char in ")]}" for char in chars)


# --- What a text would do to the code around it


def syntax_errors(request: CompletionRequest, text: str, replaced: int = 0) -> int:
    """How many places around the cursor would make no sense to a parser, were ``text`` inserted there.

    Code that is being written has some of its own, so only numbers for the same cursor can be compared.

    Args:
        request: where the text is to go.
        text: what is to be inserted.
        replaced: characters behind the cursor that it replaces.

    Returns:
        0 for a language without a grammar here.
    """
    parser = parser_for(request.document.language_id)
    if parser is None:
        return 0
    around = _from_top_level(surroundings(request, _BEFORE, _AFTER))
    source = around.before + text + around.after[replaced:]
    nodes, count = [parser.parse(source.encode(errors="replace")).root_node], 0
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            count += 1
        elif node.has_error:
            nodes += node.children
    return count


# --- The scope of the cursor


def _place(request: CompletionRequest) -> _CursorScope:
    around = _from_top_level(surroundings(request, _BEFORE, _AFTER))
    language_id = request.document.language_id
    inside = scan(around.before, language_id).inside
    scanned = _CursorScope(inside.scope, inside.one_line) if inside else _CursorScope(Scope.CODE)
    parser = parser_for(language_id)
    if parser is None:
        return scanned
    root = parser.parse((around.before + around.after).encode(errors="replace")).root_node
    parsed = _parsed_place(root, len(around.before.encode(errors="replace")))
    return scanned if parsed.scope is Scope.CODE and root.has_error else parsed


def _from_top_level(around: Surroundings) -> Surroundings:
    """Begin at the first line that looks like a definition at top level, if the window begins elsewhere.

    A window that happens to begin within a docstring would take the strings for code and the code for
    strings.
    """
    before = around.before
    if len(before) < _BEFORE // 2 or _TOP_LEVEL.match(before):
        return around
    match = _TOP_LEVEL.search(before, 0, len(before) // 2)
    return Surroundings(before[match.start() :], around.after, around.whole_after) if match else around


_TOP_LEVEL = re.compile(
    r"^(?:@\w|(?:export |pub |public |static |async |abstract |default )*"
    r"(?:def|class|function|func|fn|impl|struct|enum|interface|import|from|const|type|use|void|int) )",
    re.MULTILINE,
)


def _parsed_place(root: Node, cursor: int) -> _CursorScope:
    # The byte before the cursor: a comment that ends at the cursor is still being written.
    node = root.descendant_for_byte_range(max(0, cursor - 1), cursor)
    while node is not None:
        if _INTERPOLATIONS.fullmatch(node.type) and node.start_byte < cursor < node.end_byte:
            return _CursorScope(Scope.CODE)
        if _STRINGS.fullmatch(node.type) and node.start_byte < cursor < node.end_byte:
            return _CursorScope(Scope.STRING, _is_one_line(node))
        if _COMMENTS.fullmatch(node.type) and _is_in_comment(node, cursor):
            return _CursorScope(Scope.COMMENT, not _text(node).startswith("/*"))
        node = node.parent
    return _CursorScope(Scope.CODE)


def _is_one_line(string: Node) -> bool:
    if string.start_point.row != string.end_point.row:
        return False
    opening = _text(string).lstrip("rRbBuUfFlL8")
    return not opening.startswith(('"""', "'''", "`"))


def _is_in_comment(comment: Node, cursor: int) -> bool:
    text = _text(comment)
    if text.startswith("/*"):
        return comment.start_byte < cursor < comment.end_byte
    # The node of a Rust doc comment includes its line break (tree-sitter-rust 0.24.2).
    return comment.start_byte < cursor <= comment.start_byte + len(text.rstrip("\n").encode())


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


# --- Headers without a body


def _is_header(request: CompletionRequest, around: Surroundings) -> bool:
    """Whether the text before the cursor ends in a header whose block is still missing.

    Only that text is parsed: what follows the cursor would be taken for the body.
    """
    parser = parser_for(request.document.language_id)
    if parser is None:
        return False
    before = _from_top_level(around).before.rstrip()
    source = before.encode(errors="replace")
    root = parser.parse(source).root_node
    node = root.descendant_for_byte_range(max(0, len(source) - 1), len(source))
    while node is not None:
        if node.type == "ERROR":
            return _ends_in_header(node)
        if _lacks_body(node):
            return True
        node = node.parent
    # An error may also stand beside what was recovered, as the last of the root's children.
    return root.child_count > 0 and root.children[-1].type == "ERROR" and _ends_in_header(root.children[-1])


def _lacks_body(node: Node) -> bool:
    if node.type == "declaration":  # C and C++: `int main(void)`, still without a semicolon
        declarator = node.child_by_field_name("declarator")
        missing = bool(node.children) and node.children[-1].is_missing
        return missing and declarator is not None and declarator.type == "function_declarator"
    if _BODILESS.fullmatch(node.type) is None:
        return False
    body = node.child_by_field_name("body") or node.child_by_field_name("consequence")
    return body is None or body.start_byte == body.end_byte


def _ends_in_header(error: Node) -> bool:
    """Whether the tokens that the parser couldn't place end with a keyword and its brackets, no block."""
    depth = 0
    for child in reversed(error.children):
        if child.type == "{" or depth > 0:
            return False
        depth += (child.type == "(") - (child.type == ")")
        if _DEFINITION_WORDS.fullmatch(child.type):
            return depth == 0
        if _STATEMENT_WORDS.fullmatch(child.type):
            return depth == 0 and _begins_line(child)
    return False


def _begins_line(keyword: Node) -> bool:
    """Whether a keyword is a statement's first word: ``x if y`` has one that isn't."""
    before = keyword.prev_sibling
    same_line = before is not None and before.end_point.row == keyword.start_point.row
    return not same_line or _text(before).endswith(("{", "}", "else", "async", "await"))  # type: ignore[arg-type]


def parser_for(language_id: str) -> Parser | None:
    """Return a parser for a language id, or None where there is no grammar."""
    grammar = _grammar(language_id)
    return None if grammar is None else Parser(grammar)


@lru_cache(maxsize=32)
def _grammar(language_id: str) -> Language | None:
    """Import a grammar when a document first needs it."""
    path = find_language(language_id).grammar
    if path is None:
        return None
    module, _, function = path.rpartition(".")
    try:
        grammar = importlib.import_module(module)
    except ModuleNotFoundError:
        return None
    return Language(getattr(grammar, function)())
