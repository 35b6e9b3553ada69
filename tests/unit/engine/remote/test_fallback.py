from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from attrs import evolve

from fim_lsp.engine.base import CancelToken, PromptTooColdError
from fim_lsp.engine.remote import FallbackEngine, RemoteError, open_remote
from fim_lsp.engine.scripted import Script, ScriptedEngine
from fim_lsp.engine_factory import rebuild_for
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import choose_template
from fim_lsp.remote_settings import RemoteSettings
from fim_lsp.settings import ModelSettings, PromptSettings
from fim_lsp.types import (
    AppliedAdapter,
    CompletionRequest,
    DocumentSnapshot,
    FinishReason,
    Generation,
    SamplingParams,
    Timings,
)
from tests.stand_in_server import StandInServer, running

BEFORE, AFTER = "def add(a, b):\n    return a ", "\n\n\nprint(add(1, 2))\n"


class Pair:
    """A fallback engine, its stand-in server and the prompts that its local model got."""

    def __init__(self, engine: FallbackEngine, server: StandInServer, prompts: list[str]) -> None:
        self.engine, self.server, self.prompts = engine, server, prompts
        self.heard: list[str] = []

    def run(self, *, max_tokens: int = 64, on_token=None, adapters=(), cancel=None, before=BEFORE):
        template = choose_template(self.engine.info, self.engine.tokenizer, None).template
        document = DocumentSnapshot("file:///project/add.py", "python", 1, before + AFTER)
        request = CompletionRequest(document, len(before))
        settings = PromptSettings(heal_tokens=False)
        prompt = build(request, template, self.engine.tokenizer, settings, path="add.py")
        prompt = evolve(prompt, adapters=adapters, location=f"{document.uri}@0")
        listener = on_token or (lambda token: self.heard.append(token.text) or True)
        sampling = SamplingParams(max_tokens=max_tokens)
        return self.engine.generate(prompt, sampling, cancel or CancelToken(), [listener])[0]


Start = Callable[..., Pair]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that makes a pair; ``local`` is the local model's answer."""
    with ExitStack() as stack:

        def make(
            server: StandInServer, local: str = "LOCAL", reachable: bool = True, first: str = "remote"
        ) -> Pair:
            stack.enter_context(running(server))
            settings = ModelSettings(remote=RemoteSettings(url=server.url, server=server.kind))
            remote = open_remote(settings)
            remote.patience_ms = 30_000
            if reachable:
                remote.connect()
            prompts: list[str] = []
            script = Script(lambda prompt: prompts.append(prompt) or local)
            engine = FallbackEngine(remote, ScriptedEngine(script), rebuild_for(settings), first)
            stack.callback(engine.close)
            return Pair(engine, server, prompts)

        yield make


def test_the_server_answers_while_it_can(start):
    pair = start(StandInServer(answer=lambda _: "REMOTE"))
    generation = pair.run()
    assert (generation.text, generation.notice, pair.prompts) == ("REMOTE", "", [])
    assert generation.host == pair.engine.info.host


@pytest.mark.parametrize("fault", ["500", "html", "nothing", "slow", "redirect"])
def test_the_local_model_answers_within_a_second_where_the_server_does_not(start, fault):
    pair = start(StandInServer())
    pair.server.fault = fault
    if fault in ("nothing", "slow"):
        pair.engine._remote.patience_ms = 300
    began = time.monotonic()
    generation = pair.run()
    # Not a matter of speed: the server would take 20 s, or for ever.
    assert time.monotonic() - began < 15
    assert generation.text == "".join(pair.heard) == "LOCAL"
    assert (generation.model, generation.host) == ("scripted", "")


def test_the_local_model_gets_a_prompt_in_its_own_markers(start):
    pair = start(StandInServer())
    pair.server.fault = "500"
    pair.run()
    assert pair.prompts == [f"<|fim_prefix|>{BEFORE}<|fim_suffix|>{AFTER}<|fim_middle|>"]


def test_it_goes_on_behind_the_text_of_a_stream_that_broke(start):
    pair = start(StandInServer(answer=lambda _: "+ b + c", half_after=3, fault=""))
    pair.server.fault = "half"
    generation = pair.run(max_tokens=6)
    assert generation.text == "".join(pair.heard) == "+ bLOC"
    assert pair.prompts[0].endswith("<|fim_middle|>+ b")
    assert generation.finish_reason is FinishReason.LENGTH
    assert len(generation.probabilities) == 6
    assert generation.host == pair.engine.info.host


def test_a_stop_rule_ends_the_rest_too(start):
    pair = start(StandInServer(half_after=2))
    pair.server.fault = "half"
    texts: list[str] = []
    generation = pair.run(on_token=lambda token: texts.append(token.text) or len(texts) < 4)
    assert generation.text == "reLO"
    assert generation.finish_reason is FinishReason.STOPPED


