"""The error of a server that can't be asked, or does not answer as its protocol says."""

from __future__ import annotations

from fim_lsp.engine.base import EngineError


class RemoteError(EngineError):
    """A server did not answer, or not as it should. Another model may answer instead."""

    def __init__(self, problem: str, remedy: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(problem, remedy)
        self.retry_after_s = retry_after_s
        """Seconds that the server wants to be left alone; None if it does not say."""
