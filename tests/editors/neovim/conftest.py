"""Each test runs in every Neovim that is there, once for each way of drawing ghost text.

``tests/editors/run-neovim.sh`` sets ``FIM_LSP_NVIMS`` (programs, separated by colons) and
``FIM_LSP_PYTHON``. Without them, or without pynvim, nothing here is collected.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.editors.neovim.editor import Editor

NVIMS = [path for path in os.environ.get("FIM_LSP_NVIMS", "").split(":") if path]
collect_ignore_glob = [] if NVIMS and importlib.util.find_spec("pynvim") else ["test_*.py"]

# One thread and short answers: the tests compare texts, not models.
SETTINGS: dict[str, Any] = {
    "model": {"name": "smollm2-135m", "threads": 1},
    "sampling": {"maxTokens": 24, "invokedMaxTokens": 24},
}


@cache
def version(nvim: str) -> tuple[int, int]:
    said = subprocess.run([nvim, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = said.split("\n")[0].removeprefix("NVIM v").split(".")[:2]
    return int(major), int(minor)


def _ways() -> list[Any]:
    ways = []
    for nvim in NVIMS:
        label = ".".join(map(str, version(nvim)))
        if version(nvim) >= (0, 12):
            ways.append(pytest.param((nvim, "native"), id=f"{label}-native"))
        ways.append(pytest.param((nvim, "ghost"), id=f"{label}-ghost"))
    return ways


@pytest.fixture(scope="module", params=_ways())
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A Neovim and who draws in it."""
    nvim, display = request.param
    return nvim, display


@pytest.fixture(scope="module")
def shared(way: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    from tests.editors.neovim.editor import server_command, start

    nvim, display = way
    folder = tmp_path_factory.mktemp("nvim")
    options = {
        "cmd": server_command(folder / "wire.jsonl"),
        "settings": SETTINGS,
        "display": "auto" if display == "native" else display,
    }
    with start(nvim, folder, options, display=display) as editor:
        editor.open("█")  # which starts the server
        yield editor


@pytest.fixture
def editor(shared: Editor) -> Iterator[Editor]:
    """A running editor, its switches and settings put back afterwards."""
    yield shared
    shared.type("<C-\\><C-n>")
    shared.nvim.command("silent! only!")
    shared.configure({"completion": {"automatic": True, "multiline": "auto"}, "adapters": []})
    shared.nvim.exec_lua("require('fim_lsp').toggle('all', true)")


@pytest.fixture
def fresh(way: tuple[str, str], tmp_path: Path) -> Path:
    """A folder for an editor of the test's own."""
    return tmp_path / "nvim"
