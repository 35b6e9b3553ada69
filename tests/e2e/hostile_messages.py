"""Send a server thousands of hostile messages, and list the requests that it did not answer exactly once.

The full run, which takes some minutes::

    python -m tests.e2e.hostile_messages --count 20000 --seed 1
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen
from lsprotocol import types

SERVER = """
import sys
from fim_lsp.commands import language_server
from fim_lsp.cli import main
from fim_lsp.engine.scripted import ScriptedEngine
engine = ScriptedEngine(lambda prompt: "value + 1\\nprint(x)")
language_server.open_engine = lambda settings, on_loading, folder: engine
sys.exit(main(["--stdio", "--set", "feedback.enabled=false"]))
"""
"""A server whose model answers the same to each prompt."""
_URIS = (
    "file:///a.py",
    "file:///C:/b.rs",
    "file:///c%3A/b.rs",
    "untitled:1",
    "file://[",
    "",
    "nb:/x.ipynb#1",
)
_TEXTS = ("", "x = ", "def f(a):\n    return ", "\ud800😀\r\n\x0c\u2028", "f(" * 300, "\x00", "a" * 20_000)
_JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, -(2**63), 10**400, 1.5, float("nan"), float("inf")),
    *("", "x", "\ud800", "../../etc/passwd", [], [[]], {}, {"a": None}, [1, "x", None]),
    {"jsonrpc": "2.0", "id": 9, "method": "exit"},
)
_METHODS = (
    *types.METHOD_TO_TYPES,
    "fimLsp/ignored",
    "fimLsp/cursor",
    "fimLsp/dismissed",
    "fimLsp/none",
    "textDocument/didFocus",
    "",
    "$/x",
)
_LEAVING = ("exit", "shutdown")
_COMMANDS = ("fimLsp.accepted", "fimLsp.toggle", "fimLsp.explain", "fimLsp.reload", "no.such", "")


@frozen
class Outcome:
    """What a run of hostile messages found."""

    requests: int
    unanswered: tuple[int | str, ...]
    answered_twice: tuple[int | str, ...]
    alive: bool
    """True if the server answered a plain request after all of them."""


def messages(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield messages of which most are wrong somehow; the same for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        method = chance.choice(_METHODS) if chance.random() < 0.5 else chance.choice(tuple(_WELL_FORMED))
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": _params(method, chance)}
        is_request = chance.random() < 0.5
        if is_request:
            message["id"] = number if chance.random() < 0.8 else f"id {number}"
        if method in _LEAVING and (method == "exit") is not is_request:
            continue  # These are the right way to end a server.
        if chance.random() < 0.4:
            message = _spoilt(message, chance)
        if chance.random() < 0.03:
            message = {
                "jsonrpc": "2.0",
                "id": chance.choice((number, "x", None)),
                "result": chance.choice(_JUNK),
            }
        yield message


def _params(method: str, chance: random.Random) -> Any:
    known = _WELL_FORMED.get(method)
    if known is None or chance.random() < 0.1:
        return chance.choice(_JUNK)
    return known(chance)


def _document(chance: random.Random) -> dict[str, Any]:
    return {"uri": chance.choice(_URIS), "version": chance.randrange(9)}


def _position(chance: random.Random) -> dict[str, Any]:
    numbers = (0, 1, 3, 400, -1, 2**31, 10**30)
    return {"line": chance.choice(numbers), "character": chance.choice(numbers)}


def _range(chance: random.Random) -> dict[str, Any]:
    return {"start": _position(chance), "end": _position(chance)}


def _inline(chance: random.Random) -> dict[str, Any]:
    selected = {"range": _range(chance), "text": chance.choice(_TEXTS)}
    context = {
        "triggerKind": chance.choice((0, 1, 2, 9)),
        "selectedCompletionInfo": chance.choice((None, selected)),
    }
    return {"textDocument": _document(chance), "position": _position(chance), "context": context}


def _opened(chance: random.Random) -> dict[str, Any]:
    language = chance.choice(("python", "rust", "dotenv", "", "no such"))
    return {"textDocument": {**_document(chance), "languageId": language, "text": chance.choice(_TEXTS)}}


def _changed(chance: random.Random) -> dict[str, Any]:
    part = {"range": _range(chance), "text": chance.choice(_TEXTS)}
    changes = [chance.choice((part, {"text": chance.choice(_TEXTS)})) for _ in range(chance.randrange(3))]
    return {"textDocument": _document(chance), "contentChanges": changes}


def _configuration(chance: random.Random) -> dict[str, Any]:
    section = chance.choice(("completion", "prompt", "sampling", "model", "adapters", "feedback"))
    keys = (
        "enabled",
        "maxLines",
        "cacheSize",
        "candidates",
        "maxTokens",
        "disabledFiles",
        "x",
        "debounceMaxMs",
    )
    return {"settings": {"fimLsp": {section: {chance.choice(keys): chance.choice(_JUNK)}}}}


_WELL_FORMED: Mapping[str, Any] = {
    "textDocument/inlineCompletion": _inline,
    "textDocument/completion": _inline,
    "textDocument/didOpen": _opened,
    "textDocument/didChange": _changed,
    "textDocument/didClose": lambda chance: {"textDocument": _document(chance)},
    "workspace/didChangeConfiguration": _configuration,
    "workspace/executeCommand": lambda chance: {
        "command": chance.choice(_COMMANDS),
        "arguments": [chance.choice(_JUNK) for _ in range(chance.randrange(3))],
    },
    "$/cancelRequest": lambda chance: {"id": chance.randrange(200)},
    "fimLsp/ignored": lambda chance: {"uris": chance.choice((_URIS, _JUNK))},
    "textDocument/didShowCompletion": lambda chance: {"item": chance.choice(_JUNK)},
}


def _spoilt(message: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return the message with one value, somewhere in it, left out or exchanged for junk."""
    spoilt: dict[str, Any] = json.loads(json.dumps(message))
    place: Any = spoilt
    while True:
        key = chance.choice(tuple(place)) if isinstance(place, dict) else chance.randrange(len(place))
        inner = place[key]
        if isinstance(inner, (dict, list)) and inner and chance.random() < 0.8:
            place = inner
        elif place is spoilt and key in ("id", "method"):
            break  # Whether it is a request must stay known.
        elif isinstance(place, dict) and chance.random() < 0.5:
            del place[key]
            break
        else:
            place[key] = chance.choice(_JUNK)
            break
    return spoilt


