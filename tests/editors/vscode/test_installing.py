"""Without a server installing it is offered. Declined, nothing is done, and the status says how to go on.

The extension's own pip runs, on a folder of wheels in the place of the package index.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from .conftest import PICTURES
from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)

OFFER = "There is no fim-lsp server on this machine yet"
PROGRESS = "Installing fim-lsp"

# A build that lasts until it is killed, and a process of its own such as a compiler.
_ENDLESS = """
import os, subprocess, sys, time

def get_requires_for_build_wheel(config_settings=None):
    compiler = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"])
    with open({pids!r}, "w") as file:
        file.write(f"{{os.getpid()}} {{compiler.pid}}\\n")
    time.sleep(900)

build_wheel = get_requires_for_build_wheel
"""


def without_a_server(root: Path, wheels: Path) -> dict[str, str]:
    """An environment with a Python and no fim-lsp, whose pip looks for packages in ``wheels`` alone."""
    programs = root / "bin"
    programs.mkdir()
    # Not the virtual environment's own python3, which would find the server that is installed there.
    (programs / "python3").symlink_to(sys._base_executable)  # type: ignore[attr-defined]
    path = f"{programs}:/usr/bin:/bin"
    return {"PATH": path, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}


def environments(root: Path) -> list[Path]:
    """The environments of extensions' own; whole, half made or half removed."""
    return list(root.glob("data/User/globalStorage/*/server"))


@pytest.fixture
def bare(opened: Callable[..., Workbench], tmp_path: Path, wheels: Path) -> Workbench:
    """A window on a machine without a server, the offer on its screen."""
    workbench = opened(tmp_path, command=[], env=without_a_server(tmp_path, wheels))
    workbench.wait_for_status("not installed")
    workbench.notified(OFFER)
    return workbench


@pytest.fixture
def wheels() -> Path:
    return Path(os.environ["FIM_LSP_CODE_SERVER"]) / "wheels"


def test_accepted_the_server_is_installed_started_and_used(bare: Workbench, tmp_path: Path):
    assert not environments(tmp_path), "nothing before somebody says so"
    bare.screenshot(PICTURES / "install-offer.png")
    bare.answer(OFFER, "Install")
    # The step that takes longest here, so that no look can miss it.
    said = f"{PROGRESS}: Installing collected packages"
    bare.until(lambda: said in bare.notifications(), "pip's own words")
    bare.screenshot(PICTURES / "installing.png")
    status = bare.wait_for_status("Ready")
    assert "sparkle" in status["icons"]
    assert PROGRESS not in bare.notifications()
    (own,) = environments(tmp_path)
    assert servers_of(own), "the server must run from the environment that was made"
    bare.open("days.py", "days = [\n    'Monday',\n    'Tuesday',\n    █\n]\n")
    bare.type("'Wed")

    def asked() -> bool:
        bare.press("Alt+\\")
        bare.page.wait_for_timeout(500)
        return bare.ghost() is not None

    bare.until(asked, "ghost text of the installed server")


def servers_of(environment: Path) -> list[int]:
    """Processes that serve an editor with an environment's Python."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "--stdio" in line and line[0].startswith(f"{environment}{os.sep}"):
            found.append(process.pid)
    return found


def test_declined_nothing_is_done_and_the_status_leads_back(bare: Workbench, tmp_path: Path):
    bare.press("Control+Alt+Shift+c")
    bare.until(lambda: OFFER not in bare.notifications(), "no offer")
    status = bare.status()
    assert "no server" in status["text"]
    assert "Click to install it" in status["about"]
    assert not environments(tmp_path)
    bare.page.locator("[id*='fimLsp.status']").click()
    assert "Install the server" in bare.entries()[0]
    bare.screenshot(PICTURES / "no-server-menu.png")
    bare.pick("Install the server")
    bare.notified(OFFER)
    assert not environments(tmp_path)


def test_what_can_not_be_installed_leaves_nothing_behind(opened: Callable[..., Workbench], tmp_path: Path):
    no_wheels = tmp_path / "empty"
    no_wheels.mkdir()
    workbench = opened(tmp_path, command=[], env=without_a_server(tmp_path, no_wheels))
    workbench.answer(OFFER, "Install")
    said = workbench.notified("could not be installed")
    workbench.screenshot(PICTURES / "install-failed.png")
    assert "No matching distribution found for fim-lsp" in said
    assert not environments(tmp_path)
    workbench.wait_for_status("not installed")


def test_cancelled_it_ends_with_all_that_it_started(
    opened: Callable[..., Workbench], tmp_path: Path, wheels: Path
):
    pids, endless = tmp_path / "pids", tmp_path / "endless"
    endless.mkdir()
    (endless / "backend.py").write_text(_ENDLESS.format(pids=str(pids)), encoding="utf-8")
    (endless / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n', encoding="utf-8"
    )
    machine = {"fimLsp.server.package": str(endless)}
    workbench = opened(tmp_path, command=[], machine=machine, env=without_a_server(tmp_path, wheels))
    workbench.answer(OFFER, "Install")
    started = workbench.until(lambda: pids.exists() and pids.read_text().split(), "a build under way")
    workbench.answer(PROGRESS, "Cancel")
    workbench.until(lambda: PROGRESS not in workbench.notifications(), "no progress")
    workbench.until(lambda: not environments(tmp_path), "nothing left of it")
    workbench.until(lambda: not any(alive(int(pid)) for pid in started), "no process left of it")
    assert "could not be installed" not in workbench.notifications()
    workbench.wait_for_status("not installed")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
