"""The engines that the contract suite runs over, and a bench to run each on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve, frozen

from fim_lsp.engine.base import CancelToken, Engine
from fim_lsp.engine.remote import RemoteEngine, open_remote
from fim_lsp.engine.scripted import Answer, Script, ScriptedEngine
from fim_lsp.remote_settings import RemoteSettings
from fim_lsp.settings import ModelSettings
from fim_lsp.types import (
    AppliedAdapter,
    Generation,
    Prompt,
    SamplingParams,
    StreamedToken,
    Timings,
)
from tests.llama_server_process import LlamaServerProcess, find_llama_server
from tests.lora_file import write_lora
from tests.stand_in_server import ByteVocabulary, StandInServer, running

CONTEXT = 1024


@frozen
class Bench:
    """An engine, and methods that run it with defaults."""

    engine: Engine
    adapters: tuple[AppliedAdapter, ...] = ()
    """Three, each of which changes what the engine generates."""

    @property
    def mirror(self) -> list[int]:
        """The tokens of the current sequence."""
        return self.engine.mirror.tokens

    def prefill(self, prompt: Prompt, cancel: CancelToken | None = None) -> Timings:
        """Evaluate a prompt in the background."""
        return self.engine.prefill(prompt, cancel or CancelToken())

    def prompt(self, tail: str, head: str = "", **options: object) -> Prompt:
        return Prompt(head=self.engine.tokenizer.encode(head), tail=tail, **options)

    def run(
        self,
        prompt: Prompt,
        *,
        max_tokens: int = 8,
        cancel: CancelToken | None = None,
        on_token: Callable[[StreamedToken], bool] = lambda _: True,
    ) -> Generation:
        return self.run_candidates(prompt, on_token, max_tokens=max_tokens, cancel=cancel)[0]

    def run_candidates(
        self,
        prompt: Prompt,
        *on_tokens: Callable[[StreamedToken], bool],
        max_tokens: int = 8,
        cancel: CancelToken | None = None,
    ) -> tuple[Generation, ...]:
        """Generate one candidate for each listener, or three."""
        listeners = on_tokens or (lambda _: True,) * 3
        sampling = SamplingParams(max_tokens=max_tokens)
        return self.engine.generate(prompt, sampling, cancel or CancelToken(), listeners)


def _scripted() -> ScriptedEngine:
    adapters: dict[Path, Answer] = {
        Path("a"): lambda answer: answer.replace("a", "c"),
        Path("b"): lambda answer: answer.upper(),
        Path("c"): lambda answer: answer[::-1],
    }
    script = Script(
        lambda prompt: "return a + b\n\n\ndef" if prompt else "x" * 64,
        alternatives=lambda _: ("rest of it", "yield a + b", "x = a", "print(a)"),
        adapters=adapters,
    )
    engine = ScriptedEngine(script)
    return evolve(engine, info=evolve(engine.info, context=CONTEXT))


@pytest.fixture(scope="session")
def lora_files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base: Path = request.getfixturevalue("model_path")
    folder = tmp_path_factory.mktemp("adapters")
    return [write_lora(folder / f"{seed}.gguf", base, seed=seed) for seed in range(3)]


def _open(path: Path, speculation: str) -> Engine:
    from fim_lsp.engine.llama import open_llama

    settings = ModelSettings(context_tokens=CONTEXT, batch_tokens=64, threads=1, speculation=speculation)
    return open_llama(path, settings)


@pytest.fixture(scope="session")
def llama_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine = _open(request.getfixturevalue("model_path"), "off")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def drafting_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Provide the same model, with drafts whatever they cost."""
    engine = _open(request.getfixturevalue("model_path"), "on")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def llama_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaServerProcess]:
    """Provide a real llama-server with the same model, on one sequence."""
    binary = find_llama_server()
    if binary is None:
        pytest.skip("there is no llama-server: build one with make bench, or set FIM_LSP_LLAMA_SERVER")
    model: Path = request.getfixturevalue("model_path")
    with LlamaServerProcess.start(binary, model, CONTEXT, tmp_path_factory.mktemp("slots")) as server:
        yield server


def remote_engine(url: str, vocabulary: object | None = None, **remote: object) -> RemoteEngine:
    """Return an engine that is connected to a server."""
    # A whole context takes a busy machine longer than the usual ten seconds.
    settings = RemoteSettings(url=url, **{"timeout_ms": 120_000, **remote})
    engine = open_remote(ModelSettings(remote=settings), vocabulary)
    engine.connect()
    return engine


@pytest.fixture
def remote_scripted_engine() -> Iterator[Engine]:
    """Provide a stand-in for llama-server, with the scripted engine's answers and vocabulary."""
    answer = _scripted().script.answer
    with running(StandInServer(answer=answer, context=CONTEXT)) as server:
        engine = remote_engine(server.url, ByteVocabulary())
        yield engine
        engine.close()


@pytest.fixture
def remote_llama_engine(request: pytest.FixtureRequest, llama_server: LlamaServerProcess) -> Iterator[Engine]:
    """Provide the real llama-server, with nothing evaluated."""
    from fim_lsp.engine.llama import open_model_vocabulary

    llama_server.forget()
    engine = remote_engine(llama_server.url, open_model_vocabulary(request.getfixturevalue("model_path")))
    yield engine
    engine.close()


@pytest.fixture(
    params=[
        "scripted",
        pytest.param("llama", marks=pytest.mark.model),
        pytest.param("drafting", marks=pytest.mark.model),
    ]
)
def bench(request: pytest.FixtureRequest) -> Bench:
    return make_bench(request)


def make_bench(request: pytest.FixtureRequest) -> Bench:
    """Return the engine that the fixture's parameter names."""
    if request.param.startswith("remote"):
        if request.node.get_closest_marker("local_engine"):
            pytest.skip("a server offers no logits, and keeps its KV cache to itself")
        engine = request.getfixturevalue(f"{request.param}_engine")
        adapters = tuple(AppliedAdapter(Path(), name=name) for name in ("one", "two"))
    elif request.param == "scripted":
        engine = _scripted()
        adapters = tuple(map(AppliedAdapter, engine.script.adapters))
    else:
        engine = request.getfixturevalue(f"{request.param}_engine")
        # Every test starts with an empty mirror.
        engine.mirror.clear()
        adapters = tuple(map(AppliedAdapter, request.getfixturevalue("lora_files")))
    return Bench(engine, adapters)
