"""``run.json`` in a run's folder: its description, options and versions, and at the end its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from fim_lsp.files import write_text_atomically
from training.train.description import describe
from training.train.prepared import RUN_FILE, PreparedRun
from training.train.schedule import TrainingBudget

_LIBRARIES = ("torch", "transformers", "peft", "accelerate")


def write_start(prepared: PreparedRun, budget: TrainingBudget) -> None:
    """Write the file when a run starts; the other processes wait for it."""
    from importlib.metadata import version

    if prepared.is_main:
        record = {
            **describe(prepared),
            "options": {key: str(value) for key, value in attrs.asdict(prepared.options).items()},
            "budget": attrs.asdict(budget),
            "versions": {name: version(name) for name in _LIBRARIES},
        }
        _write_json(prepared.options.output / RUN_FILE, record)
    prepared.accelerator.wait_for_everyone()


def write_result(output: Path, result: Mapping[str, Any]) -> None:
    """Add the result of a run to the file in its folder ``output``."""
    record = json.loads((output / RUN_FILE).read_text(encoding="utf-8"))
    _write_json(output / RUN_FILE, record | {"result": dict(result)})


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_text_atomically(path, json.dumps(values, indent=2, sort_keys=True, default=str) + "\n")