def test_each_episode_is_told_once(start, caplog, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("fim_lsp.engine.remote.engine.time.monotonic", lambda: now[0])
    pair = start(StandInServer())

    def notices(count: int) -> list[bool]:
        return [bool(pair.run().notice) for _ in range(count)]

    with caplog.at_level(logging.WARNING):
        pair.server.fault = "500"
        assert notices(3) == [True, False, False]
        pair.server.fault, now[0] = "", 110.0
        assert notices(1) == [False]
        pair.server.fault = "500"
        assert notices(2) == [True, False]
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 2
    assert "scripted on this machine answers meanwhile" in caplog.text


def test_a_server_that_is_away_at_the_start_takes_over_when_it_comes(start, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("fim_lsp.engine.remote.engine.time.monotonic", lambda: now[0])
    pair = start(StandInServer(answer=lambda _: "REMOTE", fault="500"), reachable=False)
    assert pair.run().text == "LOCAL"
    pair.server.fault, now[0] = "", 110.0
    generation = pair.run()
    assert (generation.text, len(pair.server.completions)) == ("REMOTE", 1)


def test_the_local_model_may_come_first_and_the_server_where_it_writes_nothing(start):
    pair = start(StandInServer(answer=lambda _: "REMOTE"), first="local")
    assert (pair.run().text, pair.server.completions) == ("LOCAL", [])
    silent = start(StandInServer(answer=lambda _: "REMOTE"), local="", first="local")
    assert silent.run().text == "REMOTE"
    silent.server.fault = "500"
    assert silent.run().text == ""


def test_each_gets_the_adapters_that_it_can_apply(start):
    pair = start(StandInServer(answer=lambda _: "abc"))
    adapters = (AppliedAdapter(Path(), name="one"), AppliedAdapter(Path("/home/me/style.gguf")))
    assert pair.run(adapters=adapters[:1]).text == "ABC"
    pair.server.fault = "500"
    assert pair.run(adapters=adapters[:1]).text == "LOCAL"


def test_a_cancel_is_no_failure(start):
    pair = start(StandInServer())
    cancel = CancelToken()
    cancel.cancel()
    assert pair.run(cancel=cancel).finish_reason is FinishReason.CANCELLED
    assert pair.prompts == []


def test_without_a_fallback_the_failure_is_an_error(start):
    pair = start(StandInServer())
    pair.server.fault = "500"
    with pytest.raises(RemoteError, match="status 500"):
        pair.engine._remote.generate(
            build(
                CompletionRequest(DocumentSnapshot("a", "python", 1, "x"), 1),
                None,
                pair.engine.tokenizer,
                PromptSettings(),
            ),
            SamplingParams(),
            CancelToken(),
            [lambda _: True],
        )


class Killed:
    """A server that accepts a connection, reads the request, and is killed: the connection is reset."""

    def __init__(self) -> None:
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                connection.recv(65536)
                # Without a farewell, as from a process that is gone.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

    def close(self) -> None:
        # Also wakes the thread that accepts.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.mark.parametrize("gone", ["reset", "refused"])
def test_a_killed_server_is_asked_once_and_the_local_model_answers(start, gone):
    pair = start(StandInServer(answer=lambda _: "REMOTE"))
    killed = Killed()
    try:
        client = pair.engine._remote._client
        client.address = evolve(client.address, url=f"http://127.0.0.1:{killed.port}")
        if gone == "refused":
            killed.close()
        generation = pair.run()
        assert (generation.text, len(pair.prompts)) == ("LOCAL", 1)
        assert killed.connections == (gone == "reset")
        # Neither is it asked for the next key.
        assert (pair.run().text, killed.connections) == ("LOCAL", gone == "reset")
    finally:
        killed.close()


def test_where_the_local_model_turns_out_to_be_slow_its_next_prompt_is_shorter(start):
    pair = start(StandInServer())
    local, limits = ScriptedEngine(Script(lambda _: "LOCAL")), []

    class SlowEngine:
        """An engine that evaluates half of the tokens a second that it promised."""

        info = evolve(local.info, prefill_tokens_per_s=1000.0)
        tokenizer = local.tokenizer

        def generate(self, prompt, sampling, cancel, on_tokens):
            if prompt.max_pending:
                limits.append(prompt.max_pending)
                raise PromptTooColdError("Cold.")
            timings = Timings(evaluated_tokens=200, prefill_ms=400.0)
            return (Generation("LOCAL", FinishReason.END, timings=timings),)

        def close(self):
            """Close nothing."""

    pair.engine = FallbackEngine(pair.engine._remote, SlowEngine(), rebuild_for(ModelSettings()))
    pair.server.fault = "500"
    for _ in range(3):
        assert pair.run().text == "LOCAL"
    assert limits[0] == 300
    assert limits[2] < limits[1] < limits[0]


def test_a_cold_local_model_answers_a_short_prompt_first(start):
    pair = start(StandInServer())
    local = evolve(pair.engine._local, info=evolve(pair.engine._local.info, prefill_tokens_per_s=100.0))
    pair.engine = FallbackEngine(pair.engine._remote, local, rebuild_for(ModelSettings()))
    pair.server.fault = "500"
    assert pair.run(before="x = 1\n" * 30 + BEFORE).text == "LOCAL"
    # At most 64 tokens, which are bytes here and markers.
    (asked,) = pair.prompts
    assert "return a <|fim_suffix|>" in asked
    assert len(asked) <= 64 + len("<|fim_prefix|><|fim_suffix|><|fim_middle|>")
