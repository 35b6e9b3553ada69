from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from training.evaluate.records import ResultJournal
from training.evaluate.sandbox import ProgramLimits, run_program, run_programs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no process limits")
_SHORT = ProgramLimits(wall_s=8, cpu_s=1)


def test_a_program_that_comes_to_its_end_passes() -> None:
    outcome = run_program("import math, typing, collections\nassert math.sqrt(4) == 2\nprint('done')")
    assert (outcome.passed, outcome.reason) == (True, "passed")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("def f(:", "SyntaxError"),
        ("import sys\nsys.exit(0)", "exit 0"),
        ("import os\nos._exit(0)", "exit 0"),
        ("def f(): f()\nf()", "RecursionError"),
    ],
)
def test_anything_else_fails_and_says_why(program: str, reason: str) -> None:
    outcome = run_program(program)
    assert (outcome.passed, outcome.reason) == (False, reason)


def test_an_endless_loop_ends_with_its_share_of_the_processor() -> None:
    assert run_program("while True: pass", _SHORT).reason == "time limit"


def test_sleeping_ends_with_the_clock() -> None:
    started = time.perf_counter()
    assert run_program("import time\ntime.sleep(60)", ProgramLimits(wall_s=1)).reason == "time limit"
    assert time.perf_counter() - started < 20


def test_memory_is_bounded() -> None:
    assert run_program("held = bytearray(4 << 30)").reason == "MemoryError"


@pytest.mark.parametrize(
    "program",
    [
        "import socket\nsocket.create_connection(('127.0.0.1', 9))",
        "import _socket\n_socket.socket()",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')",
        "import socket\nsocket.getaddrinfo('localhost', 80)",
    ],
)
def test_there_is_no_network(program: str) -> None:
    outcome = run_program(program)
    assert not outcome.passed
    assert outcome.reason == ("urllib.error.URLError" if "urllib" in program else "PermissionError")


@pytest.mark.parametrize(
    "program",
    [
        "import os\nos.fork()",
        "import subprocess\nsubprocess.run(['true'])",
        "import os\nos.system('true')",
        "import os\nos.kill(os.getppid(), 9)",
        "open('x', 'w')",
        "import os\nos.remove(__import__('sys').executable)",
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (99, 99))",
    ],
)
def test_processes_signals_and_files_are_refused(program: str) -> None:
    assert run_program(program).reason in ("PermissionError", "BlockingIOError")


def test_a_fork_bomb_is_a_loop_like_any_other() -> None:
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    assert run_program(bomb, _SHORT).reason == "time limit"


def test_printing_without_end_is_bounded() -> None:
    outcome = run_program("while True: print('x' * 1000)", _SHORT)
    assert not outcome.passed


def test_nothing_of_the_parent_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_TEST", "1")
    program = (
        "import os, sys\nassert 'SECRET_OF_THE_TEST' not in os.environ\nassert os.listdir() == []\n"
        "try:\n    import sandbox\nexcept ImportError:\n    pass\nelse:\n    raise ValueError"
    )
    assert run_program(program).passed


def test_sets_come_in_the_same_order_each_time() -> None:
    assert run_program("import sys\nassert sys.flags.hash_randomization == 0").passed


def test_a_known_outcome_is_not_run_again(tmp_path: Path) -> None:
    programs = ("pass", "assert False", "pass")
    with ResultJournal(tmp_path / "tests.jsonl") as journal:
        assert run_programs(programs, journal) == {"pass": True, "assert False": False}
    before = (tmp_path / "tests.jsonl").read_text()
    assert before.count("\n") == 2
    with ResultJournal(tmp_path / "tests.jsonl") as journal:
        assert run_programs(programs, journal) == {"pass": True, "assert False": False}
    assert (tmp_path / "tests.jsonl").read_text() == before
