"""The files that the last commits of a repository changed: they are near whatever is open."""

from __future__ import annotations

import os
import subprocess

_COMMITS = 100
_TIME_LIMIT_S = 3.0
# A repository's own settings could name programs to run for these.
_COMMAND = ("git", "-c", "log.showSignature=false", "-c", "core.fsmonitor=false", "--no-pager", "log")
_OPTIONS = (
    "--no-show-signature",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--name-only",
    "--format=",
)


def recently_changed(folder: str) -> frozenset[str]:
    """Return the paths that the last commits in a folder changed; none without git or a repository."""
    command = [*_COMMAND, *_OPTIONS, "-z", "--relative", f"--max-count={_COMMITS}", "--", "."]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    names = done.stdout.decode("utf-8", "surrogateescape").replace("\n", "\0").split("\0")
    return frozenset(os.path.join(folder, *name.split("/")) for name in names if name)
