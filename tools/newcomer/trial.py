"""A newcomer's machine: a home, and what was done in it, command by command."""

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
    """The written path does not lead where it says."""


@frozen
class Result:
    """One section of the page, as it went."""

    section: str
    commands: int
    commands_s: float
    typing_s: float = 0
    """From starting the editor to the suggestion."""
    shown: str = ""
    """What was suggested."""


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
        """Where the newcomer's own code is."""
        return self.path / "code"

    def environment(self) -> dict[str, str]:
        """The shell's, as the last section left it."""
        found: dict[str, str] = json.loads((self.root / "environment.json").read_text(encoding="utf-8"))
        return found

    def begin(self, environment: Mapping[str, str]) -> None:
        """Make the home, and let the shell begin with this environment and ``HOME``."""
        self.work.mkdir(parents=True)
        self._keep({**environment, "HOME": str(self.path)})

    def follow(self, heading: str) -> Result:
        """Enter the commands under a heading of the page, one shell for all.

        Raises:
            TrialError: if one fails.
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
        """Add to the results."""
        with (self.root / "results.jsonl").open("a", encoding="utf-8") as file:
            print(json.dumps(asdict(result)), file=file)

    def results(self) -> list[Result]:
        """All of them, in order."""
        lines = (self.root / "results.jsonl").read_text(encoding="utf-8").splitlines()
        return [Result(**json.loads(line)) for line in lines]


def keys() -> str:
    """What the page says to type."""
    return page.keys(PAGE.read_text(encoding="utf-8"))
