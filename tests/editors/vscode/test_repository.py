"""The repository memory: a helper from a file that was never opened is completed elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.editors.repository import BEFORE, EXPECTED, FILES, OPEN, TYPED

from .conftest import PICTURES
from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)


def shown(window: Workbench) -> str:
    """Open the file, type the beginning of the call, and return what is shown once nothing changes."""
    window.open(OPEN, BEFORE + "█\n")
    window.type(TYPED, every_ms=60)
    window.page.wait_for_timeout(8000)
    ghost = window.ghost()
    return ghost.text if ghost else ""


def test_a_helper_of_a_file_that_was_never_opened(
    open_editor: Callable[..., Workbench], tmp_path: Path
) -> None:
    files = {**FILES, OPEN: BEFORE}
    window = open_editor(tmp_path, files=files)
    window.wait_for_status("Ready")
    window.type_until_requested()
    assert shown(window).startswith(EXPECTED)
    window.screenshot(PICTURES / "repository.png")
    window.close()
    window.settings(fimLsp__memory__enabled=False)
    assert not shown(window).startswith(EXPECTED), "the model alone does not know the helper"
