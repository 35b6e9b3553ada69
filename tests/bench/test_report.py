"""Figures as JSON and Markdown, and plots."""

from __future__ import annotations

import json
import sys

import pytest

import benchmarks.keystrokes.__main__ as benchmark
from benchmarks.keystrokes.measures import RunConditions, condense
from benchmarks.keystrokes.peers import PeerAnswer
from benchmarks.keystrokes.replay import EventResult, Replay
from benchmarks.keystrokes.report import BenchmarkResults, PlotsError, write_figures, write_plots


def results() -> BenchmarkResults:
    found = {
        RunConditions(peer, "model", length, busy): [
            Replay((EventResult("type", PeerAnswer("", ms, ms + 5, tokens)),), cpu_s=2.0, rss_mb=100.0)
        ]
        for peer, ms, tokens in (("fim-lsp", 20.0, 1), ("infill", 900.0, 253))
        for length in (1024, 4096)
        for busy in (False, True)
    }
    return BenchmarkResults({"threads": 1}, [condense(*run) for run in found.items()], found)


def test_the_json_has_every_run_with_medians_and_tails(tmp_path):
    write_figures(results(), tmp_path)
    document = json.loads((tmp_path / "keystrokes.json").read_text())
    assert len(document["runs"]) == 8
    first = document["runs"][0]
    assert (first["peer"], first["model"], first["file_tokens"], first["busy"]) == (
        "fim-lsp",
        "model",
        1024,
        False,
    )
    for measure in ("ttft_ms", "shown_ms", "cancel_to_next_ms", "evaluated_per_keystroke"):
        assert set(first[measure]) == {"p50", "p95"}
    assert {"prefilled_after_accept", "cpu_s_per_accepted_char"} <= set(first)
    assert {row["ttft"] for row in document["ratios_to_fim_lsp"]} == {45.0}


def test_the_table_has_a_row_for_every_run_and_the_ratios(tmp_path):
    write_figures(results(), tmp_path)
    lines = (tmp_path / "keystrokes.md").read_text().splitlines()
    assert sum(line.startswith("| fim-lsp |") for line in lines) == 4
    assert sum(line.startswith("| infill |") for line in lines) == 4 + 4
    assert "| infill | model | 4096 | yes | 45 | - | 45 | 36.2 | - |" in lines


def test_the_plots_show_every_peer_and_are_the_same_each_time(tmp_path):
    def drawn(name: str) -> dict[str, str]:
        (tmp_path / name).mkdir()
        return {path.stem: path.read_text() for path in write_plots(results(), tmp_path / name)}

    first = drawn("first")
    assert first == drawn("again")
    # Nothing was accepted, so there is nothing to draw of its cost.
    assert ">fim-lsp<" not in first.pop("keystrokes-cpu")
    assert len(first) == 3
    for drawing in first.values():
        assert ">fim-lsp<" in drawing
        assert ">infill<" in drawing


def test_without_matplotlib_the_figures_are_written_and_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert [path.name for path in write_figures(results(), tmp_path)] == ["keystrokes.json", "keystrokes.md"]
    with pytest.raises(PlotsError, match="pip install matplotlib"):
        write_plots(results(), tmp_path)


def test_a_plot_that_fails_ends_no_run(tmp_path, monkeypatch, capsys):
    """The figures are written by then, and a run takes an hour."""

    def fail(*_: object) -> None:
        raise ValueError("no canvas")

    monkeypatch.setattr(benchmark, "write_plots", fail)
    benchmark.draw(results(), tmp_path)
    assert "No plots: no canvas" in capsys.readouterr().err
