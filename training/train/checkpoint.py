"""Checkpoints: everything that a run needs to continue as if it had never stopped.

::

    OUTPUT/checkpoints/step-00000050/state.safetensors    adapter and optimiser
                                     progress.json        counters, best value, schedule
                                     manifest.json        sha256 of both, written last

A checkpoint is written under another name and renamed when it is complete, so that a killed process leaves
the previous ones intact. A checkpoint whose hash is wrong is skipped for the one before it. Nothing is
pickled. The sampler's position and the random numbers are not stored, because both follow from seed and step.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from fim_lsp.errors import FimLspError
from fim_lsp.files import sha256_of

logger = logging.getLogger(__name__)

_STATE, _PROGRESS, _MANIFEST = "state.safetensors", "progress.json", "manifest.json"
_PREFIX = "step-"


class CheckpointError(FimLspError):
    """A checkpoint or an adapter that can't be written."""


@frozen
class Checkpoint:
    """A checkpoint as it was read from the disk."""

    path: Path
    tensors: Mapping[str, Any]
    progress: Mapping[str, Any]


def save_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Any], progress: Mapping[str, Any], keep: int
) -> Path:
    """Write the checkpoint of a step and delete all but the newest ``keep``.

    Args:
        folder: the run's ``checkpoints``.
        step: number of optimiser steps taken.
        tensors: torch tensors by name.
        progress: values that JSON can hold.
        keep: number of checkpoints that stay.

    Raises:
        CheckpointError: the disk is full or can't be written; the checkpoints before are untouched.
    """
    from safetensors.torch import save_file

    target = folder / f"{_PREFIX}{step:08}"
    with replaced_folder(target) as partial:
        save_file(dict(tensors), partial / _STATE)
        (partial / _PROGRESS).write_text(json.dumps(dict(progress), indent=2) + "\n", encoding="utf-8")
        digests = {name: sha256_of(partial / name) for name in (_STATE, _PROGRESS)}
        (partial / _MANIFEST).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
    for old in _newest_first(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest undamaged checkpoint of a folder, or None if it has none.

    Damaged checkpoints are logged and skipped.
    """
    for path in _newest_first(folder):
        checkpoint = _read(path)
        if checkpoint is not None:
            return checkpoint
        logger.warning("The checkpoint %s is damaged; using the one before it.", path)
    return None


def _read(path: Path) -> Checkpoint | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        digests = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        if any(sha256_of(path / name) != digests[name] for name in (_STATE, _PROGRESS)):
            return None
        progress = json.loads((path / _PROGRESS).read_text(encoding="utf-8"))
        return Checkpoint(path, load_file(path / _STATE), progress)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob(_PREFIX + "*") if path.is_dir()), reverse=True)


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces ``target`` when the block ends, and is deleted if the block fails.

    Raises:
        CheckpointError: the disk is full or can't be written.
    """
    from safetensors import SafetensorError

    partial = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        _flush(partial)
        # A folder can't be renamed onto one that is not empty. A process that is killed between the two lines
        # loses this folder; the checkpoints before it are complete.
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
        raise CheckpointError(
            f"The disk is full: {target} could not be written."
            if full
            else f"{target} could not be written: {error}.",
            "Free some room and run the same command with --resume; the checkpoints before it are complete.",
        ) from error


def _flush(folder: Path) -> None:
    """Flush the files to the disk, so that their folder is not renamed before they are written."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
