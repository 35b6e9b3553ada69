from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from attrs import asdict, evolve

from fim_lsp.models.adapter_file import read_adapter, write_delta
from tests.training.tiny import rows, save_folder, save_gguf, save_rows, tiny_model
from training.config import Recipe
from training.train import TrainError
from training.train.description import describe
from training.train.metrics import METRICS_FILE, read_metrics
from training.train.options import TrainOptions
from training.train.train import TrainResult, train

RUN = """
import json, sys
from pathlib import Path
from training.config import structure
from training.train.options import TrainOptions
from training.train.train import train
given = json.loads(sys.argv[1])
options = given["options"] | {key: Path(given["options"][key]) for key in ("data", "output")}
train(TrainOptions(**options | {"trackers": ()}), structure(given["recipe"]))
"""


def losses(output: Path) -> list[float]:
    return [line["loss"] for line in read_metrics(output / METRICS_FILE)]


@pytest.fixture
def whole(options: TrainOptions, recipe: Recipe) -> TrainResult:
    """Provide a run without interruption."""
    return train(options, recipe)


def test_the_loss_falls_and_the_best_adapter_is_kept(whole: TrainResult, options: TrainOptions) -> None:
    assert whole.finished
    assert whole.steps == 24
    lines = read_metrics(options.output / METRICS_FILE)
    assert [line["step"] for line in lines] == list(range(1, 25))
    held_out = [line["held_out_nll"] for line in lines if "held_out_nll" in line]
    assert len(held_out) == 3
    assert whole.held_out_nll == min(held_out)
    assert held_out[-1] < 0.95 * held_out[0]
    kept = json.loads((whole.adapter / "fim_lsp.json").read_text())
    assert kept["reached"]["held_out_nll"] == whole.held_out_nll
    assert kept["fim"]["sentinels"]["<|fim_middle|>"] == 13
    assert (options.output / "loss.png").stat().st_size > 1000
    assert json.loads((options.output / "run.json").read_text())["result"]["steps"] == 24


def test_the_kept_adapter_scores_what_was_reported(
    whole: TrainResult, options: TrainOptions, recipe: Recipe
) -> None:
    from training.train.held_out import evaluate_held_out
    from training.train.prepared import prepare_run

    again = evolve(options, init_adapter=whole.adapter, output=options.output / "again")
    score = evaluate_held_out(prepare_run(again, recipe))
    assert score is not None
    assert score.nll == pytest.approx(whole.held_out_nll, rel=1e-6)
    assert score.end_bias is not None
    assert score.end_bias == read_adapter(whole.adapter).fim.end_bias
    write_delta(read_adapter(whole.adapter), options.output / "delta.safetensors")
    shipped = evolve(again, init_adapter=options.output / "delta.safetensors")
    prepared = prepare_run(shipped, recipe)
    shipped_score = evaluate_held_out(prepared)
    assert shipped_score is not None
    assert shipped_score.nll == pytest.approx(whole.held_out_nll, rel=1e-3)
    # The description of an adapter that is trained on keeps the history of the first one.
    assert describe(prepared)["begun_with"]["reached"]["tokens"] == whole.tokens


