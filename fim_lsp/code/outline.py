"""Outline a document: the words of its imports and its definitions at top level, for snippets.

Documents of languages without a grammar have no outline; they are compared by their words alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import field, frozen
from tree_sitter import Node

from fim_lsp.code.syntax import parser_for

_PARSED_CHARS = 65_536
"""Characters parsed of a long document: imports stand at its beginning, and this runs on the event loop."""
_IMPORTS = re.compile(r"(future_)?import(_from)?_(statement|declaration)|use_declaration|preproc_include")
_DEFINITIONS = re.compile(r".*(definition|declaration|_item|_specifier|_spec|declarator)")
_WRAPPERS = re.compile(
    r"export_statement|decorated_definition|(lexical|variable|type|const|var)_declaration|type_definition"
)
_NAME = re.compile(r"[^\W\d]\w*")


@frozen
class Definition:
    """A name defined at a document's top level, and its lines: the first, and the one behind the last."""

    name: str
    lines: tuple[int, int]


@frozen
class Outline:
    """The words of a document's imports and the names that it defines."""

    imported: frozenset[str] = frozenset()
    definitions: tuple[Definition, ...] = field(default=(), repr=False)


def outline(language_id: str, text: str) -> Outline:
    """Outline a document, with lines counted from 0."""
    parser = parser_for(language_id)
    if parser is None:
        return Outline()
    root = parser.parse(text[:_PARSED_CHARS].replace("\r\n", "\n").encode(errors="replace")).root_node
    imported: set[str] = set()
    definitions: list[Definition] = []
    for node in root.children:
        if _is_import(node):
            imported.update(_NAME.findall(_text(node)))
        else:
            definitions.extend(_definitions(node))
    return Outline(frozenset(imported), tuple(definitions))


def _is_import(node: Node) -> bool:
    if _IMPORTS.fullmatch(node.type):
        return True
    return node.type in ("lexical_declaration", "variable_declaration") and "require(" in _text(node)


def _definitions(node: Node) -> Iterator[Definition]:
    """Yield what a node of the top level defines; a decorator or ``export`` belongs to what follows it."""
    inner = [child for child in node.children if _WRAPPERS.fullmatch(node.type)]
    for part in (node, *inner, *(grandchild for child in inner for grandchild in child.children)):
        if _DEFINITIONS.fullmatch(part.type) and (name := _name(part)):
            yield Definition(name, (node.start_point.row, node.end_point.row + 1))


def _name(node: Node) -> str:
    """Return the name a node defines: its own, of the type that it implements, or C's behind declarators."""
    named = node.child_by_field_name("name") or (
        node.child_by_field_name("type") if node.type == "impl_item" else None
    )
    while named is None:
        node_or_none = node.child_by_field_name("declarator")
        if node_or_none is None:
            return ""
        node = node_or_none
        if node.child_count == 0:
            named = node
    return _text(named) if _NAME.fullmatch(_text(named)) else ""


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")
