"""Results of the quality benchmark: their file, their metrics, and the tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from benchmarks.quality.arms import ArmError, make_arm
from benchmarks.quality.holes import QualityHole
from benchmarks.quality.report import compute_figures, markdown, write_report
from benchmarks.quality.results import HoleResult, append_result, make_result, measure, read_results
from benchmarks.quality.typist import ShownText, Typing

HOLE = QualityHole("shop", "total.py", "python", "line_rest", "def f(a):\n    return ", "g(a)", "\n")
ENDED = QualityHole("shop", "total.py", "python", "complete", "x = 1", "", "\ny = 2\n")


def result(arm: str, text: str, hole: QualityHole = HOLE, typing: Typing | None = None) -> HoleResult:
    return make_result(arm, hole, ShownText(text), 12.0, typing)


def test_results_come_back_from_the_file_without_an_unfinished_line(tmp_path: Path) -> None:
    file = tmp_path / "quality.jsonl"
    written = [result("model", "g(a)", typing=Typing(4, 3, 0)), result("memory", "")]
    for one in written:
        append_result(file, one)
    with file.open("a", encoding="utf-8") as lines:
        lines.write('{"arm": "mod')
    assert read_results(file) == written
    assert read_results(tmp_path / "none.jsonl") == []


def test_metrics_of_a_right_and_of_a_wrong_text() -> None:
    right, wrong = measure(result("a", "g(a)"), HOLE), measure(result("a", "h((a)"), HOLE)
    assert right["exact_match"] == right["syntax_kept"] == (100.0, 1.0)
    assert wrong["exact_match"] == wrong["syntax_kept"] == (0.0, 1.0)
    assert "offered_where_complete" not in right


def test_where_nothing_is_missing_only_an_offer_counts() -> None:
    assert measure(result("a", "z", ENDED), ENDED) == {"offered_where_complete": (100.0, 1.0)}
    assert measure(result("a", " ", ENDED), ENDED) == {"offered_where_complete": (0.0, 1.0)}


def test_figures_are_paired_over_the_holes_of_both_arms(tmp_path: Path) -> None:
    other = evolve(HOLE, path="more.py")
    holes = {hole.name: hole for hole in (HOLE, other, ENDED)}
    results = [
        result("model", "h"),
        result("memory", "g(a)", typing=Typing(4, 3, 0)),
        result("memory", "g(a)", other),
        result("memory", "", ENDED),
    ]
    figures = compute_figures(results, holes, {"seed": 1}, seed=1)
    assert figures["arms"]["memory"]["n"] == 3
    assert figures["arms"]["memory"]["exact_match"] == {"value": 100.0, "low": 100.0, "high": 100.0}
    assert figures["arms"]["memory"]["chars_saved"]["value"] == 750.0
    assert figures["paired"]["memory - model"]["n"] == 1
    assert figures["paired"]["memory - model"]["exact_match"]["value"] == 100.0
    table = markdown(figures)
    assert "| difference | memory - model |\n| --- | --- |\n| holes | 1 |\n" in table
    assert "| exact, % | **+100.0 (+100.0, +100.0)** |" in table
    written = write_report(figures, tmp_path)
    assert json.loads(written[0].read_text(encoding="utf-8"))["arms"]["model"]["n"] == 1


def test_an_arm_is_settings_and_an_unknown_one_is_named() -> None:
    assert make_arm("model", "default").settings["memory"] == {"enabled": False}
    assert make_arm("memory+lora", "default", "/x.gguf").settings["adapters"] == [{"path": "/x.gguf"}]
    with pytest.raises(ArmError, match="no arm nonsense"):
        make_arm("nonsense", "default")
    with pytest.raises(ArmError, match="needs an adapter"):
        make_arm("memory+lora", "default")
