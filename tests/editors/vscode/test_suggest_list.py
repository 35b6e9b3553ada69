"""VS Code's own list of completions, which its default hides where a provider of ghost text is registered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .test_pickers import read_settings
from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)

WORDS = "VS Code hides its own list"


def test_the_user_is_told_once_and_can_have_both(
    open_editor: Callable[..., Workbench], tmp_path: Path
) -> None:
    window = open_editor(tmp_path, settings={"editor.quickSuggestions": None})
    window.notified(WORDS)
    window.answer(WORDS, "Show Both")
    chosen = tmp_path / "data/User/settings.json"

    def written() -> bool:
        value = read_settings(chosen).get("editor.quickSuggestions")
        return bool(value) and value["other"] == "on"

    window.until(written, "the setting that shows the list beside ghost text")
    window.load()
    window.wait_for_status("Ready")
    window.page.wait_for_timeout(2000)
    assert WORDS not in window.notifications()
