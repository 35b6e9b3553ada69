"""Cases are answered by the server's own pipeline; kept and new prompts are distinguished."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.staleness.cases import Case, cases
from benchmarks.staleness.filling import CaseAnswer, PromptLimits, fill
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.types import ModelInfo
from training.evaluate.records import ResultJournal

from .holes import evaluation_hole

PREFIX = "".join(f"line_{number} = {number}\n" for number in range(30)) + "total = "
HOLE = evaluation_hole("a#0", PREFIX, "sum(lines)", "\n" + "print(total)\n" * 80)
KEYS = {"pre": 256, "suf": 257, "mid": 258}


def engine(order: str) -> ScriptedEngine:
    metadata = {"fim_lsp.fim_order": order}
    info = ModelInfo("scripted", fim_ids=KEYS, metadata=metadata, context=8192)
    return ScriptedEngine(lambda prompt: "sum(lines)", info=info)


def answered(folder: Path, order: str) -> tuple[tuple[Case, ...], list[CaseAnswer]]:
    drawn = cases(HOLE, order, seed=3)
    with ResultJournal(folder / "answers.jsonl") as journal:
        return drawn, fill(lambda: engine(order), "scripted", "0", drawn, journal, PromptLimits(4096, 0.5))


@pytest.mark.parametrize("order", ["psm", "suffix_first"])
def test_what_is_kept_costs_what_lies_between(tmp_path, order):
    drawn, (exact, *kept) = answered(tmp_path, order)
    assert exact.shown == "sum(lines)"
    assert exact.evaluated > len(HOLE.prefix)
    # A far middle has more bytes than an anchored prompt has room for tokens.
    some = drawn[1:] if order == "suffix_first" else drawn[1:2]
    for case, answer in zip(some, kept, strict=False):
        assert answer.held
        # The scripted engine's tokens are bytes; the last one may be evaluated again for its logits.
        assert answer.evaluated <= case.distance + 1
        assert answer.shown == exact.shown


def test_an_answer_that_is_known_is_not_asked_for_again(tmp_path):
    _, first = answered(tmp_path, "psm")

    def unwanted() -> ScriptedEngine:
        raise AssertionError("opened a model for nothing")

    with ResultJournal(tmp_path / "answers.jsonl") as journal:
        drawn = cases(HOLE, "psm", seed=3)
        assert fill(unwanted, "scripted", "0", drawn, journal, PromptLimits(4096, 0.5)) == first


def test_where_the_window_reaches_no_farther_the_prompt_is_made_anew(tmp_path):
    drawn = cases(HOLE, "suffix_first", seed=3)
    with ResultJournal(tmp_path / "answers.jsonl") as journal:
        _, _, far = fill(
            lambda: engine("suffix_first"), "scripted", "0", drawn, journal, PromptLimits(80, 0.75)
        )
    assert not far.held
