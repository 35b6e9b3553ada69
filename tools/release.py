"""The version number: read it, write it everywhere, and check that a release is ready.

It stands in ``fim_lsp/__init__.py``; the manifests of the VS Code extension repeat it::

    python -m tools.release set 0.2.0           write it, and give its section in CHANGELOG.md this day
    python -m tools.release check --tag v0.2.0  fail unless all places, the changelog and the tag agree
    python -m tools.release notes               print the changelog's section of this version
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_PACKAGE = Path("fim_lsp/__init__.py")
_MANIFEST = Path("editors/vscode/package.json")
_LOCK = Path("editors/vscode/package-lock.json")
_CHANGELOG = Path("CHANGELOG.md")
_ASSIGNMENT = re.compile(r'^__version__ = "(?P<version>[^"]+)"$', re.MULTILINE)
_NUMBER = re.compile(r"\d+\.\d+\.\d+")
_UNRELEASED = "## [Unreleased]\n"


class ReleaseError(Exception):
    """The release is not ready."""


def read_version(root: Path = ROOT) -> str:
    """Return the version of the Python package."""
    found = _ASSIGNMENT.search((root / _PACKAGE).read_text(encoding="utf-8"))
    if found is None:
        raise ReleaseError(f"{_PACKAGE} has no line __version__ = …")
    return found["version"]


def versions(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield each place that has the version, and the version there."""
    yield str(_PACKAGE), read_version(root)
    yield str(_MANIFEST), _read_json(root / _MANIFEST)["version"]
    lock = _read_json(root / _LOCK)
    yield str(_LOCK), lock["version"]
    yield f"{_LOCK}, packages", lock["packages"][""]["version"]


def set_version(version: str, root: Path = ROOT, day: date | None = None) -> None:
    """Write the version everywhere; what stands under Unreleased becomes its section of the changelog."""
    if not _NUMBER.fullmatch(version):
        raise ReleaseError(f"{version} is not of the form 1.2.3.")
    package = root / _PACKAGE
    text = _ASSIGNMENT.sub(f'__version__ = "{version}"', package.read_text(encoding="utf-8"))
    package.write_text(text, encoding="utf-8")
    manifest, lock = _read_json(root / _MANIFEST), _read_json(root / _LOCK)
    manifest["version"] = lock["version"] = lock["packages"][""]["version"] = version
    _write_json(root / _MANIFEST, manifest)
    _write_json(root / _LOCK, lock)
    changelog = root / _CHANGELOG
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(_with_section(text, version, day or date.today()), encoding="utf-8")


def _with_section(changelog: str, version: str, day: date) -> str:
    """Give the section of the version that day, or begin it with what stands under Unreleased."""
    heading = f"## [{version}] - {day:%Y-%m-%d}\n"
    section = re.compile(rf"^## \[{re.escape(version)}\].*\n", re.MULTILINE)
    if section.search(changelog):
        return section.sub(heading, changelog, count=1)
    return changelog.replace(_UNRELEASED, f"{_UNRELEASED}\n{heading}", 1)


def read_notes(version: str, root: Path = ROOT) -> str:
    """Return the changelog's section of a version, without its heading."""
    text = (root / _CHANGELOG).read_text(encoding="utf-8")
    section = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(?P<notes>.*?)(?=^## |^\[|\Z)", text, re.M | re.S
    )
    if section is None or not section["notes"].strip():
        raise ReleaseError(f"{_CHANGELOG} has no dated section of {version} with notes in it.")
    return section["notes"].strip() + "\n"


def check(tag: str | None, root: Path = ROOT) -> None:
    """Make sure that all places have one version, and that the tag and the changelog have it too.

    Raises:
        ReleaseError: naming what differs.
    """
    version = read_version(root)
    wrong = [f"{place} has {found}" for place, found in versions(root) if found != version]
    if tag is not None and tag != f"v{version}":
        wrong.append(f"the tag is {tag}")
    if wrong:
        raise ReleaseError(f"The version is {version}, but {' and '.join(wrong)}.")
    if tag is not None:
        read_notes(version, root)


def _read_json(path: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return parsed


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> int:
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("set").add_argument("version")
    commands.add_parser("check").add_argument("--tag")
    commands.add_parser("notes")
    parsed = parser.parse_args()
    try:
        if parsed.command == "set":
            set_version(parsed.version)
        elif parsed.command == "check":
            check(parsed.tag)
        else:
            print(read_notes(read_version()), end="")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
