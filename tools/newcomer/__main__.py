"""Follow docs/getting-started.md on a new machine: ``python -m tools.newcomer FOLDER SECTION``.

``SECTION`` is ``server`` (which comes first, and makes the home), ``vscode``, ``neovim``, ``emacs``, or
``report``. Run by ``tools/try-getting-started.sh``.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from attrs import evolve

from tools.newcomer import editors, trial
from tools.newcomer.trial import Home

SECTIONS = {"vscode": "VS Code", "neovim": "Neovim", "emacs": "Emacs"}
# The caches of the downloads are not the newcomer's, so that a trial need not compile and fetch all again.
_KEPT = ("LANG", "PIP_CACHE_DIR", "npm_config_cache", "REPOSITORY", "MAKEFLAGS")


def main(root: Path, section: str) -> None:
    """Follow one section, or report the results."""
    home = Home(root)
    if section == "report":
        report(home)
        return
    if section == "server":
        kept = {name: value for name, value in os.environ.items() if name in _KEPT or _network(name)}
        home.begin({**kept, "PATH": f"{root / 'bin'}:{os.environ['PATH']}"})
        home.note(home.follow("The server"))
        return
    done = home.follow(SECTIONS[section])
    (home.work / trial.SAMPLE).unlink(missing_ok=True)
    began = time.monotonic()
    shown = getattr(editors, section)(home, trial.keys())
    home.note(evolve(done, typing_s=time.monotonic() - began, shown=shown))


def _network(name: str) -> bool:
    """Return whether a variable tells programs how to reach the package indexes."""
    return name.lower().startswith(("pip_", "npm_", "http", "ssl", "no_proxy", "requests_", "uv_", "node_"))


def report(home: Home) -> None:
    """Print the table of the page."""
    print("| | commands | minutes | from the editor's start to the suggestion |\n|---|---|---|---|")
    for result in home.results():
        typing = f"{result.typing_s:.0f} s: `{result.shown}`" if result.shown else ""
        print(f"| {result.section} | {result.commands} | {result.commands_s / 60:.1f} | {typing} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
