"""Write the server's settings into the extension's manifest: ``python editors/vscode/scripts/settings.py``.

The table in ``fim_lsp.settings`` is the source. It replaces every category of ``contributes.configuration``
but the first, which holds the extension's own settings. A unit test fails if the two differ.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from fim_lsp.settings import SettingRow, camel_case, table

MANIFEST = Path(__file__).parents[1] / "package.json"
_FOR_CLIENTS = {"status"}
"""Settings that the extension sends itself. Users need not see them."""
_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number"}

Schema = dict[str, Any]


def schema(kind: Any) -> Schema:
    """Return the JSON schema of a setting's type."""
    if kind in _NAMES:
        return {"type": _NAMES[kind]}
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) in (Union, UnionType):
        (inner,) = (schema(part) for part in get_args(kind) if part is not NoneType)
        return {**inner, "type": [inner["type"], "null"]}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": schema(get_args(kind)[0])}
    if attrs.has(kind):
        return _object(kind)
    raise TypeError(f"no JSON schema is known for {kind}")


def _object(cls: type[Any]) -> Schema:
    hints, fields = get_type_hints(cls), attrs.fields(cls)
    properties = {camel_case(item.name): _property(hints[item.name], item.metadata) for item in fields}
    required = [camel_case(item.name) for item in fields if item.default is attrs.NOTHING]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _property(kind: Any, metadata: Any) -> Schema:
    bounds = {"minimum": metadata.get("at_least"), "maximum": metadata.get("at_most")}
    about = {"description": metadata.get("about")}
    return {**schema(kind), **{key: value for key, value in (bounds | about).items() if value is not None}}


def contributed(row: SettingRow, order: int) -> Schema:
    """Return a row of the table as VS Code's settings page expects it."""
    metadata = {"at_least": row.at_least, "at_most": row.at_most}
    about = row.about if row.common else f"*Expert.* {row.about}"
    return {
        **_property(row.type, metadata),
        "markdownDescription": about,
        "default": _on_the_wire(row.default),
        "scope": "window",
        "order": order,
    }


def _on_the_wire(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_on_the_wire(item) for item in value]
    if attrs.has(type(value)):
        return {camel_case(key): _on_the_wire(item) for key, item in attrs.asdict(value).items()}
    return value


def categories() -> list[Schema]:
    """Return the table's sections as categories, in order; in each, common settings come first.

    What only the user's own settings file may set is left out: a workspace can set whatever VS Code knows.
    """
    rows = [row for row in table() if row.path not in _FOR_CLIENTS and not row.user_only]
    sections = groupby(rows, lambda row: row.path.split(".")[0])
    return [
        {
            "title": section.capitalize(),
            "properties": {
                f"fimLsp.{row.path}": contributed(row, order)
                for order, row in enumerate(sorted(members, key=lambda row: not row.common))
            },
        }
        for section, members in sections
    ]


def updated(text: str) -> str:
    """Return the manifest with the server's present settings."""
    manifest = json.loads(text)
    own = manifest["contributes"]["configuration"][:1]
    manifest["contributes"]["configuration"] = own + categories()
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    MANIFEST.write_text(updated(MANIFEST.read_text(encoding="utf-8")), encoding="utf-8")
