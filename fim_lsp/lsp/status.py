"""What the server sends besides answers: its status, progress while the model loads, log messages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from typing import Literal

from attrs import asdict, frozen
from lsprotocol import types
from pygls.lsp.server import LanguageServer

from fim_lsp.errors import ErrorCode

logger = logging.getLogger(__name__)

STATUS = "fimLsp/status"
Kind = Literal["Normal", "Warning", "Error", "Inactive"]
StatusCode = Literal["loading", "ready", "asleep", "disabled"] | ErrorCode
"""What the server is doing, or what failed. Editors depend on these words: no code changes its meaning."""

_MESSAGE_TYPES = (
    (logging.ERROR, types.MessageType.Error),
    (logging.WARNING, types.MessageType.Warning),
    (logging.INFO, types.MessageType.Info),
)


@frozen
class ServerStatus:
    """The payload of ``fimLsp/status``."""

    kind: Kind
    """How serious the state is, for a colour or an icon."""
    code: StatusCode
    """The state, for programs."""
    model: str
    """The model in use, loading or failed, as the settings name it: a catalog name or a file's path."""
    message: str
    """The state, for people. Clients must not read anything out of it."""
    busy: bool = False


class StatusLine:
    """The server's state, sent when it changes and only to clients that opted in."""

    def __init__(self, server: LanguageServer) -> None:
        self._server = server
        self._sent: ServerStatus | None = None
        self.enabled = False

    def send(self, status: ServerStatus) -> None:
        """Send a status, unless it is the same as the last one."""
        if self.enabled and status != self._sent:
            self._sent = status
            self._server.protocol.notify(STATUS, asdict(status))


class LoadProgress:
    """Work-done progress while a model loads; silent for clients that can't show it."""

    def __init__(self, server: LanguageServer, title: str) -> None:
        self._server = server
        self._title = title
        self._token: str | None = None
        self._percent = 0
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> LoadProgress:
        window = self._server.client_capabilities.window
        if window is not None and window.work_done_progress:
            token = str(uuid.uuid4())
            try:
                await asyncio.wait_for(self._server.work_done_progress.create_async(token), timeout=2)
            except Exception as error:  # a client that refuses or never answers still gets its model
                logger.debug("The client refused progress: %r", error)
            else:
                self._token = token
                begin = types.WorkDoneProgressBegin(title=self._title, percentage=0, cancellable=False)
                self._server.work_done_progress.begin(token, begin)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._token is not None:
            self._server.work_done_progress.end(self._token, types.WorkDoneProgressEnd())
            self._token = None

    def report(self, part: float) -> None:
        """Called on the inference thread with the part done, 0 to 1."""
        percent = int(part * 100)
        if percent > self._percent:
            self._percent = percent
            with contextlib.suppress(RuntimeError):  # the loop closed: the client has left
                self._loop.call_soon_threadsafe(self._report, percent)

    def _report(self, percent: int) -> None:
        if self._token is not None:
            report = types.WorkDoneProgressReport(percentage=percent)
            self._server.work_done_progress.report(self._token, report)


class ClientLogHandler(logging.Handler):
    """Sends our log to ``window/logMessage``; records from before the client is ready are kept for it.

    Buffer text is only ever logged at DEBUG, which this handler does not pass on.
    """

    def __init__(self, server: LanguageServer) -> None:
        super().__init__(logging.INFO)
        self._server = server
        self._early: list[logging.LogRecord] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def client_ready(self) -> None:
        """The client may be written to from now on."""
        self._loop = asyncio.get_running_loop()
        early, self._early = self._early, []
        for record in early:
            self._send(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, from whichever thread."""
        if self._loop is None:
            self._early.append(record)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._send, record)

    def _send(self, record: logging.LogRecord) -> None:
        level = next(
            (kind for least, kind in _MESSAGE_TYPES if record.levelno >= least), types.MessageType.Log
        )
        params = types.LogMessageParams(type=level, message=record.getMessage())
        self._server.window_log_message(params)
