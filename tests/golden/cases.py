"""Golden cases: TOML files under ``tests/golden`` with ``█`` where the cursor is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fim_lsp.types import CompletionRequest, DocumentSnapshot, Trigger

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOLDEN = Path(__file__).parent
CURSOR = "█"


def cases(file: str) -> list[Any]:
    """Every ``[[case]]`` of a file, named for pytest."""
    table = tomllib.loads((GOLDEN / file).read_text(encoding="utf-8"))
    assert set(table) == {"case"}
    return [pytest.param(case, id=case["name"]) for case in table["case"]]


def request_at(
    marked: str,
    language: str = "python",
    *,
    crlf: bool = False,
    trigger: Trigger = Trigger.AUTOMATIC,
    **options: Any,
) -> CompletionRequest:
    """Provide a request with the cursor where the mark is."""
    assert marked.count(CURSOR) == 1
    text = marked.replace("\n", "\r\n") if crlf else marked
    document = DocumentSnapshot("file:///case", language, 1, text.replace(CURSOR, ""))
    return CompletionRequest(document, text.index(CURSOR), trigger, **options)
