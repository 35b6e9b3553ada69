from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest

from fim_lsp.engine.base import AdapterError, CancelToken, EngineError, PromptTooLongError
from fim_lsp.engine.remote import RemoteError
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import choose_template
from fim_lsp.settings import PromptSettings
from fim_lsp.types import (
    AppliedAdapter,
    CompletionRequest,
    DocumentSnapshot,
    FinishReason,
    Prompt,
    SamplingParams,
)
from tests.stand_in_server import PATHS, ByteVocabulary, StandInServer

KINDS = tuple(PATHS)
BEFORE, AFTER = "def add(a, b):\n    return a ", "\n\n\nprint(add(1, 2))\n"


def prompt_for(engine, before: str = BEFORE, after: str = AFTER, **options) -> Prompt:
    template = choose_template(engine.info, engine.tokenizer, None).template
    document = DocumentSnapshot("file:///project/add.py", "python", 1, before + after)
    settings = PromptSettings(heal_tokens=options.pop("heal", False), layout="anchored")
    return build(CompletionRequest(document, len(before)), template, engine.tokenizer, settings)


def run(engine, prompt: Prompt, max_tokens: int = 64, cancel: CancelToken | None = None, on_token=None):
    listener = on_token or (lambda _: True)
    (generation,) = engine.generate(
        prompt, SamplingParams(max_tokens=max_tokens), cancel or CancelToken(), [listener, listener]
    )
    return generation


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_server_streams_an_answer(open_stand_in, kind):
    engine, server = open_stand_in(StandInServer(kind, answer=lambda _: "+ b\n"))
    engine.connect()
    heard = []
    generation = run(engine, prompt_for(engine), on_token=lambda token: heard.append(token.text) or True)
    assert "".join(heard) == generation.text == "+ b\n"
    assert generation.finish_reason is FinishReason.END
    assert generation.host == engine.info.host == server.url.removeprefix("http://")
    assert len(server.completions) == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "codestral"])
def test_the_kind_is_found_out_by_asking(open_stand_in, kind):
    server = StandInServer(kind)
    engine, _ = open_stand_in(server)
    engine._settings = engine._settings.__class__(remote=engine._settings.remote.__class__(url=server.url))
    engine.connect()
    run(engine, prompt_for(engine))
    assert len(server.completions) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_prompt_has_code_before_and_after_the_cursor(open_stand_in, kind):
    prompts = []
    engine, server = open_stand_in(StandInServer(kind, answer=lambda prompt: prompts.append(prompt) or "x"))
    engine.connect()
    run(engine, prompt_for(engine))
    if kind == "codestral":
        assert (prompts[0], server.completions[0].body["suffix"]) == (BEFORE, AFTER)
    else:
        line = "    return a "
        before = BEFORE.removesuffix(line)
        assert prompts[0] == f"<|fim_prefix|>{before}<|fim_suffix|>{AFTER}<|fim_middle|>{line}"


@pytest.mark.parametrize("kind", KINDS)
def test_user_text_that_spells_a_marker_stays_text(open_stand_in, kind, caplog):
    engine, server = open_stand_in(StandInServer(kind, answer=lambda _: "x"))
    engine.connect()
    for _ in range(2):
        run(engine, prompt_for(engine, before="a = '<|fim_suffix|>"))
    body = server.completions[0].body
    prompt = body.get("prompt", body.get("inputs"))
    if kind == "llama-server":
        assert prompt.count(256 + 1) == 1
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    else:
        if kind != "codestral":
            assert prompt.count("<|fim_suffix|>") == 1
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == (kind != "codestral")


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_rule_of_ours_closes_the_connection(open_stand_in, kind):
    engine, server = open_stand_in(
        StandInServer(kind, answer=lambda _: "x" * 5000, before_token=lambda: time.sleep(0.001))
    )
    engine.connect()
    generation = run(engine, prompt_for(engine), max_tokens=5000, on_token=lambda _: False)
    assert (generation.text, generation.finish_reason) == ("x", FinishReason.STOPPED)
    assert server.left.wait(5)


