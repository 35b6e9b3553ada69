"""``python -m training train``: train a LoRA on a base, with a data set that ``prepare`` made.

::

    python -m training train --data DIR --base PATH|NAME --output DIR [--minutes N] [--resume]
    accelerate launch --num_processes 2 -m training train …              # the same on several GPUs
    torchrun --nproc-per-node 2 -m training train --cpu --threads 1 …    # the same on the cores of a CPU

    OUTPUT/adapter/         the best adapter by held-out NLL, in peft's format, with its description
    OUTPUT/checkpoints/     the last two states, for --resume
    OUTPUT/run.json         description, options, versions, result
    OUTPUT/metrics.jsonl    a line for each step; loss.png is drawn from it

:func:`train` prepares the run, loops over steps, and saves. What makes a step fast is elsewhere: rows without
padding (:mod:`.batches`, :mod:`.attention`), the output layer at the labels alone (:mod:`.losses`), LoRA as
one product (:mod:`.fused_lora`), and bf16 where the machine multiplies faster in it (:mod:`.base_model`).

A step is the same on every machine: ``batch_rows`` counts over all processes, the loss is divided by the
label weights of the whole step, and rows and random numbers follow from seed and step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from training.config import Recipe
from training.train.checkpoint import replaced_folder
from training.train.description import describe
from training.train.display import format_seconds
from training.train.interruptions import collect_signals, explain_shortages
from training.train.lora import save_adapter
from training.train.metrics import METRICS_FILE, MetricsLog, plot_losses
from training.train.options import TrainOptions, add_arguments, options_from, recipe_from
from training.train.prepared import PreparedRun, prepare_run
from training.train.resume import Counters, start_or_resume, write_checkpoint
from training.train.run_file import write_result, write_start
from training.train.schedule import TrainingBudget, is_due, learning_rate
from training.train.step import measure_speed, take_step

_EVALUATION_SHARE = 0.1
"""Share of a run's cost that evaluations may take, if their number is given."""
_EVALUATION_TOKENS = 3
"""Tokens that an evaluation scores in the time of one training token: it computes no gradients."""

OnEvaluation = Callable[[int, float], None]
"""Called in every process with the number of each held-out evaluation, from 1, and its NLL. An exception that
it raises ends the run; the checkpoints written before stay."""

__all__ = ["TrainResult", "add_arguments", "run", "train"]


@frozen
class TrainResult:
    """The adapter of a run and its figures."""

    adapter: Path
    steps: int
    tokens: int
    held_out_nll: float | None
    """NLL of the kept adapter: nats per token of the middle, end token included."""
    tokens_per_second: float
    """Speed of the steps alone, over all processes; evaluations and checkpoints are not counted."""
    finished: bool
    """False if the run was interrupted; it can be resumed."""


def run(parsed: argparse.Namespace) -> int:
    """Train, and return the exit code: 130 if the run was interrupted."""
    result = train(options_from(parsed), recipe_from(parsed))
    return 0 if result.finished else 130


def train(
    options: TrainOptions, recipe: Recipe, on_evaluation: OnEvaluation = lambda number, nll: None
) -> TrainResult:
    """Train an adapter, from the beginning or from a checkpoint.

    Args:
        options: the data, the base, the output folder and the use of the machine.
        recipe: the method's numbers; only ``recipe.train`` is used.
        on_evaluation: called after each held-out evaluation.

    Returns:
        The best adapter and the figures of the run.

    Raises:
        FimLspError: bad data, base, adapter or checkpoint; too little memory or disk; the loss became
            infinite. The message names the remedy.
    """
    with explain_shortages(options, recipe):
        prepared = prepare_run(options, recipe)
        prepared.module.train()
        counters, budget = start_or_resume(prepared, lambda: measure_speed(prepared))
        write_start(prepared, budget)
        _start_trackers(prepared)
        prepared.display.print(_headline(prepared, counters, budget))
        log = MetricsLog(options.output / METRICS_FILE if prepared.is_main else None, counters.step)
        is_only_process = prepared.accelerator.num_processes == 1
        with log, prepared.display, collect_signals(is_only_process=is_only_process) as signals:
            prepared.display.start()
            finished = _loop(prepared, counters, budget, log, signals, on_evaluation)
        return _finish(prepared, counters, finished=finished)


def _loop(
    prepared: PreparedRun,
    counters: Counters,
    budget: TrainingBudget,
    log: MetricsLog,
    signals: list[int],
    on_evaluation: OnEvaluation,
) -> bool:
    """Train until the budget is spent or the held-out NLL no longer falls; return False if interrupted."""
    options, settings = prepared.options, prepared.recipe.train
    done = budget.share(counters.tokens, counters.step)
    while done < 1 and counters.worse < settings.patience:
        before = done
        metrics = _train_step(prepared, counters, budget)
        done = budget.share(counters.tokens, counters.step)

        if done >= 1 or is_due(counters.step, before, done, settings.eval_every, options.evaluations):
            metrics |= _evaluate(prepared, counters, budget)
        _report(prepared, log, metrics, counters, done)
        if "held_out_nll" in metrics:
            on_evaluation(counters.evaluations, metrics["held_out_nll"])

        interrupted = bool(signals)
        is_last = interrupted or done >= 1 or counters.worse >= settings.patience
        if is_last or is_due(counters.step, before, done, settings.checkpoint_every, options.checkpoints):
            write_checkpoint(prepared, counters, budget)
        if interrupted:
            return False
    return True


