"""A replay sends the events of a trace to a peer, and records its answers."""

from __future__ import annotations

import asyncio

import psutil
import pytest
from attrs import define, field

from benchmarks.keystrokes.peers import PeerAnswer
from benchmarks.keystrokes.processes import ProcessTree
from benchmarks.keystrokes.replay import accepted_part, replay
from benchmarks.keystrokes.sources import TypedFile
from benchmarks.keystrokes.traces import Event, Trace


@define
class Scripted:
    """Answers each request with the next of its answers; None is one that never comes."""

    answers: list[PeerAnswer | None]
    processes: ProcessTree = field(factory=lambda: ProcessTree(psutil.Process()))
    seen: list[tuple[str, object]] = field(factory=list)

    def open(self, files):
        self.seen.append(("open", [file.name for file in files]))

    def move(self, file, text, cursor):
        self.seen.append(("move", text[:cursor] + "█" + text[cursor:]))

    async def suggest(self):
        answer = self.answers.pop(0)
        try:
            if answer is None:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.seen.append(("cancelled", None))
            raise
        return answer

    async def idle(self, ms):
        self.seen.append(("idle", ms))
        return 7

    async def look(self, ms):
        self.seen.append(("look", ms))

    def accepted(self):
        self.seen.append(("accepted", None))


def answer(text: str = "", evaluated: int = 1) -> PeerAnswer:
    return PeerAnswer(text, 5.0, 9.0, evaluated)


def event(kind, text="ab", cursor=1, **given) -> Event:
    return Event(kind, 0, text, cursor, after_ms=0.0, **given)


async def play(answers, *events):
    peer = Scripted(list(answers))
    return peer, await replay(peer, Trace((TypedFile("a.py", "ab"),), events))


async def test_the_peers_own_suggestion_is_taken_and_undone():
    peer, found = await play(
        [answer("foo bar", 9), answer("", 2), answer()],
        event("open"),
        event("pause"),
        event("accept", part="word"),
        event("undo"),
    )
    assert [text for what, text in peer.seen if what == "move"] == ["a█b", "afoo█b", "a█b"]
    assert [what for what, _ in peer.seen].count("accepted") == 1
    accepted = found.records[1]
    # What the peer evaluated ahead, while the user looked, belongs to the accept.
    assert (accepted.kind, accepted.accepted_chars, accepted.evaluated) == ("accept", 3, 2 + 7)
    assert [record.evaluated for record in found.records] == [9, 9, 1]


async def test_nothing_shown_is_nothing_taken():
    peer, found = await play([answer(), answer()], event("open"), event("pause"), event("accept"))
    assert found.records[-1].accepted_chars == 0
    assert ("accepted", None) not in peer.seen


async def test_an_event_that_does_not_wait_is_interrupted_after_the_next_change():
    peer, found = await play(
        [answer(), None, answer(evaluated=4)],
        event("open"),
        event("type", "axb", 2, waits=False),
        event("type", "axyb", 3),
    )
    assert [what for what, _ in peer.seen] == ["open", "move", "move", "move", "cancelled"]
    assert [record.evaluated for record in found.records] == [1, 4]
    assert found.records[0].cancel_to_next_ms is None
    assert found.records[1].cancel_to_next_ms >= 5.0


async def test_an_answer_that_came_in_time_counts_though_nobody_waited():
    _, found = await play(
        [answer(), answer(evaluated=3), answer()],
        event("open"),
        event("type", waits=False),
        event("backspace"),
    )
    assert [(record.kind, record.evaluated) for record in found.records] == [
        ("open", 1),
        ("type", 3),
        ("backspace", 1),
    ]
    assert found.records[-1].cancel_to_next_ms >= 5.0


@pytest.mark.parametrize(
    ("part", "suggestion", "taken"),
    [
        ("all", "one two\nthree", "one two\nthree"),
        ("line", "one two\nthree", "one two"),
        ("line", "\n    one\n    two", "\n    one"),
        ("word", " one_1(two)", " one_1"),
        ("word", "(two)", "("),
        ("word", "", ""),
    ],
)
def test_parts_of_a_suggestion(part, suggestion, taken):
    assert accepted_part(suggestion, part) == taken


@pytest.mark.parametrize("kind", ["jump", "switch"])
async def test_a_jump_asks_for_nothing_and_the_first_key_after_it_is_the_first_at_its_place(kind):
    peer, found = await play(
        [answer(), answer(), answer()],
        event("open"),
        event(kind, cursor=2, waits=False),
        event("look", cursor=2, waits=False),
        event("type", "abx", 3),
        event("type", "abxy", 4),
    )
    assert [what for what, _ in peer.seen] == ["open", "move", "move", "look", "move", "move"]
    assert [(record.kind, record.is_first) for record in found.records] == [
        ("open", True),
        ("type", True),
        ("type", False),
    ]
