"""Figures from answers."""

from __future__ import annotations

from benchmarks.staleness.filling import CaseAnswer
from benchmarks.staleness.report import figures, markdown

from .holes import evaluation_hole

HOLES = [evaluation_hole(f"a#{index}", "a = ", "right", "\n") for index in range(4)]


def answer(shown: str, distance: int = 0, *, held: bool = True, evaluated: int = 3) -> CaseAnswer:
    return CaseAnswer("key", shown, evaluated, 0, distance, held)


def test_what_was_kept_is_compared_with_the_exact_answer_to_the_same_hole():
    found = figures(
        HOLES,
        {
            "exact": [answer("right", evaluated=400)] * 4,
            "near": [answer("right", 40), answer("wrong", 199), answer("right", 10), answer("right", 39)],
        },
    )
    assert found["exact"]["exact_match"]["value"] == 100.0
    assert found["exact"]["evaluated"] == 400
    assert found["kept"]["40 to 200"]["n"] == 2
    assert found["kept"]["40 to 200"]["exact_match"]["value"] == -50.0
    assert found["kept"]["1 to 40"]["exact_match"]["value"] == 0.0
    assert found["kept"]["all"]["same_text"] == 75.0


def test_a_prompt_that_was_made_anew_is_no_kept_one():
    near = [answer("right", 50)] + [answer("wrong", 50, held=False)] * 3
    found = figures(HOLES, {"exact": [answer("right")] * 4, "near": near})
    assert found["kept"]["all"]["n"] == 1
    assert found["kept"]["all"]["exact_match"]["value"] == 0.0


def test_the_table_has_a_row_a_band():
    found = figures(HOLES, {"exact": [answer("right")] * 4, "far": [answer("wrong", 300)] * 4})
    table = markdown({"model": "m", "order": "psm", "prompt_tokens": 512, "prefix_share": 0.75, **found})
    assert "| 200 to 700 | 4 | -100.0 (-100.0 to -100.0) |" in table
    assert "| 40 to 200 |" not in table
