"""``python -m training``: parse the command line, and import only what the chosen verb needs.

Each verb is a module with ``add_arguments(parser)`` and ``run(parsed)``. Only the chosen one is imported, so
that ``--help`` loads neither torch nor numpy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import NamedTuple

from fim_lsp.consoles import accept_any_character
from fim_lsp.errors import FimLspError

_PROGRAM = "python -m training"
_ABOUT = "Train a fill-in-the-middle model on your own code and use it in your editor."


class _Verb(NamedTuple):
    module: str
    help: str


_VERBS: Mapping[str, _Verb] = MappingProxyType(
    {
        "corpus": _Verb(
            "training.data.fetch", "fetch permissively licensed packages to train the default model on"
        ),
        "prepare": _Verb(
            "training.data.prepare", "turn repositories into a data set: filter, deduplicate, split, cut rows"
        ),
        "train": _Verb(
            "training.train.train", "train a LoRA on a data set; a run can be resumed from its checkpoints"
        ),
        "export": _Verb(
            "training.export.export",
            "write a trained adapter as GGUF files, and check that they compute the same",
        ),
        "evaluate": _Verb(
            "training.evaluate.command",
            "measure models on holes in code, served as in an editor, and write a report",
        ),
        "confidence": _Verb(
            "training.confidence.command",
            "fit the model that hides unlikely suggestions, and measure it",
        ),
        "run": _Verb(
            "training.pipeline.run",
            "prepare, train, export and evaluate: from your own code to a model for your editor",
        ),
        "sweep": _Verb(
            "training.sweep.sweep",
            "search for the rank, alpha, learning rate and span mix with the lowest held-out NLL",
        ),
        "gate": _Verb(
            "training.gate.command",
            "fit how much the repository memory's votes count beside a model, on code that it has not seen",
        ),
    }
)


class MissingPackageError(FimLspError):
    """A package of the extra ``training`` is not installed."""


def make_parser(chosen: str | None = None, program: str = _PROGRAM) -> argparse.ArgumentParser:
    """Return the parser, with arguments for the chosen verb alone.

    Args:
        chosen: the verb; None for no arguments of any verb.
        program: the program's name in the help.
    """
    parser = argparse.ArgumentParser(prog=program, description=_ABOUT)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in _VERBS.items():
        verb_parser = verbs.add_parser(
            name, help=verb.help, description=f"{verb.help[0].upper()}{verb.help[1:]}."
        )
        if name == chosen:
            import_module(verb.module).add_arguments(verb_parser)
    return parser


def main(arguments: Sequence[str] | None = None, program: str = _PROGRAM) -> int:
    """Run the command line and return the exit code; ``program`` is the name that the help shows."""
    accept_any_character()
    try:
        return _run(sys.argv[1:] if arguments is None else arguments, program)
    except FimLspError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: Sequence[str], program: str) -> int:
    chosen = next((word for word in arguments if word in _VERBS), None)
    try:
        parsed = make_parser(chosen, program).parse_args(arguments)
        return int(import_module(_VERBS[parsed.verb].module).run(parsed))
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
