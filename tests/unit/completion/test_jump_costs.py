"""What moving about costs: prompt tokens that the user waits for, in both orders. A token is a byte.

Without a limit on cold prompts, so that the whole cost shows. Pauses are long enough for idle prefill.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fim_lsp.types import CompletionRequest
from tests.unit.completion.conftest import request
from tests.unit.completion.test_idle_prefill import SUFFIX_FIRST, UNHEALED

PSM = {"name": "x", "template": "qwen"}
LINES = [f"line_{number} = value_{number}\n" for number in range(150)]
LINE = len(LINES[60])
OTHER = "file:///project/b.py"
SUFFIX = 400
"""About the bytes of a suffix window."""
FEW = 3


def at(number: int, typed: str = "", lines: Sequence[str] = LINES, **options: object) -> CompletionRequest:
    """Return a request at the beginning of a line, behind what was typed there."""
    return request("".join(lines[:number]) + typed + "█" + "".join(lines[number:]), **options)


def with_line(number: int, line: str) -> list[str]:
    """Return the lines with another one in place of one of them."""
    return [*LINES[:number], line, *LINES[number + 1 :]]


async def costs(make_desk, model: object, *requests: CompletionRequest) -> list[int]:
    """Return the prompt tokens evaluated for each request, with a pause behind each."""
    desk = await make_desk(pause_s=0, model=model, prompt={**UNHEALED, "coldMs": None})
    found = []
    for asked in requests:
        found.append(await desk.cost(asked))
        await desk.rest()
    return found


RENAMED = with_line(30, "line_30 = VALUE_30\n")
LONGER = with_line(90, "line_90 = a_longer_value\n")
JUMPS = {
    "down a line": (at(60), at(61, version=2), at(61, "a", version=3)),
    "another file and back": (at(60), at(60, uri=OTHER), at(60, "a", version=2)),
    "there and back": (at(60), at(100), at(60, "a", version=2)),
    "undo": (at(60, "x = 1"), at(60, "x = 123", version=2), at(60, "x = 12", version=3)),
    "change far below": (at(60), at(60, lines=LONGER, version=2), at(60, "a", LONGER, version=3)),
}


@pytest.mark.parametrize(
    ("jump", "model", "most"),
    [
        ("down a line", SUFFIX_FIRST, LINE + FEW),
        ("down a line", PSM, SUFFIX + LINE + FEW),
        ("another file and back", SUFFIX_FIRST, FEW),
        ("another file and back", PSM, FEW),
        ("there and back", SUFFIX_FIRST, 1000),
        ("there and back", PSM, SUFFIX + 40 * LINE),
        ("undo", SUFFIX_FIRST, FEW),
        ("undo", PSM, FEW),
        ("change far below", SUFFIX_FIRST, FEW),
        ("change far below", PSM, FEW),
    ],
)
async def test_a_jump_evaluates_what_is_new_and_the_key_after_it_a_token(make_desk, jump, model, most):
    _, moved, typed = await costs(make_desk, model, *JUMPS[jump])
    assert moved <= most
    assert typed <= FEW


@pytest.mark.parametrize(
    ("model", "most"),
    [(SUFFIX_FIRST, 31 * LINE), (PSM, 31 * LINE + SUFFIX)],
)
async def test_a_rename_above_the_cursor_evaluates_the_text_from_there_on(make_desk, model, most):
    requests = at(60), at(60, lines=RENAMED, version=2), at(60, "a", RENAMED, version=3)
    first, moved, typed = await costs(make_desk, model, *requests)
    assert moved <= min(most, first)
    assert typed <= FEW


async def test_anchors_near_each_other_share_their_prefix(make_desk):
    """Otherwise every new anchor, in the background too, would evaluate prefix and suffix."""
    shared = 0
    for number in range(50, 100, 5):
        first, moved, _ = await costs(
            make_desk, PSM, at(number), at(number + 1, version=2), at(number + 1, "a", version=3)
        )
        shared += first - moved > 0 and moved <= SUFFIX + LINE + FEW
    assert shared >= 8


async def test_a_window_that_will_move_does_not_cost_the_one_that_serves(make_desk):
    """Both are evaluated in one pause, each in a sequence of its own."""
    for number in range(40, 100, 3):
        *_, typed = await costs(
            make_desk, SUFFIX_FIRST, at(number), at(number + 1, version=2), at(number + 1, "a", version=3)
        )
        assert typed <= FEW
