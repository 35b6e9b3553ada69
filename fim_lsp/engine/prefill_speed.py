"""The speed of prefill: measured when a model is loaded, and corrected by each prefill after that. Pure."""

from __future__ import annotations

from attrs import frozen

_FEWEST = 32
"""Tokens of a prefill that tells something: shorter ones are mostly overhead."""
_INERTIA = 256
"""Tokens that count as much as all that was measured before."""


@frozen
class PrefillSpeed:
    """Tokens that are evaluated in a second; 0 where it is not known or does not matter (a GPU)."""

    tokens_per_s: float = 0.0

    def after(self, tokens: int, ms: float) -> PrefillSpeed:
        """Return the speed after a prefill. A speed that is not known stays so: it was not asked for."""
        if not self.tokens_per_s or tokens < _FEWEST or ms <= 0:
            return self
        share = tokens / (tokens + _INERTIA)
        seconds = (1 - share) / self.tokens_per_s + share * ms / 1000 / tokens
        return PrefillSpeed(1 / seconds)

    def tokens_within(self, ms: float | None) -> int | None:
        """Return how many tokens are evaluated in a time; None where there is no limit."""
        return None if ms is None or not self.tokens_per_s else int(self.tokens_per_s * ms / 1000)
