"""Fast typing: no stale ghost text, and none that another text takes the place of while it is typed along."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.editors.neovim.editor import INLINE, Editor

BEFORE = "def largest(numbers):\n    best = None\n"
TYPED = "    for number in numbers:  # look at every one of the numbers"
EVERY_S = 0.1
_LOOK = """
local column = vim.api.nvim_win_get_cursor(0)[2]
local _, remainder = require('fim_lsp.display').at_cursor()
return { vim.api.nvim_get_current_line():sub(1, column), remainder and remainder.text or '' }
"""
_NORMAL = {"eagerness": "normal", "newLines": "always", "minChance": 0, "confidentChance": 0}
_EAGER = {"eagerness": "eager", "newLines": "always", "minChance": 0, "confidentChance": 0.1}


@pytest.fixture
def calm_editor(editor: Editor) -> Iterator[Editor]:
    """Provide an editor whose suggestions stay as they are while one types along, as by default."""
    editor.configure({"completion": _NORMAL})
    yield editor
    editor.configure({"completion": _EAGER})


def test_sixty_characters_at_ten_a_second(calm_editor: Editor) -> None:
    assert len(TYPED) >= 60
    editor = calm_editor
    editor.open(BEFORE + "█\n\n\nprint(largest([1, 2]))")
    former = len(editor.record.answers(INLINE))
    looks: list[tuple[str, str]] = []
    for key in TYPED:
        editor.type(key)
        end = time.monotonic() + EVERY_S
        while time.monotonic() < end:
            line, ghost = editor.nvim.exec_lua(_LOOK)
            looks.append((line, ghost))
            time.sleep(0.01)
    editor.wait_ghost()
    line, ghost = editor.nvim.exec_lua(_LOOK)
    looks.append((line, ghost))
    assert line == TYPED

    items = [item for answer in editor.record.answers(INLINE)[former:] if answer for item in answer["items"]]
    answered = [TYPED[: item["range"]["start"]["character"]] + item["insertText"] for item in items]
    shown = [line + ghost for line, ghost in looks if ghost]
    assert shown
    stale = [text for text in shown if not any(answer.startswith(text) for answer in answered)]
    assert not stale, (stale, answered)
    along = [
        (then, now) for then, now in pairwise(looks) if then[1] and (then[0] + then[1]).startswith(now[0])
    ]
    flickered = [pair for pair in along if not (pair[1][0] + pair[1][1]).startswith(pair[0][0] + pair[0][1])]
    assert not flickered
