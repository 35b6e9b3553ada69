"""Escape refuses the suggestion: the server is told, and does not show the text at that place again."""

from __future__ import annotations

import pytest

from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)

WEEK = "days = [\n    'Monday',\n    'Tuesday',\n    █\n]\n"


def test_a_dismissed_suggestion_is_not_shown_again(workbench: Workbench) -> None:
    workbench.open("dismissed.py", WEEK)
    workbench.type("'Wed")
    refused = workbench.wait_for_ghost()
    workbench.press("Escape")
    workbench.wait_for_none()
    workbench.until(
        lambda: any(
            sent["uri"].endswith("/dismissed.py")
            for sent in workbench.server.record.sent_of("fimLsp/dismissed")
        ),
        "the server to be told of the refusal",
    )
    workbench.watch()
    workbench.press("Backspace")
    workbench.type("d")
    workbench.page.wait_for_timeout(3000)
    assert refused.text not in [look.text for look in workbench.seen()]
