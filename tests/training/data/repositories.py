"""Repositories made on the spot."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(root: Path, *arguments: str, when: int = 1_700_000_000) -> None:
    dates = {"GIT_AUTHOR_DATE": f"{when} +0000", "GIT_COMMITTER_DATE": f"{when} +0000"}
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    environment = {
        **os.environ,
        **dates,
        **names,
        "GIT_COMMITTER_EMAIL": "a@b",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, env=environment)


def write(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def commit(root: Path, files: Mapping[str, str], when: int) -> None:
    write(root, files)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "work", when=when)


def module(name: str, functions: int = 6) -> str:
    """Provide a Python module unlike those of other names."""
    lines = [f'"""About {name}."""', "", "from __future__ import annotations", ""]
    for number in range(functions):
        lines += [
            "",
            f"def {name}_{number}({name}_rows: list[int], scale_{number}: float) -> float:",
            f'    """Weigh the {name} rows by scale {number}."""',
            f"    total_{name} = sum({name}_rows) * scale_{number}",
            f"    if total_{name} > {number}{len(name)}:",
            f"        raise ValueError('too many {name} rows')",
            f"    return total_{name} / {number + 2}",
            "",
        ]
    return "\n".join(lines) + "\n"
