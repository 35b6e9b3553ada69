"""Stand between an editor and a server, and record the messages: ``recording_proxy.py RECORD COMMAND...``.

Each line of RECORD is a JSON object: ``{"kind": "to_server", "pid": ..., "message": ...}``, or the same with
``to_editor``; ``pid`` is the server's process. A server's first line has the kind ``start`` and no message.

Output that is not LSP, such as that of ``--version``, is passed on and not recorded. This process ends in the
same way as the server, so that the editor sees a crash as a crash.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, TextIO

_LENGTH = b"content-length:"


def main() -> None:
    record_path, *command = sys.argv[1:]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    with open(record_path, "a", encoding="utf-8") as file:
        note = recorder(file, server.pid)
        note("start")
        requests = threading.Thread(
            target=forward,
            args=(sys.stdin.buffer, server.stdin, lambda text: note("to_server", text)),
            daemon=True,
        )
        answers = threading.Thread(
            target=forward, args=(server.stdout, sys.stdout.buffer, lambda text: note("to_editor", text))
        )
        requests.start()
        answers.start()
        code = server.wait()
        answers.join()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)


def recorder(file: TextIO, pid: int) -> Callable[..., None]:
    """Return a function that writes one line of the record."""
    lock = threading.Lock()

    def note(kind: str, message: bytes | None = None) -> None:
        entry: dict[str, Any] = {"kind": kind, "pid": pid}
        if message is not None:
            entry["message"] = json.loads(message)
        with lock:
            file.write(json.dumps(entry) + "\n")
            file.flush()

    return note


def forward(source: BinaryIO, target: BinaryIO, note: Callable[[bytes], None]) -> None:
    """Pass on everything as it comes, and note the body of each message, until one end is closed."""
    try:
        while line := source.readline():
            if not line.lower().startswith(_LENGTH):
                target.write(line)
                target.flush()
                continue
            header, length = line, int(line.split(b":")[1])
            while (line := source.readline()) not in (b"\r\n", b""):
                header += line
            body = source.read(length)
            note(body)
            target.write(header + b"\r\n" + body)
            target.flush()
        target.close()
    except BrokenPipeError:
        pass  # the reader has ended


if __name__ == "__main__":
    main()
