"""Print ``lua/fim_lsp/settings.lua``: the server's settings as LuaCATS types, from the server's own table.

Run it with the server's Python when settings have changed::

    python editors/neovim/scripts/settings_types.py > editors/neovim/lua/fim_lsp/settings.lua
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from fim_lsp.settings import SettingRow, table

ROOT = "fim_lsp.ServerSettings"
PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}
HEADER = """\
--- The server's settings, as `settings` of `setup` and `configure` take them.
--- Written by scripts/settings_types.py from the server's own table; do not edit.

---@meta
"""


def lua_type(annotation: Any, item: str) -> str:
    """Return the LuaCATS type of a Python annotation; ``item`` names the class of a list's objects."""
    if annotation in PLAIN:
        return PLAIN[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "|".join(f"'{value}'" for value in arguments)
    if origin in (Union, UnionType):  # only ever "or None", which every field may be
        return lua_type(next(part for part in arguments if part is not type(None)), item)
    if origin is tuple:
        return (PLAIN.get(arguments[0]) or item) + "[]"
    raise TypeError(f"There is no Lua type for {annotation!r}: add one here.")


def classes(name: str, rows: Iterable[SettingRow], path: str = "") -> Iterator[str]:
    """Yield the class of some rows, after the classes of its parts."""
    fields = []
    for key, group in groupby(rows, lambda row: row.path[len(path) :].split(".")[0]):
        here, part = path + key, f"{name}.{key[0].upper()}{key[1:]}"
        below = list(group)
        if below[0].path != here:
            yield from classes(part, below, here + ".")
            fields.append(f"---@field {key}? {part}")
            continue
        (row,) = below
        if row.items:
            yield from classes(part, row.items)
        about = row.about if row.common else f"(expert) {row.about}"
        fields.append(f"---@field {key}? {lua_type(row.type, part)} {about}")
    yield "\n".join([f"---@class {name}", *fields]) + "\n"


def types() -> str:
    """Return the text of ``lua/fim_lsp/settings.lua``."""
    return "\n".join([HEADER, *classes(ROOT, (row for row in table() if not row.user_only))])


if __name__ == "__main__":
    print(types(), end="")