def test_a_killed_run_continues_bit_for_bit(
    whole: TrainResult, options: TrainOptions, recipe: Recipe, tmp_path: Path
) -> None:
    killed = evolve(options, output=tmp_path / "killed")
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", RUN, as_json(killed, recipe)])
    wait_for(lambda: len(losses(killed.output)) >= 5, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = len(losses(killed.output))
    result = train(evolve(killed, resume=True), recipe)
    assert result.finished
    assert losses(killed.output) == losses(options.output)
    assert reached >= 5
    assert result.held_out_nll == whole.held_out_nll
    first, second = (
        path / "adapter" / "adapter_model.safetensors" for path in (killed.output, options.output)
    )
    assert first.read_bytes() == second.read_bytes()


def test_an_interrupted_run_saves_and_goes_on_with_dropout_too(options: TrainOptions, recipe: Recipe) -> None:
    recipe = evolve(recipe, train=evolve(recipe.train, dropout=0.2, max_steps=6))
    train(options, recipe)
    stopped = evolve(options, output=options.output.with_name("stopped"))
    handler = signal.getsignal(signal.SIGINT)

    class Interrupting:
        """A display that presses Ctrl-C after the second step."""

        def __init__(self, *_: object, **__: object) -> None:
            self.calls = 0

        def __enter__(self) -> Interrupting:
            return self

        def __exit__(self, *_: object) -> None: ...
        def start(self) -> None: ...
        def print(self, text: str) -> None: ...

        def update(self, *_: object) -> None:
            self.calls += 1
            if self.calls == 2:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.train.display.Display", Interrupting)
        result = train(stopped, recipe)
    assert not result.finished
    assert result.steps == 2
    assert signal.getsignal(signal.SIGINT) is handler
    assert train(evolve(stopped, resume=True), recipe).finished
    assert losses(stopped.output) == losses(options.output)


def test_it_stops_when_held_out_no_longer_falls(options: TrainOptions, recipe: Recipe) -> None:
    settings = evolve(recipe.train, learning_rate=0.0, eval_every=1, patience=2, max_steps=50)
    result = train(options, evolve(recipe, train=settings))
    assert result.finished
    assert result.steps == 3


def test_a_run_is_not_overwritten(whole: TrainResult, options: TrainOptions, recipe: Recipe) -> None:
    with pytest.raises(TrainError, match=r"holds a run already.*--resume"):
        train(options, recipe)


def test_a_checkpoint_of_another_run_is_refused(
    whole: TrainResult, options: TrainOptions, recipe: Recipe
) -> None:
    other = evolve(recipe, train=evolve(recipe.train, rank=8))
    with pytest.raises(TrainError, match="another run; different are: rank"):
        train(evolve(options, resume=True), other)


def test_data_of_another_base_is_refused(options: TrainOptions, recipe: Recipe, tmp_path: Path) -> None:
    model = tiny_model()
    gguf, folder = save_gguf(model, tmp_path / "tiny.gguf"), save_folder(model, tmp_path / "folder")
    (folder / "tokenizer.json").write_text("{}")
    data = save_rows(tmp_path / "rows", base_sha256="0" * 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIM_LSP_MODELS", str(tmp_path / "models"))
        for base in (gguf, folder):
            with pytest.raises(TrainError, match="made for another base"):
                train(evolve(options, base=str(base), data=data), recipe)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate")])
def test_too_little_memory_names_what_to_lower(
    options: TrainOptions, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def exhausted(*_: object) -> None:
        raise error

    monkeypatch.setattr("training.train.step.backward", exhausted)
    lower = r"memory.*anew with --gradient-checkpointing.*--max-row-tokens.*--rank"
    with pytest.raises(TrainError, match=lower):
        train(options, recipe)


def test_a_disk_too_small_is_refused_before_the_first_step(
    options: TrainOptions, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(TrainError, match=r"0 MB free.*lower --rank"):
        train(options, recipe)
    assert losses(options.output) == []


def test_a_tracker_that_is_not_there_is_named(options: TrainOptions, recipe: Recipe) -> None:
    with pytest.raises(TrainError, match=r"trackers nonsense can't be used"):
        train(evolve(options, trackers=("nonsense",)), recipe)
    with pytest.raises(TrainError, match=r"tracker clearml is not installed"):
        train(evolve(options, trackers=("clearml",)), recipe)


def test_an_infinite_loss_ends_the_run(options: TrainOptions, recipe: Recipe) -> None:
    wild = evolve(recipe, train=evolve(recipe.train, learning_rate=1e30, warmup_share=0.0, max_steps=4))
    with pytest.raises(TrainError, match=r"no longer finite.*--lr"):
        train(options, wild)


def test_minutes_become_a_budget_of_tokens(options: TrainOptions, recipe: Recipe) -> None:
    brief = evolve(recipe, train=evolve(recipe.train, max_steps=None, minutes=1e-4))
    result = train(evolve(options, data=save_rows(options.output / "few", train=rows(16, 1))), brief)
    assert result.finished
    budget = json.loads((options.output / "run.json").read_text())["budget"]
    assert budget["tokens"] <= result.tokens


def as_json(options: TrainOptions, recipe: Recipe) -> str:
    return json.dumps({"options": asdict(options), "recipe": recipe.as_dict()}, default=str)


def wait_for(happened, process, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.005)
