"""Let only requests through that may be served: the token, the address asked for, and the page that asks.

A page in the user's browser can send requests to this machine. ``Host`` and ``Origin`` tell them apart: a
page of another site has its own origin, and one that had its name resolve to this machine has its own host.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from attrs import field, frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fim_lsp.errors import FimLspError
from fim_lsp.serving.refusals import RefusedError, answer_of, protocol_of

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SHORTEST_TOKEN = 16
_PUBLIC = frozenset({"/health", "/docs", "/openapi.json"})
"""Paths that need no token: they tell nothing of anyone."""
_METHODS = "GET, POST"
_HEADERS = "authorization, content-type, prefer, x-client-id"


class AccessError(FimLspError):
    """The server may not be started so."""


@frozen
class Access:
    """Who may send requests."""

    hosts: frozenset[str] = LOOPBACK
    """Names and addresses that clients may know the server by."""
    origins: frozenset[str] = frozenset()
    """Origins of pages that may send requests, besides the server's own."""
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, host: str, hosts: tuple[str, ...], origins: tuple[str, ...], token: str | None) -> Access:
        """Return the access of a server.

        Args:
            host: address that it listens on.
            hosts: further names of it.
            origins: origins of pages that may send requests.
            token: what clients must send; None for nothing, which only loopback may.

        Raises:
            AccessError: another address than loopback without a token, or a token that is easily guessed.
        """
        if token is not None and (len(token) < _SHORTEST_TOKEN or not token.isascii()):
            raise AccessError(
                f"The token is shorter than {_SHORTEST_TOKEN} characters, or not ASCII.",
                "Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
            )
        if host not in LOOPBACK and token is None:
            raise AccessError(
                f"Serving on {host} needs a token, because other machines can reach it.",
                "Give one with --token-file or FIM_LSP_SERVE_TOKEN.",
            )
        return cls(LOOPBACK | {host.lower()} | {name.lower() for name in hosts}, frozenset(origins), token)

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Refuse a request that may not be served.

        Raises:
            RefusedError: says which rule refused it.
        """
        host = headers.get("host", "")
        if _host_name(host) not in self.hosts:
            raise RefusedError(
                403,
                "This server is not known by the Host that was asked for.",
                "Allow it with --allow-host.",
                name="host_not_allowed",
            )
        origin = headers.get("origin")
        if origin is not None and not self.allows_origin(origin, host):
            raise RefusedError(
                403,
                "Pages of this origin may not send requests.",
                "Allow it with --allow-origin.",
                name="origin_not_allowed",
            )
        if self.token is not None and path not in _PUBLIC and not self._has_token(headers):
            raise RefusedError(
                401,
                "The token is missing or wrong.",
                "Send it as: Authorization: Bearer TOKEN.",
                name="invalid_api_key",
            )

    def allows_origin(self, origin: str, host: str) -> bool:
        """Tell whether a page of this origin may send requests: the server's own pages, and those allowed."""
        own = origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())
        return own or origin in self.origins

    def _has_token(self, headers: Mapping[str, str]) -> bool:
        assert self.token is not None
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        given = sent.strip() if scheme.lower() == "bearer" else ""
        # Compared as bytes, in a time that does not depend on how much of it is right.
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


def _host_name(host: str) -> str:
    """Return the name in a Host header, without its port: ``[::1]:8012`` -> ``::1``."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


class GuardMiddleware:
    """Checks each request before anything of it is read.

    Args:
        app: serves what passes.
        access: who may send requests.
        on_answer: called with path and status of each answer.
    """

    def __init__(self, app: ASGIApp, access: Access, on_answer: Callable[[str, int], None]) -> None:
        self._app = app
        self._access = access
        self._on_answer = on_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        path, headers = scope["path"], Headers(scope=scope)
        origin = headers.get("origin")

        async def send_checked(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._on_answer(path, message["status"])
                answer = MutableHeaders(scope=message)
                answer["X-Content-Type-Options"] = "nosniff"
                if origin in self._access.origins:
                    answer["Access-Control-Allow-Origin"] = origin
                    answer.add_vary_header("Origin")
            await send(message)

        app: ASGIApp = self._app
        try:
            # A browser asks without the token whether it may send one.
            preflight = scope["method"] == "OPTIONS" and origin is not None
            self._access.check("/health" if preflight else path, headers)
            if preflight:
                app = _preflight(origin in self._access.origins)
        except RefusedError as error:
            answered = answer_of(error, protocol_of(path))
            app = JSONResponse(answered.body, answered.status, answered.headers)
        await app(scope, receive, send_checked)


def _preflight(allowed: bool) -> Response:
    headers = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Allow-Headers": _HEADERS}
    return Response(status_code=204, headers=headers if allowed else {})
