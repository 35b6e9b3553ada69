"""The code of a workspace reaches filtered completions alone."""

from __future__ import annotations

from collections.abc import Sequence

from fim_lsp.engine.base import CancelToken, OnToken
from fim_lsp.engine.memory import MemoryPart, TokenCorpus
from fim_lsp.engine.scripted import END, ScriptedEngine
from fim_lsp.serving.fair_queue import FairQueue
from fim_lsp.serving.orders import CompletionOrder, HolePrompt, LimitsOfText, TextPrompt
from fim_lsp.serving.served_model import ServedModel
from fim_lsp.settings import Settings
from fim_lsp.types import Generation, Prompt, SamplingParams


class RecordingEngine:
    """A scripted engine that keeps the prompts that it gets."""

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []
        self._engine = ScriptedEngine(lambda _: "x" + END)

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        self.prompts.append(prompt)
        return self._engine.generate(prompt, sampling, cancel, on_tokens)


async def test_workspace_votes_where_filters_are_asked_for():
    engine, workspace = RecordingEngine(), MemoryPart(TokenCorpus.build(()))
    model = ServedModel(lambda *_: engine, Settings(), FairQueue(8, 8), 10, lambda path: (workspace,))
    await model.load()
    model.open = True
    limits = LimitsOfText(8)
    hole = HolePrompt("def f():\n    return ", "\n", path="f.py")
    await model.complete(CompletionOrder(hole, limits, filters=True), "a")
    await model.complete(CompletionOrder(hole, limits), "a")
    await model.complete(CompletionOrder(TextPrompt("y = "), limits, filters=True), "a")
    filtered, raw, text = (prompt.memory for prompt in engine.prompts)
    assert filtered is not None
    assert len(filtered.parts) == 1
    assert filtered.before == hole.before
    assert (raw, text) == (None, None)
    await model.close()
