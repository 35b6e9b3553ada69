"""Accepting suggestions: the saved file has the text that was shown."""

from __future__ import annotations

import pytest

from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)

WEEK = "days = [\n    'Monday',\n    'Tuesday',\n    █\n]\n"
LOOP = "def total(numbers):\n    result = 0\n█\n    return result\n"


def test_tab_inserts_the_shown_text_into_the_saved_file(workbench: Workbench) -> None:
    workbench.open("days.py", WEEK)
    workbench.type("'Wed")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.wait_for_none()
    assert ghost.line == "    'Wed"
    assert workbench.saved() == WEEK.replace("█", "'Wed" + ghost.text)


def test_a_suggestion_of_several_lines(workbench: Workbench) -> None:
    workbench.open("total.py", LOOP)
    workbench.type("    for number in numbers:\n")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.wait_for_none()
    # The editor indents the new line by itself, before the ghost begins.
    assert workbench.saved() == LOOP.replace("█", "    for number in numbers:\n" + ghost.line + ghost.text)


def test_word_by_word(workbench: Workbench) -> None:
    workbench.open("words.py", "█\n")
    workbench.type("# one two three four five six ")
    ghost = workbench.wait_for_ghost()
    workbench.press("Control+ArrowRight")
    remainder = workbench.wait_for_ghost()
    accepted = remainder.line.removeprefix("# one two three four five six ")
    assert accepted
    assert ghost.text == accepted + remainder.text
    assert len(accepted.split()) == 1
    assert workbench.saved() == remainder.line + "\n"


def test_line_by_line(workbench: Workbench) -> None:
    workbench.settings(fimLsp__completion__multiline="always", fimLsp__sampling__maxTokens=96)
    workbench.open("lines.py", LOOP)
    typed = "    for number in numbers:"
    workbench.type(typed)
    ghost = workbench.wait_for_ghost()
    assert len(ghost.lines) > 1, "this test needs a suggestion of several lines"
    workbench.press("Alt+End")
    workbench.until(lambda: (now := workbench.ghost()) != ghost and now, "the remainder of the suggestion")
    before, after = LOOP.split("█")
    accepted = workbench.saved().removeprefix(before + typed).removesuffix(after)
    assert accepted.count("\n") == 1
    assert ghost.text.startswith(accepted)
    assert ghost.text != accepted


def test_undo_reverts_an_accepted_suggestion_in_one_step(workbench: Workbench) -> None:
    workbench.open("undo.py", WEEK)
    workbench.type("'Wed")
    workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.wait_for_none()
    workbench.press("Escape", "Control+z")
    assert workbench.saved() == WEEK.replace("█", "'Wed")


def test_tab_indents_if_no_suggestion_is_shown(workbench: Workbench) -> None:
    workbench.open("tab.py", "█")
    workbench.settings(fimLsp__completion__automatic=False)
    workbench.press("Tab")
    workbench.type("x")
    assert workbench.saved() == "    x"


def test_a_key_requests_a_suggestion(workbench: Workbench) -> None:
    workbench.settings(fimLsp__completion__automatic=False)
    workbench.open("invoked.py", WEEK)
    workbench.type("'Wed")
    workbench.page.wait_for_timeout(1500)
    assert workbench.ghost() is None
    workbench.press("Alt+\\")
    ghost = workbench.wait_for_ghost()
    assert ghost.text
    assert workbench.requests()[-1]["context"]["triggerKind"] == 1


@pytest.mark.parametrize(
    "before", ["'🎉🎉', '日本語', ", "'👩‍👩‍👧‍👦', '𝔘𝔫𝔦', "], ids=["emoji and CJK", "joined and astral"]
)
def test_columns_are_right_after_emoji_and_cjk(workbench: Workbench, before: str) -> None:
    marked = f"words = [{before}█\n"
    workbench.open("wide.py", marked)
    workbench.type("'one', 'two', 'three', ")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.wait_for_none()
    assert workbench.saved() == marked.replace("█", "'one', 'two', 'three', " + ghost.text)


def test_crlf_files_stay_crlf(workbench: Workbench) -> None:
    marked = LOOP.replace("\n", "\r\n")
    workbench.open("crlf.py", marked, newline="")
    workbench.type("    for number in numbers:\n")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.wait_for_none()
    text = workbench.saved()
    assert text.count("\n") == text.count("\r\n") == LOOP.count("\n") + 1 + ghost.text.count("\n")
    inserted = "    for number in numbers:\n" + ghost.line + ghost.text
    assert text == marked.replace("█", inserted.replace("\n", "\r\n"))


def test_tabs_stay_tabs(workbench: Workbench) -> None:
    marked = "func total(numbers []int) int {\n\tresult := 0\n█\n\treturn result\n}\n"
    workbench.open("total.go", marked)
    workbench.type("\tfor _, number := range numbers {\n")
    workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.wait_for_none()
    inserted = workbench.saved().removeprefix(marked.split("█")[0]).removesuffix(marked.split("█")[1])
    assert workbench.requests()[-1]["formattingOptions"]["insertSpaces"] is False
    lines = inserted.split("\n")
    assert len(lines) > 1
    assert all(line.startswith("\t") and not line.lstrip("\t").startswith(" ") for line in lines if line)
