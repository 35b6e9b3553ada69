"""Below any client library: framing, malformed messages, stray output, ways to leave."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.e2e import hostile_messages

NO_MODEL = ("--model", "/nowhere/model.gguf")
INITIALIZE = {"processId": None, "rootUri": None, "capabilities": {"textDocument": {"inlineCompletion": {}}}}
_STRAY = """
import os, subprocess, sys, ctypes
from fim_lsp.commands import language_server
from fim_lsp.cli import main

def noisy(*arguments):
    print("a stray print")
    sys.__stdout__.write("another\\n"); sys.__stdout__.flush()
    os.write(1, b"bytes on descriptor 1")
    ctypes.CDLL(None).puts(b"native output"); ctypes.CDLL(None).fflush(None)
    subprocess.run(["echo", "a child process"], check=True)
    raise RuntimeError("and an error")

language_server.open_engine = noisy
sys.exit(main(["--stdio"]))
"""

# A load that ends when it is abandoned, as llama.cpp does between tensors, and one that does not, as
# llama.cpp before the first tensor and after the last.
_LOADING = """
import sys, threading
from fim_lsp.commands import language_server
from fim_lsp.cli import main
from fim_lsp.engine.base import ModelLoadError

def report(word):
    print(word, file=sys.stderr, flush=True)

def obeying(settings, on_loading, kv_state_folder):
    report("loading")
    while on_loading(0.5):
        threading.Event().wait(0.001)
    report("given up")
    raise ModelLoadError("llama.cpp gave up.")

def ignoring(settings, on_loading, kv_state_folder):
    report("loading")
    threading.Event().wait()

