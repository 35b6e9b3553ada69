"""Draw pictures of real editors with the default model: ``python -m tools.pictures EDITOR``.

The screens are read from the running editor, and the ghost text is the answer of the model. Run it with
``tools/make-pictures.sh``, which installs what is needed. For each theme it writes a still picture and a
recording to ``docs/pictures``; for VS Code also the browser's screenshots to ``build/pictures``, and it says
how far the drawing is from them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.pictures import scene, svg
from tools.pictures.drawing import Box, paced
from tools.pictures.scene import NotShownError, Recording

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURES = REPOSITORY / "docs/pictures"
SCREENSHOTS = REPOSITORY / "build/pictures"
THEMES = ("dark", "light")
LONGEST_S, SHORTEST_S, LAST_S = 1.5, 0.03, 2.5
"""Seconds that a screen stays at most and at least, and that the last one stays. The captions must mention
the first."""


def write(recording: Recording, name: str) -> Path:
    """Write the still picture and the recording of one editor in one theme, and return the still one."""
    recording.check()
    picture_frame = recording.at(recording.suggestions[scene.STILL])
    ground = next(item for item in picture_frame.items if isinstance(item, Box))
    canvas = svg.Canvas(
        round(ground.width),
        round(ground.height),
        f"{recording.editor} with fim-lsp's default model: typing {scene.TYPED.strip()!r}, ghost text, Tab",
    )
    frames = paced(recording.frames, longest_s=LONGEST_S, shortest_s=SHORTEST_S)
    resting = [frame.items for frame in frames].index(picture_frame.items)
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = PICTURES / f"{name}.svg"
    picture.write_text(svg.still(canvas, picture_frame), encoding="utf-8")
    moving = svg.moving(canvas, frames, last_s=LAST_S, resting=resting)
    (PICTURES / f"{name}-typing.svg").write_text(moving, encoding="utf-8")
    accepted = [suggestion.text for suggestion in recording.suggestions]
    print(f"{name}: {recording.editor}, {len(frames)} screens, accepted {accepted}")
    return picture


def neovim() -> None:
    """Draw Neovim."""
    from tools.pictures.neovim import record

    nvim = os.environ["FIM_LSP_NVIMS"].split(":")[0]
    for theme in THEMES:
        with TemporaryDirectory() as folder:
            write(record(nvim, Path(folder) / "nvim", theme), f"neovim-{theme}")


def vscode() -> None:
    """Draw VS Code in Chromium.

    Raises:
        NotShownError: a drawing does not look like the screenshot.
    """
    from tests.editors.vscode.browser import chromium
    from tools.pictures.likeness import WORST, difference, photograph
    from tools.pictures.vscode import record

    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for theme in THEMES:
            name = f"vscode-{theme}"
            seen, drawn = SCREENSHOTS / f"{name}.png", SCREENSHOTS / f"{name}-drawn.png"
            with TemporaryDirectory() as folder:
                picture = write(record(browser, Path(folder), theme, seen), name)
            photograph(browser, picture, drawn)
            share = difference(browser, drawn, seen)
            print(f"{name}: {share:.2%} of the pixels differ from the screenshot")
            if share > WORST:
                raise NotShownError(f"{picture} does not look like {seen}.")


if __name__ == "__main__":
    {"neovim": neovim, "vscode": vscode}[sys.argv[1]]()
