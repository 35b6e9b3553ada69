"""Correct pygls 2.1.1, so that each request is answered exactly once, and then forgotten.

pygls itself has these faults:

- It logs a request whose parameters do not parse, and never answers it: the client waits for ever.
- After ``shutdown`` and before ``initialize`` it drops requests, or crashes.
- It answers a ``shutdown`` with an error while a command waits: cancelling the command changes the table that
it is
  iterating over.
- It keeps something of each notification whose handler is a coroutine or a generator, ``didChange`` among
them, for
  ever: 2 kB a keystroke.
- It drops Copilot's additions to inline completion (document version, formatting), and refuses a trigger kind
of 0
  (vscode-languageclient 9).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from cattrs import Converter
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import JsonRPCNotification, LanguageServerProtocol, default_converter

from fim_lsp.lsp.documents import LspWorkspace

logger = logging.getLogger(__name__)

NOT_INITIALIZED = -32002
INVALID_REQUEST = -32600
_ANSWERED = "$/answered"


@frozen
class InlineParams:
    """The parameters of ``textDocument/inlineCompletion``, as editors send them."""

    text_document: types.TextDocumentIdentifier
    position: types.Position
    trigger_kind: int = 2
    """1 is invoked; 2, and 0 from older clients, is automatic."""
    selected: types.SelectedCompletionInfo | None = None
    tab_size: int | None = None
    insert_spaces: bool | None = None


@frozen
class InlineRequest:
    """The JSON-RPC message around :class:`InlineParams`."""

    id: int | str
    params: InlineParams
    method: str = types.TEXT_DOCUMENT_INLINE_COMPLETION
    jsonrpc: str = "2.0"


class Protocol(LanguageServerProtocol):
    """pygls' protocol, which answers every request and has LSP's lines."""

    @property
    def is_shut_down(self) -> bool:
        """The client has asked to shut down, so an exit is a clean one."""
        return bool(self._shutdown)

    @property
    def running_handlers(self) -> int:
        """The number of requests and notifications whose handlers have not ended."""
        return len(self._request_futures)

    def use_own_documents(self) -> None:
        """Replace the workspace that pygls has just made. Call this from the initialize handler."""
        self._workspace = LspWorkspace.taking_over(self.workspace)

    def end_requests(self) -> None:
        """Cancel every request and refuse new ones. Call this from the shutdown handler, which goes on."""
        self._shutdown = True
        shutdown = self.msg_id
        handler: Any = asyncio.current_task()
        for msg_id, future in tuple(self._request_futures.items()):
            if msg_id != shutdown and future is not handler:
                future.cancel()

    def _execute_handler(self, msg_id: int | str, *args: Any, **kwargs: Any) -> None:
        """Run a handler, and forget it when it is done. pygls forgets the handlers of requests alone."""
        super()._execute_handler(msg_id, *args, **kwargs)
        running = self._request_futures.get(msg_id)
        if running is not None:
            running.add_done_callback(lambda done: self._forget(msg_id, done))

    def _forget(self, msg_id: int | str, done: Any) -> None:
        # The client may have used the id again meanwhile.
        if self._request_futures.get(msg_id) is done:
            del self._request_futures[msg_id]

    # pygls wraps this in an lru_cache, which a plain method replaces well enough.
    def get_message_type(  # type: ignore[override]
        self, method: str
    ) -> type[Any] | None:
        """Return the type of the messages of a method."""
        if method == types.TEXT_DOCUMENT_INLINE_COMPLETION:
            return InlineRequest
        message_type: type[Any] | None = super().get_message_type(method)
        return message_type

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Structure a message. Answer one with malformed parameters here, because its id is lost later."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" not in data or "method" not in data:
                raise
            logger.warning("Malformed parameters for %s: %s", data["method"], error.__cause__)
            refusal = JsonRpcInvalidParams(f"Malformed parameters for {data['method']}.")
            self._send_response(data["id"], error=refusal.to_response_error())
            return JsonRPCNotification(method=_ANSWERED, jsonrpc="2.0", params=None)

    def handle_message(self, message: Any) -> None:
        """Pass a message on, unless the server is not initialized yet or shuts down."""
        method = getattr(message, "method", None)
        if method == _ANSWERED:
            return
        if method is not None and hasattr(message, "id"):
            if self._shutdown:
                self._refuse(message.id, INVALID_REQUEST, "The server is shutting down.")
                return
            if self._workspace is None and method != types.INITIALIZE:
                self._refuse(message.id, NOT_INITIALIZED, "The server is not initialized.")
                return
        elif self._workspace is None and method not in (None, types.EXIT):
            return  # LSP: notifications before initialize are dropped
        super().handle_message(message)

    def _refuse(self, msg_id: int | str, code: int, message: str) -> None:
        self._send_response(msg_id, error=types.ResponseError(code=code, message=message))


def make_converter() -> Converter:
    """Return pygls' converter, extended to read :class:`InlineParams`."""
    converter: Converter = default_converter()
    converter.register_structure_hook(InlineParams, lambda value, _: _inline_params(value, converter))
    return converter


def _inline_params(value: Mapping[str, Any], converter: Converter) -> InlineParams:
    context = value.get("context") or {}
    selected = context.get("selectedCompletionInfo")
    formatting = value.get("formattingOptions") or {}
    return InlineParams(
        text_document=converter.structure(value["textDocument"], types.TextDocumentIdentifier),
        position=converter.structure(value["position"], types.Position),
        trigger_kind=int(context.get("triggerKind", 2)),
        selected=converter.structure(selected, types.SelectedCompletionInfo) if selected else None,
        tab_size=_int_or_none(formatting.get("tabSize")),
        insert_spaces=formatting.get("insertSpaces"),
    )


def _int_or_none(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
