from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from fim_lsp.user_settings import read_user_settings
from tests.training.data.repositories import module, write
from tests.training.tiny import save_gguf, tiny_model
from training.__main__ import main
from training.pipeline.run import RunResult, use
from training.pipeline.stages import RunError
from training.pipeline.verdict import Verdict
from training.record import lock_folder
from training.train.metrics import METRICS_FILE, read_metrics

RECIPE = """
[data]
rows = 48
held_out_rows = 12
held_out_share = 0.2
max_tokens = 320
context_rate = 0.0
history_share = 0.0

[train]
max_steps = {steps}
batch_rows = 8
rank = 4
alpha = 4
learning_rate = 0.01
"""
RUN = """
import sys
from training.pipeline import stages
from training.train import base_model
from training.__main__ import main
stages.TRIED_HOLES, stages.MOST_HOLES = 4, 6
base_model.faster_precision = lambda device: "fp32"
if __name__ == "__main__":
    sys.exit(main())
"""
CHECKPOINT_STEPS = 2
"""Forty steps, and a checkpoint for each of thirty minutes."""
pytestmark = pytest.mark.timeout(900)
NAMES = ("apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel", "iris", "juniper")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Provide a folder with a repository, a tiny base and a recipe; models of its own."""
    root = tmp_path_factory.mktemp("run")
    write(root / "shop", {f"{name}/core.py": module(name) for name in NAMES})
    save_gguf(tiny_model(spread=0.15), root / "tiny.gguf")
    (root / "recipe.toml").write_text(RECIPE.format(steps=8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIM_LSP_MODELS", str(root / "models"))
        patch.setattr("training.train.base_model.faster_precision", lambda device: "fp32")
        patch.setattr("training.pipeline.stages.TRIED_HOLES", 4)
        patch.setattr("training.pipeline.stages.MOST_HOLES", 6)
        yield root


@pytest.fixture(scope="module")
def whole(shop: Path) -> Path:
    """Provide a finished run's folder."""
    assert main(command(shop, shop / "out")) == 0
    return shop / "out"


@pytest.fixture
def finished(whole: Path, tmp_path: Path) -> Path:
    """Provide a copy of it."""
    return shutil.copytree(whole, tmp_path / "out")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIM_LSP_CONFIG", str(tmp_path / "settings.json"))
    return tmp_path / "settings.json"


def command(shop: Path, output: Path, *more: str) -> list[str]:
    paths = {"--repo": shop / "shop", "--base": shop / "tiny.gguf", "--recipe": shop / "recipe.toml"}
    flags = [text for flag, path in {**paths, "--output": output}.items() for text in (flag, str(path))]
    return ["run", *flags, "--cpu", "--processes", "1", "--minutes", "30", *more]


