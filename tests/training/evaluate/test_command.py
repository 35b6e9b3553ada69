from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from rich.console import Console

from fim_lsp.engine.scripted import END
from training.evaluate import EvaluationError, command

from .scripted import ADD, BAD, GOOD, ScriptedModels, write_tasks

NAMED = (
    "exact_match",
    "edit_similarity",
    "middle_nll",
    "stop_accuracy",
    "suffix_repeated",
    "pass_at_1",
)


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def models() -> ScriptedModels:
    return ScriptedModels({"good": GOOD, "bad": BAD})


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    return write_tasks(tmp_path / "toy.jsonl.gz")


def evaluate(models: ScriptedModels, *arguments: object) -> dict[str, Any]:
    return command.evaluate(parse(*map(str, arguments)), Console(file=io.StringIO()), models)


def test_a_report_has_every_arm_with_values_and_intervals(
    models: ScriptedModels, tasks: Path, tmp_path: Path
) -> None:
    evaluate(
        models, "--arm", "base=bad", "--arm", "tuned=good", "--holes", tasks, "--pass", "--output", tmp_path
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["arms"]) == ["base", "tuned"]
    for arm in report["arms"].values():
        assert arm["n"] == 3
        for name in NAMED:
            assert set(arm[name]) == {"value", "low", "high"}
    tuned, base = report["arms"]["tuned"], report["arms"]["base"]
    assert tuned["exact_match"] == tuned["pass_at_1"] == {"value": 100, "low": 100, "high": 100}
    assert tuned["stop_accuracy"]["value"] == 100
    assert tuned["empty_offered"]["value"] == 0
    assert base["empty_offered"]["value"] == 100
    assert base["pass_at_1"]["value"] == base["exact_match"]["value"] == 0
    assert 0 < base["edit_similarity"]["value"] < 100
    # There are no logits, so there are no likelihoods.
    assert tuned["middle_nll"] == {"value": None, "low": None, "high": None}


def test_differences_are_paired_and_figures_given_by_kind(
    models: ScriptedModels, tasks: Path, tmp_path: Path
) -> None:
    report = evaluate(
        models, "--arm", "base=bad", "--arm", "tuned=good", "--holes", tasks, "--output", tmp_path
    )
    paired = report["paired"]["tuned - base"]
    assert (paired["arm"], paired["base"]) == ("tuned", "base")
    assert paired["exact_match"]["value"] == 100
    by = report["arms"]["tuned"]["by"]
    assert {group: entry["n"] for group, entry in by["start_kind"].items()} == {
        "indentation": 2,
        "line_end": 1,
    }
    assert {group: entry["n"] for group, entry in by["lines"].items()} == {"0": 1, "1": 1, "1-3": 2, "2-3": 1}
    assert by["set"]["toy"]["exact_match"]["value"] == 100


def test_the_three_texts_of_an_answer_are_measured_apart(tmp_path: Path) -> None:
    # The model goes on past the block; the stop rule cuts that off.
    script = {"rambling": lambda _: "return a + b\n\n\ndef add2(a):\n    return 3\n" + "x = 1\n" * 99}
    tasks = write_tasks(tmp_path / "toy.jsonl", (ADD,))
    report = evaluate(ScriptedModels(script), "--arm", "a=rambling", "--holes", tasks, "--output", tmp_path)
    arm = report["arms"]["a"]
    assert arm["texts"]["written"]["exact_match"]["value"] == 0
    assert arm["texts"]["shown"]["exact_match"]["value"] == 100
    assert arm["exact_match"]["value"] == 100
    assert arm["stop_accuracy"]["value"] == 0


def test_while_typing_the_server_asks_for_one_line_within_a_line(tmp_path: Path) -> None:
    middle_of_line = evolve(ADD, prefix=ADD.prefix + "return ", middle="a + b")
    tasks = write_tasks(tmp_path / "toy.jsonl", (middle_of_line,))
    models = ScriptedModels({"m": lambda _: "a + b\n    return a" + END})
    arms = ("--arm", "key=m", "--arm", "typing=m,trigger=automatic")
    report = evaluate(models, *arms, "--holes", tasks, "--output", tmp_path)
    exact = {name: arm["exact_match"]["value"] for name, arm in report["arms"].items()}
    assert exact == {"key": 0, "typing": 100}


