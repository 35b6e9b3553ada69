"""The offer to install the server: accepted, declined, failed and cancelled.

The extension runs the real pip, with a folder of wheels instead of the package index.
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

# A build that runs until it is killed, and so does its child process, which stands for a compiler.
_ENDLESS = """
import os, subprocess, sys, time

def get_requires_for_build_wheel(config_settings=None):
    compiler = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"])
    with open({pids!r}, "w") as file:
        file.write(f"{{os.getpid()}} {{compiler.pid}}\\n")
    time.sleep(900)

build_wheel = get_requires_for_build_wheel
"""


def environment_without_a_server(root: Path, wheels: Path) -> dict[str, str]:
    """Return an environment with Python but no fim-lsp, whose pip finds packages in ``wheels`` only."""
    programs = root / "bin"
    programs.mkdir()
    # Not the virtual environment's python3, where the server may be installed.
    (programs / "python3").symlink_to(sys._base_executable)  # type: ignore[attr-defined]
    path = f"{programs}:/usr/bin:/bin"
    return {"PATH": path, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}


def environments(root: Path) -> list[Path]:
    """List the environments that the extension has made, complete or not."""
    return list(root.glob("data/User/globalStorage/*/server"))


@pytest.fixture
def no_server(open_editor: Callable[..., Workbench], tmp_path: Path, wheels: Path) -> Workbench:
    """Provide a window without a server, which shows the offer to install one."""
    workbench = open_editor(tmp_path, command=[], env=environment_without_a_server(tmp_path, wheels))
    workbench.wait_for_status("not installed")
    workbench.notified(OFFER)
    return workbench


@pytest.fixture
def wheels() -> Path:
    return Path(os.environ["FIM_LSP_CODE_SERVER"]) / "wheels"


def test_an_accepted_server_is_installed_started_and_used(no_server: Workbench, tmp_path: Path) -> None:
    assert not environments(tmp_path), "nothing must be installed before the user agrees"
    no_server.screenshot(PICTURES / "install-offer.png")
    no_server.answer(OFFER, "Install")
    # The longest step here, so that the test can't miss its message.
    message = f"{PROGRESS}: Installing collected packages"
    no_server.until(lambda: message in no_server.notifications(), "pip's messages")
    no_server.screenshot(PICTURES / "installing.png")
    status = no_server.wait_for_status("Ready")
    assert "sparkle" in status["icons"]
    no_server.until(lambda: PROGRESS not in no_server.notifications(), "no progress")
    (own,) = environments(tmp_path)
    assert servers_of(own), "the server must run in the environment that was made"
    no_server.open("days.py", "days = [\n    'Monday',\n    'Tuesday',\n    █\n]\n")
    no_server.type("'Wed")

    def suggested() -> bool:
        no_server.press("Alt+\\")
        no_server.page.wait_for_timeout(500)
        return no_server.ghost() is not None

    no_server.until(suggested, "ghost text of the installed server")


def servers_of(environment: Path) -> list[int]:
    """List the server processes that run in an environment."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "--stdio" in line and line[0].startswith(f"{environment}{os.sep}"):
            found.append(process.pid)
    return found


def test_after_declining_nothing_is_installed_and_the_status_bar_offers_it_again(
    no_server: Workbench, tmp_path: Path
) -> None:
    no_server.press("Control+Alt+Shift+c")
    no_server.until(lambda: OFFER not in no_server.notifications(), "no offer")
    status = no_server.status()
    assert "no server" in status["text"]
    assert "Click to install it" in status["about"]
    assert not environments(tmp_path)
    no_server.page.locator("[id*='fimLsp.status']").click()
    no_server.first_entry("Install the server")
    no_server.screenshot(PICTURES / "no-server-menu.png")
    no_server.pick("Install the server")
    no_server.notified(OFFER)
    assert not environments(tmp_path)


def test_a_failed_installation_leaves_no_files(open_editor: Callable[..., Workbench], tmp_path: Path) -> None:
    no_wheels = tmp_path / "empty"
    no_wheels.mkdir()
    workbench = open_editor(tmp_path, command=[], env=environment_without_a_server(tmp_path, no_wheels))
    workbench.answer(OFFER, "Install")
    message = workbench.notified("could not be installed")
    workbench.screenshot(PICTURES / "install-failed.png")
    assert "No matching distribution found for fim-lsp" in message
    assert not environments(tmp_path)
    workbench.wait_for_status("not installed")


def test_a_cancelled_installation_ends_all_its_processes(
    open_editor: Callable[..., Workbench], tmp_path: Path, wheels: Path
) -> None:
    pids, endless = tmp_path / "pids", tmp_path / "endless"
    endless.mkdir()
    (endless / "backend.py").write_text(_ENDLESS.format(pids=str(pids)), encoding="utf-8")
    (endless / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n', encoding="utf-8"
    )
    machine = {"fimLsp.server.package": str(endless)}
    workbench = open_editor(
        tmp_path, command=[], machine=machine, env=environment_without_a_server(tmp_path, wheels)
    )
    workbench.answer(OFFER, "Install")
    started = workbench.until(lambda: pids.read_text().split() if pids.exists() else None, "a build")
    workbench.answer(PROGRESS, "Cancel")
    workbench.until(lambda: PROGRESS not in workbench.notifications(), "no progress")
    workbench.until(lambda: not environments(tmp_path), "the environment removed")
    workbench.until(lambda: not any(alive(int(pid)) for pid in started), "no process")
    assert "could not be installed" not in workbench.notifications()
    workbench.wait_for_status("not installed")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
