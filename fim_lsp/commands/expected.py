"""``fim-lsp expected``: count, export or delete the suggestions that the user recorded as expected."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``expected``."""
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument(
        "--export", metavar="FILE", type=Path, help="write the cases for training evaluate --holes"
    )
    doing.add_argument("--clear", action="store_true", help="delete what was recorded")


def run(parsed: argparse.Namespace) -> int:
    """Do what the flags say; without one, say how many cases there are."""
    from fim_lsp.feedback.expected import ExpectedError, count_expected, expected_path
    from fim_lsp.files import write_text_atomically

    path = expected_path()
    count = count_expected(path)
    try:
        if parsed.export is not None and count:
            write_text_atomically(parsed.export, path.read_text(encoding="utf-8"), mode=0o600)
            print(f"Wrote {count} cases: {parsed.export}")
        elif parsed.clear:
            path.unlink(missing_ok=True)
            print(f"Deleted {count} cases.", file=sys.stderr)
        else:
            print(f"{count} expected suggestions are recorded in {path}.")
    except OSError as error:
        raise ExpectedError(
            f"{error.filename or path}: {error.strerror or error}.",
            "Choose another file, or check the folder.",
        ) from error
    return 0
