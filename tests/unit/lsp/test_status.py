"""The status that a client gets, as it goes over the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import frozen
from lsprotocol import types

from fim_lsp.engine.base import ModelLoadError
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.lsp.publisher import ClientPublisher
from fim_lsp.lsp.server import Server, create_server
from fim_lsp.lsp.status import ServerStatus, StatusLine
from fim_lsp.models import ModelError, ModelMissingError, ModelUnknownError
from fim_lsp.prompt.templates import TemplateError

READY = ServerStatus("Normal", "ready", "default", "fim-lsp 135M")


@frozen
class Sent:
    """The client's end of a connection. Keeps every message of the server."""

    messages: list[dict[str, Any]]

    def write(self, data: bytes) -> None:
        header, _, body = data.partition(b"\r\n\r\n")
        assert header
        self.messages.append(json.loads(body))

    def close(self) -> None:
        """Nothing to close."""

    def statuses(self) -> list[dict[str, Any]]:
        return [message["params"] for message in self.messages if message.get("method") == "fimLsp/status"]


def connect(error: Exception | None = None) -> tuple[Server, Sent]:
    """Return a server with a client that shows statuses. Loading fails with ``error`` if there is one."""

    def open_engine(*_: Any) -> ScriptedEngine:
        if error is not None:
            raise error
        return ScriptedEngine(lambda _: "")

    server, sent = create_server(open_engine), Sent([])
    server.protocol.set_writer(sent)
    return server, sent


def test_a_status_is_sent_whole() -> None:
    server, sent = connect()
    line = StatusLine(ClientPublisher(server).send_status)
    line.enabled = True
    line.send(READY)
    (status,) = sent.statuses()
    assert status == {
        "kind": "Normal",
        "code": "ready",
        "model": "default",
        "message": "fim-lsp 135M",
        "busy": False,
    }


def test_a_status_is_sent_again_only_when_it_changed() -> None:
    server, sent = connect()
    line = StatusLine(ClientPublisher(server).send_status)
    line.enabled = True
    for status in (READY, READY, ServerStatus("Inactive", "disabled", "default", "Off"), READY):
        line.send(status)
    assert [status["code"] for status in sent.statuses()] == ["ready", "disabled", "ready"]


def test_a_client_that_did_not_ask_gets_none() -> None:
    server, sent = connect()
    StatusLine(ClientPublisher(server).send_status).send(READY)
    assert sent.statuses() == []


async def load(error: Exception | None = None, **settings: Any) -> Sent:
    """Load a model and return what the client got."""
    server, sent = connect(error)
    server.protocol.client_capabilities = types.ClientCapabilities()
    layer = {"status": True, "model": {"name": "mine"}, **settings}
    server.session.take_layer("initialization", layer)
    server.session.apply_settings()
    await server.session.reload()
    await server.session.close()
    return sent


async def test_loading_and_ready_name_the_model_of_the_settings() -> None:
    loading, ready = (await load()).statuses()
    assert (loading["code"], loading["model"], loading["busy"]) == ("loading", "mine", True)
    assert (ready["code"], ready["model"], ready["busy"]) == ("ready", "mine", False)


async def test_completions_that_are_off_are_disabled() -> None:
    _, disabled = (await load(completion={"enabled": False})).statuses()
    assert (disabled["kind"], disabled["code"]) == ("Inactive", "disabled")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelMissingError("It is not here."), "model_missing"),
        (ModelUnknownError("There is none."), "model_unknown"),
        (ModelError("It is damaged."), "model_failed"),
        (ModelLoadError("It does not load."), "model_failed"),
        (TemplateError("It has no such tokens."), "template_failed"),
        (ZeroDivisionError(), "model_failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
async def test_a_load_that_fails_has_a_code(error: Exception, code: str) -> None:
    _, failed = (await load(error)).statuses()
    assert (failed["kind"], failed["code"], failed["model"]) == ("Error", code, "mine")


async def test_the_status_comes_before_the_message_that_repeats_it() -> None:
    sent = await load(ModelMissingError("It is not here.", "Fetch it."))
    *_, status, message = sent.messages
    assert status["params"]["message"] == "It is not here."
    assert message["method"] == "window/showMessage"
    assert message["params"]["message"] == "It is not here. Fetch it."
