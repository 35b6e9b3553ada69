"""Record a training run in one Neovim: a suggestion, the training on the repository, and a suggestion again.

Run it with ``tools/make-pictures.sh training --repo PATH``, while nothing else needs the cores. The upper
window shows a new file in the repository (one that suits click's), the lower one a terminal in which ``python
-m training run`` trains on it. The server of the upper window is not restarted. It loads the tuned model by
itself.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.editors.neovim.editor import Editor, server_command, start
from tools.pictures import svg
from tools.pictures.__main__ import PICTURES, SHORTEST_S
from tools.pictures.drawing import Box, paced
from tools.pictures.neovim import version, watching
from tools.pictures.scene import READING_S, AcceptedSuggestion, Recording

COLUMNS, ROWS, TERMINAL_ROWS = 108, 36, 20
LONGEST_S, LAST_S = 0.6, 6.0
_EVERY_S = 6.0
"""Seconds between two screens of the training, whose progress bar moves slowly."""
_TYPED = (":", "<CR>", "<M-\\>")
"""The keys. The last one asks by hand, which always gets an answer."""
_INIT = """
vim.o.background = 'dark'
vim.o.termguicolors = true
vim.o.number = true
vim.o.shortmess = 'atFIW'
vim.o.statusline = [[ %t %=%{&buftype == '' ? v:lua.require'fim_lsp.status'.get().message : ''} ]]
"""
FILE = "greet.py"
MARKED = '''\
import click


@click.command()
@click.option("--count", default=1, help="How many times.")
@click.argument("name")
def hello(count, name):
    """Greet NAME as often as asked."""
    for _ in range(count)█
'''
"""The next line prints something. The file does not show how this repository prints."""


def main() -> None:
    """Record, and write ``docs/pictures/training.svg``."""
    chosen = _arguments()
    with TemporaryDirectory() as name:
        folder = Path(name)
        recording = record(chosen.nvim, folder, chosen.repo, chosen.minutes)
    recording.check()
    kept = paced(recording.frames, longest_s=LONGEST_S, shortest_s=SHORTEST_S)
    ground = next(item for item in kept[0].items if isinstance(item, Box))
    title = f"{recording.editor}: fim-lsp trains on {chosen.repo.name} and completes with what came of it"
    canvas = svg.Canvas(round(ground.width), round(ground.height), title)
    moving = svg.moving(canvas, kept, last_s=LAST_S, resting=len(kept) - 1)
    (PICTURES / "training.svg").write_text(moving, encoding="utf-8")
    print(f"{len(kept)} screens, suggested {[suggestion.text for suggestion in recording.suggestions]}")


def record(nvim: str, folder: Path, repository: Path, minutes: int) -> Recording:
    """Ask for a suggestion, train on the repository, and ask again.

    Args:
        nvim: The program.
        folder: For the editor's files and the run; made here.
        repository: What to train on; it is copied, and the copy is edited.
        minutes: For the whole run.
    """
    copy = folder / repository.name
    shutil.copytree(repository, copy)
    os.environ["FIM_LSP_CONFIG"] = str(folder / "settings.json")
    options = {
        "cmd": server_command(folder / "nvim"),
        "settings": {"feedback": {"enabled": False}},
        "display": "ghost",
    }
    with (
        start(nvim, folder / "nvim", options, init=_INIT) as editor,
        watching(folder / "nvim" / "nvim.sock", COLUMNS, ROWS) as watcher,
    ):
        editor.folder = copy
        editor.nvim.command(f"cd {copy}")
        editor.open(MARKED, name=FILE)
        before = _suggested(editor)
        editor.type("<C-]><Esc>u")
        _train(editor, folder, minutes)
        watcher.every_s = _EVERY_S
        model = f"{repository.name}-tuned"
        editor.wait(f"{model} loaded", lambda: editor.message.startswith(model), 120 * minutes)
        watcher.every_s = 0
        time.sleep(2 * READING_S)
        editor.type("<C-\\><C-n><C-w>kA")
        after = _suggested(editor)
        wanted = editor.with_inserted(after.text)
        editor.type("<Tab>")
        editor.wait_text(wanted)
        time.sleep(READING_S)
        return Recording(watcher.frames, [before, after], version(editor))


def _suggested(editor: Editor) -> AcceptedSuggestion:
    for key in _TYPED:
        editor.type(key)
        time.sleep(0.2)
    text = editor.wait_ghost()
    time.sleep(2 * READING_S)
    return AcceptedSuggestion(text, time.monotonic())


def _train(editor: Editor, folder: Path, minutes: int) -> None:
    """Type the command into a terminal below."""
    python = os.environ["FIM_LSP_PYTHON"]
    shell = folder / "shell"
    # A prompt as short as the command is, in the interpreter's own environment.
    shell.write_text(f"PS1='$ '\nPATH={Path(python).parent}:$PATH\n", encoding="utf-8")
    editor.nvim.command(f"botright {TERMINAL_ROWS}split | terminal bash --noprofile --rcfile {shell} -i")
    editor.type("i")
    time.sleep(READING_S)
    for key in f"python -m training run --repo . --base default --minutes {minutes} --output ../run --use":
        editor.type("<Space>" if key == " " else key)
        time.sleep(0.03)
    editor.type("<CR>")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path, required=True, help="your own code")
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--nvim", default=os.environ.get("FIM_LSP_NVIMS", "nvim").split(":")[0])
    return parser.parse_args()


if __name__ == "__main__":
    main()
