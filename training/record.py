"""What a run of several stages has done so far: ``run.json`` in its folder.

A stage is entered when it is over, with the hashes of the files that prove it. Run again, it is passed over
as long as these files are what they were; a stage that has to be done anew makes those behind it undone.
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

FORMAT = 1
_MISSING = "nothing"


class StageError(FimLspError):
    """A folder that belongs to another run, is in use, or can't be written."""


@frozen
class RunRecord:
    """The content of a record; every change is on the disk before it is returned."""

    path: Path
    options: Mapping[str, Any] = field(repr=False)
    """What must be the same to go on."""
    versions: Mapping[str, str] = field(factory=dict, repr=False)
    plan: Mapping[str, Any] | None = None
    stages: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    """By name, in the order in which they were done: ``seconds``, ``files`` with their hashes, ``result``."""

    @property
    def seconds(self) -> float:
        """Spent in stages that are over."""
        return sum(float(stage["seconds"]) for stage in self.stages.values())

    def result(self, name: str) -> Mapping[str, Any]:
        """What a stage that is over came to."""
        result: Mapping[str, Any] = self.stages[name]["result"]
        return result

    def is_done(self, name: str) -> bool:
        """Whether a stage is over and its files are still what they were."""
        folder = self.path.parent
        proofs = self.stages[name]["files"] if name in self.stages else {}
        return bool(proofs) and all(_digest(folder / file) == digest for file, digest in proofs.items())

    def planned(self, plan: Mapping[str, Any]) -> RunRecord:
        """With a plan, which stays."""
        return _written(evolve(self, plan=dict(plan)))

    def without(self, name: str) -> RunRecord:
        """Without a stage and those behind it."""
        names = list(self.stages)
        kept = names[: names.index(name)] if name in names else names
        return _written(evolve(self, stages={one: self.stages[one] for one in kept}))

    def done(self, name: str, seconds: float, result: Mapping[str, Any], proofs: Sequence[Path]) -> RunRecord:
        """With a stage that is over."""
        files = {str(file.relative_to(self.path.parent)): sha256_of(file) for file in proofs}
        entry = {"seconds": round(seconds, 1), "files": files, "result": dict(result)}
        return _written(evolve(self, stages={**self.stages, name: entry}))


Work = Callable[[], tuple[Mapping[str, Any], Sequence[Path]]]
"""Does a stage; returns its result and the files that prove it."""


def take(record: RunRecord, name: str, work: Work, say: Callable[[str], None]) -> RunRecord:
    """Do a stage unless it is done; returns the record with it."""
    if record.is_done(name):
        say(f"{name}: done before")
        return record
    record = record.without(name)
    say(f"{name} …")
    began = monotonic()
    result, proofs = work()
    return record.done(name, monotonic() - began, result, proofs)


def open_record(path: Path, options: Mapping[str, Any]) -> RunRecord:
    """The record in a folder, or a new one.

    Raises:
        StageError: it is of a run with other options, each named, or can't be read or written.
    """
    record = RunRecord(path, options, _versions())
    if not path.exists():
        return _written(record)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, not {FORMAT}")
        before, plan, stages = values["options"], values["plan"], values["stages"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f"{path} can't be read: {error}.", "Name another --output.") from error
    different = differences(before, json.loads(json.dumps(options, default=str)))
    if different:
        raise StageError(
            f"{path.parent} holds a run with other options: {'; '.join(different)}.",
            "Give the same options to go on with it, or name another --output.",
        )
    return evolve(record, plan=plan, stages=stages)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two sets of options differ in, by path, as ``name was x and is y``."""
    old, new = _flat(before), _flat(now)
    return [
        f"{name} was {old.get(name, _MISSING)} and is {new.get(name, _MISSING)}"
        for name in dict.fromkeys((*old, *new))
        if old.get(name, _MISSING) != new.get(name, _MISSING)
    ]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder and keep every other run out of it; a killed process's claim ends with it.

    Raises:
        StageError: another process works in it, or it can't be written.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim = FileLock(folder / ".lock").acquire(timeout=0)
    except Timeout as error:
        raise StageError(
            f"Another process works in {folder}.", "Wait for its end, or name another --output."
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    with claim:
        yield


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping) and value
        flat.update(_flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flat


def _written(record: RunRecord) -> RunRecord:
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


def _unwritable(path: Path, error: OSError) -> StageError:
    return StageError(
        f"{path} can't be written: {error.strerror or error}.", "Free some room, or name another --output."
    )


def _digest(file: Path) -> str | None:
    try:
        return sha256_of(file)
    except OSError:
        return None


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    from fim_lsp import __version__

    names = ("accelerate", "gguf", "llama-cpp-python", "numpy", "peft", "torch", "transformers")
    return {"fim-lsp": __version__, **{name: version(name) for name in names}}
