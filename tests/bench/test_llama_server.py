"""llama-server is started, answers requests, and is interrupted."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from benchmarks.keystrokes.llama_server import PeerError, llama_server
from benchmarks.keystrokes.own_layout import OwnLayout, RenderedContext
from benchmarks.keystrokes.peers import Workload
from benchmarks.keystrokes.server import ServerBuildError, find_server
from benchmarks.keystrokes.sources import TypedFile
from fim_lsp.prompt.templates import find_template
from fim_lsp.settings import PromptSettings
from tests.unit.prompt.merging_tokenizer import MergingTokenizer

STAND_IN = Path(__file__).with_name("stand_in_llama_server.py")
TEMPLATE = find_template("fim-lsp")
TOKENIZER = MergingTokenizer(TEMPLATE.markers)
WORKLOAD = Workload("name", Path("model.gguf"), 1, 1024, 2048, 16)
CODE = "def f():\n    return \n"
AT = len(CODE) - 1


@pytest.fixture
def peer(tmp_path):
    binary = tmp_path / "llama-server"
    binary.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    binary.chmod(0o755)
    layout = OwnLayout(TEMPLATE, TOKENIZER, PromptSettings())
    rendered = RenderedContext(TEMPLATE, TOKENIZER, PromptSettings())

    def opened(name):
        markers = {"pre": 11, "suf": 12, "mid": 13}
        return llama_server(binary, name, markers, layout, rendered, tmp_path)(WORKLOAD)

    opened.received = lambda name: [
        json.loads(line)
        for line in (tmp_path / f"llama-server-{name}.log").read_text().splitlines()
        if line.startswith("{")
    ]
    return opened


async def until(true):
    async def poll():
        while not true():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), 60)


def posts(received):
    return [(message["path"], message["body"]) for message in received if "path" in message]


async def test_it_is_started_with_what_all_peers_have_in_common(peer):
    async with peer("infill-spm"):
        pass
    arguments = peer.received("infill-spm")[0]["arguments"]
    options = dict(zip(arguments[::2], arguments[1::2], strict=False))
    assert "--spm-infill" in arguments
    assert (options["--threads"], options["--ctx-size"], options["--batch-size"]) == ("1", "2048", "1024")
    assert "fim_suf_token_id=int:12" in options["--override-kv"]


async def test_infill_sends_lines_and_reads_the_counts_of_the_last_event(peer):
    async with peer("infill") as server:
        server.open([TypedFile("a.py", CODE)])
        server.move(0, CODE, AT)
        answer = await server.suggest()
    ((path, body),) = posts(peer.received("infill"))
    assert path == "/infill"
    assert (body["input_prefix"], body["prompt"]) == ("def f():\n", "    return ")
    assert (body["n_predict"], body["top_k"], body["cache_prompt"]) == (16, 1, True)
    assert (answer.text, answer.evaluated) == ("alpha beta", 42)
    assert 0 < answer.ttft_ms <= answer.shown_ms


async def test_completion_sends_the_tokens_of_our_own_layout(peer):
    async with peer("completion") as server:
        server.open([TypedFile("a.py", CODE)])
        server.move(0, CODE, AT)
        await server.suggest()
    ((path, body),) = posts(peer.received("completion"))
    assert path == "/completion"
    tail = TOKENIZER.encode(CODE[:AT])
    assert tuple(body["prompt"][-len(tail) :]) == tail
    assert TOKENIZER.special(TEMPLATE.suffix) in body["prompt"]


async def test_the_lines_of_llama_vim_are_sent_in_an_order_that_infill_does_not_know(peer):
    async with peer("infill-own") as server:
        server.open([TypedFile("a.py", CODE)])
        server.move(0, CODE, AT)
        await server.suggest()
    ((path, body),) = posts(peer.received("infill-own"))
    assert path == "/completion"
    assert (body["n_predict"], body["n_indent"]) == (16, 4)
    suffix = body["prompt"].index(TOKENIZER.special(TEMPLATE.suffix))
    # The suffix first, and then all lines up to the cursor.
    assert body["prompt"].index(TOKENIZER.special(TEMPLATE.middle)) > suffix
    assert tuple(body["prompt"][-len(TOKENIZER.encode(CODE[:AT])) :]) == TOKENIZER.encode(CODE[:AT])


async def test_while_the_user_looks_it_asks_ahead_and_then_need_not_ask(peer):
    async with peer("infill") as server:
        server.open([TypedFile("a.py", CODE)])
        server.move(0, CODE, AT)
        shown = await server.suggest()
        assert await server.idle(2000) == 42
        text = CODE[:AT] + shown.text + CODE[AT:]
        server.move(0, text, AT + len(shown.text))
        ready = await server.suggest()
    assert [body["prompt"] for _, body in posts(peer.received("infill"))] == [
        "    return ",
        "    return alpha beta",
    ]
    assert (ready.text, ready.evaluated, ready.remembered) == ("alpha beta", 0, True)


async def test_a_cancel_closes_the_connection(peer):
    async with peer("infill") as server:
        server.open([TypedFile("a.py", "hang")])
        server.move(0, "hang", 4)
        asking = asyncio.create_task(server.suggest())
        await until(lambda: posts(peer.received("infill")))
        asking.cancel()
        await until(lambda: {"left": True} in peer.received("infill"))
    assert asking.cancelled()


async def test_a_refusal_ends_the_run_with_the_servers_own_words(peer):
    async with peer("infill") as server:
        server.open([TypedFile("a.py", "refuse")])
        server.move(0, "refuse", 6)
        with pytest.raises(PeerError, match="no FIM here"):
            await server.suggest()


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(ServerBuildError, match="no llama-server at /nowhere"):
        find_server(Path("/nowhere"))
