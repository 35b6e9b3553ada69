"""Run programs with a model's text in the hole, for pass@1: a program passes if it runs to its end.

A program runs in a subprocess with a session of its own, in an empty folder, restricted by :mod:`.guarded`.
This side measures the time, and never waits for anything that the program may hold open.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from attrs import frozen

from training.evaluate import EvaluationError
from training.evaluate.records import ResultJournal

_TAIL = 4000
_ERROR = re.compile(r"^([\w.]{0,80}(?:Error|Exception|Iteration|Warning))\b", re.MULTILINE)


@frozen
class ProgramLimits:
    """Limits of the resources of a program."""

    wall_s: float = 10.0
    """Longer than the CPU time, so that no program fails because the machine is busy."""
    cpu_s: int = 3
    """The original benchmark's limit."""
    memory_bytes: int = 1 << 29
    file_bytes: int = 1 << 20
    """Also the limit of its output."""


@frozen
class ProgramResult:
    """The end of a program's run."""

    passed: bool
    reason: str
    """``passed``, ``time limit``, the name of an error, or ``signal N``."""
    seconds: float


def run_program(program: str, limits: ProgramLimits = ProgramLimits()) -> ProgramResult:
    """Run a Python program to its end, or until a limit ends it.

    Raises:
        EvaluationError: this system has no process limits (Windows).
    """
    if os.name != "posix":
        raise EvaluationError(
            "Programs of a benchmark are only run on systems that can limit them.",
            "Leave --pass away, or run this on Linux or macOS.",
        )
    word = secrets.token_hex(16)
    job = {
        "word": word,
        "program": program,
        "cpu_s": limits.cpu_s,
        "memory_bytes": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
    }
    started = time.perf_counter()
    code, output = _run(json.dumps(job).encode(), limits.wall_s)
    passed = code == 0 and output.endswith(word)
    return ProgramResult(passed, "passed" if passed else _reason(code, output), time.perf_counter() - started)


def _run(job: bytes, wall_s: float) -> tuple[int | None, str]:
    """Run a job; return its exit code, or None at the time limit, and the end of its output."""
    with (
        tempfile.TemporaryDirectory(prefix="fim-lsp-") as folder,
        # Files, not pipes: a pipe that a program holds open would keep this side waiting.
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as output,
    ):
        os.chmod(folder, 0o755)
        stdin.write(job)
        stdin.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-s", "-S", "-B", str(Path(__file__).with_name("guarded.py"))],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # A fixed hash seed gives sets the same order in each run.
            env={"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PATH": os.defpath},
            start_new_session=True,
        )
        code: int | None = None
        try:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(wall_s)
        finally:
            _end(process)
        output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL))
        return code, output.read().decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill all processes of the session that are left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _reason(code: int | None, output: str) -> str:
    if code is None or code == -signal.SIGXCPU or code == -signal.SIGKILL:
        return "time limit"
    if code < 0:
        return f"signal {-code}"
    errors = _ERROR.findall(output)
    return errors[-1] if code and errors else f"exit {code}"


def run_programs(
    programs: Sequence[str],
    journal: ResultJournal,
    limits: ProgramLimits = ProgramLimits(),
    on_done: Callable[[], None] = lambda: None,
) -> dict[str, bool]:
    """Run each different program once, several at a time; results in the journal are used again.

    Returns:
        True for each program that passed, False for the others.
    """
    from concurrent.futures import ThreadPoolExecutor

    keys = {
        program: sha256(f"{limits}\0{program}".encode("utf-8", "replace")).hexdigest() for program in programs
    }
    missing = [program for program, key in keys.items() if journal.get(key) is None]
    with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        for program, result in zip(
            missing, pool.map(lambda program: run_program(program, limits), missing), strict=True
        ):
            journal.add({"key": keys[program], "passed": result.passed, "reason": result.reason})
            on_done()
    found = {program: journal.get(key) for program, key in keys.items()}
    return {program: bool(entry and entry["passed"]) for program, entry in found.items()}
