"""``fim-lsp train`` is ``python -m training``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fim_lsp import cli


def test_it_shows_the_help_of_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: fim-lsp train ")
    assert "evaluate" in out


def test_options_behind_the_verb_reach_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "prepare", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: fim-lsp train prepare ")


def test_a_missing_verb_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["train"])
    assert ended.value.code == 2
    assert "fim-lsp train: error" in capsys.readouterr().err


def test_the_help_of_the_server_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "python -m training" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        ("llama_cpp", "Training needs the package llama_cpp, which is not installed."),
        ("training", "This installation of fim-lsp has no training package."),
    ],
)
def test_without_the_extra_it_names_the_command_that_installs_it(missing: str, problem: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from fim_lsp.cli import main\n"
        "sys.exit(main(['train', 'prepare', '--repo', '.', '--own', '--base', 'default', '--output', 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        f"{problem} Run: pip install 'fim-lsp[training]'; in a clone: pip install '.[training]'"
    )


def test_the_command_line_stays_light() -> None:
    program = (
        "import sys\n"
        "from fim_lsp.cli import make_parser\n"
        "make_parser().format_help()\n"
        "heavy = {'llama_cpp', 'pygls', 'lsprotocol', 'torch', 'numpy', 'training'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
