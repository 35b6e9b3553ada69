"""Send requests to one server, and read its answers line by line. Every failure is a :class:`RemoteError`.

httpx2 is the client that the hub's library brings along. It is told to follow no redirect and to take nothing
from the environment: no proxy, and no password from a ``.netrc``. TLS is verified, by the authorities of the
system or of ``model.remote.caFile``.
"""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2

from fim_lsp.engine.base import ModelLoadError, PromptTooLongError
from fim_lsp.engine.remote.address import Address
from fim_lsp.engine.remote.dialects import parse_event
from fim_lsp.engine.remote.errors import RemoteError

logger = logging.getLogger(__name__)

_CONNECT_S = 2.0
_CONNECTIONS = 8
KEPT_S = 3.0
"""Seconds for which an unused connection is kept. llama-server and uvicorn (vLLM, ours) close theirs after 5,
and a request that is sent just then is lost."""
_LONGEST_LINE = 1_000_000
_LONGEST_ANSWER = 8_000_000
"""Bytes of an answer that is no stream, for example of the list of models."""
_LONGEST_ERROR = 20_000
_TOO_LONG = (
    "context length",
    "context size",
    "context window",
    "exceed_context",
    "max_new_tokens",
    "max_model_len",
)
"""Words with which servers refuse a prompt that does not fit."""

_CODELESS = (401, 403, 404, 429, 503)
"""Statuses whose messages are shown. Those of the others may quote the prompt, which is never logged."""


class Client:
    """A client of one server. Lives on one asyncio loop."""

    def __init__(self, address: Address, token: str = "", ca_file: str | None = None) -> None:
        self.address = address
        headers = {"Accept-Encoding": "identity", "User-Agent": "fim-lsp"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            verify=_authorities(ca_file),
            follow_redirects=False,
            trust_env=False,
            limits=httpx2.Limits(max_connections=_CONNECTIONS, keepalive_expiry=KEPT_S),
            # How long an answer may take is decided by who waits for it: see engine.py.
            timeout=httpx2.Timeout(None, connect=_CONNECT_S),
        )

    async def get(self, path: str) -> Any:
        """Return the JSON at a path; None where there is none.

        Raises:
            RemoteError: the server did not answer, or wants another token.
        """
        async with self._send("GET", path) as response:
            if response.status_code in (401, 403, 500, 502, 503, 504):
                raise self._refusal(response.status_code, "", response.headers)
            if response.status_code != 200:
                return None
            try:
                return json.loads(await _read(response, _LONGEST_ANSWER))
            except ValueError:
                return None

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON of the answer to a request.

        Raises:
            RemoteError: the server did not answer, refused, or sent something else.
        """
        async with self._send("POST", path, body) as response:
            await self._check(response)
            try:
                return json.loads(await _read(response, _LONGEST_ANSWER))
            except ValueError as error:
                raise self._garbled() from error

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        """Yield the events of a streamed answer as they come.

        Raises:
            RemoteError: the server did not answer, refused, broke off, or sent something else.
            PromptTooLongError: the server says that the prompt does not fit.
        """
        async with self._send("POST", path, body) as response:
            await self._check(response)
            kind = response.headers.get("content-type", "")
            if "html" in kind:
                raise self._garbled()
            rest = b""
            async for received in response.aiter_bytes():
                *lines, rest = (rest + received).split(b"\n")
                for line in lines:
                    if (event := parse_event(line.decode("utf-8", "replace"))) is not None:
                        yield event
                if len(rest) > _LONGEST_LINE:
                    raise self._garbled()
            if (event := parse_event(rest.decode("utf-8", "replace"))) is not None:
                yield event

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request once. A refused or broken connection is an error at once: a fallback answers."""
        host = self.address.host
        try:
            async with self._client.stream(method, self.address.url + path, json=body) as response:
                yield response
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise RemoteError(
                f"Can't reach {host}: {_cause(error)}.", "Check model.remote.url, and that the server runs."
            ) from error
        except (httpx2.TransportError, httpx2.StreamError, httpx2.DecodingError) as error:
            raise RemoteError(f"{host} broke the connection: {_cause(error)}.") from error

    async def _check(self, response: httpx2.Response) -> None:
        """Raise what a status other than 200 means."""
        status = response.status_code
        if status == 200:
            return
        if 300 <= status < 400:
            target = urlsplit(response.headers.get("location", "")).netloc or "another address"
            raise RemoteError(
                f"{self.address.host} redirects to {target}, which is not followed.",
                "Set model.remote.url to the address that the server really has.",
            )
        text = (await _read(response, _LONGEST_ERROR)).decode("utf-8", "replace")
        raise self._refusal(status, text, response.headers)

    def _refusal(
        self, status: int, text: str, headers: Mapping[str, str]
    ) -> RemoteError | PromptTooLongError:
        host, message = self.address.host, _message(text)
        logger.debug("%s answers with status %d and %d characters", host, status, len(text))
        if status in (400, 413, 422) and any(words in text.lower() for words in _TOO_LONG):
            return PromptTooLongError(
                f"The prompt does not fit into the context window of the model on {host}.",
                "Lower prompt.maxTokens.",
            )
        problem = f"{host} answers with status {status}" + (
            f": {message}." if message and status in _CODELESS else "."
        )
        remedy = {
            401: "Set the token: model.remote.token, or the environment variable FIM_LSP_REMOTE_TOKEN.",
            403: "Set a token that may use the model: model.remote.token.",
            404: "Check model.remote.url, model.remote.server and model.remote.model.",
            429: "The server is busy.",
            503: "The server is busy, or loads its model.",
        }.get(
            status,
            "See the server's log." if status >= 500 else "Check model.remote.server and model.remote.model.",
        )
        return RemoteError(problem, remedy, _seconds(headers.get("retry-after")))

    def _garbled(self) -> RemoteError:
        return RemoteError(
            f"{self.address.host} sent something that is no completion, for example a web page.",
            "Check model.remote.url and model.remote.server.",
        )


def _authorities(ca_file: str | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ModelLoadError(f"Can't read model.remote.caFile, {ca_file}: {error}.") from error


async def _read(response: httpx2.Response, most: int) -> bytes:
    """Read an answer, up to ``most`` bytes."""
    received = b""
    async for part in response.aiter_bytes():
        received += part
        if len(received) >= most:
            break
    return received[:most]


def _message(text: str) -> str:
    """Return the message in a server's error, shortened; empty for a web page."""
    try:
        error = json.loads(text)
    except ValueError:
        return ""
    for key in ("error", "message", "detail"):
        if isinstance(error, Mapping) and key in error:
            error = error[key]
    return error[:200].rstrip(".") if isinstance(error, str) else ""


def _seconds(text: str | None) -> float | None:
    """Read ``Retry-After``; a date there counts as nothing."""
    return float(text) if text and text.strip().isdigit() else None


def _cause(error: BaseException) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
