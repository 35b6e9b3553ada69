from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.feedback.events import SuggestionPartlyAccepted
from fim_lsp.feedback.observation import SuggestionOutcome
from tests.unit.feedback.conftest import WatchedEditor

CODE = "def load(path):\n    return █\n\nprint(load('a'))\n"
SUGGESTION = "json.loads(path)"


@pytest.fixture
def editor():
    return WatchedEditor.of(CODE)


def test_accepted_by_its_command_after_the_insertion(editor):
    editor.suggest(SUGGESTION)
    editor.insert(SUGGESTION)
    editor.accept(len(SUGGESTION))
    assert editor.outcomes == [SuggestionOutcome("accepted", 1000, len(SUGGESTION), 0, len(SUGGESTION))]


def test_accepted_by_its_command_alone(editor):
    editor.suggest(SUGGESTION)
    editor.accept(len(SUGGESTION))
    editor.insert(SUGGESTION)
    editor.close()
    assert editor.outcomes == [SuggestionOutcome("accepted", 1000, len(SUGGESTION), 0, len(SUGGESTION))]


def test_the_next_answer_may_come_before_the_command(editor):
    editor.suggest(SUGGESTION)
    editor.insert(SUGGESTION)
    editor.suggest("\n")
    editor.accept(len(SUGGESTION))
    editor.close()
    assert editor.kinds == ["accepted", "rejected"]
    assert editor.outcomes[0].accepted_chars == len(SUGGESTION)
    assert editor.outcomes[1].suggestion_chars == 1


def test_an_acceptance_that_the_editor_formatted_is_one(editor):
    editor.suggest("a\n    b")
    editor.insert("a\n\tb")
    editor.suggest("something else")
    editor.accept(len("a\n    b"))
    assert [(outcome.kind, outcome.accepted_chars) for outcome in editor.outcomes] == [("accepted", 7)]


def test_one_character_accepted_by_its_command_is_not_typed(editor):
    editor.suggest(")")
    editor.insert(")")
    editor.accept(1)
    assert editor.outcomes == [SuggestionOutcome("accepted", 1000, 1, 0, 1)]


def test_what_is_typed_and_equals_the_suggestion_is_not_accepted(editor):
    editor.suggest(SUGGESTION)
    editor.type(SUGGESTION)
    editor.close()
    assert editor.outcomes == [
        SuggestionOutcome("typed", 1000 * len(SUGGESTION), len(SUGGESTION), len(SUGGESTION), 0)
    ]


def test_typing_through_with_an_answer_for_each_key_is_one_suggestion(editor):
    for typed in range(len(SUGGESTION)):
        editor.suggest(SUGGESTION[typed:])
        editor.type(SUGGESTION[typed])
    editor.close()
    assert editor.kinds == ["typed"]
    assert editor.outcomes[0].suggestion_chars == len(SUGGESTION)


def test_typing_some_and_accepting_the_rest(editor):
    editor.suggest(SUGGESTION)
    editor.type("jso")
    editor.suggest(SUGGESTION[3:])
    editor.insert(SUGGESTION[3:])
    editor.accept(len(SUGGESTION) - 3)
    assert editor.outcomes == [SuggestionOutcome("accepted", 5000, len(SUGGESTION), 3, len(SUGGESTION) - 3)]


def test_something_else_typed_rejects(editor):
    editor.suggest(SUGGESTION)
    editor.type("jx")
    editor.type("y")
    assert editor.outcomes == [SuggestionOutcome("rejected", 2000, len(SUGGESTION), 1, 0)]


def test_a_leading_part_that_comes_at_once_is_accepted(editor):
    editor.suggest(SUGGESTION)
    editor.insert("json")
    editor.insert(".loads")
    editor.type("!")
    editor.close()
    assert editor.outcomes == [SuggestionOutcome("partly_accepted", 3000, len(SUGGESTION), 0, 10)]


def test_word_by_word_to_the_end_is_accepted(editor):
    editor.suggest(SUGGESTION)
    for word in ("json", ".loads", "(path)"):
        editor.insert(word)
    editor.close()
    assert editor.kinds == ["accepted"]


