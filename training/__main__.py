"""``python -m training``: parse, then import only what the chosen verb needs.

Each verb is a module with ``add_arguments(parser)`` and ``run(parsed)``. Only the chosen one is imported, so
that ``--help`` loads neither torch nor numpy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from fim_lsp.errors import FimLspError

_ABOUT = "Train a fill-in-the-middle model on your own code and bring it into your editor."
_VERBS: Mapping[str, str] = MappingProxyType(
    {
        "corpus": "training.data.fetch",
        "prepare": "training.data.prepare",
        "train": "training.train.train",
        "export": "training.export.export",
        "evaluate": "training.evaluate.command",
        "run": "training.pipeline.run",
        "sweep": "training.sweep.sweep",
    }
)
_HELP: Mapping[str, str] = MappingProxyType(
    {
        "corpus": "fetch permissively licensed packages to train the default model on",
        "prepare": "turn repositories into a data set: filter, deduplicate, split, cut rows",
        "train": "train a LoRA on a data set, with checkpoints to go on from",
        "export": "make GGUF files of what was trained, and compare them with it",
        "evaluate": "measure models on holes in code, through the server's own path, and report",
        "run": "all of it in a row: from your own code to a model that your editor uses, and how good it is",
        "sweep": "search rank, alpha, learning rate and span mix for the lowest held-out NLL",
    }
)


_PROGRAM = "python -m training"


class MissingPackageError(FimLspError):
    """A package of the extra ``training`` is not installed."""


def make_parser(chosen: str | None = None, program: str = _PROGRAM) -> argparse.ArgumentParser:
    """The command line, with the arguments of the chosen verb alone."""
    parser = argparse.ArgumentParser(prog=program, description=_ABOUT)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, module in _VERBS.items():
        verb = verbs.add_parser(name, help=_HELP[name], description=_HELP[name])
        if name == chosen:
            import_module(module).add_arguments(verb)
    return parser


def main(arguments: Sequence[str] | None = None, program: str = _PROGRAM) -> int:
    """Run the command line and return the exit code; ``program`` is the name that the help shows."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(given, program)
    except FimLspError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: Sequence[str], program: str) -> int:
    chosen = next((word for word in arguments if word in _VERBS), None)
    try:
        parsed = make_parser(chosen, program).parse_args(arguments)
        return int(import_module(_VERBS[parsed.verb]).run(parsed))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("fim_lsp", "training", ""):
            raise
        raise MissingPackageError(
            f"Training needs the package {package}, which is not installed.",
            "Run: pip install 'fim-lsp[training]'; in a clone: pip install '.[training]'",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
