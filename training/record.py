"""The record in an output folder, ``run.json`` or ``sweep.json``: its options and its finished stages.

A stage is entered when it is finished, with the hashes of its files. When the command is run again, the stage
is skipped if these files are unchanged. If a stage has to be repeated, the stages after it are repeated too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from attrs import evolve, field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.files import sha256_of, write_text_atomically

FORMAT = 2
_MISSING = "nothing"

StageResult = tuple[Mapping[str, Any], Sequence[Path]]
"""The result of a stage, as values that JSON can hold, and the files that prove that it is finished."""


class RecordError(FimLspError):
    """A folder that belongs to another run, is in use, or can't be written."""


@frozen
class RunRecord:
    """The content of a record; every change is written to the disk before the new record is returned."""

    path: Path
    options: Mapping[str, Any] = field(repr=False)
    """The options that must be the same when the command is run again."""
    versions: Mapping[str, str] = field(factory=dict, repr=False)
    plan: Mapping[str, Any] | None = None
    stages: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    """The finished stages by name, in order: ``seconds``, ``files`` with their hashes, ``result``."""

    @property
    def seconds(self) -> float:
        """Seconds spent in finished stages."""
        return sum(float(stage["seconds"]) for stage in self.stages.values())

    def result(self, name: str) -> Mapping[str, Any]:
        """Return the result of a finished stage."""
        result: Mapping[str, Any] = self.stages[name]["result"]
        return result

    def is_done(self, name: str) -> bool:
        """Tell whether a stage is finished and its files are unchanged."""
        folder = self.path.parent
        files = self.stages[name]["files"] if name in self.stages else {}
        return bool(files) and all(_digest(folder / file) == digest for file, digest in files.items())

    def with_plan(self, plan: Mapping[str, Any]) -> RunRecord:
        """Write and return the record with a plan."""
        return _write(evolve(self, plan=dict(plan)))

    def without_stage(self, name: str) -> RunRecord:
        """Write and return the record without a stage and the stages after it."""
        names = list(self.stages)
        kept = names[: names.index(name)] if name in names else names
        return _write(evolve(self, stages={stage: self.stages[stage] for stage in kept}))

    def with_stage(
        self, name: str, seconds: float, result: Mapping[str, Any], files: Sequence[Path]
    ) -> RunRecord:
        """Write and return the record with a stage that has finished."""
        digests = {str(file.relative_to(self.path.parent)): sha256_of(file) for file in files}
        entry = {"seconds": round(seconds, 1), "files": digests, "result": dict(result)}
        return _write(evolve(self, stages={**self.stages, name: entry}))


def run_stage(
    record: RunRecord, name: str, stage: Callable[[], StageResult], on_step: Callable[[str], None]
) -> RunRecord:
    """Run a stage unless it is done, and return the record with it.

    Args:
        record: the record so far.
        name: name of the stage.
        stage: does the work.
        on_step: called with a line to print.
    """
    if record.is_done(name):
        on_step(f"{name}: already done")
        return record
    record = record.without_stage(name)
    on_step(f"{name} …")
    began = monotonic()
    result, files = stage()
    return record.with_stage(name, monotonic() - began, result, files)


def open_record(path: Path, options: Mapping[str, Any]) -> RunRecord:
    """Return the record in a file, or create a new one.

    Raises:
        RecordError: it was made with other options, which are named, or it can't be read or written.
    """
    record = RunRecord(path, options, _versions())
    if not path.exists():
        return _write(record)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, not {FORMAT}")
        before, plan, stages = values["options"], values["plan"], values["stages"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} can't be read: {error}.", "Name another --output.") from error
    different = differences(before, json.loads(json.dumps(options, default=str)))
    if different:
        raise RecordError(
            f"{path.parent} holds a run with other options: {'; '.join(different)}.",
            "Give the same options to continue it, or name another --output.",
        )
    return evolve(record, plan=plan, stages=stages)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences of two sets of options, each as ``path.to.name was x and is y``."""
    old, new = _flatten(before), _flatten(now)
    return [
        f"{name} was {old.get(name, _MISSING)} and is {new.get(name, _MISSING)}"
        for name in dict.fromkeys((*old, *new))
        if old.get(name, _MISSING) != new.get(name, _MISSING)
    ]


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Create a folder, and lock it against other processes; the lock of a killed process ends with it.

    Raises:
        RecordError: another process works in the folder, or it can't be written.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock").acquire(timeout=0)
    except Timeout as error:
        raise RecordError(
            f"Another process works in {folder}.", "Wait for its end, or name another --output."
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    with lock:
        yield


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by path: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping) and value
        flat.update(_flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flat


def _write(record: RunRecord) -> RunRecord:
    values = {
        "format": FORMAT,
        "options": record.options,
        "versions": record.versions,
        "plan": record.plan,
        "stages": record.stages,
    }
    try:
        write_text_atomically(record.path, json.dumps(values, indent=2, default=str) + "\n")
    except OSError as error:
        raise _unwritable(record.path, error) from error
    return record


def _unwritable(path: Path, error: OSError) -> RecordError:
    return RecordError(
        f"{path} can't be written: {error.strerror or error}.", "Free some room, or name another --output."
    )


def _digest(file: Path) -> str | None:
    """Return the sha256 of a file, or None if it can't be read."""
    try:
        return sha256_of(file)
    except OSError:
        return None


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    from fim_lsp import __version__

    names = ("accelerate", "gguf", "llama-cpp-python", "numpy", "peft", "torch", "transformers")
    return {"fim-lsp": __version__, **{name: version(name) for name in names}}
