"""Fast typing: no stale ghost text, no text twice, and few generations; several cursors."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .workbench import INLINE, Workbench, as_text

pytestmark = pytest.mark.timeout(900)

BEFORE = "def largest(numbers):\n    best = None\n"
TYPED = "    for number in numbers:  # look at every one of the numbers"
EVERY_MS = 100


def test_sixty_characters_at_ten_a_second(
    workbench: Workbench,
    record_testsuite_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The line that is typed may be complete: the text behind it may begin the next one. Whether a text is
    # likely enough depends on what the tests before this one accepted and dismissed.
    workbench.settings(
        fimLsp__completion__eagerness="normal",
        fimLsp__completion__newLines="always",
        fimLsp__completion__minChance=0,
        fimLsp__completion__confidentChance=0,
    )
    workbench.open("typing.py", BEFORE + "█")
    record = workbench.server.record
    generations, costs = (len(record.entries(kind)) for kind in ("generation", "cost"))
    workbench.watch()
    workbench.type(TYPED, every_ms=EVERY_MS)
    ghost = workbench.wait_for_ghost()
    seen = workbench.seen()
    workbench.press("Tab")
    workbench.wait_for_none()

    assert workbench.saved() == BEFORE + TYPED + ghost.text, "the shown text must be the inserted text"
    answered = [item["insertText"] for answer in record.answers(INLINE) if answer for item in answer["items"]]
    shown = [look.line + look.text for look in seen]
    stale = [line for line in shown if not any(text.startswith(line) for text in answered)]
    assert not stale, as_text({"stale": stale, "answered": answered})
    assert all(TYPED.startswith(look.line) for look in seen), as_text([look.line for look in seen])

    generations = len(record.entries("generation")) - generations
    spent = record.entries("cost")[costs:]
    report = {
        "keystrokes": len(TYPED),
        "requests": len(workbench.requests()),
        "generations": generations,
        "prompt tokens evaluated": sum(cost["evaluated"] for cost in spent),
        "tokens generated": sum(cost["generated"] for cost in spent),
        "ghost texts shown": len(seen),
    }
    for name, count in report.items():
        record_testsuite_property(name, count)
    with capsys.disabled():
        print("\n" + ", ".join(f"{count} {name}" for name, count in report.items()))
    assert len(TYPED) >= 60
    assert 0 < generations <= len(TYPED) // 2


def test_cursors_on_equal_lines_get_the_same_text(workbench: Workbench) -> None:
    body = "(items):\n    total = 0\n    for item in items:\n        HERE\n    return total\n\n\n"
    text = f"def first{body}def second{body}"
    workbench.open("cursors.py", text.replace("HERE", "█HERE", 1))
    workbench.press("Control+d", "Control+d")
    workbench.type("total +")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.wait_for_none()
    assert workbench.saved() == text.replace("HERE", "total +" + ghost.text)


def test_no_request_is_sent_for_cursors_on_different_lines(workbench: Workbench) -> None:
    workbench.open("differing.py", "█\nprint(\n\n")
    workbench.press("Shift+Alt+ArrowDown")
    workbench.type("# one two three four five six ")
    workbench.page.wait_for_timeout(2000)
    assert workbench.ghost() is None
    workbench.press("Escape")
    assert workbench.saved() == "# one two three four five six \n# one two three four five six print(\n\n"
    assert workbench.requests() == []
