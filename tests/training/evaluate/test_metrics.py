from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluate.metrics import (
    Interval,
    difference,
    edit_similarity,
    exact_match,
    exact_match_closers,
    interval,
    percentile,
    suffix_repeated,
)

texts = st.text(alphabet="ab(): \n", max_size=30)
scored = st.lists(
    st.tuples(st.floats(0, 100), st.floats(1, 10).map(round).map(float)), min_size=1, max_size=40
)


@given(texts)
def test_a_text_matches_itself(text: str) -> None:
    assert exact_match(text, text)
    assert exact_match_closers(text, text)
    assert edit_similarity(text, text) == 100


@given(texts, texts)
def test_edit_similarity_is_symmetric_and_within_bounds(left: str, right: str) -> None:
    assert edit_similarity(left, right) == pytest.approx(edit_similarity(right, left))
    assert 0 <= edit_similarity(left, right) <= 100
    assert (edit_similarity(left, right) == 100) == (left == right)


def test_edit_similarity_counts_edits_by_the_longer_text() -> None:
    # kitten -> sitting: three edits, seven characters.
    assert edit_similarity("kitten", "sitting") == pytest.approx(100 * (1 - 3 / 7))
    assert edit_similarity("", "abc") == 0


@pytest.mark.parametrize(
    ("text", "middle", "same"),
    [
        ("a, b", "a, b):", True),
        ("f(x))", "f(x)", True),
        ("return x\n", "return x", True),
        ("a, c", "a, b", False),
        ("(a", "a", False),
    ],
)
def test_closers_at_the_end_do_not_count(text: str, middle: str, same: bool) -> None:
    assert exact_match_closers(text, middle) is same
    assert not exact_match(text, middle)


@pytest.mark.parametrize(
    ("text", "middle", "suffix", "repeated"),
    [
        ("x = 1\n    return x", "x = 1", "\n    return x\n", True),
        ("x = 1", "x = 1", "\n    return x\n", False),
        ("a, b) -> None:", "a, b", ") -> None:\n    pass\n", True),
        ("a, b", "a, b", ") -> None:\n    pass\n", False),
        # The middle itself says it, so that saying it is no fault.
        ("return x", "return x", "\n    return x\n", None),
        ("}\n", "x\n", "}\n);\n", None),
        ("x", "x", "", None),
    ],
)
def test_the_suffix_said_again(text: str, middle: str, suffix: str, repeated: bool | None) -> None:
    assert suffix_repeated(text, middle, suffix) is repeated


@given(scored, st.integers(0, 5))
def test_the_interval_holds_the_value_and_depends_on_the_seed_alone(
    some: list[tuple[float, float]], seed: int
) -> None:
    found = interval(some, seed)
    assert found.value == pytest.approx(sum(t for t, _ in some) / sum(w for _, w in some))
    assert found.low <= found.value <= found.high
    assert found == interval(some, seed)


def test_more_holes_narrow_the_interval() -> None:
    few, many = interval([(0, 1), (100, 1)] * 10), interval([(0, 1), (100, 1)] * 500)
    assert few.high - few.low > 3 * (many.high - many.low)
    # 1.96 * 50 / sqrt(1000), the normal approximation.
    assert many.high - 50 == pytest.approx(3.1, abs=0.6)


@given(scored)
def test_nothing_parts_an_arm_from_itself(some: list[tuple[float, float]]) -> None:
    found = difference(some, some)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert not found.decided


def test_pairing_sees_a_small_steady_gain_that_the_intervals_hide() -> None:
    base = [(float(value), 1.0) for value in range(100)]
    arm = [(value + 1, weight) for value, weight in base]
    assert interval(arm).low < interval(base).high
    found = difference(arm, base)
    assert found.decided
    assert found.value == pytest.approx(1)


def test_different_holes_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="paired"):
        difference([(1, 1)], [])


def test_nothing_measured_has_no_value() -> None:
    assert interval([]) == difference([], []) == Interval(None, None, None)
    assert percentile([], 50) is None
    assert percentile([1, 3], 50) == 2