def test_a_cancel_closes_the_connection_while_the_server_evaluates(open_stand_in):
    engine, server = open_stand_in(StandInServer(fault="nothing"))
    server.fault = ""
    engine.connect()
    server.fault = "nothing"
    cancel = CancelToken()

    def cancel_once_asked() -> None:
        while not server.completions:
            time.sleep(0.01)
        cancel.cancel()

    # A cancel before the server has the request would leave nothing to close.
    threading.Thread(target=cancel_once_asked, daemon=True).start()
    generation = run(engine, prompt_for(engine), cancel=cancel)
    assert generation.finish_reason is FinishReason.CANCELLED
    assert server.left.wait(5)


@pytest.mark.parametrize("kind", ["openai", "lm-studio", "tgi", "vllm"])
def test_at_most_four_stop_strings_are_sent_where_that_is_the_limit(open_stand_in, kind):
    engine, server = open_stand_in(StandInServer(kind))
    engine.connect()
    run(engine, prompt_for(engine))
    body = server.completions[0].body
    stops = body.get("stop", body.get("parameters", {}).get("stop"))
    assert 1 <= len(stops) <= 4
    assert "<|file_sep|>" in stops


@pytest.mark.parametrize("kind", KINDS)
def test_a_marker_ends_the_answer_whether_or_not_it_was_sent(open_stand_in, kind):
    engine, _ = open_stand_in(StandInServer(kind, answer=lambda _: "a<|fim_pad|>b"))
    engine.connect()
    prompt = prompt_for(engine)
    expected = "a<|fim_pad|>b" if kind == "codestral" else "a"
    assert run(engine, prompt).text == expected


def test_token_ids_are_sent_where_the_vocabulary_is_here(open_stand_in):
    for kind in ("llama-server", "vllm"):
        engine, server = open_stand_in(StandInServer(kind), ByteVocabulary())
        engine.connect()
        prompt = Prompt(engine.tokenizer.encode("a <|fim_middle|> "), "b", stop_ids=frozenset({65}))
        run(engine, prompt)
        assert server.completions[0].body["prompt"] == list(b"a <|fim_middle|> b")
    assert server.completions[0].body["stop_token_ids"] == [65]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "codestral"])
def test_the_cut_word_is_healed(open_stand_in, kind):
    def answer(prompt: str) -> str:
        return "urn a" if kind == "llama-server" else "return a"

    engine, server = open_stand_in(StandInServer(kind, answer=answer))
    engine.connect()
    generation = run(engine, prompt_for(engine, before="def f(a):\n\tret", heal=True))
    assert generation.text == "urn a"
    assert len(server.completions) == 1


def test_an_answer_that_does_not_continue_the_cut_word_is_asked_for_again(open_stand_in):
    answers = iter(["yield", "urn a"])
    engine, server = open_stand_in(StandInServer("vllm", answer=lambda _: next(answers)))
    engine.connect()
    assert run(engine, prompt_for(engine, before="def f(a):\n\tret", heal=True)).text == "urn a"
    first, second = (request.body["prompt"] for request in server.completions)
    assert "ret" not in first
    assert "ret" in second


def test_text_that_spells_a_marker_ends_nothing_where_the_tokens_are_named(open_stand_in):
    engine, server = open_stand_in(StandInServer(answer=lambda _: "a<|fim_pad|>b"), ByteVocabulary())
    engine.connect()
    assert run(engine, prompt_for(engine)).text == "a<|fim_pad|>b"
    assert server.completions[0].body["stop"] == []


# --- Adapters


