"""Send the log to the client, as ``window/logMessage``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lsprotocol import types

_MESSAGE_TYPES = (
    (logging.ERROR, types.MessageType.Error),
    (logging.WARNING, types.MessageType.Warning),
    (logging.INFO, types.MessageType.Info),
)


class ClientLogHandler(logging.Handler):
    """Sends records from INFO on. Keeps those from before the client is ready, and sends them then.

    The user's code is logged at DEBUG alone, so this handler does not send it.
    """

    def __init__(self, send: Callable[[types.LogMessageParams], None]) -> None:
        super().__init__(logging.INFO)
        self._send = send
        self._early: list[logging.LogRecord] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def client_ready(self) -> None:
        """Send what was kept, and every record from now on."""
        self._loop = asyncio.get_running_loop()
        early, self._early = self._early, []
        for record in early:
            self._send_record(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, from any thread."""
        if self._loop is None:
            self._early.append(record)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._send_record, record)

    def _send_record(self, record: logging.LogRecord) -> None:
        level = next(
            (kind for least, kind in _MESSAGE_TYPES if record.levelno >= least), types.MessageType.Log
        )
        self._send(types.LogMessageParams(type=level, message=record.getMessage()))
