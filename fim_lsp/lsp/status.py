"""The server's status, as the notification ``fimLsp/status`` carries it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import frozen

from fim_lsp.errors import ErrorCode
from fim_lsp.workspace.index import IndexStatus

STATUS = "fimLsp/status"
Kind = Literal["Normal", "Warning", "Error", "Inactive"]
StatusCode = Literal["loading", "ready", "asleep", "disabled"] | ErrorCode
"""The state, or what failed. Editors depend on these words: no code changes its meaning."""


@frozen
class ServerStatus:
    """The payload of ``fimLsp/status``."""

    kind: Kind
    """The severity, for a colour or an icon."""
    code: StatusCode
    """The state, for programs."""
    model: str
    """The model in use, loading or failed, as the settings name it: a catalog name or a file's path."""
    message: str
    """The state, for people. Clients must not read anything out of it."""
    busy: bool = False
    index: IndexStatus | None = None
    """The index of the workspace; None where there is none."""


class StatusLine:
    """Sends the status when it changes, and only to clients that opted in."""

    def __init__(self, publish: Callable[[ServerStatus], None]) -> None:
        self._publish = publish
        self._sent: ServerStatus | None = None
        self.enabled = False

    def send(self, status: ServerStatus) -> None:
        """Send a status, unless it is the same as the last one."""
        if self.enabled and status != self._sent:
            self._sent = status
            self._publish(status)
