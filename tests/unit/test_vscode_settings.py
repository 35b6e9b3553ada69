"""The settings page of the VS Code extension is the table of settings."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Literal

import pytest
from attrs import field, frozen

from fim_lsp.settings import table
from tools.settings import VSCODE, load

OWN = {"fimLsp.server.command", "fimLsp.server.package"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load(VSCODE)


def test_the_extension_contributes_every_setting(script):
    text = script.MANIFEST.read_text(encoding="utf-8")
    assert text == script.updated(text), "mend it with: make settings"


def test_nothing_else_is_contributed(script):
    manifest = json.loads(script.MANIFEST.read_text(encoding="utf-8"))
    found = [key for part in manifest["contributes"]["configuration"] for key in part["properties"]]
    wanted = {f"fimLsp.{row.path}" for row in table() if not row.user_only} - {"fimLsp.status"} | OWN
    assert sorted(found) == sorted(wanted)


def test_what_names_files_or_programs_is_not_taken_from_an_untrusted_workspace(script):
    manifest = json.loads(script.MANIFEST.read_text(encoding="utf-8"))
    restricted = set(manifest["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"])
    contributed = {key for part in manifest["contributes"]["configuration"] for key in part["properties"]}
    files = {"fimLsp.model.name", "fimLsp.model.fallback", "fimLsp.adapters"} & contributed
    assert restricted >= OWN | files


@frozen
class Part:
    path: str
    scale_by: float = field(default=1.0, metadata={"about": "How much.", "at_least": 0})
    languages: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (bool, {"type": "boolean"}),
        (int | None, {"type": ["integer", "null"]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (tuple[str, ...], {"type": "array", "items": {"type": "string"}}),
        (
            tuple[Part, ...],
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "path": {"type": "string"},
                        "scaleBy": {"type": "number", "minimum": 0, "description": "How much."},
                        "languages": {"type": "array", "items": {"type": "string"}},
                    },
                    "required": ["path"],
                    "additionalProperties": False,
                },
            },
        ),
    ],
)
def test_schema(script, kind, wanted):
    assert script.schema(kind) == wanted


def test_an_unknown_type_is_refused(script):
    with pytest.raises(TypeError, match="bytes"):
        script.schema(bytes)
