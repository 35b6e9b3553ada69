"""A newcomer's machine: a home folder, and the results of the commands run in it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import asdict, frozen

from tools.newcomer import page

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs/getting-started.md"
SAMPLE = "average.py"


class TrialError(Exception):
    """A step of the page does not work as written."""


@frozen
class Result:
    """The result of one section of the page."""

    section: str
    commands: int
    commands_s: float
    typing_s: float = 0
    """From starting the editor to the suggestion."""
    shown: str = ""
    """The suggestion."""


@frozen
class Home:
    """A folder that stands for a new machine, with the shell's state between sections."""

    root: Path

    @property
    def path(self) -> Path:
        """Return the home folder of the trial."""
        return self.root / "home"

    @property
    def work(self) -> Path:
        """The folder of the newcomer's own code."""
        return self.path / "code"

    def environment(self) -> dict[str, str]:
        """Return the shell's environment after the last section."""
        found: dict[str, str] = json.loads((self.root / "environment.json").read_text(encoding="utf-8"))
        return found

    def begin(self, environment: Mapping[str, str]) -> None:
        """Make the home, and start the shell with this environment and ``HOME``."""
        self.work.mkdir(parents=True)
        self._keep({**environment, "HOME": str(self.path)})

    def follow(self, heading: str) -> Result:
        """Enter the commands under a heading of the page, in one shell.

        Raises:
            TrialError: a command fails.
        """
        shell = page.script(PAGE.read_text(encoding="utf-8"), heading)
        left = self.root / "left.json"
        dump = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-exc", f'{shell}\n{sys.executable} -c "{dump}" "$0"', str(left)],
            env=self.environment(),
            cwd=self.path,
        )
        took_s = time.monotonic() - began
        if done.returncode:
            raise TrialError(f"{heading}: a command failed with {done.returncode}.")
        self._keep(json.loads(left.read_text(encoding="utf-8")))
        return Result(heading, page.commands(shell), took_s)

    def _keep(self, environment: Mapping[str, str]) -> None:
        (self.root / "environment.json").write_text(json.dumps(dict(environment)), encoding="utf-8")

    def note(self, result: Result) -> None:
        """Add a result."""
        with (self.root / "results.jsonl").open("a", encoding="utf-8") as file:
            print(json.dumps(asdict(result)), file=file)

    def results(self) -> list[Result]:
        """Return all results, in order."""
        lines = (self.root / "results.jsonl").read_text(encoding="utf-8").splitlines()
        return [Result(**json.loads(line)) for line in lines]


def keys() -> str:
    """Return the keys that the page asks to type."""
    return page.keys(PAGE.read_text(encoding="utf-8"))
