"""Switches, settings, errors, a crash of the server, ignored files, and the pages of the extension."""

from __future__ import annotations

import os
import signal

import pytest

from fim_lsp.paths import models_folder

from .conftest import PICTURES
from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)

WEEK = "days = [\n    'Monday',\n    'Tuesday',\n    █\n]\n"


def type_without_a_request(workbench: Workbench) -> None:
    """Type, and check that no request is sent."""
    workbench.type("'Wed")
    workbench.page.wait_for_timeout(2000)
    assert workbench.ghost() is None
    assert workbench.requests() == []


def test_completions_are_turned_off_and_on_for_the_session(workbench: Workbench) -> None:
    workbench.open("session.py", WEEK)
    workbench.press("Shift+Alt+\\")
    try:
        off = workbench.wait_for_status("off until this window closes")
        type_without_a_request(workbench)
    finally:
        workbench.press("Shift+Alt+\\")
    assert "circle-slash" in off["icons"]
    workbench.wait_for_status("Ready")
    workbench.type("n")
    assert workbench.wait_for_ghost().text


def test_a_setting_applies_to_the_next_request(workbench: Workbench) -> None:
    workbench.open("settings.py", WEEK)
    workbench.settings(fimLsp__sampling__maxTokens=7)
    workbench.type("'Wed")
    workbench.wait_for_ghost()
    generations = workbench.server.record.entries("generation")
    assert generations[-1]["max_tokens"] == 7
    assert generations[-1]["pid"] == generations[0]["pid"], "the server must not have been restarted"


def test_completions_are_turned_off_for_a_language(workbench: Workbench) -> None:
    workbench.settings(fimLsp__completion__disabledLanguages=["python"])
    workbench.open("language.py", WEEK)
    workbench.wait_for_status("off for python")
    type_without_a_request(workbench)
    workbench.close()
    workbench.open("language.js", WEEK)
    workbench.wait_for_status("Ready")
    workbench.type("'Wed")
    assert workbench.wait_for_ghost().text


@pytest.mark.parametrize("name", ["secret.py", "private/key.py"], ids=["by git", "by .fimignore"])
def test_no_request_is_sent_for_an_ignored_file(workbench: Workbench, name: str) -> None:
    workbench.open(name, WEEK)
    workbench.wait_for_status("it is ignored")
    type_without_a_request(workbench)


def test_no_suggestion_in_a_file_with_secrets(workbench: Workbench) -> None:
    workbench.open(".env", "TOKEN_ONE=1\nTOKEN_TWO=2\n█")
    generations = len(workbench.server.record.entries("generation"))
    workbench.type("TOKEN_THREE")
    workbench.page.wait_for_timeout(2000)
    assert workbench.ghost() is None
    assert len(workbench.server.record.entries("generation")) == generations


def test_a_server_killed_while_typing_is_restarted(workbench: Workbench) -> None:
    workbench.open("killed.py", WEEK)
    workbench.type("'We")
    before = workbench.server.record.server_pids()[-1]
    os.kill(before, signal.SIGKILL)
    workbench.type("d")
    workbench.until(lambda: workbench.server.record.server_pids()[-1] != before, "another server process")
    workbench.wait_for_status("Ready")
    workbench.type("n")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.wait_for_none()
    assert workbench.saved() == WEEK.replace("█", "'Wedn" + ghost.text)
    assert workbench.server.record.entries("generation")[-1]["pid"] != before


def test_an_error_is_shown_until_the_setting_is_corrected(workbench: Workbench) -> None:
    workbench.settings(fimLsp__model__name="/nowhere/model.gguf")
    status = workbench.wait_for_status("does not exist")
    assert "codicon-error" in status["icons"]
    assert "error" in status["class"]
    workbench.notified("does not exist")
    workbench.open("corrected.py", WEEK)
    workbench.settings()
    workbench.wait_for_status("Ready")
    workbench.type("'Wed")
    assert workbench.wait_for_ghost().text


def test_a_missing_model_is_offered_and_not_fetched_without_consent(workbench: Workbench) -> None:
    workbench.settings(fimLsp__model__name="qwen2.5-coder-7b")
    status = workbench.wait_for_status("The model qwen2.5-coder-7b is not here yet")
    assert "no model" in status["text"]
    assert "8.1 GB" in workbench.notified("Fetch Qwen2.5-Coder 7B")
    assert not [path.name for path in models_folder().iterdir() if "7b" in path.name.lower()]
    workbench.screenshot(PICTURES / "no-model.png")


def test_the_menu_has_every_switch_and_tool(workbench: Workbench) -> None:
    workbench.open("menu.py", WEEK)
    workbench.press("Control+Alt+Shift+m")
    # The list of files that opened menu.py may stand there for a moment.
    workbench.page.wait_for_selector(".quick-input-list .monaco-list-row:has-text('Doctor')")
    entries = "\n".join(workbench.page.locator(".quick-input-list .monaco-list-row").all_inner_texts())
    workbench.screenshot(PICTURES / "menu.png")
    for words in (
        "in this workspace",
        "for python",
        "until this window closes",
        "Pick model",
        "Doctor",
        "log",
    ):
        assert words in entries


def test_why_this_suggestion_opens_a_page(workbench: Workbench) -> None:
    workbench.open("why.py", WEEK)
    workbench.type("'Wed")
    workbench.wait_for_ghost()
    workbench.press("Control+Alt+Shift+y")
    page = workbench.page.wait_for_selector("[data-resource-name='Why this suggestion']")
    assert page is not None
    text = workbench.until(
        lambda: workbench.page.locator(".editor-instance .view-lines").last.inner_text(), "the page"
    )
    workbench.screenshot(PICTURES / "why.png")
    assert "why.py, line 4" in text.replace("\u00a0", " ")
    workbench.press("Control+Alt+Shift+w")


@pytest.mark.parametrize("theme", ["Default Dark Modern", "Default Light Modern"])
def test_ghost_text_is_legible(workbench: Workbench, theme: str) -> None:
    workbench.settings(workbench__colorTheme=theme)
    workbench.open("theme.py", "def total(numbers):\n    result = 0\n█\n    return result\n")
    workbench.type("    for number in numbers:\n")
    workbench.wait_for_ghost()
    workbench.screenshot(PICTURES / f"{theme.lower().replace(' ', '-')}.png")
    colours = workbench.page.evaluate(
        """() => {
          const ghost = document.querySelector(".ghost-text-decoration, .suggest-preview-text, .ghost-text");
          const editor = document.querySelector(".editor-instance .monaco-editor-background");
          return [getComputedStyle(ghost).color, getComputedStyle(editor).backgroundColor];
        }"""
    )
    assert contrast(*colours) >= 2, colours


def contrast(front: str, back: str) -> float:
    """Return WCAG 2.2's contrast ratio of two CSS colours, the first one drawn over the second."""
    red, green, blue, *alpha = (float(part) for part in front[front.index("(") + 1 : -1].split(","))
    under = [float(part) for part in back[back.index("(") + 1 : -1].split(",")[:3]]
    part = alpha[0] if alpha else 1.0
    over = [part * top + (1 - part) * bottom for top, bottom in zip((red, green, blue), under, strict=True)]
    light, dark = sorted((_luminance(over), _luminance(under)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(rgb: list[float]) -> float:
    parts = [value / 255 for value in rgb]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
