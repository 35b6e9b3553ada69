"""Stand-ins for llama-server, vLLM, TGI, Ollama and others, in a thread: they answer as those document it.

Their model is a function from the prompt to the answer, and its tokens are bytes.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from attrs import define, field, frozen

from fim_lsp.engine.scripted import END, ByteTokenizer
from fim_lsp.types import ModelInfo

Kind = Literal["llama-server", "vllm", "tgi", "ollama", "lm-studio", "openai", "codestral"]
Fault = Literal["", "html", "half", "500", "503", "nothing", "slow", "redirect", "error event"]
PATHS = {
    "llama-server": "/completion",
    "vllm": "/v1/completions",
    "tgi": "/generate_stream",
    "ollama": "/api/generate",
    "lm-studio": "/v1/completions",
    "openai": "/v1/completions",
    "codestral": "/v1/fim/completions",
}
TOKENS = ByteTokenizer()
Written = tuple[int, bytes, float]
"""A token, its bytes, and its log probability."""
_UNLIKELY = -2.0
"""Log probability of an end that is not taken."""


@frozen
class WordTokenizer(ByteTokenizer):
    """Bytes, and some words that are one token each, of which the longest that fits is taken."""

    words: tuple[str, ...] = ()

    def encode(self, text: str) -> tuple[int, ...]:
        ids: list[int] = []
        data = text.encode("utf-8", "replace")
        while data:
            fitting = [word for word in self.words if data.startswith(word.encode())]
            word = max(fitting, key=len, default="")
            ids.append(self._first + self.words.index(word) if word else data[0])
            data = data[len(word.encode()) or 1 :]
        return tuple(ids)

    def decode(self, ids: Sequence[int]) -> str:
        spelled = (
            *(bytes([i]) for i in range(256)),
            *(name.encode() for name in (*self.specials, *self.words)),
        )
        return b"".join(spelled[i] for i in ids).decode("utf-8", "replace")

    @property
    def pieces(self) -> tuple[bytes, ...]:
        plain = ByteTokenizer(self.specials).pieces
        return (*plain, *(word.encode() for word in self.words))

    @property
    def _first(self) -> int:
        return 256 + len(self.specials)


@frozen
class ByteVocabulary:
    """The vocabulary of the stand-ins' model, as if its file were here."""

    tokenizer: ByteTokenizer = field(factory=ByteTokenizer)
    info: ModelInfo = field(factory=lambda: ModelInfo("bytes"))

    @property
    def pieces(self) -> tuple[bytes, ...]:
        return self.tokenizer.pieces


@define
class Request:
    path: str
    body: dict[str, Any]
    headers: dict[str, str]


