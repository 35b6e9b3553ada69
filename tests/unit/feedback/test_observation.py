from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.feedback.events import PartlyAccepted
from fim_lsp.feedback.observation import Outcome
from tests.unit.feedback.conftest import Desk

CODE = "def load(path):\n    return █\n\nprint(load('a'))\n"
SAID = "json.loads(path)"


@pytest.fixture
def desk():
    return Desk.of(CODE)


def test_accepted_by_its_command_after_the_insertion(desk):
    desk.offer(SAID)
    desk.insert(SAID)
    desk.accept(len(SAID))
    assert desk.outcomes == [Outcome("accepted", 1000, len(SAID), 0, len(SAID))]


def test_accepted_by_its_command_alone(desk):
    desk.offer(SAID)
    desk.accept(len(SAID))
    desk.insert(SAID)
    desk.close()
    assert desk.outcomes == [Outcome("accepted", 1000, len(SAID), 0, len(SAID))]


def test_the_next_answer_may_come_before_the_command(desk):
    desk.offer(SAID)
    desk.insert(SAID)
    desk.offer("\n")
    desk.accept(len(SAID))
    desk.close()
    assert desk.kinds == ["accepted", "rejected"]
    assert desk.outcomes[0].accepted_chars == len(SAID)
    assert desk.outcomes[1].offered_chars == 1


def test_an_acceptance_that_the_editor_formatted_is_one(desk):
    desk.offer("a\n    b")
    desk.insert("a\n\tb")
    desk.offer("something else")
    desk.accept(len("a\n    b"))
    assert [(one.kind, one.accepted_chars) for one in desk.outcomes] == [("accepted", 7)]


def test_one_character_accepted_by_its_command_is_not_typed(desk):
    desk.offer(")")
    desk.insert(")")
    desk.accept(1)
    assert desk.outcomes == [Outcome("accepted", 1000, 1, 0, 1)]


def test_what_is_typed_and_equals_the_suggestion_is_not_accepted(desk):
    desk.offer(SAID)
    desk.type(SAID)
    desk.close()
    assert desk.outcomes == [Outcome("typed", 1000 * len(SAID), len(SAID), len(SAID), 0)]


def test_typing_through_with_an_answer_for_each_key_is_one_suggestion(desk):
    for typed in range(len(SAID)):
        desk.offer(SAID[typed:])
        desk.type(SAID[typed])
    desk.close()
    assert desk.kinds == ["typed"]
    assert desk.outcomes[0].offered_chars == len(SAID)


def test_typing_some_and_accepting_the_rest(desk):
    desk.offer(SAID)
    desk.type("jso")
    desk.offer(SAID[3:])
    desk.insert(SAID[3:])
    desk.accept(len(SAID) - 3)
    assert desk.outcomes == [Outcome("accepted", 5000, len(SAID), 3, len(SAID) - 3)]


def test_something_else_typed_rejects(desk):
    desk.offer(SAID)
    desk.type("jx")
    desk.type("y")
    assert desk.outcomes == [Outcome("rejected", 2000, len(SAID), 1, 0)]


def test_a_leading_part_that_comes_at_once_is_accepted(desk):
    desk.offer(SAID)
    desk.insert("json")
    desk.insert(".loads")
    desk.type("!")
    desk.close()
    assert desk.outcomes == [Outcome("partly_accepted", 3000, len(SAID), 0, 10)]


def test_word_by_word_to_the_end_is_accepted(desk):
    desk.offer(SAID)
    for word in ("json", ".loads", "(path)"):
        desk.insert(word)
    desk.close()
    assert desk.kinds == ["accepted"]


def test_a_notification_of_a_part_is_not_counted_twice(desk):
    desk.offer(SAID)
    desk.insert("json")
    desk.accept_part(4)
    desk.nothing()
    assert desk.outcomes == [Outcome("partly_accepted", 3000, len(SAID), 0, 4)]


