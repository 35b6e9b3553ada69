"""Stands between an editor and a real server, and notes what the editor sends: ``wire.py LOG COMMAND…``.

The server writes to the editor directly, and ends this process the way it ends itself, so that the editor
sees a crash as a crash.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import BinaryIO, TextIO


def main() -> None:
    log_path, *command = sys.argv[1:]
    server = subprocess.Popen(command, stdin=subprocess.PIPE)
    with open(log_path, "a", encoding="utf-8") as log:
        note(log, {"server": server.pid})
        threading.Thread(target=forward, args=(sys.stdin.buffer, server.stdin, log), daemon=True).start()
        code = server.wait()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)


def forward(editor: BinaryIO, server: BinaryIO, log: TextIO) -> None:
    """Pass each message on as it came."""
    while header := editor.readline():
        length = int(header.split(b":")[1])
        while (line := editor.readline()) != b"\r\n":
            header += line
        body = editor.read(length)
        note(log, json.loads(body))
        try:
            server.write(header + b"\r\n" + body)
            server.flush()
        except BrokenPipeError:
            return
    server.close()


def note(log: TextIO, message: object) -> None:
    log.write(json.dumps(message) + "\n")
    log.flush()


if __name__ == "__main__":
    main()
