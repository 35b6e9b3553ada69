from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.stop_rules import Stop, StopRules, make_stop_rules
from fim_lsp.completion.stopping import TAIL_TOKENS, StopCheck
from fim_lsp.settings import CompletionSettings
from tests.golden.cases import CURSOR, cases, request_at

lines = st.lists(
    st.sampled_from(
        ["\n", "\n    ", "\n\t", "}", ")", "end", "else:", "x = 1", "foo(", '"', "é", " ", "\r\n"]
    ),
    max_size=25,
).map("".join)


def stream(
    text: str, rules: StopRules, chunk: int, probability: float = 1.0, step_ms: float = 0.0
) -> tuple[str, Stop | None]:
    """Feed ``text`` as the engine would, and give what had arrived at the first stop."""
    check = StopCheck(rules)
    for tokens, end in enumerate(range(chunk, len(text) + chunk, chunk), start=1):
        stop = check.add(text[end - chunk : end], probability, tokens * step_ms)
        if stop is not None:
            return text[:end], stop
    return text, None


def rules_at(marked: str, **settings: float) -> StopRules:
    context = CursorContext.of(request_at(marked))
    return make_stop_rules(context, CompletionSettings(**settings), multiline=True)


def check(text: str, probabilities: list[float], elapsed_ms: float, rules: StopRules) -> Stop | None:
    """Check a whole text at once, that arrived with tokens of these probabilities."""
    *before, last = probabilities or [1.0]
    checker = StopCheck(rules)
    for probability in before:
        checker.add("", probability, 0)
    return checker.add(text, last, elapsed_ms)


@pytest.mark.parametrize("case", cases("stopping.toml"))
@pytest.mark.parametrize("chunk", [1, 3, 1000], ids=["characters", "pieces", "at once"])
def test_golden(case: dict[str, Any], chunk: int) -> None:
    options = {name: case[name] for name in ("crlf", "tab_size") if name in case}
    request = request_at(case["document"], case["language"], **options)
    values = CompletionSettings(**case.get("settings", {}))
    rules = make_stop_rules(CursorContext.of(request), values, multiline=case.get("multiline", True))
    arrived, stop = stream(
        case["generated"],
        rules,
        case.get("chunk", chunk),
        case.get("probability", 1.0),
        case.get("milliseconds_per_chunk", 0),
    )
    assert (stop.rule if stop else "") == case["rule"]
    if stop:
        assert arrived[: stop.keep] == case["kept"]


def test_doubt_is_measured_by_the_last_tokens_alone() -> None:
    rules = make_stop_rules(
        CursorContext.of(request_at(f"{CURSOR}\n")), CompletionSettings(stop_below=0.5), multiline=True
    )
    sure, unsure = [1.0] * 50, [0.1] * TAIL_TOKENS
    assert check("a = b", unsure[1:], 0, rules) is None
    assert check("a = b", unsure + sure, 0, rules) is None
    assert check("a = b", sure + unsure, 0, rules) == Stop(5, "low_probability")
    assert check("a = 1\nb = c", sure + unsure, 0, rules) == Stop(5, "low_probability")


def test_the_earliest_line_decides() -> None:
    rules = make_stop_rules(
        CursorContext.of(request_at(f"def f():\n    {CURSOR}\n    z()\n")),
        CompletionSettings(),
        multiline=True,
    )
    assert check("a()\n    z()\n    b()\n    b()\n    b()\n", [], 9999, rules) == Stop(3, "suffix_repeat")


@given(lines, lines, lines, st.booleans(), st.sampled_from(["python", "javascript", "ruby"]))
@settings(max_examples=400, deadline=None)
def test_what_is_kept_is_part_of_the_text(
    before: str, after: str, text: str, multiline: bool, language: str
) -> None:
    request = request_at(before + CURSOR + after, language)
    rules = make_stop_rules(CursorContext.of(request), CompletionSettings(), multiline=multiline)
    stop = check(text, [0.5] * 10, 0, rules)
    if stop is not None:
        assert 0 <= stop.keep <= len(text)
        assert not multiline or stop.rule != "newline"


@given(lines, lines, lines, st.booleans())
@settings(max_examples=400, deadline=None)
def test_tokens_or_all_at_once_give_the_same(before: str, after: str, text: str, multiline: bool) -> None:
    request = request_at(before + CURSOR + after)
    # Code behind the cursor may come again, or be moved down: which, only a whole line can tell.
    assume(not request.line_suffix.strip())
    rules = make_stop_rules(CursorContext.of(request), CompletionSettings(), multiline=multiline)
    arrived, stop = stream(text, rules, 1)
    whole = check(text, [], 0, rules)
    assert (stop is None) == (whole is None)
    if stop is not None and whole is not None:
        # Of two rules that cut at the same place, the one that needs less of the text speaks first.
        assert arrived[: stop.keep] == text[: whole.keep]


@given(lines, lines, lines, st.booleans(), st.sampled_from(["python", "javascript", "ruby"]))
@settings(max_examples=400, deadline=None)
def test_looking_only_at_new_lines_decides_as_looking_at_all(
    before: str, after: str, text: str, multiline: bool, language: str
) -> None:
    context = CursorContext.of(request_at(before + CURSOR + after, language))
    rules = make_stop_rules(context, CompletionSettings(), multiline=multiline)
    incremental = StopCheck(rules)
    for end in range(1, len(text) + 1):
        stop = incremental.add(text[end - 1], 1.0, 0)
        assert stop == check(text[:end], [], 0, rules)
        if stop is not None:
            return


def test_a_loop_of_few_words_ends():
    check = StopCheck(rules_at(f"{CURSOR}\n"))
    # No phrase is repeated: the words come in the order of the Thue-Morse sequence.
    words = [" no" if bin(number).count("1") % 2 else " na" for number in range(40)]
    stops = (check.add(word, 1.0, 0) for word in ["x", " = ", "foo", "(", "bar", ",", *words])
    stop = next((stop for stop in stops if stop), None)
    assert stop == Stop(len("x = foo(bar, na no"), "low_variety")


def test_the_time_of_a_suspend_is_not_spent():
    """Nothing is cut because the machine slept between two tokens."""
    check = StopCheck(rules_at(f"{CURSOR}\n", time_budget_ms=4000))
    assert check.add("a = ", 1.0, 20) is None
    assert check.add("b + ", 1.0, 3_600_020) is None
    assert check.add("c", 1.0, 3_600_040) is None
    stops = [check.add(" + d", 1.0, 3_600_040 + 900 * step) for step in range(1, 5)]
    assert [stop is None for stop in stops] == [True, True, True, False]


def test_a_slow_machine_still_ends_in_time():
    check = StopCheck(rules_at(f"{CURSOR}\n", time_budget_ms=4000))
    stops = [check.add(f"a{step} ", 1.0, 1500.0 * step) for step in range(1, 6)]
    assert stops[-1] is not None
    assert stops[-1].rule == "time_budget"
