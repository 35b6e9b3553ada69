"""``fim-lsp train …``: another name for ``python -m training …``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from fim_lsp.errors import FimLspError


class TrainingError(FimLspError):
    """The training package is not installed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Accept anything: the training package parses its own arguments."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...")


def run(arguments: Sequence[str]) -> int:
    """Run the command line of the training package and return its exit code.

    It is imported by name, because the server must not depend on it.

    Raises:
        TrainingError: if the package is missing.
    """
    try:
        command_line = import_module("training.__main__")
    except ModuleNotFoundError as error:
        raise TrainingError(
            "This installation of fim-lsp has no training package.",
            "Run: pip install 'fim-lsp[training]'; in a clone: pip install '.[training]'",
        ) from error
    return int(command_line.main(arguments, program="fim-lsp train"))