def _train_step(prepared: PreparedRun, counters: Counters, budget: TrainingBudget) -> dict[str, Any]:
    """Take one step with its learning rate, advance the counters, and return the step's metrics."""
    began = time.perf_counter()
    settings = prepared.recipe.train
    tokens = prepared.sampler.tokens(counters.step)
    share = budget.share(counters.tokens + tokens, counters.step + 1)
    rate = learning_rate(settings.learning_rate, share, settings.warmup_share, settings.schedule)
    step = take_step(prepared, counters.step, rate)
    seconds = time.perf_counter() - began
    counters.step += 1
    counters.tokens += tokens
    counters.seconds += seconds
    return {
        "step": counters.step,
        "tokens": counters.tokens,
        "loss": step.loss,
        "learning_rate": rate,
        "gradient_norm": step.gradient_norm,
        "tokens_per_second": round(tokens / seconds, 1),
    }


def _evaluate(prepared: PreparedRun, counters: Counters, budget: TrainingBudget) -> dict[str, Any]:
    """Evaluate on held-out middles, and keep the adapter if it is the best so far."""
    from training.train.held_out import evaluate_held_out

    times = prepared.options.evaluations
    most_tokens = _EVALUATION_TOKENS * _EVALUATION_SHARE * budget.tokens / times if times else None
    prepared.module.eval()
    score = evaluate_held_out(prepared, most_tokens)
    prepared.module.train()
    counters.evaluations += 1
    if score is None:  # nothing to compare: the newest adapter is kept
        counters.best_nll, counters.worse = None, 0
        _keep_adapter(prepared, counters)
        return {}
    if counters.best_nll is None or score.nll < counters.best_nll:
        counters.best_nll, counters.worse = score.nll, 0
        _keep_adapter(prepared, counters, score.end_bias)
    else:
        counters.worse += 1
    return {"held_out_nll": score.nll}


def _keep_adapter(prepared: PreparedRun, counters: Counters, end_bias: float | None = None) -> None:
    if not prepared.is_main:
        return
    reached = {"steps": counters.step, "tokens": counters.tokens, "held_out_nll": counters.best_nll}
    with replaced_folder(prepared.adapter) as folder:
        save_adapter(prepared.model, folder, describe(prepared, end_bias) | {"reached": reached})


def _report(
    prepared: PreparedRun, log: MetricsLog, metrics: Mapping[str, Any], counters: Counters, done: float
) -> None:
    """Send a step's metrics to the log, the trackers and the display."""
    log.write(metrics)
    tracked = {name: value for name, value in metrics.items() if name != "step"}
    prepared.accelerator.log(tracked, step=counters.step)
    speed = counters.tokens / max(counters.seconds, 1e-9)
    left = format_seconds(counters.seconds * (1 - done) / max(done, 1e-9))
    best = "" if counters.best_nll is None else f"  held-out {counters.best_nll:.3f}"
    note = f"step {counters.step}  loss {metrics['loss']:.3f}{best}  {speed:.0f} tok/s  {left} left"
    prepared.display.update(done, note)


def _finish(prepared: PreparedRun, counters: Counters, *, finished: bool) -> TrainResult:
    """Write the result and the plot, and close the trackers."""
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
    if prepared.is_main:
        write_result(output, attrs.asdict(result) | {"adapter": "adapter"})
        plot_losses(output / METRICS_FILE, output / "loss.png")
    prepared.accelerator.end_training()
    prepared.display.print(_summary(result))
    return result


def _start_trackers(prepared: PreparedRun) -> None:
    if prepared.options.trackers:
        settings = attrs.asdict(prepared.recipe.train)
        given = {name: value for name, value in settings.items() if value is not None}
        prepared.accelerator.init_trackers("fim-lsp", config=given)


def _headline(prepared: PreparedRun, counters: Counters, budget: TrainingBudget) -> str:
    import torch

    parameters = sum(value.numel() for value in prepared.parameters.values())
    accelerator = prepared.accelerator
    threads = f", {torch.get_num_threads()} threads" if accelerator.device.type == "cpu" else ""
    length = f"{budget.steps} steps" if budget.steps else f"{budget.tokens:,} tokens"
    resumed = f", resumed at step {counters.step}" if counters.step else ""
    return (
        f"{prepared.base.name}: {parameters / 1e6:.1f}M trained parameters in {prepared.precision} on "
        f"{accelerator.num_processes} x {accelerator.device.type}{threads}; "
        f"{len(prepared.sampler.usable)} rows, {length}{resumed}"
    )


def _summary(result: TrainResult) -> str:
    if not result.finished:
        return f"Interrupted after step {result.steps}; continue with --resume."
    nll = "" if result.held_out_nll is None else f", held-out NLL {result.held_out_nll:.3f}"
    speed = f"{result.tokens_per_second:.0f} tok/s"
    return f"Trained {result.tokens:,} tokens in {result.steps} steps at {speed}{nll}: {result.adapter}"
