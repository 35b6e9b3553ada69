"""``python -m training gate``: fit the gate of the repository memory for one model.

The repositories must be ones that the model has not seen: on code that it knows the model is surer than it
will be on a user's, and the gate would trust it too much. What was seen of the model is kept in the output
folder, so that a second run only fits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from fim_lsp.errors import FimLspError

if TYPE_CHECKING:
    from rich.console import Console

    from training.gate.collect import HoleSteps
    from training.gate.fit import GateData

_HOLES = 40


class GateError(FimLspError):
    """A gate can't be fitted."""


@frozen
class GateOptions:
    """The arguments of the verb."""

    model: str
    repositories: tuple[Path, ...]
    output: Path
    holes: int = _HOLES
    adapter: Path | None = None
    """A LoRA in a GGUF file, applied to the model."""
    write: Path | None = None
    """A copy of the model's file, with the gate in it."""
    threads: int | None = None
    seed: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's flags."""
    parser.add_argument("--model", default="default", metavar="NAME|FILE", help="the model to fit a gate for")
    parser.add_argument(
        "--repo",
        type=Path,
        action="append",
        required=True,
        metavar="PATH",
        help="code that the model has not seen; may be given several times, two or more to check the fit",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where to put the gate")
    parser.add_argument("--holes", type=int, default=_HOLES, metavar="N", help="holes of each repository")
    parser.add_argument("--adapter", type=Path, metavar="FILE", help="a LoRA in a GGUF file, to apply to it")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write a copy of the model with the gate")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    parser.add_argument("--seed", type=int, default=0, help="decides where the holes are")


def run(parsed: argparse.Namespace) -> int:
    """Collect, fit, and print what the gate gains."""
    from rich.console import Console

    options = GateOptions(
        parsed.model,
        tuple(parsed.repo),
        parsed.output,
        parsed.holes,
        parsed.adapter,
        parsed.write,
        parsed.threads,
        parsed.seed,
    )
    fit(options, Console(stderr=True))
    return 0


def fit(options: GateOptions, console: Console) -> dict[str, Any]:
    """Fit a gate and write it with its figures to ``gate.json``; return what was written.

    Raises:
        GateError: two repositories have one name, or there is nothing to fit on.
        FimLspError: the model can't be opened.
    """
    from fim_lsp.files import write_text_atomically

    names = [path.resolve().name for path in options.repositories]
    if len(set(names)) < len(names):
        raise GateError("Two of the repositories have the same name.", "Rename one of the folders.")
    records = _collect(options, console)
    if not records:
        raise GateError("No hole could be cut into the repositories.", "Give folders with more code.")
    report = _report(records)
    options.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2) + "\n"
    write_text_atomically(options.output / "gate.json", text)
    _print(report, console)
    if options.write is not None:
        from fim_lsp.models.store import ModelStore
        from fim_lsp.paths import models_folder
        from training.gate.write import write_gate

        write_gate(ModelStore(models_folder()).resolve(options.model).path, report["gate"], options.write)
        console.print(f"{options.write} holds the gate.", soft_wrap=True)
    return report


def _collect(options: GateOptions, console: Console) -> tuple[HoleSteps, ...]:
    """Return the records of all repositories, after making those that are missing."""
    from rich.progress import Progress

    from training.evaluate.cuts import cut_files, source_files
    from training.gate.collect import load_records, open_collector

    found: list[HoleSteps] = []
    with (
        open_collector(options.model, options.adapter, options.threads) as collector,
        Progress(console=console) as progress,
    ):
        for root in options.repositories:
            name = root.resolve().name
            files = source_files(root)
            holes = cut_files(files, name, options.holes, options.seed)
            bar = progress.add_task(name, total=len(holes))
            folder = options.output / "records" / name
            collector.collect(files, holes, folder, lambda bar=bar: progress.advance(bar))  # type: ignore[misc]
            found += load_records(folder)
    return tuple(found)


def _report(records: Sequence[HoleSteps]) -> dict[str, Any]:
    """Fit the gate, and compare it with the model alone and with the default gate."""
    from fim_lsp.engine.memory.gate import Gate
    from training.gate.fit import cross_validate, fit_gate, losses, make_data

    data = {"the model": make_data(records), "a surer model": make_data(records, lambda step: step.surer())}
    samples = tuple(data.values())
    gate = fit_gate(samples)
    several = len(set(samples[0].repositories)) > 1
    checked = cross_validate(samples) if several else [losses(sample, gate) for sample in samples]
    sharpened = make_data(records, lambda step: step.sharpened)
    data["the model, sharpened"] = sharpened
    checked.append(losses(sharpened, gate))
    figures = {
        name: _figures(sample, {"default gate": losses(sample, Gate()), "fitted gate": own})
        for (name, sample), own in zip(data.items(), checked, strict=True)
    }
    return {
        "gate": gate.dump(),
        "repositories": sorted(set(samples[0].repositories.tolist())),
        "holes": len(set(samples[0].holes.tolist())),
        "tokens": len(samples[0]),
        "checked_by": "leaving each repository out" if several else "the repository that it was fitted on",
        "nats_per_token": figures,
    }


def _figures(data: GateData, mixtures: dict[str, Any]) -> dict[str, Any]:
    from training.gate.fit import interval

    found: dict[str, Any] = {"model alone": round(float(-data.logs.mean()), 4)}
    for name, nats in mixtures.items():
        gained = tuple(round(value, 4) for value in interval(nats + data.logs, data.holes))
        found[name] = {"nats": round(float(nats.mean()), 4), "difference": gained}
    return found


def _print(report: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    table = Table("", "model alone", "default gate", "fitted gate", "difference (95%)")
    for name, figures in report["nats_per_token"].items():
        mean, low, high = figures["fitted gate"]["difference"]
        table.add_row(
            name,
            f"{figures['model alone']:.3f}",
            f"{figures['default gate']['nats']:.3f}",
            f"{figures['fitted gate']['nats']:.3f}",
            f"{mean:+.3f} ({low:+.3f}, {high:+.3f})",
        )
    console.print(table)
    console.print(
        f"Nats a token of {report['holes']} true middles, {report['tokens']} tokens. "
        f"The fitted gate was checked by {report['checked_by']}.",
        soft_wrap=True,
    )
    console.print(report["gate"], soft_wrap=True, markup=False)