def test_a_notification_of_a_part_is_not_counted_twice(editor):
    editor.suggest(SUGGESTION)
    editor.insert("json")
    editor.accept_part(4)
    editor.nothing()
    assert editor.outcomes == [SuggestionOutcome("partly_accepted", 3000, len(SUGGESTION), 0, 4)]


def test_a_notification_before_its_edit(editor):
    editor.suggest("a + b")
    editor.accept_part(1)
    editor.insert("a")
    editor.nothing()
    assert editor.outcomes == [SuggestionOutcome("partly_accepted", 3000, 5, 0, 1)]


@pytest.mark.parametrize(("text", "at_once"), [("xyz = 1", "xy"), ("\n        return x", "\n        ")])
def test_quick_keys_and_indentation_are_typing(editor, text, at_once):
    editor.suggest(text)
    editor.insert(at_once)
    editor.nothing()
    assert editor.outcomes == [SuggestionOutcome("rejected", 2000, len(text), len(at_once), 0)]


def test_brackets_that_the_editor_closes_are_typing():
    editor = WatchedEditor.of("print█\n")
    editor.suggest("(load('a'))")
    editor.insert("(", behind=")")
    editor.suggest("load('a'))", replaces=1)
    editor.insert("load('a'))", replaces=1)
    editor.accept(10)
    assert editor.outcomes == [SuggestionOutcome("accepted", 3000, 11, 1, 10)]


def test_closers_that_the_suggestion_replaces():
    editor = WatchedEditor.of("f(█)\n")
    editor.suggest("value)", replaces=1)
    editor.insert("value)", replaces=1)
    editor.close()
    assert editor.outcomes == [SuggestionOutcome("accepted", 1000, 6, 0, 6)]


def test_backspacing_into_a_suggestion_leaves_it_open(editor):
    editor.suggest(SUGGESTION)
    editor.type("jso")
    editor.backspace()
    editor.suggest(SUGGESTION[2:])
    editor.insert(SUGGESTION[2:])
    editor.accept(len(SUGGESTION) - 2)
    assert editor.outcomes == [SuggestionOutcome("accepted", 6000, len(SUGGESTION), 2, len(SUGGESTION) - 2)]


def test_a_longer_answer_goes_on_with_the_same_suggestion(editor):
    editor.suggest("json")
    editor.type("j")
    editor.suggest("son.loads(path)")
    editor.close()
    assert [outcome.suggestion_chars for outcome in editor.outcomes] == [len(SUGGESTION)]


def test_carriage_returns():
    editor = WatchedEditor.of("def f():\r\n    █\r\n")
    editor.suggest("a = 1\nreturn a")
    editor.insert("a = 1\r\nreturn a")
    editor.accept(14)
    assert editor.kinds == ["accepted"]


def test_another_answer_and_none_reject(editor):
    editor.suggest("one")
    editor.suggest("two")
    editor.nothing()
    assert [(outcome.kind, outcome.shown_ms) for outcome in editor.outcomes] == [
        ("rejected", 1000),
        ("rejected", 1000),
    ]


def test_an_edit_elsewhere_ends_what_was_shown(editor):
    editor.suggest(SUGGESTION)
    editor.text = "import json\n" + editor.text
    editor.cursor += len("import json\n")
    editor.type("j")
    editor.close()
    assert editor.kinds == ["rejected"]


def test_a_client_that_reports_what_it_shows_is_trusted(editor):
    editor.suggest("one", shown=False)
    editor.nothing()
    editor.suggest("two", shown=False)
    editor.show()
    editor.show()
    editor.nothing()
    assert [outcome.shown_ms for outcome in editor.outcomes] == [0, 2000]


def test_a_command_for_nothing_changes_nothing(editor):
    editor.accept()
    editor.accept_part(3)
    editor.show()
    editor.close()
    assert editor.decided == []


words = st.text(alphabet="ab( )\n", min_size=1, max_size=6)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("suggest"), words),
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


def _perform(editor: WatchedEditor, steps: list[tuple]) -> None:
    for name, *arguments in steps:
        if name == "follow":  # insert a beginning of what is suggested
            if editor.undecided.shown is not None:
                editor.insert(editor.undecided.shown.remaining[: arguments[0]])
        elif name != "backspace" or editor.cursor:
            getattr(editor, name)(*arguments)
    editor.close()


