"""The real server, which also records each generation: ``recording_server.py RECORD ARGUMENTS...``.

Its lines in RECORD, between those of recording_proxy.py, have the kind ``generation`` (token limit, model and
adapters) or ``cost`` (counts of evaluated and generated tokens).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fim_lsp import cli
from fim_lsp.commands import language_server
from fim_lsp.engine.base import CancelToken, Engine, OnLoading, OnToken
from fim_lsp.settings import ModelSettings
from fim_lsp.types import Generation, Prompt, SamplingParams


class RecordingEngine:
    """An engine that records the generations of another one."""

    def __init__(self, engine: Engine, record: Path) -> None:
        self._engine = engine
        self._record = record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        self._write(
            "generation",
            max_tokens=sampling.max_tokens,
            model=self._engine.info.name,
            adapters=[str(adapter.path) for adapter in prompt.adapters],
        )
        generations = self._engine.generate(prompt, sampling, cancel, on_tokens)
        timings = generations[0].timings
        self._write("cost", evaluated=timings.evaluated_tokens, generated=timings.generated_tokens)
        return generations

    def _write(self, kind: str, **facts: Any) -> None:
        with self._record.open("a", encoding="utf-8") as file:
            print(json.dumps({"kind": kind, "pid": os.getpid(), **facts}), file=file)


def main(record: Path, arguments: list[str]) -> int:
    if "--stdio" not in arguments:
        return cli.main(arguments)
    parser = argparse.ArgumentParser()
    language_server.add_arguments(parser)

    def open_engine(settings: ModelSettings, on_loading: OnLoading) -> Any:
        return RecordingEngine(language_server.open_engine_for_editor(settings, on_loading), record)

    language_server.run(parser.parse_args(arguments), open_engine)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