@define
class StandInServer:
    """``answer`` is the model; ``fault`` how every request is answered wrongly."""

    kind: Kind = "llama-server"
    answer: Callable[[str], str] = lambda _: "return a + b\n\n\ndef"
    fault: Fault = ""
    half_after: int = 3
    """Tokens before a stream breaks off."""
    context: int = 1024
    adapters: tuple[str, ...] = ("one", "two")
    """Each changes the answer: ``one`` to upper case, others reverse it."""
    owner: str = "someone"
    """Who made the models, as an OpenAI-compatible server says."""
    before_token: Callable[[], None] = lambda: None
    redirect_to: str = "http://elsewhere.example/"
    requests: list[Request] = field(factory=list)
    held: list[int] = field(factory=list)
    """Token ids in its KV cache."""
    tokens: ByteTokenizer = TOKENS
    """Words of it are written only where their first byte is banned."""
    instead_of_end: str = ""
    """The answer where an unlikely end is banned."""
    left: threading.Event = field(factory=threading.Event)
    """Set when a client closed its connection while an answer was sent."""
    url: str = ""

    @property
    def completions(self) -> list[Request]:
        return [request for request in self.requests if request.path == PATHS[self.kind]]

    def adapted(self, text: str, name: str) -> str:
        return text.upper() if name == "one" else text[::-1] if name in self.adapters else text


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_state: StandInServer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        state = self.server_state
        state.requests.append(Request(self.path, {}, dict(self.headers)))
        if state.fault and not self._misbehave():
            return
        names = ["base", *(state.adapters if state.kind == "vllm" else ())]
        known: dict[tuple[str, str], Any] = {
            ("llama-server", "/props"): {
                "default_generation_settings": {"n_ctx": state.context},
                "model_path": "/models/qwen2.5-coder.gguf",
            },
            ("llama-server", "/lora-adapters"): [
                {"id": number, "path": f"/loras/{name}.gguf", "scale": 1.0}
                for number, name in enumerate(state.adapters)
            ],
            ("vllm", "/v1/models"): {
                "data": [
                    {
                        "id": name,
                        "owned_by": "vllm",
                        "parent": "base" if name != "base" else None,
                        "max_model_len": state.context,
                    }
                    for name in names
                ]
            },
            ("tgi", "/info"): {"model_id": "Qwen/Qwen2.5-Coder-1.5B", "max_total_tokens": state.context},
            ("ollama", "/api/tags"): {
                "models": [{"name": "qwen2.5-coder:1.5b"}, {"name": "one"}, {"name": "two"}]
            },
            ("lm-studio", "/v1/models"): {"data": [{"id": "qwen2.5-coder"}]},
            ("openai", "/v1/models"): {
                "data": [
                    {"id": "qwen2.5-coder", "owned_by": state.owner},
                    *({"id": name, "owned_by": state.owner, "parent": "base"} for name in state.adapters),
                ]
            },
        }
        found = known.get((state.kind, self.path))
        self._json(404, {"error": "not found"}) if found is None else self._json(200, found)

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state.requests.append(Request(self.path, body, dict(self.headers)))
        if self.path == "/tokenize" and state.kind in ("llama-server", "vllm"):
            self._json(200, {"tokens": _tokenise(body)})
        elif self.path != PATHS[state.kind]:
            self._json(404, {"error": {"message": "not found"}})
        elif not state.fault or self._misbehave():
            self._complete(body)

    def _misbehave(self) -> bool:
        """Answer wrongly; return True if the answer begins rightly all the same."""
        state = self.server_state
        if state.fault in ("half", "error event", "slow") and self.command == "POST":
            return True
        if state.fault in ("500", "503"):
            self._json(int(state.fault), {"error": {"message": "secret code of the user"}})
        elif state.fault == "html":
            self._send(200, b"<html>Welcome</html>", "text/html")
        elif state.fault == "redirect":
            self.send_response(307)
            self.send_header("Location", state.redirect_to)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif state.fault == "nothing":
            self._wait(60)
        else:
            return True
        return False

    def _wait(self, seconds: float) -> None:
        """Wait until the client leaves."""
        self.connection.settimeout(seconds)
        with suppress(OSError):
            self.connection.recv(1)
        self.server_state.left.set()
        self.close_connection = True

    def _complete(self, body: dict[str, Any]) -> None:
        state = self.server_state
        ids, text = _prompt(body, state.tokens)
        limit = _limit(body)
        if ids is not None and len(ids) >= state.context:
            self._json(400, {"error": {"message": "the request exceeds the available context size"}})
            return
        answer = state.answer(text)
        for name in _adapters(body, state):
            answer = state.adapted(answer, name)
        healed = _grammar_prefix(body)
        written = _write(healed + answer, {token for token, _ in body.get("logit_bias", [])}, state)
        known = ids or list(TOKENS.encode(text))
        reused = min(_common(state.held, known), len(known) - 1)
        state.held = list(known)
        if body.get("stream") is False:
            self._json(200, _whole(written[:limit], len(known) - reused, reused))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._stream(written, limit, len(known) - reused, reused)
        except (BrokenPipeError, ConnectionResetError):
            state.left.set()
            self.close_connection = True

    def _stream(self, written: list[Written], limit: int, evaluated: int, reused: int) -> None:
        state = self.server_state
        room = state.context - evaluated - reused
        count = min(limit, room, len(written))
        pending = b""
        for index, (token, piece_of_token, logprob) in enumerate(written[:count]):
            state.before_token()
            if state.fault == "slow":
                for byte in b"data: {}":
                    self._chunk(bytes([byte]))
                    time.sleep(1)
            if state.fault in ("half", "error event") and index == state.half_after:
                if state.fault == "error event":
                    self._event({"error": {"message": "secret code of the user"}})
                self.close_connection = True
                return
            pending += piece_of_token
            try:
                piece = pending.decode()
            except UnicodeDecodeError:
                continue
            pending = b""
            self._event(_event(state.kind, piece, token, evaluated, reused, logprob))
            state.held.append(token)
        reason = "length" if count < len(written) else "stop"
        for event in _last_events(state.kind, reason, evaluated, reused):
            self._event(event)
        if state.kind not in ("ollama", "tgi", "llama-server"):
            self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, event: dict[str, Any]) -> None:
        text = json.dumps(event)
        self._chunk(
            f"{text}\n".encode() if self.server_state.kind == "ollama" else f"data: {text}\n\n".encode()
        )

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _json(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _tokenise(body: dict[str, Any]) -> list[int]:
    text = body.get("content", body.get("prompt"))
    marker = TOKENS.special(text) if body.get("parse_special", True) else None
    return [marker] if marker is not None else list(TOKENS.encode(text))


def _prompt(body: dict[str, Any], tokens: ByteTokenizer) -> tuple[list[int] | None, str]:
    prompt = body.get("prompt", body.get("inputs"))
    return (prompt, tokens.decode(prompt)) if isinstance(prompt, list) else (None, prompt)


def _limit(body: dict[str, Any]) -> int:
    inner = body.get("parameters", body.get("options", body))
    names = ("n_predict", "max_tokens", "max_new_tokens", "num_predict")
    return next(inner[name] for name in names if name in inner)


def _adapters(body: dict[str, Any], state: StandInServer) -> list[str]:
    scaled = {entry["id"] for entry in body.get("lora", []) if entry["scale"]}
    names = [name for number, name in enumerate(state.adapters) if number in scaled]
    named = body.get("model"), body.get("parameters", {}).get("adapter_id")
    return [*names, *(name for name in named if name in state.adapters)]


def _grammar_prefix(body: dict[str, Any]) -> str:
    grammar = body.get("grammar", "")
    return json.loads(grammar.removeprefix("root ::= ").removesuffix(" [^\\x00]*")) if grammar else ""


def _write(text: str, banned: set[int], state: StandInServer) -> list[Written]:
    """Return the tokens of an answer: bytes, but a word where the first byte is banned."""
    end = state.tokens.special(END)
    if not text and state.instead_of_end:
        if end not in banned:
            return [(end, b"", _UNLIKELY)]
        text = state.instead_of_end
    data = text.encode()
    tokens = list(data)
    if tokens and tokens[0] in banned:
        word = state.tokens.encode(text)[0]
        tokens = [word, *data[len(state.tokens.pieces[word]) :]]
    return [(token, state.tokens.pieces[token], -0.5) for token in tokens]


def _whole(written: list[Written], evaluated: int, reused: int) -> dict[str, Any]:
    """Return an answer of llama-server that is not streamed."""
    return {
        "content": b"".join(piece for _, piece, _ in written).decode("utf-8", "replace"),
        "tokens": [token for token, _, _ in written],
        "stop": True,
        "stop_type": "limit",
        "timings": {"prompt_n": evaluated, "cache_n": reused},
        "completion_probabilities": [{"id": token, "logprob": logprob} for token, _, logprob in written],
    }


def _common(left: list[int], right: list[int]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(left), len(right)))


