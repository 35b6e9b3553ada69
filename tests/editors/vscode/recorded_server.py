"""The real server, which also writes down what it is asked and what it costs: ``recorded_server.py FILE …``.

One JSON object a line: requests with what the editor sent, answers with what it got, generations with their
sampling, model and adapters, settings that came into force, and the process that did it.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

from fim_lsp import cli
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.lsp import server as lsp
from fim_lsp.lsp.session import Session


def main(record: Path, arguments: list[str]) -> int:
    def write(kind: str, **facts: Any) -> None:
        with record.open("a", encoding="utf-8") as file:
            print(json.dumps({"kind": kind, "pid": os.getpid(), **facts}), file=file)

    inline, initialized = lsp._inline_completion, lsp._initialized
    apply_settings, generate = Session.apply_settings, InferenceWorker.generate

    @functools.wraps(initialized)
    async def recorded_initialized(server: lsp.Server, params: Any) -> None:
        await initialized(server, params)
        write("initialized")

    @functools.wraps(inline)
    async def recorded_inline(server: lsp.Server, params: Any) -> Any:
        document = server.document(params.text_document.uri)
        write(
            "request",
            uri=params.text_document.uri,
            trigger=params.trigger_kind,
            tab_size=params.tab_size,
            insert_spaces=params.insert_spaces,
            document=document.source if document else None,
        )
        answer = await inline(server, params)
        write("answer", items=[item.insert_text for item in answer.items] if answer else None)
        return answer

    async def recorded_generate(worker: Any, prompt: Any, sampling: Any, *rest: Any) -> Any:
        write(
            "generation",
            max_tokens=sampling.max_tokens,
            model=worker.engine.info.name,
            adapters=[str(adapter.path) for adapter in prompt.adapters],
        )
        generations = await generate(worker, prompt, sampling, *rest)
        timings = generations[0].timings
        write("cost", evaluated=timings.evaluated_tokens, generated=timings.generated_tokens)
        return generations

    def recorded_apply(session: Session) -> None:
        apply_settings(session)
        write("settings")

    Session.apply_settings = recorded_apply  # type: ignore[method-assign]
    lsp._inline_completion, lsp._initialized = recorded_inline, recorded_initialized
    InferenceWorker.generate = recorded_generate  # type: ignore[method-assign]
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
