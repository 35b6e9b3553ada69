"""The tools that build llama-server are found in the system, or beside this Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.keystrokes.server import ServerBuildError, build_server, find_tool


def make_tool(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    tool = folder / name
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    return tool


def test_a_tool_of_the_system_comes_before_one_of_the_environment(tmp_path, monkeypatch):
    environment, system = tmp_path / "venv", tmp_path / "system"
    monkeypatch.setenv("PATH", str(system))
    monkeypatch.setattr(sys, "executable", str(environment / "python"))
    assert find_tool("cmake") is None
    installed = make_tool(environment, "cmake")
    assert find_tool("cmake") == str(installed)
    of_the_system = make_tool(system, "cmake")
    assert find_tool("cmake") == str(of_the_system)


def test_without_the_tools_the_remedy_names_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ServerBuildError, match="pip install cmake ninja"):
        build_server()
