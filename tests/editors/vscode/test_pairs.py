"""Pairs that VS Code closed before the suggestion came: the accepted line has each closer once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.editors.pairs import PAIRS, PairCase

from .code_server import HERE
from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide the file that holds the answer of the scripted server."""
    file = tmp_path_factory.mktemp("answer") / "answer.txt"
    file.write_text("", encoding="utf-8")
    return file


@pytest.fixture
def closing(open_editor: Callable[..., Workbench], answer: Path, tmp_path: Path) -> Workbench:
    """Provide a window that closes pairs, as VS Code does by default."""
    closes = {"editor.autoClosingBrackets": None, "editor.autoClosingQuotes": None}
    server = [sys.executable, str(HERE.parent / "scripted_server.py"), str(answer)]
    window = open_editor(tmp_path, command=server, settings=closes)
    window.wait_for_status("Ready")
    return window


def test_each_closer_stands_there_once(closing: Workbench, answer: Path) -> None:
    for case in PAIRS:
        assert accepted_line(closing, answer, case) == case.line, case.name


def accepted_line(window: Workbench, answer: Path, case: PairCase) -> str:
    """Type a case's line, accept the suggestion, and return the line."""
    answer.write_text(case.generated, encoding="utf-8")
    window.open(case.file, "█\n")
    window.type(case.typed, every_ms=60)
    window.wait_for_ghost()
    answer.write_text("", encoding="utf-8")  # nothing to suggest behind it
    window.press("Tab")
    window.wait_for_none()
    text = window.saved()
    window.close()
    return text.removesuffix("\n")
