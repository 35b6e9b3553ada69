"""The real server with scripted answers: ``scripted_server.py FILE ARGUMENTS...``.

Each answer is the text that FILE holds when the model is asked: a test decides what the model writes, and
sees what the server and the editor make of it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fim_lsp import cli
from fim_lsp.commands import language_server
from fim_lsp.engine.base import Engine, OnLoading
from fim_lsp.engine.scripted import END, ScriptedEngine
from fim_lsp.settings import ModelSettings


def main(file: Path, arguments: list[str]) -> int:
    if "--stdio" not in arguments:
        return cli.main(arguments)
    parser = argparse.ArgumentParser()
    language_server.add_arguments(parser)

    def open_engine(_: ModelSettings, __: OnLoading) -> Engine:
        return ScriptedEngine(lambda prompt: file.read_text(encoding="utf-8") + END)

    language_server.run(parser.parse_args(arguments), open_engine)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
