"""A trace is what an editor would really send."""

from __future__ import annotations

import pytest

from benchmarks.keystrokes.sources import SourceError, source_pair
from benchmarks.keystrokes.traces import record_trace

SEEDS = range(12)


def count(text: str) -> int:
    return len(text) // 4


@pytest.fixture(scope="module")
def files():
    return source_pair(2048, 1, count)


def test_the_same_seed_gives_the_same_trace_and_another_one_another(files):
    assert record_trace(files, 40, 3) == record_trace(files, 40, 3)
    assert record_trace(files, 40, 3) != record_trace(files, 40, 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_act_is_one_change_at_the_cursor(files, seed):
    trace = record_trace(files, 60, seed)
    texts = [file.text for file in trace.files]
    cursor = None
    for event in trace.events:
        before, after = texts[event.file], event.text
        if event.kind in ("open", "pause", "accept", "undo", "jump", "switch", "look"):
            assert after == before
        elif event.kind == "backspace":
            gone = cursor - event.cursor
            assert gone > 0
            assert after == before[: event.cursor] + before[event.cursor + gone :]
        else:
            typed = after[cursor : event.cursor]
            assert typed
            closed = len(after) - len(before) - len(typed)
            # A closing bracket that was typed over adds nothing; an opening one brings its pair.
            assert closed in (-1, 0, 1)
            assert after[event.cursor :] == before[cursor:] or closed
        texts[event.file], cursor = after, event.cursor


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_typed_is_the_passage_that_was_there(files, seed):
    trace = record_trace(files, 60, seed)
    first = [event for event in trace.events if event.file == 0]
    start = first[0].cursor
    jumped = next(number for number, event in enumerate(first) if event.kind == "jump")
    last = first[jumped - 1]
    original = source_pair(2048, 1, count)[0].text
    assert original.startswith(last.text[: last.cursor])
    assert last.cursor > start


def test_every_kind_of_act_is_there_and_the_number_of_keys_is_about_the_one_asked_for(files):
    trace = record_trace(files, 100, 1)
    kinds = [event.kind for event in trace.events]
    assert set(kinds) == {"open", "type", "backspace", "pause", "accept", "undo", "jump", "switch", "look"}
    assert {event.part for event in trace.events} == {"all", "word", "line"}
    # A few keys at each of five places come on top.
    assert 80 <= trace.keystrokes <= 130
    assert any(not event.waits for event in trace.events)
    # Whoever takes a suggestion has seen it before.
    assert all(kinds[number - 1] == "pause" for number, kind in enumerate(kinds) if kind == "accept")
    before_pauses = [trace.events[number - 1] for number, kind in enumerate(kinds) if kind == "pause"]
    assert all(event.waits for event in before_pauses)


@pytest.mark.parametrize("tokens", [1024, 4096, 16384])
def test_files_have_the_length_that_was_asked_for(tokens):
    for file in source_pair(tokens, 1, count):
        assert tokens <= count(file.text) < tokens * 1.05
        assert file.text.endswith("\n")


def test_a_length_that_no_file_has_is_refused():
    with pytest.raises(SourceError, match="has no two files of 10000000 tokens"):
        source_pair(10_000_000, 1, count)


@pytest.mark.parametrize("seed", SEEDS)
def test_people_jump_then_look_then_type_and_wait_for_the_first_answer(files, seed):
    trace = record_trace(files, 40, seed)
    kinds = [event.kind for event in trace.events]
    moves = [number for number, kind in enumerate(kinds) if kind in ("jump", "switch")]
    assert len(moves) >= 6
    for number in moves:
        look, first = trace.events[number + 1 : number + 3]
        assert (look.kind, first.kind) == ("look", "type")
        assert 200 < look.after_ms < 3000
        assert look.cursor == trace.events[number].cursor
        assert first.waits
    assert kinds.count("look") == len(moves)
