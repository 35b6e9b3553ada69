"""The pages show pictures that are there, that are small, and that are what their captions say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[4]
PICTURES = REPOSITORY / "docs/pictures"
PAGES = ("README.md", "docs/getting-started.md", "editors/neovim/README.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_is_there_for_light_and_for_dark(page: str):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    shown = re.findall(r'(?:srcset|src)="([^"]+)"', text)
    assert shown
    for source in shown:
        assert ((REPOSITORY / page).parent / source).is_file(), source
    assert sorted(name for name in shown if "dark" in name) == sorted(
        name.replace("light", "dark") for name in shown if "light" in name
    )


@pytest.mark.parametrize(("page", "picture"), [(PAGES[0], "vscode"), (PAGES[2], "neovim")])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_caption_names_the_editor_that_was_pictured(page: str, picture: str, theme: str):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    caption = re.search(r"<sub>(?P<editor>(VS Code|Neovim) [\d.]+)", text)
    title = re.search(
        r"<title>(.+?) with ", (PICTURES / f"{picture}-{theme}-typing.svg").read_text(encoding="utf-8")
    )
    assert caption
    assert title
    assert caption["editor"] == title[1]


def test_pictures_are_text_and_small():
    found = list(PICTURES.iterdir())
    assert {path.suffix for path in found} == {".svg"}
    assert sum(path.stat().st_size for path in found) < 600_000
