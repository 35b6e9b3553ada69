"""A fast typist: nothing stale is shown, nothing is doubled, and little is computed."""

from __future__ import annotations

import pytest

from .workbench import Workbench, told

pytestmark = pytest.mark.timeout(900)

BEFORE = "def largest(numbers):\n    best = None\n"
TYPED = "    for number in numbers:  # look at every one of the numbers"
EVERY_MS = 100


def test_sixty_characters_at_ten_a_second(workbench: Workbench, record_testsuite_property, capsys):
    workbench.open("typing.py", BEFORE + "█")
    generations, costs = (len(workbench.server.records(kind)) for kind in ("generation", "cost"))
    workbench.watch()
    workbench.type(TYPED, every_ms=EVERY_MS)
    ghost = workbench.wait_for_ghost()
    seen = workbench.seen()
    workbench.press("Tab")
    workbench.wait_for_none()

    assert workbench.saved() == BEFORE + TYPED + ghost.text, "what was shown is what is there"
    answered = [text for one in workbench.server.records("answer") for text in one["items"] or ()]
    shown = [one.line + one.text for one in seen]
    stale = [one for one in shown if not any(text.startswith(one) for text in answered)]
    assert not stale, told({"stale": stale, "answered": answered})
    assert all(TYPED.startswith(one.line) for one in seen), told([one.line for one in seen])

    generations = len(workbench.server.records("generation")) - generations
    spent = workbench.server.records("cost")[costs:]
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


def test_cursors_on_lines_alike_get_the_same_text(workbench: Workbench):
    body = "(items):\n    total = 0\n    for item in items:\n        HERE\n    return total\n\n\n"
    text = f"def first{body}def second{body}"
    workbench.open("cursors.py", text.replace("HERE", "█HERE", 1))
    workbench.press("Control+d", "Control+d")
    workbench.type("total +")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.wait_for_none()
    assert workbench.saved() == text.replace("HERE", "total +" + ghost.text)


def test_cursors_on_other_lines_are_not_asked_for(workbench: Workbench):
    workbench.open("differing.py", "█\nprint(\n\n")
    workbench.press("Shift+Alt+ArrowDown")
    workbench.type("# one two three four five six ")
    workbench.page.wait_for_timeout(2000)
    assert workbench.ghost() is None
    workbench.press("Escape")
    assert workbench.saved() == "# one two three four five six \n# one two three four five six print(\n\n"
    assert workbench.requests() == []
