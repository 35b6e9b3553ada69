"""The command line: parse, then import only what the chosen verb needs.

``fim-lsp --help`` and ``--version`` load neither llama.cpp nor the language server; each verb's file under
``commands`` imports its heavy parts when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fim_lsp import __version__
from fim_lsp.commands import (
    cache,
    complete,
    demo,
    doctor,
    expected,
    language_server,
    model,
    serve,
    stats,
    train,
)
from fim_lsp.consoles import accept_any_character
from fim_lsp.errors import FimLspError

_ABOUT = "Local code completion for any LSP editor. Editors start it as: fim-lsp --stdio"
_VERBS = {
    "cache": cache,
    "complete": complete,
    "demo": demo,
    "doctor": doctor,
    "expected": expected,
    "model": model,
    "serve": serve,
    "stats": stats,
}
_HELP = {
    "cache": "show or delete what is saved for a fast restart: KV states, indexes of workspaces",
    "complete": "print the suggestion that an editor would show at a place in a file",
    "demo": "type into a sample project and print the suggestions and their cost",
    "doctor": "check this machine, the model and the speed, and advise changes",
    "expected": "count, export or delete the suggestions that you recorded as expected",
    "serve": "serve the model over HTTP, to editors and scripts that speak no LSP",
    "model": "list, fetch, locate and verify models",
    "stats": "show what became of suggestions here: accepted, kept, characters saved, latency",
}
_TRAIN = "train"
_TRAIN_HELP = "train a model on your own code: the same as python -m training"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="fim-lsp", description=_ABOUT)
    parser.add_argument("--version", action="version", version=f"fim-lsp {__version__}")
    language_server.add_arguments(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, module in _VERBS.items():
        module.add_arguments(verbs.add_parser(name, help=_HELP[name], description=_HELP[name]))
    train.add_arguments(verbs.add_parser(_TRAIN, help=_TRAIN_HELP, description=_TRAIN_HELP))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    accept_any_character()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given[:1] == [_TRAIN]:  # argparse would keep --help and other options for itself
            return train.run(given[1:])
        parser = make_parser()
        parsed = parser.parse_args(given)
        if parsed.verb is not None:
            code: int = _VERBS[parsed.verb].run(parsed)
            return code
        if not (parsed.stdio or parsed.tcp):
            parser.print_help()
            return 2
        language_server.run(parsed)
    except (FimLspError, OSError) as error:  # a log file that can't be written, a port that is taken
        print(f"fim-lsp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