def test_a_rerun_only_does_what_is_missing(models: ScriptedModels, tasks: Path, tmp_path: Path) -> None:
    flags = ("--holes", tasks, "--output", tmp_path)
    first = evaluate(models, "--arm", "a=good", *flags)
    assert len(models.prompts) == 3
    (tmp_path / "answers.jsonl").write_text(
        "".join(line + "\n" for line in (tmp_path / "answers.jsonl").read_text().splitlines()[:2])
    )
    assert (
        evaluate(models, "--arm", "a=good", *flags)["arms"]["a"]["exact_match"]
        == (first["arms"]["a"]["exact_match"])
    )
    assert len(models.prompts) == 4
    # WeightedTotal by another text, under another name: the same answers.
    evaluate(models, "--arm", "b=good,text=stopped", *flags)
    assert len(models.prompts) == 4
    evaluate(models, "--arm", "c=good,layout=anchored", *flags)
    assert len(models.prompts) == 7


def test_answers_of_other_code_are_only_taken_when_told(
    models: ScriptedModels, tasks: Path, tmp_path: Path
) -> None:
    flags = ("--arm", "a=good", "--holes", tasks, "--output", tmp_path)
    evaluate(models, *flags)
    answers = tmp_path / "answers.jsonl"
    answers.write_text(re.sub(r'"code": "\w+"', '"code": "older"', answers.read_text()))
    evaluate(models, *flags, "--older-answers")
    assert len(models.prompts) == 3
    evaluate(models, *flags)
    assert len(models.prompts) == 6


def test_the_same_answers_make_the_same_report(models: ScriptedModels, tasks: Path, tmp_path: Path) -> None:
    flags = ("--arm", "a=bad", "--arm", "b=good", "--holes", tasks, "--output", tmp_path)
    evaluate(models, *flags)
    before = {name: (tmp_path / name).read_bytes() for name in ("report.json", "report.md", "report.html")}
    evaluate(models, *flags)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


def test_the_page_needs_nothing_beside_it(models: ScriptedModels, tasks: Path, tmp_path: Path) -> None:
    evaluate(models, "--arm", "a<b=bad", "--arm", "tuned=good", "--holes", tasks, "--output", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert "a&lt;b" in page
    assert "a<b" not in page
    assert "src=" not in page
    assert "| exact (%) |" in (tmp_path / "report.md").read_text()


def test_prefix_only_says_nothing_of_the_suffix(models: ScriptedModels, tmp_path: Path) -> None:
    flags = ("--holes", write_tasks(tmp_path / "toy.jsonl", (ADD,)), "--output", tmp_path)
    evaluate(models, "--arm", "fim=good", "--arm", "l2r=good,template=none", *flags)
    fim, l2r = models.prompts
    assert "<|fim_suffix|>" in fim
    assert "def other" in fim
    assert "<|fim" not in l2r
    assert "def other" not in l2r


def test_code_is_cut_into_holes(models: ScriptedModels, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("def add(a, b):\n    return a + b\n\n\n" * 8)
    flags = ("--repo", tmp_path / "code", "--limit", "7", "--cut", "indentation")
    report = evaluate(models, "--arm", "a=bad", *flags, "--output", tmp_path / "out")
    assert report["arms"]["a"]["n"] == 7
    assert report["run"]["sets"] == {"code": 7}


@pytest.mark.parametrize(("lines", "names"), [(1, ["add"]), (2, ["add", "twice"])])
def test_only_holes_of_so_many_lines(tasks: Path, tmp_path: Path, lines: int, names: list[str]) -> None:
    chosen = command._holes(parse("--holes", str(tasks), "--lines", str(lines), "--output", str(tmp_path)))
    assert [hole.name for hole in chosen] == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--holes", "missing.jsonl"), "nothing to evaluate"),
        (("--arm", "a=good"), "no holes"),
        (("--arm", "a=good", "--arm", "a=bad"), "Two arms"),
        (("--arm", "a=good", "--holes", "missing.jsonl"), "missing"),
    ],
)
def test_what_makes_no_sense_is_said(
    models: ScriptedModels, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate(models, *arguments, "--output", tmp_path)


def test_the_flags_load_nothing_heavy() -> None:
    code = (
        "import argparse, sys\nfrom training.evaluate import command\n"
        "command.add_arguments(argparse.ArgumentParser())\n"
        "print([name for name in ('torch', 'numpy', 'rich', 'tree_sitter') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.model
def test_the_default_base_fills_three_holes(model_path: Path, tasks: Path, tmp_path: Path) -> None:
    flags = parse(
        *("--arm", f"l2r={model_path},template=none", "--holes", str(tasks), "--pass", "--nll"),
        *("--max-tokens", "24", "--overrun", "4", "--output", str(tmp_path)),
    )
    report = command.evaluate(flags, Console(file=io.StringIO()))
    arm = report["arms"]["l2r"]
    assert arm["n"] == 3
    assert arm["errors"] == 0
    assert 0 < arm["middle_nll"]["value"] < 15
    assert 0 < arm["left_to_right_nll"]["value"] < 15
    assert arm["latency"]["first_ms"]["p50"] <= arm["latency"]["shown_ms"]["p50"]
