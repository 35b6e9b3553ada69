"""Run each test in every installed Neovim, once for each display: Neovim's own and the plugin's.

``tests/editors/run-neovim.sh`` sets ``FIM_LSP_NVIMS`` (programs, separated by colons) and
``FIM_LSP_PYTHON``. Without them, or without pynvim, no test here is collected.
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


@cache
def version(nvim: str) -> tuple[int, int]:
    """Return the major and minor version of a Neovim."""
    output = subprocess.run([nvim, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = output.split("\n")[0].removeprefix("NVIM v").split(".")[:2]
    return int(major), int(minor)


def _variants() -> list[Any]:
    variants = []
    for nvim in NVIMS:
        label = ".".join(map(str, version(nvim)))
        if version(nvim) >= (0, 12):
            variants.append(pytest.param((nvim, "native"), id=f"{label}-native"))
        variants.append(pytest.param((nvim, "ghost"), id=f"{label}-ghost"))
    return variants


@pytest.fixture(scope="module", params=_variants())
def variant(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Provide a Neovim program and the display to test in it."""
    nvim, display = request.param
    return nvim, display


@pytest.fixture(scope="module")
def shared_editor(variant: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    from tests.editors.neovim.editor import plugin_options, start

    nvim, display = variant
    folder = tmp_path_factory.mktemp("nvim")
    with start(nvim, folder, plugin_options(folder, display), display=display) as editor:
        editor.open("█")  # which starts the server
        yield editor


@pytest.fixture
def editor(shared_editor: Editor) -> Iterator[Editor]:
    """Provide a running editor, whose switches and settings are reset after the test."""
    yield shared_editor
    shared_editor.type("<C-\\><C-n>")
    shared_editor.nvim.command("silent! only!")
    shared_editor.configure({"completion": {"automatic": True, "multiline": "auto"}, "adapters": []})
    shared_editor.nvim.exec_lua("require('fim_lsp').toggle('all', true)")


@pytest.fixture
def folder(variant: tuple[str, str], tmp_path: Path) -> Path:
    """Provide a folder for an editor that only one test uses."""
    return tmp_path / "nvim"
