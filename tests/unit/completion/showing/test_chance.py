"""The estimated chance decides: all of a text, a part of it, or nothing."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from attrs import evolve

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion import showing
from fim_lsp.completion.cache import ScoredToken, Suggestion
from fim_lsp.completion.showing.chance import WEIGHTS, default_model
from fim_lsp.completion.showing.decision import decide
from fim_lsp.completion.showing.features import Facts, features_of
from fim_lsp.completion.showing.habits import Habits
from fim_lsp.completion.showing.places import find_place
from tests.unit.completion.conftest import request

CODE = "def f(alpha, beta):\n    value = █\n\n\nprint(f(1, 2))\n"


def facts(tokens: list[tuple[str, float]], marked: str = CODE, end_probability: float = 0.9) -> Facts:
    text, scored = "", []
    for part, probability in tokens:
        text += part
        scored.append(ScoredToken(len(text), probability, entropy=2.5 * (1 - probability)))
    context = CursorContext.of(request(marked))
    suggestion = Suggestion(text, tokens=tuple(scored), end_probability=end_probability)
    return Facts(suggestion, text, context, find_place(context))


SURE = [("alpha", 0.95), (" +", 0.9), (" beta", 0.95)]
UNSURE = [("gam", 0.1), ("ma", 0.3), ("(", 0.2), ("delta", 0.1), (")", 0.5)]


def test_a_sure_text_is_shown_and_an_unsure_one_is_not():
    model = default_model()
    assert decide(facts(SURE), model, 0.3).end == len("alpha + beta")
    assert decide(facts(UNSURE, end_probability=0.1), model, 0.3).end == 0


def test_the_chance_rises_with_the_probability_of_the_tokens():
    model = default_model()
    chances = [
        model.estimate(features_of(facts([("alpha", p), (" +", p), (" beta", p)]), 12))
        for p in (0.2, 0.4, 0.6, 0.8, 0.95)
    ]
    assert chances == sorted(chances)
    assert chances[0] < 0.5 < chances[-1]


def test_a_text_is_cut_at_its_last_likely_line():
    text = facts([*SURE, ("\n    ", 0.9), ("gam", 0.05), ("ma", 0.1), ("(delta)", 0.05)])
    assert text.text[: decide(text, default_model(), 0.4).end] == "alpha + beta"


def test_a_line_is_cut_at_its_last_likely_word():
    text = facts([("alpha", 0.97), (" +", 0.4), (" gam", 0.03), ("ma", 0.1), ("[", 0.1), ("delta", 0.02)])
    assert text.text[: decide(text, default_model(), 0.3).end] == "alpha"


def test_no_cut_leaves_a_bracket_open():
    text = facts([("alpha", 0.2), ("(", 0.99), ("beta", 0.99), (",", 0.03), (" zeta", 0.01), (")", 0.9)])
    assert text.text[: decide(text, default_model(), 0.3).end] in ("", "alpha")


def test_nothing_is_hidden_with_a_least_chance_of_zero():
    text = facts(UNSURE, end_probability=0.0)
    assert decide(text, default_model(), 0.0).end == len(text.text)


def test_the_same_facts_have_the_same_chance():
    assert decide(facts(UNSURE), default_model(), 0.3) == decide(facts(UNSURE), default_model(), 0.3)


def test_a_name_of_the_workspace_is_no_unknown_one():
    unknown = facts([("gamma", 0.5)])
    known = evolve(unknown, knows_name=lambda name: name == "gamma")
    assert features_of(unknown, 5)["unknown"] == 1
    assert features_of(known, 5)["unknown"] == 0


def test_filters_that_change_blanks_leave_the_tokens_their_text():
    indented = evolve(facts([("\n\t", 0.9), ("alpha", 0.5), ("()", 0.1)]), text="\n        alpha")
    assert features_of(indented, len(indented.text))["min_log"] == pytest.approx(-0.693, abs=0.01)


def test_tokens_that_are_missing_do_not_stop_the_estimate():
    empty = evolve(facts(SURE), suggestion=Suggestion("alpha + beta"))
    assert 0 <= default_model().estimate(features_of(empty, 12)) <= 1


def test_the_weights_ship_with_the_server_and_are_small():
    data = files(showing) / WEIGHTS
    values = json.loads(data.read_text(encoding="utf-8"))
    assert len(data.read_bytes()) < 8192
    known = features_of(facts(SURE), 12)
    assert set(values["names"]) <= set(known)


def test_the_shift_follows_the_user_and_is_bounded():
    habits = Habits()
    assert habits.shift == 0
    for _ in range(200):
        habits.note(0.3, kept=False)
    low = habits.shift
    for _ in range(200):
        habits.note(0.3, kept=True)
    assert -0.7 <= low < 0 < habits.shift <= 0.7


def test_outcomes_as_estimated_shift_nothing():
    habits = Habits()
    for index in range(100):
        habits.note(0.25, kept=index % 4 == 0)
    assert habits.shift == pytest.approx(0, abs=0.05)