@pytest.mark.parametrize("kind", ["llama-server", "vllm", "tgi", "ollama"])
def test_adapters_are_chosen_by_name(open_stand_in, kind):
    engine, _ = open_stand_in(StandInServer(kind, answer=lambda _: "abc"))
    engine.connect()

    def text(*names: str) -> str:
        adapters = tuple(AppliedAdapter(Path(), name=name) for name in names)
        prompt = prompt_for(engine)
        return run(engine, prompt.__class__(prompt.head, prompt.tail, adapters=adapters)).text

    assert (text(), text("one"), text("two"), text()) == ("abc", "ABC", "cba", "abc")


def test_an_adapter_that_the_server_lacks_is_refused_by_name_until_it_is_loaded(open_stand_in):
    engine, server = open_stand_in(StandInServer("vllm"))
    engine.connect()
    prompt = Prompt((), "x", adapters=(AppliedAdapter(Path(), name="three"),))
    with pytest.raises(AdapterError, match="'three'") as caught:
        run(engine, prompt)
    assert "one, two" in str(caught.value)
    server.adapters = ("one", "two", "three")
    assert run(engine, prompt).text


def test_a_server_that_applies_one_adapter_refuses_the_second_and_a_scale(open_stand_in):
    engine, _ = open_stand_in(StandInServer("vllm"))
    engine.connect()
    one, two = (AppliedAdapter(Path(), name=name) for name in ("one", "two"))
    with pytest.raises(AdapterError) as caught:
        run(engine, Prompt((), "x", adapters=(one, two)))
    assert caught.value.adapter == two
    with pytest.raises(AdapterError, match="scale"):
        run(engine, Prompt((), "x", adapters=(AppliedAdapter(Path(), 0.5, name="one"),)))


def test_adapter_files_on_this_machine_are_not_sent(open_stand_in):
    engine, server = open_stand_in(StandInServer("vllm"))
    engine.connect()
    run(engine, Prompt((), "x", adapters=(AppliedAdapter(Path("/home/me/style.gguf")),)))
    assert "style" not in str(server.requests)


# --- Bad servers


@pytest.mark.parametrize("kind", ["llama-server", "vllm", "ollama"])
@pytest.mark.parametrize(
    "fault", ["html", "half", "500", "503", "redirect", "error event", "nothing", "slow"]
)
def test_a_bad_answer_is_an_error_that_names_the_server_and_no_code(open_stand_in, kind, fault, caplog):
    engine, server = open_stand_in(StandInServer(kind))
    engine.connect()
    if fault in ("nothing", "slow"):
        engine.patience_ms = 300
    server.fault = fault
    with caplog.at_level(logging.DEBUG), pytest.raises(RemoteError) as caught:
        run(engine, prompt_for(engine))
    known = fault not in ("error event",)
    assert (server.url.removeprefix("http://") in str(caught.value)) is known
    assert "secret code" not in str(caught.value) or fault == "503"
    assert "secret code" not in caplog.text


@pytest.mark.parametrize("fault", ["html", "500", "redirect", "nothing"])
def test_a_server_that_does_not_say_what_it_is_can_not_be_used(open_stand_in, fault, monkeypatch):
    monkeypatch.setattr("fim_lsp.engine.remote.engine._DETECTION_S", 0.3)
    engine, server = open_stand_in(StandInServer(fault=fault))
    engine._settings = engine._settings.__class__(remote=engine._settings.remote.__class__(url=server.url))
    with pytest.raises(RemoteError):
        engine.connect()


def test_the_text_before_a_break_is_kept(open_stand_in):
    engine, _ = open_stand_in(StandInServer(fault="half", half_after=3))
    engine.connect()
    with pytest.raises(RemoteError):
        run(engine, prompt_for(engine))
    assert engine.partial.text == "ret"
    assert len(engine.partial.probabilities) == 3


def test_a_redirect_is_not_followed(open_stand_in):
    engine, server = open_stand_in(StandInServer("vllm"))
    other_engine, other = open_stand_in(StandInServer("vllm"))
    engine.connect()
    server.fault, server.redirect_to = "redirect", f"{other.url}/v1/completions"
    with pytest.raises(RemoteError, match="redirects to"):
        run(engine, prompt_for(engine))
    assert not other.requests
    assert other_engine.connected is False


