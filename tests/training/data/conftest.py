"""Fixtures of the data tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from byte_base import make_base
from repositories import commit, git, module

from training.bases import Base


@pytest.fixture
def base() -> Base:
    return make_base()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Provide a git repository of ten modules with a history."""
    root = tmp_path / "shop"
    root.mkdir()
    git(root, "init", "-q")
    names = ["apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel", "iris", "juniper"]
    commit(root, {f"{name}/core.py": module(name) for name in names}, 1_700_000_000)
    return root
