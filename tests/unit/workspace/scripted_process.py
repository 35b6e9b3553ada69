"""The process that indexes, with bytes as tokens: run by tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.workspace.process import LoadedVocabulary, serve

if __name__ == "__main__":

    def open_vocabulary(path: str) -> LoadedVocabulary:
        if path == "damaged":
            raise ValueError("the vocabulary is damaged")
        return LoadedVocabulary(path, ByteTokenizer().encode)

    serve(sys.stdin.buffer, sys.stdout.buffer, open_vocabulary, Path(sys.argv[1]))
    os._exit(0)
