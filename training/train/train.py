"""``python -m training train``: a LoRA on a base, from a data set that ``prepare`` made.

::

    python -m training train --data DIR --base PATH|NAME --output DIR [--minutes N] [--resume]
    accelerate launch --num_processes 2 -m training train …          # the same on several GPUs
    torchrun --nproc-per-node 2 -m training train --cpu --threads 1 …    # and on the cores of a busy machine

    OUTPUT/adapter/         the best adapter by held-out NLL, in peft's format, with what it belongs to
    OUTPUT/checkpoints/     the last two states, to go on from
    OUTPUT/run.json         recipe, options, versions, result
    OUTPUT/metrics.jsonl    a line a step; loss.png drawn from it

:func:`train` is one plain loop: the rows of a step, its passes forward and back, one AdamW step. What makes
it fast is elsewhere: rows end to end without padding (:mod:`.batches`, :mod:`.attention`),
the output layer at labels alone (:mod:`.losses`), LoRA as one product (:mod:`.lora`), bf16
where the machine multiplies faster in it (:mod:`.base_model`).

A step is the same whatever it is computed on: ``batch_rows`` counts over all processes, its loss is divided
by the whole step's label weights, and its rows and random numbers follow from seed and step.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from fim_lsp.files import write_text_atomically
from training.config import Recipe
from training.train.description import describe
from training.train.metrics import JOURNAL, Journal, plot_losses
from training.train.options import TrainOptions, add_arguments, options_from, recipe_from
from training.train.prepared import RUN_FILE, PreparedRun, TrainError, prepare_run
from training.train.schedule import is_due, learning_rate
from training.train.step import measured_speed, take_step

if TYPE_CHECKING:
    from training.train.resume import Counters
    from training.train.schedule import Budget

_EVALUATION_SHARE = 0.1
"""Of a run's cost, where they are spread over it; a pass without gradients costs a third of one with."""

OnEvaluation = Callable[[int, float], None]
"""Told the number of each held-out evaluation, from 1, and its NLL, in every process alike. What it raises
ends the run; the checkpoints before stay."""

__all__ = ["TrainError", "TrainOptions", "TrainResult", "add_arguments", "run", "train"]


@frozen
class TrainResult:
    """What a run came to."""

    adapter: Path
    steps: int
    tokens: int
    held_out_nll: float | None
    """Of the adapter that was kept: nats per token of the middle, end token included."""
    tokens_per_second: float
    """Of the steps alone, over all processes; evaluation and checkpoints are not counted."""
    finished: bool
    """False when it was interrupted; ``--resume`` goes on."""


def run(parsed: argparse.Namespace) -> int:
    """Train and say where the adapter is."""
    result = train(options_from(parsed), recipe_from(parsed))
    return 0 if result.finished else 130


def train(
    options: TrainOptions, recipe: Recipe, on_evaluation: OnEvaluation = lambda number, nll: None
) -> TrainResult:
    """Train an adapter, from the beginning or from a checkpoint.

    Args:
        options: what to train on, where to put it, and what the machine should do.
        recipe: the method's numbers; only ``recipe.train`` is used.
        on_evaluation: told of each held-out evaluation.

    Returns:
        Where the best adapter is and what it cost.

    Raises:
        FimLspError: bad data, base, adapter or checkpoint; memory or disk ran out; the loss became
            infinite. The message says what to change.
    """
    from training.train.interruptions import interruption, understandable_errors
    from training.train.resume import begin

    with understandable_errors(options, recipe):
        prepared = prepare_run(options, recipe)
        prepared.module.train()
        counters, budget = begin(prepared, lambda: measured_speed(prepared))
        _write_record(prepared, budget)
        _start_trackers(prepared)
        prepared.display.say(_headline(prepared, counters, budget))
        journal = Journal(options.output / JOURNAL if _is_main(prepared) else None, counters.step)
        alone = prepared.accelerator.num_processes == 1
        with journal, prepared.display, interruption(alone=alone) as interrupted:
            prepared.display.start()
            finished = _loop(prepared, counters, budget, journal, interrupted, on_evaluation)
        return _finish(prepared, counters, finished=finished)


def _loop(
    prepared: PreparedRun,
    counters: Counters,
    budget: Budget,
    journal: Journal,
    interrupted: list[int],
    on_evaluation: OnEvaluation,
) -> bool:
    """Step until the budget is spent or held-out NLL no longer falls; False when interrupted."""
    from training.train.resume import save

    options, settings = prepared.options, prepared.recipe.train
    done = budget.share(counters.tokens, counters.step)
    while done < 1 and counters.worse < settings.patience:
        before = done
        values = _one_step(prepared, counters, budget)
        done = budget.share(counters.tokens, counters.step)
        if done >= 1 or is_due(counters.step, before, done, settings.eval_every, options.evaluations):
            values |= _evaluate(prepared, counters, budget)
        _report(prepared, journal, values, counters, done)
        if "held_out_nll" in values:
            on_evaluation(counters.evaluations, values["held_out_nll"])
        over = done >= 1 or counters.worse >= settings.patience or bool(interrupted)
        if over or is_due(counters.step, before, done, settings.checkpoint_every, options.checkpoints):
            save(prepared, counters, budget)
        if interrupted:
            return False
    return True


