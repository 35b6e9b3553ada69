"""Show that a LoRA and the repository memory add up: nats a token of true middles, with either and with both.

    python -m benchmarks.quality.adds_up --repo REPOSITORY --adapter FILE.gguf --data DATASET

The holes are cut into the files that the data set held out when the LoRA was trained. The memory has all
files of the repository but the hole's own, as it has in use.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from fim_lsp.errors import FimLspError

if TYPE_CHECKING:
    from training.gate.collect import HoleSteps


@frozen
class Additions:
    """The arguments of the command."""

    repo: Path
    adapter: Path
    data: Path
    output: Path
    model: str = "default"
    holes: int = 60
    seed: int = 1
    threads: int = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the figures, and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.adds_up", description=__doc__)
    parser.add_argument(
        "--repo", type=Path, required=True, help="the repository that the LoRA was trained on"
    )
    parser.add_argument("--adapter", type=Path, required=True, help="the LoRA as a GGUF file")
    parser.add_argument("--data", type=Path, required=True, help="the data set that it was trained on")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figures")
    parser.add_argument("--model", default="default", help="the model that it was trained from")
    parser.add_argument("--holes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    try:
        figures = measure(Additions(**vars(parser.parse_args(arguments))))
    except FimLspError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(figures, indent=2))
    return 0


def measure(asked: Additions) -> dict[str, Any]:
    """Return nats a token of the four arms and their differences; write them to ``adds_up.json``.

    Raises:
        FimLspError: the model or the adapter can't be opened, or the data set held nothing out.
    """
    from training.evaluate.cuts import cut_held_out, source_files

    files = source_files(asked.repo)
    holes = cut_held_out((asked.repo,), asked.data, asked.holes, asked.seed)
    missing = [hole for hole in holes if hole.middle]
    found = {
        name: _collect(asked, adapter, files, missing, asked.output / name.replace(" ", "-"))
        for name, adapter in (("the model", None), ("with the LoRA", asked.adapter))
    }
    figures = {"repository": asked.repo.name, **compare(found["the model"], found["with the LoRA"])}
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / "adds_up.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def compare(alone: Sequence[HoleSteps], tuned: Sequence[HoleSteps]) -> dict[str, Any]:
    """Return the figures of the same holes without and with the LoRA, each without and with the memory."""
    from fim_lsp.engine.memory.gate import Gate
    from training.gate.fit import interval, losses, make_data

    model, lora = make_data(alone), make_data(tuned)
    nats = {
        "model": -model.logs,
        "memory": losses(model, Gate()),
        "lora": -lora.logs,
        "memory and lora": losses(lora, Gate()),
    }
    both = nats["memory and lora"]
    return {
        "holes": len(set(model.holes.tolist())),
        "tokens": len(model),
        "nats_per_token": {name: round(float(own.mean()), 4) for name, own in nats.items()},
        "differences": {
            f"memory and lora - {name}": [round(part, 4) for part in interval(both - nats[name], model.holes)]
            for name in ("memory", "lora", "model")
        }
        | {
            f"{name} - model": [round(part, 4) for part in interval(nats[name] - nats["model"], model.holes)]
            for name in ("memory", "lora")
        },
    }


def _collect(
    asked: Additions, adapter: Path | None, files: Sequence[Any], holes: Sequence[Any], folder: Path
) -> list[HoleSteps]:
    """Evaluate the holes' middles, as far as they have no record yet."""
    from training.gate.collect import load_records, open_collector

    with open_collector(asked.model, adapter, asked.threads) as collector:
        collector.collect(files, holes, folder)
    return list(load_records(folder))


if __name__ == "__main__":
    sys.exit(main())
