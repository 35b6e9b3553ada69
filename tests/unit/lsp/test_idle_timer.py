from __future__ import annotations

import asyncio

from fim_lsp.lsp.idle_timer import IdleTimer

SOON = 0.001


class Acted:
    """Counts how often rest came."""

    def __init__(self) -> None:
        self.times = 0
        self.now = asyncio.Event()

    async def __call__(self) -> None:
        self.times += 1
        self.now.set()


async def turns_of_the_loop(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(SOON)


async def test_rest_comes_once():
    acted = Acted()
    IdleTimer(acted, busy=lambda: False).arm(SOON)
    await asyncio.wait_for(acted.now.wait(), 5)
    await turns_of_the_loop()
    assert acted.times == 1


async def test_no_rest_while_it_is_used_and_rest_after_the_last_user():
    acted = Acted()
    rest = IdleTimer(acted, busy=lambda: False)
    rest.arm(SOON)
    with rest.used():
        with rest.used():
            await turns_of_the_loop()
        await turns_of_the_loop()
        assert acted.times == 0
    await asyncio.wait_for(acted.now.wait(), 5)


async def test_rest_comes_again_after_each_use():
    acted = Acted()
    rest = IdleTimer(acted, busy=lambda: False)
    rest.arm(SOON)
    for expected in (1, 2):
        acted.now.clear()
        with rest.used():
            pass
        await asyncio.wait_for(acted.now.wait(), 5)
        assert acted.times == expected


async def test_work_that_nobody_waits_for_puts_rest_off():
    acted = Acted()
    work = iter([True, True, True, False])
    IdleTimer(acted, busy=lambda: next(work)).arm(SOON)
    await asyncio.wait_for(acted.now.wait(), 5)
    assert next(work, None) is None


async def test_never_means_never():
    acted = Acted()
    rest = IdleTimer(acted, busy=lambda: False)
    for after_s in (SOON, None, SOON, 0):
        rest.arm(after_s)
    with rest.used():
        pass
    await turns_of_the_loop()
    rest.arm(SOON)
    rest.stop()
    await turns_of_the_loop()
    assert acted.times == 0


async def test_a_failure_at_rest_is_logged_and_the_next_rest_comes(caplog):
    acted = Acted()

    async def fail_first() -> None:
        await acted()
        if acted.times == 1:
            raise OSError("no")

    rest = IdleTimer(fail_first, busy=lambda: False)
    rest.arm(SOON)
    await asyncio.wait_for(acted.now.wait(), 5)
    acted.now.clear()
    with rest.used():
        pass
    await asyncio.wait_for(acted.now.wait(), 5)
    assert "idle timer failed" in caplog.text
