"""A circuit breaker: after a failure the server is left alone for a while, longer with each one. Pure."""

from __future__ import annotations

from attrs import evolve, frozen

from fim_lsp.engine.remote.errors import RemoteError

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


@frozen
class Circuit:
    """The failures in a row, and the time until which no request is sent. Times are of any steady clock."""

    failures: int = 0
    closed_at: float = 0.0
    """When the next request may be sent."""
    error: RemoteError | None = None
    """The first failure of this episode; None while the server answers."""

    def allows(self, now: float) -> bool:
        """Tell whether a request may be sent now. After a pause one is, to see if the server is back."""
        return not self.failures or now >= self.closed_at

    def failed(self, error: RemoteError, now: float) -> Circuit:
        """Pause after a failure: 1 s, 2 s, 4 s, up to a minute, or as long as the server asks for."""
        pause = min(FIRST_PAUSE_S * 2**self.failures, LONGEST_PAUSE_S)
        if error.retry_after_s is not None:
            pause = min(max(pause, error.retry_after_s), LONGEST_PAUSE_S)
        return evolve(self, failures=self.failures + 1, closed_at=now + pause, error=self.error or error)
