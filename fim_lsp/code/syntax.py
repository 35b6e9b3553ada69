"""Parse the code around a cursor with tree-sitter: where the cursor is, and what would fit there.

A bounded window is parsed. Languages without a grammar, and strings that are still open (a parser only
reports an error there), are scanned for delimiters instead.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache

from attrs import frozen
from tree_sitter import Language, Node, Parser, Tree

from fim_lsp.code.cursor import WIDE_BEFORE, CursorContext
from fim_lsp.code.languages import find_language
from fim_lsp.code.lexical import Scope, scan
from fim_lsp.code.lines import CursorWindow

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
_TOP_LEVEL = re.compile(
    r"^(?:@\w|(?:export |pub |public |static |async |abstract |default )*"
    r"(?:def|class|function|func|fn|impl|struct|enum|interface|import|from|const|type|use|void|int) )",
    re.MULTILINE,
)


@frozen
class CursorScope:
    """The kind of text that the cursor is in, and whether it ends with the line."""

    scope: Scope
    one_line: bool = False


@frozen
class ParsedWindow:
    """The code around a cursor, and its syntax tree."""

    window: CursorWindow
    parser: Parser | None = None
    """None for a language without a grammar here."""
    tree: Tree | None = None

    @property
    def root(self) -> Node | None:
        """The root of the tree; None without a grammar."""
        return None if self.tree is None else self.tree.root_node

    def root_with(self, text: str, replaced: int) -> Node | None:
        """Return the root of the tree with ``text`` inserted at the cursor; None without a grammar.

        The parser goes on from the tree of the code as it stands, which takes a third of the time.

        Args:
            text: what is inserted.
            replaced: characters behind the cursor that it replaces.
        """
        if self.parser is None or self.tree is None:
            return None
        before, inserted = _encode(self.window.before), _encode(text)
        former, after = _encode(self.window.after[:replaced]), _encode(self.window.after[replaced:])
        start, edited = len(before), self.tree.copy()
        edited.edit(
            start_byte=start,
            old_end_byte=start + len(former),
            new_end_byte=start + len(inserted),
            start_point=_end_point(before),
            old_end_point=_end_point(before + former),
            new_end_point=_end_point(before + inserted),
        )
        return self.parser.parse(before + inserted + after, edited).root_node


def _end_point(source: bytes) -> tuple[int, int]:
    """Return row and column, in bytes, behind the last byte."""
    return source.count(b"\n"), len(source) - (source.rfind(b"\n") + 1)


def parse_window(context: CursorContext) -> ParsedWindow:
    """Parse the code around a cursor as it stands."""
    window, parser = _from_top_level(context.wide), parser_for(context.language_id)
    if parser is None:
        return ParsedWindow(window)
    return ParsedWindow(window, parser, parser.parse(_encode(window.before + window.after)))


def locate_cursor(context: CursorContext) -> CursorScope:
    """Tell whether the cursor is in code, in a comment or in a string (a docstring is one).

    An expression inside an interpolated string is code.
    """
    window, root = context.parsed.window, context.parsed.root
    inside = scan(window.before, context.language_id).inside
    scanned = CursorScope(inside.scope, inside.one_line) if inside else CursorScope(Scope.CODE)
    if root is None:
        return scanned
    parsed = _parsed_scope(root, len(_encode(window.before)))
    return scanned if parsed.scope is Scope.CODE and root.has_error else parsed


def count_syntax_errors(context: CursorContext, text: str, replaced: int = 0) -> int:
    """Count the places around the cursor that a parser could not make sense of, were ``text`` inserted there.

    Code that is being written has some of its own, so only numbers for the same cursor can be compared.

    Args:
        context: where the text is to go.
        text: what is to be inserted.
        replaced: characters behind the cursor that it replaces.

    Returns:
        The number of errors; 0 for a language without a grammar here.
    """
    parsed = context.parsed
    root = parsed.root_with(text, replaced) if text or replaced else parsed.root
    if root is None:
        return 0
    nodes, count = [root], 0
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            count += 1
        elif node.has_error:
            nodes += node.children
    return count


def ends_in_header(context: CursorContext) -> bool:
    """Tell whether the text before the cursor ends in a header whose block is still missing.

    Only that text is parsed: what follows the cursor would be taken for the body.

    Example: behind ``if (a)`` it does, behind ``f(a)`` it does not.
    """
    parser = context.parsed.parser
    if parser is None:
        return False
    source = _encode(context.parsed.window.before.rstrip())
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


def has_grammar(language_id: str) -> bool:
    """Tell whether there is a grammar for a language id."""
    return _grammar(language_id) is not None


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


def _encode(text: str) -> bytes:
    return text.encode(errors="replace")


def _from_top_level(window: CursorWindow) -> CursorWindow:
    """Begin at the first line that looks like a definition at top level, if the window begins elsewhere.

    A window that happens to begin within a docstring would take the strings for code and the code for
    strings.
    """
    before = window.before
    if len(before) < WIDE_BEFORE // 2 or _TOP_LEVEL.match(before):
        return window
    match = _TOP_LEVEL.search(before, 0, len(before) // 2)
    return CursorWindow(before[match.start() :], window.after, window.whole_after) if match else window


# --- The scope of the cursor


def _parsed_scope(root: Node, cursor: int) -> CursorScope:
    # The byte before the cursor: a comment that ends at the cursor is still being written.
    node = root.descendant_for_byte_range(max(0, cursor - 1), cursor)
    while node is not None:
        if _INTERPOLATIONS.fullmatch(node.type) and node.start_byte < cursor < node.end_byte:
            return CursorScope(Scope.CODE)
        if _STRINGS.fullmatch(node.type) and node.start_byte < cursor < node.end_byte:
            return CursorScope(Scope.STRING, _is_one_line(node))
        if _COMMENTS.fullmatch(node.type) and _is_in_comment(node, cursor):
            return CursorScope(Scope.COMMENT, not _text(node).startswith("/*"))
        node = node.parent
    return CursorScope(Scope.CODE)


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
    """Tell whether the tokens that the parser couldn't place end with a keyword and its brackets."""
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
    """Tell whether a keyword is a statement's first word: in ``x if y`` it is not."""
    before = keyword.prev_sibling
    same_line = before is not None and before.end_point.row == keyword.start_point.row
    return not same_line or _text(before).endswith(("{", "}", "else", "async", "await"))  # type: ignore[arg-type]
