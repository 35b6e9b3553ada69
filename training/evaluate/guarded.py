"""Run one program that nobody has read: a script of its own, started by ``sandbox``.

It raises the fences itself, from the outermost in: no network, no privileges, little of everything, and an
audit hook (PEP 578, which can't be taken out again) that refuses what a solution has no business with. They
keep accidents in; a determined attacker needs more than this.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

_NOBODY = 65534
_NEW_NET, _NEW_USER = 0x40000000, 0x10000000
_REFUSED = (
    "socket.",
    "subprocess.",
    "os.fork",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.kill",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chown",
    "pty.",
    "ctypes.",
    "resource.",
    "shutil.",
    "webbrowser.",
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def leave_network() -> None:
    """Enter a network namespace of one's own, where the system allows it; the audit hook stands behind it."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    flags = _NEW_NET if os.geteuid() == 0 else _NEW_NET | _NEW_USER
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).unshare(flags)


def drop_privileges() -> None:
    """Stop being root, whom limits on processes don't bind; unless then Python itself can't be read."""
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setegid(_NOBODY)
    os.seteuid(_NOBODY)
    readable = os.access(os.__file__, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
    os.seteuid(0)
    os.setegid(0)
    if readable:
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def limit(cpu_s: int, memory_bytes: int, file_bytes: int) -> None:
    """Bound time, memory and files, and allow no further process or thread."""
    import resource

    limits = {
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in limits.items():
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most))


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """The audit hook."""
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
    if writes or event.startswith(_REFUSED):
        raise PermissionError(f"{event} is not allowed here")


def main() -> NoReturn:
    """Read the job from stdin, run it, and say the agreed word on stdout if it came to its end."""
    job = json.load(sys.stdin)
    word, program = job.pop("word"), job.pop("program")
    # Not the folder of this script: its neighbours are not there to be imported.
    sys.path.pop(0)
    answer = os.dup(1)
    leave_network()
    drop_privileges()
    limit(**job)
    sys.addaudithook(refuse)
    exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})
    sys.stdout.flush()
    os.write(answer, word.encode())
    os._exit(0)


if __name__ == "__main__":
    main()
