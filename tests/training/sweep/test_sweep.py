from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from tests.training.data.repositories import module, write
from tests.training.tiny import save_gguf, tiny_model
from training.__main__ import main
from training.config import make_recipe
from training.data.dataset import load_dataset
from training.record import FORMAT
from training.sweep.search_space import recipe_of, suggest
from training.sweep.sweep import STUDY

RECIPE = """
[data]
rows = 48
held_out_rows = 12
held_out_share = 0.2
max_tokens = 320
context_rate = 0.0
history_share = 0.0

[train]
max_steps = 6
batch_rows = 8
rank = 4
alpha = 4
learning_rate = 0.02
"""
SLOW = {"rank": 4, "alpha_by_rank": 0.5, "learning_rate": 0.02 / 8, "spans": "nodes"}
pytestmark = pytest.mark.timeout(900)
NAMES = ("apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel", "iris", "juniper")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("sweep")
    write(root / "shop", {f"{name}/core.py": module(name) for name in NAMES})
    save_gguf(tiny_model(spread=0.15), root / "tiny.gguf")
    (root / "recipe.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIM_LSP_MODELS", str(root / "models"))
        patch.setattr("training.train.base_model.faster_precision", lambda device: "fp32")
        yield root


def command(shop: Path, output: Path, trials: int, *more: str) -> list[str]:
    paths = {"--repo": shop / "shop", "--base": shop / "tiny.gguf", "--recipe": shop / "recipe.toml"}
    flags = [text for flag, path in {**paths, "--output": output}.items() for text in (flag, str(path))]
    return ["sweep", *flags, "--own", "--cpu", "--trials", str(trials), "--seed", "1", *more]


def study(output: Path) -> optuna.Study:
    return optuna.load_study(study_name="sweep", storage=f"sqlite:///{output / STUDY}")


def trials(output: Path) -> list[FrozenTrial]:
    return study(output).get_trials()


def test_a_search_continues_stops_worse_trials_and_writes_the_best(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(command(shop, output, 2)) == 0
    first = trials(output)
    assert [trial.state for trial in first] == [TrialState.COMPLETE] * 2
    assert first[0].params == {"rank": 4, "alpha_by_rank": 1.0, "learning_rate": 0.02, "spans": "recipe"}

    study(output).enqueue_trial(SLOW)
    capsys.readouterr()
    assert main(command(shop, output, 3)) == 0
    after = trials(output)
    assert [trial.number for trial in after] == [0, 1, 2]
    assert after[:2] == first
    assert after[2].state == TrialState.PRUNED
    assert len(after[2].intermediate_values) < len(first[0].intermediate_values)
    assert "pruned" in capsys.readouterr().err

    best = make_recipe(file=output / "best.toml")
    winner = min(first, key=lambda trial: trial.value)
    assert best == recipe_of(winner.params, make_recipe(file=shop / "recipe.toml", flags=seeds(1)))
    assert {path.name for path in output.glob("*.png")} == {
        "history.png",
        "evaluations.png",
        "parameters.png",
    }
    assert not list((output / "trials").rglob("*.safetensors"))
    assert len(list((output / "trials").glob("*/metrics.jsonl"))) == 3


def test_span_mixes_differ_in_training_rows_alone(shop: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert main(command(shop, output, 1)) == 0
    study(output).enqueue_trial({**SLOW, "spans": "random"})
    assert main(command(shop, output, 2)) == 0
    plain, random = (load_dataset(output / "data" / name) for name in ("recipe", "random"))
    kinds = [dataset.manifest["rows"]["train"]["by_kind"] for dataset in (plain, random)]
    assert kinds[1]["random"] > kinds[0]["random"]
    for array in ("tokens", "rows"):
        file = f"held_out/{array}.npy"
        assert plain.manifest["sha256"][file] == random.manifest["sha256"][file]


def test_a_killed_trial_is_tried_again(shop: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert main(command(shop, output, 1)) == 0
    # What a killed process leaves: a trial that runs for ever, and its half-written folder.
    killed = study(output).ask()
    suggest(killed, make_recipe(file=shop / "recipe.toml"))
    (output / "trials" / "001" / "checkpoints" / "step-00000001").mkdir(parents=True)
    assert main(command(shop, output, 2)) == 0
    again = trials(output)
    assert [trial.state for trial in again] == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    assert again[2].params == again[1].params == killed.params
    assert main(command(shop, output, 2)) == 0
    assert len(trials(output)) == 3


def test_the_error_of_a_failed_trial_is_shown(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = tmp_path / "wild.toml"
    wild.write_text(RECIPE.replace("learning_rate = 0.02", "learning_rate = 1e30\nwarmup_share = 0.0"))
    assert main(command(shop, tmp_path / "out", 1, "--recipe", str(wild))) == 1
    assert "No trial finished. The last error: The loss is no longer finite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--trials", "0"), "are not a search"),
        (("--base", "gone.gguf"), "gone.gguf"),
        (("--repo", "gone"), "There is no repository at gone"),
    ],
)
def test_bad_input_is_explained_in_a_sentence(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], message: str
) -> None:
    assert main(command(shop, tmp_path / "out", 1, *flags)) == 1
    assert message in capsys.readouterr().err


def test_another_search_is_refused(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {"format": FORMAT, "options": {"minutes_per_trial": 9}, "plan": None, "stages": {}}
    (tmp_path / "sweep.json").write_text(json.dumps(record))
    assert main(command(shop, tmp_path, 1)) == 1
    assert "minutes_per_trial was 9 and is 5.0" in capsys.readouterr().err


def seeds(seed: int) -> dict[str, Any]:
    return {"data": {"seed": seed}, "train": {"seed": seed}}
