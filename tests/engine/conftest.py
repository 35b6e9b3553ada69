"""One fixture a kind of engine: the contract suite runs over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen

from fim_lsp.engine.base import CancelToken, Engine
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.settings import ModelSettings
from fim_lsp.types import Generation, Piece, Prompt, SamplingParams

CONTEXT = 1024


@frozen
class Bench:
    """An engine, and how to run it with defaults that tests do not care about."""

    engine: Engine
    mirror: list[int]

    def prompt(self, tail: str, head: str = "", **options: object) -> Prompt:
        return Prompt(head=self.engine.tokenizer.encode(head), tail=tail, **options)

    def run(
        self,
        prompt: Prompt,
        *,
        max_tokens: int = 8,
        cancel: CancelToken | None = None,
        on_piece: Callable[[Piece], bool] = lambda _: True,
    ) -> Generation:
        return self.engine.generate(
            prompt, SamplingParams(max_tokens=max_tokens), cancel or CancelToken(), on_piece
        )


def _scripted() -> ScriptedEngine:
    from attrs import evolve

    engine = ScriptedEngine(lambda prompt: "return a + b\n\n\ndef" if prompt else "x" * 64)
    return evolve(engine, info=evolve(engine.info, context=CONTEXT))


@pytest.fixture(scope="session")
def llama_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    from fim_lsp.engine.llama import open_llama

    path: Path = request.getfixturevalue("model_path")
    engine = open_llama(path, ModelSettings(context_tokens=CONTEXT, batch_tokens=256, threads=1))
    yield engine
    engine.close()


@pytest.fixture(params=["scripted", pytest.param("llama", marks=pytest.mark.model)])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "scripted":
        engine = _scripted()
    else:
        engine = request.getfixturevalue("llama_engine")
        # Start every test cold, whatever ran before.
        Bench(engine, engine.mirror).run(Prompt(head=engine.tokenizer.encode("\n#"), tail=""), max_tokens=1)
    return Bench(engine, engine.mirror)
