"""One version number and one address, wherever they stand, and a changelog that a release can quote."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tools.release import ROOT, ReleaseError, check, read_notes, read_version, set_version, versions
from tools.requirements import read_project

ADDRESS = re.compile(r"https://(?:raw\.githubusercontent|github)\.com/([\w.-]+/fim-lsp)(?![\w-])")
COPIED = (
    "fim_lsp/__init__.py",
    "editors/vscode/package.json",
    "editors/vscode/package-lock.json",
    "CHANGELOG.md",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Provide the files that a version number is written to."""
    for name in COPIED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_all_places_have_the_version_of_the_package() -> None:
    check(tag=None)


def test_the_changelog_has_a_section_of_this_version() -> None:
    assert f"\n## [{read_version()}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_all_addresses_are_that_of_pyproject() -> None:
    repository = read_project()["urls"]["Repository"].removeprefix("https://github.com/")
    files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True)
    places = set()
    for name in filter(None, files.stdout.split("\0")):
        path = ROOT / name
        if path.suffix not in (".json", ".md", ".py", ".toml", ".yml", ".yaml", ".lua", ".ts", ".txt"):
            continue
        for address in ADDRESS.findall(path.read_text(encoding="utf-8") if path.is_file() else ""):
            assert address == repository, name
            places.add(name)
    assert {"pyproject.toml", "editors/vscode/package.json", "CHANGELOG.md"} <= places


def test_a_new_version_is_written_everywhere(copy: Path) -> None:
    set_version("0.9.0", copy, date(2027, 1, 31))
    assert {version for _, version in versions(copy)} == {"0.9.0"}
    assert "## [Unreleased]\n\n## [0.9.0] - 2027-01-31\n" in (copy / "CHANGELOG.md").read_text(
        encoding="utf-8"
    )


def test_a_section_that_has_no_day_yet_gets_one(copy: Path) -> None:
    version = read_version(copy)
    set_version(version, copy, date(2027, 1, 31))
    check(f"v{version}", copy)
    changelog = (copy / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.count(f"## [{version}]") == 1
    assert f"## [{version}] - 2027-01-31\n" in changelog


def test_the_manifests_are_written_as_npm_writes_them(copy: Path) -> None:
    before = [(copy / name).read_text(encoding="utf-8") for name in COPIED[:3]]
    set_version(read_version(copy), copy)
    assert [(copy / name).read_text(encoding="utf-8") for name in COPIED[:3]] == before


@pytest.mark.parametrize("tag", ["v9.9.9", "0.1.0"])
def test_another_tag_is_refused(copy: Path, tag: str) -> None:
    with pytest.raises(ReleaseError, match=f"the tag is {tag}"):
        check(tag, copy)


def test_a_place_that_was_left_behind_is_named(copy: Path) -> None:
    manifest = copy / "editors/vscode/package.json"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace(read_version(), "0.0.9"), encoding="utf-8"
    )
    with pytest.raises(ReleaseError, match=r"package\.json has 0\.0\.9"):
        check(None, copy)


def test_the_notes_are_the_section_without_heading_and_links(copy: Path) -> None:
    (copy / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2027-01-31\n\n### Added\n- This.\n\n"
        "## [0.1.0] - 2027-01-01\n- That.\n\n[0.1.0]: https://example.org\n",
        encoding="utf-8",
    )
    assert read_notes("0.2.0", copy) == "### Added\n- This.\n"
    assert read_notes("0.1.0", copy) == "- That.\n"
    with pytest.raises(ReleaseError, match=r"no dated section of 0\.3\.0"):
        read_notes("0.3.0", copy)


def test_a_version_is_three_numbers(copy: Path) -> None:
    with pytest.raises(ReleaseError):
        set_version("1.0", copy)
