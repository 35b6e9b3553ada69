"""The end of the time that a request has, once its turn has begun."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field

from fim_lsp.engine.base import CancelToken
from fim_lsp.serving.orders import Outcome
from fim_lsp.serving.refusals import RefusedError


@define
class CutOff:
    """Ends what runs for a request when its time is over. What was written by then is its answer."""

    token: CancelToken = field(factory=CancelToken)
    _actions: list[Callable[[], None]] = field(factory=list, init=False)

    @property
    def reached(self) -> bool:
        """True once the time is over."""
        return self.token.cancelled

    def also(self, action: Callable[[], None]) -> None:
        """Call ``action`` when the time is over, too."""
        self._actions.append(action)
        if self.reached:
            action()

    def end(self) -> None:
        """End what runs."""
        self.token.cancel()
        for action in self._actions:
            action()

    @contextmanager
    def after(self, seconds: float) -> Iterator[None]:
        """Let the time be over in so many seconds, unless the block has ended by then."""
        timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self.end)
        try:
            yield
        finally:
            timer.cancel()


def check_answered(
    outcome: Outcome, cut_off: CutOff, limit_s: float, mean_turn_s: float, *, own: bool
) -> None:
    """Refuse an order whose time was over before its first token.

    Args:
        outcome: what there was by then.
        cut_off: tells whether the time was over.
        limit_s: seconds that the order had.
        mean_turn_s: seconds after which to try again.
        own: True if the client itself set that limit.

    Raises:
        RefusedError: 504 where the client wanted to wait no longer. Otherwise 429: the evaluated part of the
            prompt is kept, so that the next attempt goes on from there.
    """
    if not cut_off.reached or any(choice.text or choice.tokens for choice in outcome.choices):
        return
    if own:
        raise RefusedError(
            504,
            f"There was no text within the {limit_s:g} s that the request allows.",
            "Allow more in the header Prefer: wait=SECONDS, or send a shorter prompt.",
            name="deadline_exceeded",
        )
    seconds = max(1, math.ceil(mean_turn_s))
    raise RefusedError(
        429,
        f"The prompt could not be evaluated within {limit_s:g} s.",
        f"Try again in {seconds} s: what was evaluated is kept.",
        name="too_many_requests",
        retry_after_s=seconds,
    )