def record(output: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((output / "run.json").read_text())
    return values


def steps(output: Path) -> list[int]:
    return [line["step"] for line in read_metrics(output / "train" / METRICS_FILE)]


def test_code_becomes_a_model_that_is_evaluated_and_chosen(
    shop: Path, finished: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = record(finished)
    files = {path: path.stat().st_mtime_ns for path in (finished / "model").iterdir()}
    capsys.readouterr()
    assert main(command(shop, finished, "--use")) == 0
    output = capsys.readouterr().err
    assert output.count("already done") == 5
    assert record(finished) == before
    assert {path: path.stat().st_mtime_ns for path in (finished / "model").iterdir()} == files

    assert {path.name for path in finished.iterdir()} >= {"data", "train", "model", "report", "run.json"}
    assert list(before["stages"]) == ["prepare", "try the base", "train", "export", "evaluate"]
    model = finished / "model" / "shop-tuned-q8_0.gguf"
    assert (finished / "model" / "Modelfile").read_text().startswith("FROM ./shop-tuned-q8_0.gguf\n")
    report = json.loads((finished / "report" / "report.json").read_text())
    assert list(report["arms"]) == ["base", "tuned"]
    assert report["arms"]["tuned"]["n"] == before["plan"]["holes"] == 6
    assert report["paired"]["tuned - base"]["middle_nll"]["high"] < 0
    assert "The tuned model is better than its base on 6 holes in held-out code: NLL" in output
    assert read_user_settings(settings) == {"model": {"name": str(model)}}


def test_later_edits_of_the_code_do_not_matter_and_lost_files_are_made_again(
    shop: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "model" / "shop-tuned-q8_0.gguf").unlink()
    write(shop / "shop", {"kiwi/core.py": module("kiwi")})
    assert main(command(shop, finished)) == 0
    output = capsys.readouterr().err
    kept = [name for name in record(finished)["stages"] if f"{name}: already done" in output]
    assert kept == ["prepare", "try the base", "train"]
    assert (finished / "model" / "shop-tuned-q8_0.gguf").is_file()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_killed_run_continues_from_its_last_checkpoint(shop: Path, tmp_path: Path, processes: str) -> None:
    recipe, output, script = tmp_path / "recipe.toml", tmp_path / "out", tmp_path / "start.py"
    recipe.write_text(RECIPE.format(steps=40))
    script.write_text(RUN)
    flags = command(shop, output, "--processes", processes, "--recipe", str(recipe))
    start = [sys.executable, str(script), *flags]
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(start, stderr=subprocess.PIPE, text=True, env=environment)
    wait_for(lambda: len(list((output / "train" / "checkpoints").glob("step-*"))) == 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until_quiet(output / "train" / METRICS_FILE)
    reached = len(steps(output))
    assert reached < 40
    assert "train" not in record(output)["stages"]

    done = subprocess.run(start, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("already done") == 2
    assert f"on {processes} x cpu" in done.stderr
    from_step = int(done.stderr.partition("resumed at step ")[2].split()[0])
    assert from_step >= reached - CHECKPOINT_STEPS
    assert steps(output) == list(range(1, 41))


def test_a_run_with_other_options_is_refused(
    shop: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.toml").write_text(RECIPE.format(steps=9))
    assert main(command(shop, finished, "--recipe", str(tmp_path / "other.toml"))) == 1
    output = capsys.readouterr().err
    assert "other options: recipe.train.max_steps was 8 and is 9" in output
    assert "name another --output" in output
    assert main(command(shop, finished, "--minutes", "31")) == 1
    assert "minutes was 30 and is 31" in capsys.readouterr().err


def test_a_worse_model_is_not_chosen(settings: Path, tmp_path: Path) -> None:
    worse = RunResult(tmp_path / "model.gguf", tmp_path / "report.html", Verdict("worse", "Worse."))
    with pytest.raises(RunError, match=r"not chosen, because it is worse.*fim-lsp model use"):
        use(worse, Console())
    assert not settings.exists()


def test_too_few_minutes_are_refused_before_training_and_more_continue(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(command(shop, output, "--minutes", "0.1")) == 1
    assert "0.1 minutes are too few" in capsys.readouterr().err
    assert not (output / "train").exists()
    assert main(command(shop, output)) == 0
    assert capsys.readouterr().err.count("already done") == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "There are no files"),
        ({"notes.bin": "\0\1"}, "None of 1 files can be trained on"),
        ({"apple.py": module("apple", 3)}, "too little code to hold some back"),
    ],
)
def test_a_repository_with_too_little_is_refused(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], message: str
) -> None:
    (tmp_path / "bare").mkdir()
    write(tmp_path / "bare", files)
    arguments = command(shop, tmp_path / "out")
    arguments[arguments.index("--repo") + 1] = str(tmp_path / "bare")
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "train").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--base", "gone.gguf"), "gone.gguf is no GGUF file"),
        (("--base", "nonsense"), "nonsense"),
        (("--minutes", "0"), "can't take 0 minutes"),
        (("--repo", "gone"), "There is no repository at gone"),
    ],
)
def test_bad_input_is_explained_in_a_sentence(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], message: str
) -> None:
    assert main(command(shop, tmp_path / "out", *flags)) == 1
    assert message in capsys.readouterr().err


def test_too_little_room_is_refused_first(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    assert main(command(shop, tmp_path / "out")) == 1
    assert "0 MB free" in capsys.readouterr().err
    assert not (tmp_path / "out" / "data").exists()


def test_a_second_run_in_a_folder_is_refused(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lock_folder(tmp_path / "out"):
        assert main(command(shop, tmp_path / "out")) == 1
    assert "Another process works in" in capsys.readouterr().err


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 400) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < until
        time.sleep(0.005)


def wait_until_quiet(file: Path, seconds: float = 60) -> None:
    """Children of a killed run end by themselves; until then they write."""
    until, size = time.monotonic() + seconds, -1
    while file.stat().st_size != size:
        assert time.monotonic() < until
        size = file.stat().st_size
        time.sleep(2)
