"""What a document imports and what it defines at its top level, for snippets of other files.

Languages without a grammar have no outline; their documents are compared by their words alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import field, frozen
from tree_sitter import Node

from fim_lsp.code.syntax import parser_for
from fim_lsp.prompt.snippets import Definition

_PARSED_CHARS = 65_536
"""Of a long document only the beginning: imports stand there, and this runs on the event loop."""
_IMPORTS = re.compile(r"(future_)?import(_from)?_(statement|declaration)|use_declaration|preproc_include")
_DEFINITIONS = re.compile(r".*(definition|declaration|_item|_specifier|_spec|declarator)")
_WRAPPERS = re.compile(
    r"export_statement|decorated_definition|(lexical|variable|type|const|var)_declaration|type_definition"
)
_NAME = re.compile(r"[^\W\d]\w*")


@frozen
class Outline:
    """The words of a document's imports and the names that it defines."""

    imported: frozenset[str] = frozenset()
    definitions: tuple[Definition, ...] = field(default=(), repr=False)


def outline(language_id: str, text: str) -> Outline:
    """A document's outline, with lines counted from 0."""
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
    """What a node of the top level defines; a decorator or ``export`` belongs to what follows it."""
    inner = [child for child in node.children if _WRAPPERS.fullmatch(node.type)]
    for one in (node, *inner, *(grandchild for child in inner for grandchild in child.children)):
        if _DEFINITIONS.fullmatch(one.type) and (name := _name(one)):
            yield Definition(name, (node.start_point.row, node.end_point.row + 1))


def _name(node: Node) -> str:
    """The name a node defines: its own, that of a type that it implements, or C's behind the declarators."""
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
