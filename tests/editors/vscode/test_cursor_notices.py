"""The server is told where the cursor rests, before the user types there."""

from __future__ import annotations

from typing import Any

import pytest

from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)

TEXT = "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    return a - b█\n"
CURSOR = "fimLsp/cursor"


def positions(workbench: Workbench) -> list[Any]:
    """Return the told positions in the open file."""
    return [
        params["position"]
        for params in workbench.server.record.sent_of(CURSOR)
        if params["textDocument"]["uri"].endswith("/" + workbench.file.name)
    ]


def test_movements_are_told_where_they_rest_and_typing_is_not(workbench: Workbench) -> None:
    workbench.open("moving.py", TEXT)
    workbench.until(lambda: positions(workbench), "a notice of the opened file")
    workbench.press("Control+Home", "ArrowDown", "ArrowDown", "ArrowUp", "End")
    place = {"line": 1, "character": len("    return a + b")}
    workbench.until(lambda: positions(workbench)[-1] == place, "a notice of the new place")
    told = len(positions(workbench))
    assert told <= 3, "positions that the cursor only passed are not told"
    workbench.type(" + 1")
    workbench.until(workbench.requests, "a request")
    workbench.page.wait_for_timeout(600)
    assert len(positions(workbench)) == told