def _one_step(prepared: PreparedRun, counters: Counters, budget: Budget) -> dict[str, Any]:
    """Take a step at its learning rate; returns what the journal says of it."""
    began = time.perf_counter()
    settings = prepared.recipe.train
    tokens = prepared.sampler.tokens(counters.step)
    share = budget.share(counters.tokens + tokens, counters.step + 1)
    rate = learning_rate(settings.learning_rate, share, settings.warmup_share, settings.schedule)
    taken = take_step(prepared, counters.step, rate)
    seconds = time.perf_counter() - began
    counters.step += 1
    counters.tokens += tokens
    counters.seconds += seconds
    return {
        "step": counters.step,
        "tokens": counters.tokens,
        "loss": taken.loss,
        "learning_rate": rate,
        "gradient_norm": taken.gradient_norm,
        "tokens_per_second": round(tokens / seconds, 1),
    }


def _evaluate(prepared: PreparedRun, counters: Counters, budget: Budget) -> dict[str, Any]:
    """Measure, and keep the adapter if it is the best so far."""
    from training.train.held_out import judge_held_out

    times = prepared.options.evaluations
    prepared.module.eval()
    judged = judge_held_out(prepared, 3 * _EVALUATION_SHARE * budget.tokens / times if times else None)
    prepared.module.train()
    counters.evaluations += 1
    if judged is None or counters.best_nll is None or judged.nll < counters.best_nll:
        counters.best_nll, counters.worse = None if judged is None else judged.nll, 0
        _keep_adapter(prepared, counters, None if judged is None else judged.end_bias)
    else:
        counters.worse += 1
    return {} if judged is None else {"held_out_nll": judged.nll}


def _keep_adapter(prepared: PreparedRun, counters: Counters, end_bias: float | None = None) -> None:
    from training.train.checkpoint import replaced_folder
    from training.train.lora import save_adapter

    if not _is_main(prepared):
        return
    reached = {"steps": counters.step, "tokens": counters.tokens, "held_out_nll": counters.best_nll}
    with replaced_folder(prepared.adapter) as folder:
        save_adapter(prepared.model, folder, describe(prepared, end_bias) | {"reached": reached})


def _report(
    prepared: PreparedRun, journal: Journal, values: Mapping[str, Any], counters: Counters, done: float
) -> None:
    journal.write(values)
    prepared.accelerator.log(
        {key: value for key, value in values.items() if key != "step"}, step=counters.step
    )
    speed = counters.tokens / max(counters.seconds, 1e-9)
    left = counters.seconds * (1 - done) / max(done, 1e-9)
    best = "" if counters.best_nll is None else f"  held-out {counters.best_nll:.3f}"
    note = f"step {counters.step}  loss {values['loss']:.3f}{best}  {speed:.0f} tok/s  {_clock(left)} left"
    prepared.display.update(done, note)


def _finish(prepared: PreparedRun, counters: Counters, *, finished: bool) -> TrainResult:
    output = prepared.options.output
    if not prepared.adapter.exists():
        _keep_adapter(prepared, counters)
    result = TrainResult(
        prepared.adapter,
        counters.step,
        counters.tokens,
        counters.best_nll,
        counters.tokens / max(counters.seconds, 1e-9),
        finished,
    )
    if _is_main(prepared):
        record = json.loads((output / RUN_FILE).read_text(encoding="utf-8"))
        _write_json(output / RUN_FILE, record | {"result": attrs.asdict(result) | {"adapter": "adapter"}})
        plot_losses(output / JOURNAL, output / "loss.png")
    prepared.accelerator.end_training()
    prepared.display.say(_farewell(result))
    return result


def _farewell(result: TrainResult) -> str:
    if not result.finished:
        return f"Interrupted after step {result.steps}; go on with --resume."
    nll = "" if result.held_out_nll is None else f", held-out NLL {result.held_out_nll:.3f}"
    speed = f"{result.tokens_per_second:.0f} tok/s"
    return f"Trained {result.tokens:,} tokens in {result.steps} steps at {speed}{nll}: {result.adapter}"


def _headline(prepared: PreparedRun, counters: Counters, budget: Budget) -> str:
    import torch

    parameters = sum(value.numel() for value in prepared.parameters.values())
    threads = f", {torch.get_num_threads()} threads" if prepared.accelerator.device.type == "cpu" else ""
    begun = f", going on from step {counters.step}" if counters.step else ""
    return (
        f"{prepared.base.name}: {parameters / 1e6:.1f}M trained parameters in {prepared.precision} on "
        f"{prepared.accelerator.num_processes} x {prepared.accelerator.device.type}{threads}; "
        f"{len(prepared.sampler.usable)} rows, "
        + (f"{budget.steps} steps" if budget.steps else f"{budget.tokens:,} tokens")
        + begun
    )


def _write_record(prepared: PreparedRun, budget: Budget) -> None:
    from importlib.metadata import version

    if _is_main(prepared):
        names = ("torch", "transformers", "peft", "accelerate")
        record = {
            **describe(prepared),
            "options": {key: str(value) for key, value in attrs.asdict(prepared.options).items()},
            "budget": attrs.asdict(budget),
            "versions": {name: version(name) for name in names},
        }
        _write_json(prepared.options.output / RUN_FILE, record)
    prepared.accelerator.wait_for_everyone()


def _start_trackers(prepared: PreparedRun) -> None:
    if prepared.options.trackers:
        settings = {
            name: value for name, value in attrs.asdict(prepared.recipe.train).items() if value is not None
        }
        prepared.accelerator.init_trackers("fim-lsp", config=settings)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_text_atomically(path, json.dumps(values, indent=2, sort_keys=True, default=str) + "\n")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _is_main(prepared: PreparedRun) -> bool:
    return bool(prepared.accelerator.is_main_process)
