"""The process that indexes the workspace, started by the server: ``python -m fim_lsp.indexing_process``.

It ends when its stdin does, so also when the server dies.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from fim_lsp.paths import index_folder
from fim_lsp.workspace.process import LoadedVocabulary, serve

_FIRST_NICE, _NICE = 5, 19
"""Below the server at once; the lowest priority once the files near the open one are read."""


def open_vocabulary(path: str) -> LoadedVocabulary:
    """Open the vocabulary of a model's file.

    Raises:
        FimLspError: the file can't be used.
    """
    from fim_lsp.engine.llama import open_vocabulary
    from fim_lsp.models.gguf_header import check_model

    check_model(Path(path))
    tokenizer, identity = open_vocabulary(Path(path))
    return LoadedVocabulary(identity, tokenizer.encode)


def lower_priority(*, first: bool = False) -> None:
    """Give this process what others leave of processor and disk; a little more at first."""
    import psutil

    process = psutil.Process()
    with suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if first else psutil.IDLE_PRIORITY_CLASS)
            process.ionice(psutil.IOPRIO_LOW if first else psutil.IOPRIO_VERYLOW)
        else:
            process.nice(max(process.nice(), _FIRST_NICE if first else _NICE))
        if sys.platform == "linux" and not first:
            process.ionice(psutil.IOPRIO_CLASS_IDLE)


def main() -> None:
    """Index until the server closes the pipe."""
    logging.basicConfig(level=logging.WARNING, format="fim-lsp index: %(message)s")
    lower_priority(first=True)
    # What a library prints must not end up between the reports.
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, reports, open_vocabulary, index_folder(), lower_priority)
    with suppress(OSError):
        reports.close()
    # A thread may hang in a read of a network drive for ever.
    os._exit(0)


if __name__ == "__main__":
    main()
