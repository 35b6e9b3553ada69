"""``python -m training``: parse, then import only what the chosen verb needs.

Each verb is a module with ``add_arguments(parser)`` and ``run(parsed)``; its heavy imports stand inside
``run``, so that ``--help`` loads neither torch nor a tokenizer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fim_lsp.errors import FimLspError
from training.data import fetch, prepare
from training.evaluate import command as evaluate

_ABOUT = "Train a fill-in-the-middle model on your own code and bring it into your editor."
_VERBS: Mapping[str, Any] = MappingProxyType({"corpus": fetch, "prepare": prepare, "evaluate": evaluate})
_HELP: Mapping[str, str] = MappingProxyType(
    {
        "corpus": "fetch permissively licensed packages to train the default model on",
        "prepare": "turn repositories into a data set: filter, deduplicate, split, cut rows",
        "evaluate": "measure models on holes in code, through the server's own path, and report",
    }
)


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(prog="python -m training", description=_ABOUT)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, module in _VERBS.items():
        module.add_arguments(verbs.add_parser(name, help=_HELP[name], description=_HELP[name]))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parsed = make_parser().parse_args(arguments)
    try:
        return int(_VERBS[parsed.verb].run(parsed))
    except FimLspError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