def test_a_notification_before_its_edit(desk):
    desk.offer("a + b")
    desk.accept_part(1)
    desk.insert("a")
    desk.nothing()
    assert desk.outcomes == [Outcome("partly_accepted", 3000, 5, 0, 1)]


@pytest.mark.parametrize(("said", "at_once"), [("xyz = 1", "xy"), ("\n        return x", "\n        ")])
def test_quick_keys_and_indentation_are_typing(desk, said, at_once):
    desk.offer(said)
    desk.insert(at_once)
    desk.nothing()
    assert desk.outcomes == [Outcome("rejected", 2000, len(said), len(at_once), 0)]


def test_brackets_that_the_editor_closes_are_typing():
    desk = Desk.of("print█\n")
    desk.offer("(load('a'))")
    desk.insert("(", behind=")")
    desk.offer("load('a'))", replaces=1)
    desk.insert("load('a'))", replaces=1)
    desk.accept(10)
    assert desk.outcomes == [Outcome("accepted", 3000, 11, 1, 10)]


def test_closers_that_the_suggestion_replaces():
    desk = Desk.of("f(█)\n")
    desk.offer("value)", replaces=1)
    desk.insert("value)", replaces=1)
    desk.close()
    assert desk.outcomes == [Outcome("accepted", 1000, 6, 0, 6)]


def test_backspacing_into_a_suggestion_leaves_it_open(desk):
    desk.offer(SAID)
    desk.type("jso")
    desk.backspace()
    desk.offer(SAID[2:])
    desk.insert(SAID[2:])
    desk.accept(len(SAID) - 2)
    assert desk.outcomes == [Outcome("accepted", 6000, len(SAID), 2, len(SAID) - 2)]


def test_a_longer_answer_goes_on_with_the_same_suggestion(desk):
    desk.offer("json")
    desk.type("j")
    desk.offer("son.loads(path)")
    desk.close()
    assert [one.offered_chars for one in desk.outcomes] == [len(SAID)]


def test_carriage_returns():
    desk = Desk.of("def f():\r\n    █\r\n")
    desk.offer("a = 1\nreturn a")
    desk.insert("a = 1\r\nreturn a")
    desk.accept(14)
    assert desk.kinds == ["accepted"]


def test_another_answer_and_none_reject(desk):
    desk.offer("one")
    desk.offer("two")
    desk.nothing()
    assert [(one.kind, one.shown_ms) for one in desk.outcomes] == [("rejected", 1000), ("rejected", 1000)]


def test_an_edit_elsewhere_ends_what_was_shown(desk):
    desk.offer(SAID)
    desk.text = "import json\n" + desk.text
    desk.cursor += len("import json\n")
    desk.type("j")
    desk.close()
    assert desk.kinds == ["rejected"]


def test_a_client_that_tells_what_it_shows_is_believed(desk):
    desk.offer("one", shown=False)
    desk.nothing()
    desk.offer("two", shown=False)
    desk.show()
    desk.show()
    desk.nothing()
    assert [one.shown_ms for one in desk.outcomes] == [0, 2000]


def test_a_command_for_nothing_changes_nothing(desk):
    desk.accept()
    desk.accept_part(3)
    desk.show()
    desk.close()
    assert desk.decided == []


words = st.text(alphabet="ab( )\n", min_size=1, max_size=6)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), words),
        st.tuples(st.just("insert"), words),
        st.tuples(st.just("follow"), st.integers(1, 6)),
        st.tuples(st.just("backspace")),
        st.tuples(st.just("accept"), st.none() | st.integers(0, 8)),
        st.tuples(st.just("accept_part"), st.integers(-1, 8)),
        st.tuples(st.just("nothing")),
        st.tuples(st.just("show")),
    ),
    max_size=25,
)


def _perform(desk: Desk, steps: list[tuple]) -> None:
    for name, *arguments in steps:
        if name == "follow":  # insert a beginning of what is suggested
            if desk.watch.open is not None:
                desk.insert(desk.watch.open.remaining[: arguments[0]])
        elif name != "backspace" or desk.cursor:
            getattr(desk, name)(*arguments)
    desk.close()