def test_a_server_that_fails_is_left_alone_and_asked_again_after_a_pause(open_stand_in, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("fim_lsp.engine.remote.engine.time.monotonic", lambda: now[0])
    engine, server = open_stand_in(StandInServer(fault=""))
    engine.connect()
    server.fault = "500"
    for _ in range(5):
        with pytest.raises(RemoteError):
            run(engine, prompt_for(engine))
    assert len(server.completions) == 1
    server.fault, now[0] = "", 101.5
    assert run(engine, prompt_for(engine)).text
    assert len(server.completions) == 2


def test_a_prompt_that_does_not_fit_is_refused_and_the_server_is_not_blamed(open_stand_in):
    engine, _ = open_stand_in(StandInServer(context=64))
    engine.connect()
    with pytest.raises(PromptTooLongError, match="context window"):
        run(engine, Prompt((), "x = 1\n" * 100))
    assert run(engine, Prompt((), "x")).text


def test_a_server_offers_no_logits_and_saves_nothing(open_stand_in):
    engine, server = open_stand_in(StandInServer())
    engine.connect()
    count = len(server.requests)
    with pytest.raises(EngineError, match="no logits"):
        engine.logits(Prompt((), "x"))
    engine.prefill(Prompt((), "x"), CancelToken())
    assert engine.save_one() is None
    assert len(server.requests) == count


# --- The token


def test_the_token_is_sent_and_never_logged(open_stand_in, monkeypatch, caplog):
    monkeypatch.setenv("FIM_LSP_REMOTE_TOKEN", "tok-from-env")
    with caplog.at_level(logging.DEBUG):
        engine, server = open_stand_in(StandInServer(), token="tok-from-settings")
        engine.connect()
        run(engine, prompt_for(engine))
        server.fault = "500"
        with pytest.raises(RemoteError) as caught:
            run(engine, prompt_for(engine))
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer tok-from-env"}
    shown = caplog.text + str(caught.value) + repr(engine._settings) + repr(engine.info)
    assert "tok-from" not in shown


def test_the_token_of_the_settings_counts_without_a_variable(open_stand_in, monkeypatch):
    monkeypatch.delenv("FIM_LSP_REMOTE_TOKEN", raising=False)
    engine, server = open_stand_in(StandInServer(), token="tok")
    engine.connect()
    assert server.requests[0].headers["Authorization"] == "Bearer tok"


@pytest.mark.parametrize("kind", PATHS)
def test_code_is_logged_at_no_level(open_stand_in, kind, caplog):
    engine, server = open_stand_in(StandInServer(kind, answer=lambda _: "very_private_answer"))
    with caplog.at_level(logging.DEBUG):
        engine.connect()
        run(engine, prompt_for(engine, before="very_private = "))
        server.fault = "half"
        with pytest.raises(RemoteError):
            run(engine, prompt_for(engine, before="very_private = "))
    assert "very_private" not in caplog.text
    assert "secret code" not in caplog.text


def test_a_proxy_of_the_environment_is_not_used(open_stand_in, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    engine, _ = open_stand_in(StandInServer())
    engine.connect()
    assert run(engine, prompt_for(engine)).text


def test_our_own_server_is_asked_as_any_with_v1_completions(open_stand_in):
    server = StandInServer("openai", owner="fim-lsp", answer=lambda _: "abc")
    engine, _ = open_stand_in(server)
    engine._settings = engine._settings.__class__(remote=engine._settings.remote.__class__(url=server.url))
    engine.connect()
    prompt = prompt_for(engine)
    assert "<|fim_suffix|>" in engine.tokenizer.decode(prompt.head)
    assert run(engine, prompt).text == "abc"
    adapters = (AppliedAdapter(Path(), name="one"),)
    assert run(engine, prompt.__class__(prompt.head, prompt.tail, adapters=adapters)).text == "ABC"
