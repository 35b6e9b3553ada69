"""Compare our training loop with the plain recipe: transformers' Trainer and peft, padded rows, all logits.

    python -m benchmarks.training_throughput --base PATH|NAME [--data DIR] [--rounds 3]

Both train the same rows, 16 in an optimiser step, with the same LoRA (all linear layers, rank 32, rsLoRA)
on the same base. They alternate within one process, because the speed of a machine varies: compare the
ratios, not the seconds. Tokens are counted without padding. "Plain" is the default of the libraries: float32
on a CPU, rows padded to the longest that the data set allows, four rows a pass, logits at every token.
"Plain, bf16" is the same under the Trainer's bf16 autocast; it runs only where bf16 is faster. Ours also
trains the markers that the data set names. Without ``--data`` a data set is made from this repository.
Writes ``build/bench/training_throughput.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from training.config import make_recipe
from training.data.dataset import load_dataset
from training.train.base_model import prepare_weights
from training.train.options import TrainOptions
from training.train.prepared import PreparedRun, prepare_run

_OUT = Path("build/bench/training_throughput.json")
_PLAIN_ROWS = 4
"""Rows of a pass of the plain recipe; 16 padded rows with all logits would take 7 GB."""


@frozen
class StepCost:
    """The tokens of one optimiser step, and the seconds that it took."""

    tokens: int
    wall: float
    cpu: float


TakeStep = Callable[[int], StepCost]
"""Trains the step of a number."""


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--data", type=Path, help="a data set of 'python -m training prepare'")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = chosen.data or _own_rows(chosen.base, Path(scratch) / "data")
        prepared = _prepare(data, chosen.base, Path(scratch), chosen.threads)
        contenders: dict[str, TakeStep] = {
            "ours": _ours(prepared),
            "plain": _plain(prepared, Path(scratch) / "plain", bf16=False),
        }
        if prepared.precision == "bf16":
            contenders["plain, bf16"] = _plain(prepared, Path(scratch) / "plain-bf16", bf16=True)
        for step in contenders.values():
            step(0)
        rounds: dict[str, list[StepCost]] = {name: [] for name in contenders}
        for number in range(1, chosen.rounds + 1):
            for name, step in contenders.items():
                rounds[name].append(step(number))
    _report(rounds, prepared)


def _own_rows(base: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "training", "prepare", "--repo", ".", "--own", "--base", base]
    subprocess.run([*command, "--output", str(folder), "--stage", "a", "--rows", "400"], check=True)
    return folder


def _prepare(data: Path, base: str, scratch: Path, threads: int | None) -> PreparedRun:
    recipe = make_recipe(load_dataset(data).manifest["recipe"]["stage"])
    prepared = prepare_run(TrainOptions(data, base, scratch / "ours", threads=threads), recipe)
    prepared.module.train()
    return prepared


def _ours(prepared: PreparedRun) -> TakeStep:
    from training.train.step import take_step

    def step(number: int) -> StepCost:
        began, cpu = time.perf_counter(), time.process_time()
        take_step(prepared, number, rate=1e-4)
        return StepCost(
            prepared.sampler.tokens(number), time.perf_counter() - began, time.process_time() - cpu
        )

    return step


def _plain(prepared: PreparedRun, output: Path, *, bf16: bool) -> TakeStep:
    """Return the step of the Trainer, timed from the beginning of the optimiser step to its end."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    folder = prepare_weights(prepared.options.base).path
    settings, on_cpu = prepared.recipe.train, prepared.accelerator.device.type == "cpu"
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        use_rslora=settings.rslora,
        target_modules="all-linear",
    )
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(str(folder)), config)
    marks: list[tuple[float, float]] = []

    class Clock(TrainerCallback):
        """Records the times at which the optimiser step begins and ends."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            """Record the time; called before the first pass and after the last."""
            marks.append((time.perf_counter(), time.process_time()))

        on_step_end = on_step_begin

    def step(number: int) -> StepCost:
        marks.clear()
        # The Trainer writes its precision to the environment, and would read it there in its next step.
        os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
        arguments = TrainingArguments(
            str(output),
            per_device_train_batch_size=_PLAIN_ROWS,
            gradient_accumulation_steps=settings.batch_rows // _PLAIN_ROWS,
            max_steps=1,
            learning_rate=1e-4,
            bf16=bf16,
            use_cpu=on_cpu,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        rows = prepared.sampler.step(number).rows
        padded = [_padded(prepared, row) for row in rows]
        Trainer(model=model, args=arguments, train_dataset=padded, callbacks=[Clock()]).train()
        (began, cpu), (ended, cpu_ended) = marks[0], marks[-1]
        return StepCost(prepared.sampler.tokens(number), ended - began, cpu_ended - cpu)

    return step


def _padded(prepared: PreparedRun, number: int) -> dict[str, Any]:
    """Return a row as a collator makes it: padded to the longest row allowed, labels where there is loss."""
    import torch

    row = prepared.dataset.train[number]
    room = prepared.recipe.train.max_tokens - len(row.tokens)
    labels = [int(t) if w > 0 else -100 for t, w in zip(row.tokens, row.weights, strict=True)]
    return {
        "input_ids": torch.tensor([*map(int, row.tokens), *[0] * room]),
        "attention_mask": torch.tensor([1] * len(row.tokens) + [0] * room),
        "labels": torch.tensor([*labels, *[-100] * room]),
    }


def _report(rounds: Mapping[str, Sequence[StepCost]], prepared: PreparedRun) -> None:
    import torch

    figures = {name: _figures(costs) for name, costs in rounds.items()}
    ours = figures["ours"]
    for name, figure in figures.items():
        figure["ours_is_faster_by"] = round(ours["tokens_per_second"] / figure["tokens_per_second"], 2)
        figure["ours_is_faster_by_cpu"] = round(
            ours["tokens_per_cpu_second"] / figure["tokens_per_cpu_second"], 2
        )
        print(
            f"{name:12}  {figure['tokens_per_second']:7.1f} tok/s  "
            f"{figure['tokens_per_cpu_second']:7.1f} tok/CPU-s   ours x{figure['ours_is_faster_by']}"
        )
    about = {
        "base": prepared.base.name,
        "precision": prepared.precision,
        "threads": torch.get_num_threads(),
        "device": prepared.accelerator.device.type,
        "rows_per_step": prepared.recipe.train.batch_rows,
        "tokens_per_step": [cost.tokens for cost in rounds["ours"]],
    }
    _OUT.parent.mkdir(parents=True, exist_ok=True)
    _OUT.write_text(json.dumps({"about": about, "figures": figures}, indent=2) + "\n", encoding="utf-8")
    print(f"written to {_OUT}")


def _figures(costs: Sequence[StepCost]) -> dict[str, float]:
    """Return medians over the rounds, because other programs may slow down single steps."""
    return {
        "tokens_per_second": round(statistics.median(cost.tokens / cost.wall for cost in costs), 1),
        "tokens_per_cpu_second": round(statistics.median(cost.tokens / cost.cpu for cost in costs), 1),
    }


if __name__ == "__main__":
    main()
