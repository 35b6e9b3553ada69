"""When the completer shows a suggestion while typing, and when it stays silent."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from fim_lsp.completion.debounce import SupersededError
from fim_lsp.types import LineEdit, Trigger
from tests.unit.completion.conftest import URI, Desk, request

CODE = "def f():\n    x = █\n    return x\n"
TYPED = LineEdit((1, 8), (1, 8), 0, False)
DELETED = LineEdit((1, 8), (1, 10), 0, True)


def typed(text: str, version: int):
    return request(CODE.replace("█", text + "█"), version=version)


def edited(desk: Desk, asked, *edits: LineEdit) -> None:
    """Tell the completer of the edit that leads to a request."""
    document = asked.document
    desk.completer.edited(document.uri, document.version, document.text, edits)


async def shown(desk: Desk, asked, *edits: LineEdit) -> str | None:
    """Return what is shown after an edit."""
    edited(desk, asked, *edits)
    completion = await desk.complete(asked)
    return completion.text if completion else None


async def test_nothing_is_shown_after_a_deletion(make_desk):
    desk = await make_desk("compute(1)")
    assert await shown(desk, typed("", 2), DELETED) is None
    assert desk.generations == 0
    assert desk.explanation.source == "silent"
    assert "completion.whileDeleting" in desk.explanation.dropped_because
    assert await shown(desk, typed("", 3), TYPED) == "compute(1)"


async def test_a_replacement_is_no_deletion(make_desk):
    desk = await make_desk("compute(1)")
    assert await shown(desk, typed("", 2), DELETED, TYPED) == "compute(1)"


async def test_an_eager_one_is_shown_after_a_deletion_too(make_desk):
    desk = await make_desk("compute(1)", completion={"eagerness": "eager"})
    assert await shown(desk, typed("", 2), DELETED) == "compute(1)"


async def test_what_is_asked_for_by_a_key_is_always_shown(make_desk):
    desk = await make_desk("compute(1)", completion={"eagerness": "subtle", "comments": "never"})
    await desk.complete(typed("", 1))
    desk.completer.dismissed(URI)
    asked = request(CODE, version=2, trigger=Trigger.INVOKED)
    assert await shown(desk, asked, DELETED) == "compute(1)"
    comment = request("# the █\n", version=3, trigger=Trigger.INVOKED, uri="file:///project/b.py")
    assert await desk.complete(comment) is not None


@pytest.mark.parametrize(
    ("setting", "marked"),
    [
        ("comments", "# the █\n"),
        ("strings", 'x = "the █"\n'),
        ("withinWords", "x = fo█o\n"),
        ("withinLines", "f(█, b)\n"),
    ],
)
async def test_a_place_can_be_left_out(make_desk, setting, marked):
    desk = await make_desk("value", completion={setting: "never"})
    assert await desk.complete(request(marked)) is None
    assert desk.generations == 0
    assert "the cursor is" in desk.explanation.dropped_because


async def test_a_dismissed_suggestion_is_not_shown_again(make_desk):
    desk = await make_desk("compute(1)", completion={"cooldownMs": 0})
    assert await shown(desk, typed("", 1)) == "compute(1)"
    desk.completer.dismissed(URI)
    assert await shown(desk, typed("", 2), TYPED) is None
    assert desk.explanation.dropped_because == "the user refused it here"
    assert await shown(desk, typed("comp", 3), TYPED) is None
    above = request("# above\n" + CODE, version=4)
    assert await shown(desk, above, LineEdit((0, 0), (0, 0), 1, False)) is None
    elsewhere = request("# above\n" + CODE.replace("█", "1") + "\ny = █\n", version=5)
    assert await shown(desk, elsewhere, LineEdit((4, 0), (4, 0), 1, False)) == "compute(1)"


async def test_the_last_suggestion_is_dismissed_where_no_document_is_named(make_desk):
    desk = await make_desk("compute(1)", completion={"cooldownMs": 0})
    await shown(desk, typed("", 1))
    desk.completer.dismissed(None)
    assert await shown(desk, typed("", 2), TYPED) is None


async def test_nothing_is_shown_just_after_a_dismissal(make_desk):
    desk = await make_desk("compute(1)", completion={"cooldownMs": 60_000})
    await shown(desk, typed("", 1))
    desk.completer.dismissed(URI)
    assert await shown(desk, request(CODE + "y = 1\n", version=2), TYPED) is None
    assert "completion.cooldownMs" in desk.explanation.dropped_because


async def test_a_suggestion_typed_past_twice_is_not_shown_again(make_desk):
    desk = await make_desk(
        lambda prompt: "compute(1)" if prompt.rstrip().endswith("x =") else "y",
        completion={"whileDeleting": True, "appearAfterMs": 0},
    )
    for version in (1, 3):
        assert await shown(desk, typed("", version), DELETED) == "compute(1)"
        await shown(desk, typed("z", version + 1), TYPED)
    assert await shown(desk, typed("", 5), DELETED) is None
    assert desk.explanation.dropped_because == "the user refused it here"


async def test_while_it_is_typed_along_only_a_longer_one_takes_its_place(make_desk):
    desk = await make_desk(
        lambda prompt: "pute(2)" if prompt.endswith("x = com") else "compute(1)", completion={"cacheSize": 0}
    )
    assert await shown(desk, typed("", 1)) == "compute(1)"
    assert await shown(desk, typed("com", 2), TYPED) == "pute(1)"
    assert [step.name for step in desk.explanation.steps] == ["keep_shown"]


async def test_a_longer_one_takes_its_place(make_desk):
    desk = await make_desk(
        lambda prompt: "pute(1) + 2" if prompt.endswith("x = com") else "compute(1)",
        completion={"cacheSize": 0},
    )
    assert await shown(desk, typed("", 1)) == "compute(1)"
    assert await shown(desk, typed("com", 2), TYPED) == "pute(1) + 2"


async def test_what_is_typed_along_stays_within_a_word_and_a_comment(make_desk):
    desk = await make_desk("# the first one", completion={"comments": "never"})
    asked = request("x = 1  █\n", version=1)
    assert await shown(desk, asked) == "# the first one"
    commented = request("x = 1  # the █\n", version=2)
    assert await shown(desk, commented, TYPED) == "first one"


async def test_changed_settings_end_what_was_kept(make_desk):
    desk = await make_desk(lambda prompt: "compute(1)", completion={"cacheSize": 0})
    await shown(desk, typed("", 1))
    desk.completer.settings_changed(desk.settings)
    assert await shown(desk, typed("comp", 2), TYPED) == "compute(1)"


async def test_after_a_wrong_one_the_next_waits_for_a_pause(make_desk):
    desk = await make_desk(
        lambda prompt: "compute(1)" if prompt.rstrip().endswith("x =") else "ero()",
        completion={"appearAfterMs": 5000},
    )
    assert await shown(desk, typed("", 1)) == "compute(1)"
    edited(desk, typed("z", 2), TYPED)
    older = asyncio.create_task(desk.complete(typed("z", 2)))
    while desk.generations < 2:
        await asyncio.sleep(0.001)
    await desk.rest()
    assert not older.done()
    newer = asyncio.create_task(desk.complete(typed("ze", 3)))
    with pytest.raises(SupersededError):
        await older
    newer.cancel()


async def test_where_nothing_was_wrong_it_appears_at_once(make_desk):
    desk = await make_desk("compute(1)", completion={"appearAfterMs": 5000})
    assert await asyncio.wait_for(shown(desk, typed("", 1), TYPED), 2) == "compute(1)"


BODY = "def f():\n    █\n\n\nf()\n"
LINES = "a = 1\n    b = 2\n    c = 3\n    d = 4\n    e = 5"


async def test_a_long_text_comes_in_pieces_and_the_rest_from_memory(make_desk):
    desk = await make_desk(LINES, completion={"pieceLines": 2})
    first = await shown(desk, request(BODY, version=1))
    assert first == "a = 1\n    b = 2"
    accepted = request(BODY.replace("█", first + "█"), version=2)
    rest = await shown(desk, accepted, LineEdit((1, 4), (1, 4), 1, False))
    assert rest == "\n    c = 3\n    d = 4\n    e = 5"
    assert desk.generations == 1
    assert desk.explanation.source == "cache"


async def test_one_line_comes_first_where_no_block_begins_and_more_after_an_accept(make_desk):
    desk = await make_desk(lambda prompt: "a = 1\nb = 2" if "a = 1" not in prompt else "\nb = 2\nc = 3")
    marked = "x = 1\n█\n\nprint(x)\n"
    first = await shown(desk, request(marked, version=1))
    assert first == "a = 1"
    assert not desk.explanation.multiline
    accepted = request(marked.replace("█", first + "█"), version=2)
    assert await shown(desk, accepted, LineEdit((1, 0), (1, 0), 0, False)) == "\nb = 2\nc = 3"
    assert desk.explanation.multiline


async def test_a_block_that_begins_comes_as_a_whole(make_desk):
    desk = await make_desk("a = 1\n    return a")
    assert await shown(desk, request(BODY)) == "a = 1\n    return a"
    assert desk.explanation.multiline


async def test_several_lines_come_at_once_where_the_user_wants_that(make_desk):
    desk = await make_desk("a = 1\nb = 2", completion={"oneLineFirst": False})
    assert await shown(desk, request("x = 1\n█\n\nprint(x)\n")) == "a = 1\nb = 2"


async def test_what_does_not_parse_is_not_shown(make_desk):
    desk = await make_desk("a = 1\n    b = = 2")
    assert await shown(desk, request(BODY)) == "a = 1"
    assert "cut_to_parsing_lines" in [step.name for step in desk.explanation.steps]


async def test_a_closed_document_is_forgotten(make_desk):
    desk = await make_desk("compute(1)", completion={"cooldownMs": 0})
    await shown(desk, typed("", 1))
    desk.completer.dismissed(URI)
    desk.completer.closed(URI)
    assert await shown(desk, typed("", 2), TYPED) == "compute(1)"


async def test_no_new_line_is_begun_behind_a_line_that_may_be_complete(make_desk):
    desk = await make_desk("\n    y = 2")
    assert await desk.complete(typed("1", 1)) is None
    assert "completion.newLines" in desk.explanation.dropped_because
    assert await desk.complete(evolve(typed("1", 1), trigger=Trigger.INVOKED)) is not None
    assert await desk.complete(typed("(1,", 2)) is not None


@pytest.mark.parametrize(
    ("rule", "confident_chance", "is_shown"),
    [("always", 1, True), ("confident", 0, True), ("confident", 1, False)],
)
async def test_a_new_line_is_begun_where_the_settings_say_so(make_desk, rule, confident_chance, is_shown):
    desk = await make_desk("\n    y = 2", completion={"newLines": rule, "confidentChance": confident_chance})
    assert (await desk.complete(typed("1", 1)) is not None) is is_shown
