"""Send the client what it did not ask for: messages, the status, and the progress of a load."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from attrs import asdict
from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.progress import Progress

from fim_lsp.lsp.status import STATUS, ServerStatus

logger = logging.getLogger(__name__)

OnProgress: TypeAlias = Callable[[float], None]
"""Takes the fraction done, 0 to 1, on any thread."""
_CREATE_TIMEOUT_S = 2.0


class Publisher(Protocol):
    """Sends a client everything besides answers."""

    def show_message(self, kind: types.MessageType, text: str) -> None:
        """Show a message to the user."""

    def send_status(self, status: ServerStatus) -> None:
        """Send the server's status."""

    def load_progress(self, title: str) -> AbstractAsyncContextManager[OnProgress]:
        """Show the progress of a load for as long as the context is open."""


class ClientPublisher:
    """Publishes to the client that is connected to a server."""

    def __init__(self, server: LanguageServer) -> None:
        self._server = server

    def show_message(self, kind: types.MessageType, text: str) -> None:
        """Send ``window/showMessage``."""
        self._server.window_show_message(types.ShowMessageParams(kind, text))

    def send_status(self, status: ServerStatus) -> None:
        """Send ``fimLsp/status``, without what there is none of."""
        fields = asdict(status, filter=lambda _, value: value is not None)
        self._server.protocol.notify(STATUS, fields)

    def load_progress(self, title: str) -> LoadProgress:
        """Send ``$/progress`` to a client that can show it."""
        window = self._server.client_capabilities.window
        supported = window is not None and bool(window.work_done_progress)
        return LoadProgress(self._server.work_done_progress if supported else None, title)


class LoadProgress:
    """Shows a load as work-done progress. Entering it returns the function that takes the fraction done.

    Args:
        progress: pygls' way to the client; None for a client that can't show progress.
        title: Stands beside the bar.
    """

    def __init__(self, progress: Progress | None, title: str) -> None:
        self._progress = progress
        self._title = title
        self._token: str | None = None
        self._percent = 0
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> OnProgress:
        if self._progress is not None:
            token = str(uuid.uuid4())
            try:
                await asyncio.wait_for(self._progress.create_async(token), _CREATE_TIMEOUT_S)
            except Exception as error:  # A client that refuses or does not answer still gets its model.
                logger.debug("The client refused progress: %r", error)
            else:
                self._token = token
                begin = types.WorkDoneProgressBegin(title=self._title, percentage=0, cancellable=False)
                self._progress.begin(token, begin)
        return self._on_progress

    async def __aexit__(self, *_: object) -> None:
        if self._progress is not None and self._token is not None:
            self._progress.end(self._token, types.WorkDoneProgressEnd())
            self._token = None

    def _on_progress(self, fraction: float) -> None:
        percent = int(fraction * 100)
        if percent > self._percent:
            self._percent = percent
            with contextlib.suppress(RuntimeError):  # The loop is closed: the client has left.
                self._loop.call_soon_threadsafe(self._report, percent)

    def _report(self, percent: int) -> None:
        if self._progress is not None and self._token is not None:
            self._progress.report(self._token, types.WorkDoneProgressReport(percentage=percent))