@given(acts)
def test_every_suggestion_ends_once_and_its_counts_add_up(steps):
    editor = WatchedEditor.of("x = █\n")
    suggested = sum(name == "suggest" for name, *_ in steps)
    _perform(editor, steps)
    assert editor.undecided.shown is editor.undecided.ended is None
    assert bool(suggested) <= len(editor.decided) <= suggested
    for outcome in editor.outcomes:
        assert outcome.shown_ms >= 0
        assert min(outcome.typed_chars, outcome.accepted_chars) >= 0
        assert outcome.typed_chars + outcome.accepted_chars <= outcome.suggestion_chars
        whole = outcome.typed_chars + outcome.accepted_chars == outcome.suggestion_chars
        assert whole == (outcome.kind in ("accepted", "typed"))
        assert bool(outcome.accepted_chars) == (outcome.kind in ("accepted", "partly_accepted"))


@given(st.text(alphabet="ab(){}[] \n", min_size=1, max_size=20), st.integers(0, 20), st.booleans())
def test_what_is_typed_by_single_keys_is_never_accepted(text, typed, answered):
    editor = WatchedEditor.of("x = █\n")
    editor.suggest(text)
    for count, character in enumerate(text[:typed], 1):
        editor.type(character)
        if answered and text[count:]:
            editor.suggest(text[count:])
    editor.close()
    assert editor.kinds == ["typed" if typed >= len(text) else "rejected"]
    assert editor.outcomes[0].typed_chars == min(typed, len(text))


@given(acts)
def test_two_suggestions_of_which_none_goes_on_are_two(steps):
    """Conservation: with answers that never go on with what is shown, as many end as began."""
    editor = WatchedEditor.of("x = █\n")
    begun = 0
    for name, *arguments in steps:
        if name == "suggest":
            begun += 1
            editor.suggest(f"{begun}{arguments[0]}")
        elif name == "insert":
            editor.insert(*arguments)
        elif name == "nothing":
            editor.nothing()
    editor.close()
    assert len(editor.decided) == begun


OTHER = "open(path).read()"


def test_another_candidate_accepted_by_its_command_is_the_one_that_counts(editor):
    editor.suggest(SUGGESTION, alternatives=["x", OTHER])
    editor.accept(len(OTHER))
    editor.insert(OTHER)
    editor.close()
    assert editor.outcomes == [SuggestionOutcome("accepted", 1000, len(OTHER), 0, len(OTHER))]


def test_another_candidate_accepted_by_the_edit_alone(editor):
    editor.suggest(SUGGESTION, alternatives=["x", OTHER])
    editor.insert(OTHER)
    editor.close()
    assert editor.outcomes == [SuggestionOutcome("accepted", 1000, len(OTHER), 0, len(OTHER))]


def test_another_candidate_accepted_by_edit_and_command_counts_once(editor):
    editor.suggest(SUGGESTION, alternatives=[OTHER])
    editor.insert(OTHER)
    editor.accept(len(OTHER))
    editor.close()
    assert editor.outcomes == [SuggestionOutcome("accepted", 1000, len(OTHER), 0, len(OTHER))]


def test_typing_another_candidate_is_typing(editor):
    editor.suggest(SUGGESTION, alternatives=["jump", OTHER])
    editor.type("j")
    editor.type("um")
    editor.type("p")
    editor.close()
    assert [(outcome.kind, outcome.suggestion_chars) for outcome in editor.outcomes] == [("typed", 4)]


def test_another_text_than_any_candidate_rejects_all(editor):
    editor.suggest(SUGGESTION, alternatives=[OTHER])
    editor.insert("None")
    editor.close()
    assert editor.kinds == ["rejected"]


@pytest.mark.parametrize("first", ["notification", "edit"])
def test_another_candidate_accepted_in_part(editor, first):
    editor.suggest(SUGGESTION, alternatives=[OTHER])
    if first == "edit":
        editor.insert(OTHER[:10])
    editor.do(SuggestionPartlyAccepted, 10, len(OTHER))
    if first == "notification":
        editor.insert(OTHER[:10])
    editor.insert(" something else")
    editor.close()
    assert [
        (outcome.kind, outcome.suggestion_chars, outcome.accepted_chars) for outcome in editor.outcomes
    ] == [("partly_accepted", len(OTHER), 10)]