def _event(kind: Kind, text: str, token: int, evaluated: int, reused: int, logprob: float) -> dict[str, Any]:
    if kind == "llama-server":
        return {
            "content": text,
            "tokens": [token],
            "stop": False,
            "timings": {"prompt_n": evaluated, "cache_n": reused},
            "completion_probabilities": [{"id": token, "token": text, "logprob": logprob}],
        }
    if kind == "tgi":
        return {
            "token": {"id": token, "text": text, "logprob": logprob, "special": False},
            "generated_text": None,
        }
    if kind == "ollama":
        return {"response": text, "done": False}
    if kind == "codestral":
        return {"choices": [{"delta": {"content": text}, "finish_reason": None}]}
    logprobs = {"tokens": [text], "token_logprobs": [logprob]} if kind == "vllm" else None
    return {"choices": [{"text": text, "finish_reason": None, "logprobs": logprobs}]}


def _last_events(kind: Kind, reason: str, evaluated: int, reused: int) -> list[dict[str, Any]]:
    if kind == "llama-server":
        timings = {"prompt_n": evaluated, "cache_n": reused}
        stop = "limit" if reason == "length" else "eos"
        return [{"content": "", "tokens": [], "stop": True, "stop_type": stop, "timings": timings}]
    if kind == "tgi":
        token = {"id": 0, "text": "<|endoftext|>", "logprob": -0.1, "special": True}
        finish = "length" if reason == "length" else "eos_token"
        return [{"token": token, "generated_text": "all of it", "details": {"finish_reason": finish}}]
    if kind == "ollama":
        return [{"response": "", "done": True, "done_reason": reason, "prompt_eval_count": evaluated}]
    last = {"delta": {"content": ""}} if kind == "codestral" else {"text": ""}
    events: list[dict[str, Any]] = [{"choices": [{**last, "finish_reason": reason}]}]
    if kind == "vllm":
        cached = {"cached_tokens": reused}
        usage = {"prompt_tokens": evaluated + reused, "prompt_tokens_details": cached}
        # vLLM sends the usage after the last choice.
        events.append({"choices": [], "usage": usage})
    return events


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a client that left."""


@contextmanager
def running(server: StandInServer) -> Iterator[StandInServer]:
    """Run a stand-in on a free port of the loopback interface."""
    handler = type("Handler", (_Handler,), {"server_state": server})
    http = _QuietServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