language_server.open_engine = {"obeying": obeying, "ignoring": ignoring}[sys.argv[1]]
sys.exit(main(["--stdio"]))
"""


class Wire:
    """A server process and its two pipes."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._ids = iter(range(1, 1000))

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        """Return the next message. Anything else on stdout fails here."""
        assert self.process.stdout
        length = 0
        while (line := self.process.stdout.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            assert name in (b"Content-Length", b"Content-Type"), line
            length = int(value) if name == b"Content-Length" else length
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        return message

    def request(self, method: str, params: Any) -> dict[str, Any]:
        """Send a request and return its answer, skipping what comes between."""
        msg_id = next(self._ids)
        self.send({"id": msg_id, "method": method, "params": params})
        return self.read_answer(msg_id)

    def read_answer(self, msg_id: int | str) -> dict[str, Any]:
        """Return the answer to a request, skipping what comes before it."""
        while True:
            message = self.read()
            if message.get("id") == msg_id and "method" not in message:
                return message

    def read_error_line(self) -> bytes:
        """Return the next line on stderr."""
        assert self.process.stderr
        return self.process.stderr.readline().strip()

    def initialize(self) -> None:
        assert "result" in self.request("initialize", INITIALIZE)
        self.send({"method": "initialized", "params": {}})

    def end(self) -> tuple[int, bytes]:
        """Wait for the process to end by itself, and return its exit code and stderr."""
        code = self.process.wait(10)
        assert self.process.stderr
        errors = b"" if self.process.stderr.closed else self.process.stderr.read()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()
        return code, errors


@pytest.fixture
def wire():
    """Provide a server that is not initialized."""
    started = Wire(sys.executable, "-m", "fim_lsp", "--stdio", *NO_MODEL)
    yield started
    started.process.kill()
    started.end()


@pytest.fixture(scope="module")
def shared_wire():
    """Provide a server that is initialized, for tests that leave it running."""
    started = Wire(sys.executable, "-m", "fim_lsp", "--stdio", *NO_MODEL)
    started.initialize()
    yield started
    started.process.kill()
    started.end()


def _inline(**changes: Any) -> dict[str, Any]:
    params = {
        "textDocument": {"uri": "file:///a.py"},
        "position": {"line": 0, "character": 0},
        "context": {"triggerKind": 2},
    }
    return {key: value for key, value in {**params, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        [],
        "text",
        _inline(position=None) | {"position": None},
        _inline(position={"line": "x", "character": 0}),
        _inline(textDocument={}),
        _inline(context={"triggerKind": "x"}),
        _inline(context={"triggerKind": 1, "selectedCompletionInfo": {"text": 1}}),
    ],
)
def test_a_malformed_request_is_answered_with_an_error(shared_wire, params):
    answer = shared_wire.request("textDocument/inlineCompletion", params)
    assert answer["error"]["code"] == -32602
    assert "result" in shared_wire.request("textDocument/inlineCompletion", _inline())


def test_copilots_additions_and_an_old_trigger_kind_are_taken(shared_wire):
    params = _inline(
        textDocument={"uri": "file:///a.py", "version": 3},
        formattingOptions={"tabSize": 2, "insertSpaces": False},
        context={"triggerKind": 0},
    )
    assert shared_wire.request("textDocument/inlineCompletion", params)["result"] == {"items": []}


def test_a_request_before_initialize_and_one_after_shutdown_are_refused(wire):
    assert wire.request("textDocument/inlineCompletion", _inline())["error"]["code"] == -32002
    wire.initialize()
    assert wire.request("shutdown", None)["result"] is None
    assert wire.request("textDocument/inlineCompletion", _inline())["error"]["code"] == -32600
    wire.send({"method": "exit"})
    assert wire.end()[0] == 0


def test_unknown_methods_are_answered_and_unknown_notifications_ignored(shared_wire):
    shared_wire.send({"method": "some/notification", "params": {"x": 1}})
    shared_wire.send({"method": "textDocument/didChange", "params": {"nonsense": True}})
    shared_wire.send({"method": "textDocument/didShowCompletion", "params": {"item": {}}})
    shared_wire.send({"method": "fimLsp/cursor", "params": {"textDocument": {"uri": 1}, "position": []}})
    place = {"textDocument": {"uri": "file:///not-open.py"}, "position": {"line": 3, "character": 0}}
    shared_wire.send({"method": "fimLsp/cursor", "params": place})
    assert shared_wire.request("some/method", {})["error"]["code"] == -32601
    assert shared_wire.request("workspace/executeCommand", {"command": "no.such"})["error"]["code"] == -32602
    assert "result" in shared_wire.request("textDocument/inlineCompletion", _inline())


@pytest.mark.parametrize(
    "method",
    [
        "$/cancelRequest",
        "workspace/didChangeConfiguration",
        "exit",
        "initialized",
        "fimLsp/ignored",
        "fimLsp/cursor",
        "$/setTrace",
    ],
)
def test_a_notification_with_an_id_is_answered_with_an_error(shared_wire, method):
    assert shared_wire.request(method, {})["error"]["code"] == -32600
    assert "result" in shared_wire.request("textDocument/inlineCompletion", _inline())


def test_a_request_without_an_id_does_nothing(shared_wire):
    for method in ("shutdown", "initialize", "textDocument/inlineCompletion", "workspace/executeCommand"):
        shared_wire.send({"method": method, "params": None})
    assert "result" in shared_wire.request("textDocument/inlineCompletion", _inline())


@pytest.mark.parametrize(
    "message",
    [
        {"id": "a", "jsonrpc": "1.0", "method": "textDocument/inlineCompletion"},
        {"id": "a", "method": 7},
        {"id": "a", "method": "no/such", "extra": 1},
        {"id": "a", "method": "initialize", "params": INITIALIZE},
    ],
)
def test_a_request_that_is_none_is_answered_with_an_error(shared_wire, message):
    shared_wire.send(message)
    assert "error" in shared_wire.read_answer("a")


@pytest.mark.parametrize("uri", ["file://[", "", "nowhere", "file:///%00", "http://[::1"])
def test_a_uri_that_is_none_gets_an_empty_list(shared_wire, uri):
    item = {"uri": uri, "languageId": "python", "version": 1, "text": "x = "}
    shared_wire.send({"method": "textDocument/didOpen", "params": {"textDocument": item}})
    answer = shared_wire.request("textDocument/inlineCompletion", _inline(textDocument={"uri": uri}))
    assert answer["result"] == {"items": []}


def test_an_object_inside_of_a_message_is_no_message(shared_wire):
    inner = {"jsonrpc": "2.0", "id": "inner", "method": "exit"}
    settings = {"settings": {"fimLsp": inner}}
    shared_wire.send({"method": "workspace/didChangeConfiguration", "params": settings})
    assert "result" in shared_wire.request("textDocument/inlineCompletion", _inline())


def test_the_server_ends_when_its_clients_process_does(wire):
    """Its pipe may be held open by another process, here by this one."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as client:
        assert "result" in wire.request("initialize", {**INITIALIZE, "processId": client.pid})
        wire.send({"method": "initialized", "params": {}})
        assert "result" in wire.request("textDocument/inlineCompletion", _inline())
        client.kill()
        client.wait()
        assert wire.process.wait(10) == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_hostile_messages_leave_no_request_unanswered(seed):
    """The same with 20,000 messages is a command: see the module."""
    outcome = hostile_messages.run(1500, seed, timeout_s=10)
    assert outcome.requests > 500
    assert (outcome.unanswered, outcome.answered_twice, outcome.alive) == ((), (), True)


@pytest.mark.parametrize(
    "header", [b"content-length: %d\r\n\r\n", b"Content-Length:%d\r\n\r\n", b"Content-Length: %d\n\n"]
)
def test_headers_in_another_spelling_are_read(shared_wire, header):
    body = json.dumps({"jsonrpc": "2.0", "id": "spelled", "method": "some/method"}).encode()
    assert shared_wire.process.stdin
    shared_wire.process.stdin.write(header % len(body) + body)
    shared_wire.process.stdin.flush()
    assert shared_wire.read_answer("spelled")["error"]["code"] == -32601


def test_the_server_ends_when_its_client_reads_no_more():
    read_end, write_end = os.pipe()
    command = [sys.executable, "-m", "fim_lsp", "--stdio", *NO_MODEL]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=write_end, stderr=subprocess.DEVNULL
    ) as server:
        os.close(write_end)
        os.close(read_end)
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}).encode()
        assert server.stdin
        server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        server.stdin.flush()
        try:
            assert server.wait(15) == 1
        finally:
            server.kill()


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_an_interrupt_ends_the_server(wire):
    wire.initialize()
    assert "result" in wire.request("textDocument/inlineCompletion", _inline())
    wire.process.send_signal(signal.SIGINT)
    assert wire.process.wait(10) == 1


def test_a_message_that_is_no_json_is_skipped(shared_wire):
    assert shared_wire.process.stdin
    for junk in (b"{not json", b"\xff\xfe\x00", b"[]", b"42", b'"x"', b"null"):
        shared_wire.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(junk) + junk)
    shared_wire.process.stdin.flush()
    assert "result" in shared_wire.request("textDocument/inlineCompletion", _inline())


def test_exit_without_shutdown_is_code_1(wire):
    wire.initialize()
    wire.send({"method": "exit"})
    assert wire.end()[0] == 1


def test_the_server_leaves_when_its_client_is_gone(wire):
    wire.initialize()
    assert wire.process.stdin
    wire.process.stdin.close()
    assert wire.process.wait(10) == 1


@pytest.mark.parametrize(("manner", "then"), [("obeying", b"given up"), ("ignoring", b"")])
def test_shutdown_waits_for_no_load(manner, then):
    wire = Wire(sys.executable, "-c", _LOADING, manner)
    wire.initialize()
    assert wire.read_error_line() == b"loading"
    assert wire.request("shutdown", None)["result"] is None
    if then:
        assert wire.read_error_line() == then
    wire.send({"method": "exit"})
    # If the shutdown waited for the load, it would warn of a thread left behind.
    assert wire.end() == (0, b"")


def test_a_reload_that_a_shutdown_overtakes_is_answered_too():
    wire = Wire(sys.executable, "-c", _LOADING, "ignoring")
    wire.initialize()
    assert wire.read_error_line() == b"loading"
    reload = {"command": "fimLsp.reload"}
    wire.send({"id": "reload", "method": "workspace/executeCommand", "params": reload})
    wire.send({"id": "shutdown", "method": "shutdown"})
    # Log messages may come between.
    answered: list[str] = []
    while len(answered) < 2:
        message = wire.read()
        answered += [message["id"]] if "id" in message else []
    assert sorted(answered) == ["reload", "shutdown"]
    wire.send({"method": "exit"})
    assert wire.end() == (0, b"")


def test_stray_output_never_reaches_the_protocol():
    noisy = Wire(sys.executable, "-c", _STRAY)
    noisy.initialize()
    for _ in range(3):
        assert "result" in noisy.request("textDocument/inlineCompletion", _inline())
        time.sleep(0.05)
    noisy.request("workspace/executeCommand", {"command": "fimLsp.reload"})
    assert "result" in noisy.request("shutdown", None)
    noisy.send({"method": "exit"})
    code, errors = noisy.end()
    assert code == 0
    for stray in (
        b"a stray print",
        b"another",
        b"bytes on descriptor 1",
        b"native output",
        b"a child process",
    ):
        assert stray in errors


def test_tcp_serves_one_client_on_loopback_and_refuses_a_second():
    server = subprocess.Popen(
        [sys.executable, "-m", "fim_lsp", "--tcp", "0", *NO_MODEL], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr
    address = server.stderr.readline().split()[-1]
    host, port = address.rsplit(":", 1)
    assert host == "127.0.0.1"
    with socket.create_connection((host, int(port)), 5) as first, first.makefile("rwb") as stream:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}).encode()
        stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        stream.flush()
        assert stream.readline().startswith(b"Content-Length")
        with socket.create_connection((host, int(port)), 5) as second:
            assert second.recv(1) == b""
    assert server.wait(10) == 1
    server.stderr.close()


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_load_neither_the_engine_nor_the_server(flag):
    code = (
        "import sys, fim_lsp.cli\n"
        f"try: fim_lsp.cli.main(['{flag}'])\n"
        "except SystemExit: pass\n"
        "heavy = {'llama_cpp', 'pygls', 'lsprotocol', 'numpy', 'huggingface_hub', 'rich', 'tree_sitter'}\n"
        "print('LOADED', sorted(heavy & {name.split('.')[0] for name in sys.modules}))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--stdio", "--set", "model.threads"), "has no value"),
        (("--stdio", "--set", "model.thread=2"), "unknown setting thread"),
        (("--stdio", "--set", "model.threads=many"), "fimLsp.model.threads"),
        (("--tcp", "nowhere:port"), "no valid port"),
        (("--stdio", "--log-file", "/nowhere/at/all.log"), "/nowhere/at/all.log"),
    ],
)
def test_bad_flags_are_named(arguments, text):
    ended = subprocess.run(
        [sys.executable, "-m", "fim_lsp", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 1
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_transport_the_help_is_shown():
    ended = subprocess.run([sys.executable, "-m", "fim_lsp"], capture_output=True, text=True, env=os.environ)
    assert ended.returncode == 2
    assert "--stdio" in ended.stdout