def run(count: int, seed: int, timeout_s: float) -> Outcome:
    """Send so many messages, and wait until nothing comes any more, or the server is dead."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        try:
            return _run(server, count, seed, timeout_s)
        finally:
            server.kill()


def _run(server: subprocess.Popen[bytes], count: int, seed: int, timeout_s: float) -> Outcome:
    answers: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read, args=(server, answers), daemon=True).start()
    capabilities: dict[str, Any] = {"textDocument": {"inlineCompletion": {}}}
    _send(
        server,
        {
            "jsonrpc": "2.0",
            "id": "start",
            "method": "initialize",
            "params": {"processId": None, "capabilities": capabilities},
        },
    )
    _send(server, {"jsonrpc": "2.0", "method": "initialized", "params": {}})
    requests: list[int | str] = ["start"]
    for message in messages(count, seed):
        if "method" in message and "id" in message:
            requests.append(message["id"])
        if not _send(server, message):
            break
    last = {
        "jsonrpc": "2.0",
        "id": "last",
        "method": "workspace/executeCommand",
        "params": {"command": "fimLsp.explain"},
    }
    _send(server, last)
    requests.append("last")
    seen: Counter[Any] = Counter()
    expected = set(requests)
    while not expected <= set(seen):
        try:
            answer = answers.get(timeout=timeout_s)
        except queue.Empty:
            break
        if "method" not in answer and isinstance(answer.get("id"), (int, str)):
            seen[answer["id"]] += 1
    unanswered = tuple(each for each in requests if not seen[each])
    twice = tuple(each for each, times in seen.items() if times > 1)
    return Outcome(len(requests), unanswered, twice, "last" in seen and server.poll() is None)


def _send(server: subprocess.Popen[bytes], message: Any) -> bool:
    """Send a message. Return whether the server still reads."""
    assert server.stdin
    body = json.dumps(message).encode()
    try:
        server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        server.stdin.flush()
    except BrokenPipeError:
        return False
    return True


def _read(server: subprocess.Popen[bytes], answers: queue.Queue[dict[str, Any]]) -> None:
    assert server.stdout
    while True:
        length = 0
        while (line := server.stdout.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name == b"Content-Length" else length
        if not length:
            return
        answers.put(json.loads(server.stdout.read(length)))


def main() -> int:
    """Run by hand, print what was found, and return 0 if all requests were answered once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parsed = parser.parse_args()
    outcome = run(parsed.count, parsed.seed, timeout_s=30)
    print(
        f"{parsed.count} messages, {outcome.requests} requests, {len(outcome.unanswered)} unanswered,",
        end=" ",
    )
    print(
        f"{len(outcome.answered_twice)} answered twice; the server is {'alive' if outcome.alive else 'dead'}"
    )
    for each in outcome.unanswered[:10]:
        print(f"unanswered: {each!r}")
    return 0 if outcome.alive and not outcome.unanswered and not outcome.answered_twice else 1


if __name__ == "__main__":
    sys.exit(main())