@given(acts)
def test_every_suggestion_ends_once_and_its_counts_add_up(steps):
    desk = Desk.of("x = █\n")
    offers = sum(name == "offer" for name, *_ in steps)
    _perform(desk, steps)
    assert desk.watch.open is desk.watch.ended is None
    assert bool(offers) <= len(desk.decided) <= offers
    for one in desk.outcomes:
        assert one.shown_ms >= 0
        assert min(one.typed_chars, one.accepted_chars) >= 0
        assert one.typed_chars + one.accepted_chars <= one.offered_chars
        whole = one.typed_chars + one.accepted_chars == one.offered_chars
        assert whole == (one.kind in ("accepted", "typed"))
        assert bool(one.accepted_chars) == (one.kind in ("accepted", "partly_accepted"))


@given(st.text(alphabet="ab(){}[] \n", min_size=1, max_size=20), st.integers(0, 20), st.booleans())
def test_what_is_typed_by_single_keys_is_never_accepted(said, typed, answered):
    desk = Desk.of("x = █\n")
    desk.offer(said)
    for count, character in enumerate(said[:typed], 1):
        desk.type(character)
        if answered and said[count:]:
            desk.offer(said[count:])
    desk.close()
    assert desk.kinds == ["typed" if typed >= len(said) else "rejected"]
    assert desk.outcomes[0].typed_chars == min(typed, len(said))


@given(acts)
def test_two_suggestions_of_which_none_goes_on_are_two(steps):
    """Conservation: with answers that never go on with what is shown, as many end as began."""
    desk = Desk.of("x = █\n")
    begun = 0
    for name, *arguments in steps:
        if name == "offer":
            begun += 1
            desk.offer(f"{begun}{arguments[0]}")
        elif name == "insert":
            desk.insert(*arguments)
        elif name == "nothing":
            desk.nothing()
    desk.close()
    assert len(desk.decided) == begun


OTHER = "open(path).read()"


def test_another_candidate_accepted_by_its_command_is_the_one_that_counts(desk):
    desk.offer(SAID, others=["x", OTHER])
    desk.accept(len(OTHER))
    desk.insert(OTHER)
    desk.close()
    assert desk.outcomes == [Outcome("accepted", 1000, len(OTHER), 0, len(OTHER))]


def test_another_candidate_accepted_by_the_edit_alone(desk):
    desk.offer(SAID, others=["x", OTHER])
    desk.insert(OTHER)
    desk.close()
    assert desk.outcomes == [Outcome("accepted", 1000, len(OTHER), 0, len(OTHER))]


def test_another_candidate_accepted_by_edit_and_command_counts_once(desk):
    desk.offer(SAID, others=[OTHER])
    desk.insert(OTHER)
    desk.accept(len(OTHER))
    desk.close()
    assert desk.outcomes == [Outcome("accepted", 1000, len(OTHER), 0, len(OTHER))]


def test_typing_what_another_candidate_says_is_typing(desk):
    desk.offer(SAID, others=["jump", OTHER])
    desk.type("j")
    desk.type("um")
    desk.type("p")
    desk.close()
    assert [(one.kind, one.offered_chars) for one in desk.outcomes] == [("typed", 4)]


def test_what_no_candidate_says_rejects_all(desk):
    desk.offer(SAID, others=[OTHER])
    desk.insert("None")
    desk.close()
    assert desk.kinds == ["rejected"]


@pytest.mark.parametrize("first", ["notification", "edit"])
def test_another_candidate_accepted_in_part(desk, first):
    desk.offer(SAID, others=[OTHER])
    if first == "edit":
        desk.insert(OTHER[:10])
    desk.do(PartlyAccepted, 10, len(OTHER))
    if first == "notification":
        desk.insert(OTHER[:10])
    desk.insert(" something else")
    desk.close()
    assert [(one.kind, one.offered_chars, one.accepted_chars) for one in desk.outcomes] == [
        ("partly_accepted", len(OTHER), 10)
    ]
