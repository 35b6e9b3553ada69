"""``fim-lsp serve`` over an engine without weights, to see what requests leave behind."""

from __future__ import annotations

import argparse
import sys
import time

from attrs import evolve

from fim_lsp.commands import serve
from fim_lsp.engine.scripted import Script, ScriptedEngine


def main() -> int:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)

    def open_engine(*_: object) -> ScriptedEngine:
        script = Script(lambda _: "y" * 2000, before_token=lambda: time.sleep(0.0001))
        engine = ScriptedEngine(script)
        return evolve(engine, info=evolve(engine.info, architecture="qwen2"))

    return serve.run(parser.parse_args(), open_engine)


if __name__ == "__main__":
    sys.exit(main())
