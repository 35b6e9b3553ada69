from __future__ import annotations

import asyncio

from fim_lsp.lsp.idle_timer import IdleTimer

SOON = 0.001


class Acted:
    """Counts how often it was called."""

    def __init__(self) -> None:
        self.times = 0
        self.now = asyncio.Event()

    async def __call__(self) -> None:
        self.times += 1
        self.now.set()


async def turns_of_the_loop(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(SOON)


async def test_it_acts_once():
    acted = Acted()
    IdleTimer(acted, busy=lambda: False).arm(SOON)
    await asyncio.wait_for(acted.now.wait(), 5)
    await turns_of_the_loop()
    assert acted.times == 1


async def test_it_does_not_act_while_it_is_used_but_after_the_last_user():
    acted = Acted()
    timer = IdleTimer(acted, busy=lambda: False)
    timer.arm(SOON)
    with timer.used():
        with timer.used():
            await turns_of_the_loop()
        await turns_of_the_loop()
        assert acted.times == 0
    await asyncio.wait_for(acted.now.wait(), 5)


async def test_it_acts_again_after_each_use():
    acted = Acted()
    timer = IdleTimer(acted, busy=lambda: False)
    timer.arm(SOON)
    for expected in (1, 2):
        acted.now.clear()
        with timer.used():
            pass
        await asyncio.wait_for(acted.now.wait(), 5)
        assert acted.times == expected


async def test_work_in_the_background_defers_the_action():
    acted = Acted()
    work = iter([True, True, True, False])
    IdleTimer(acted, busy=lambda: next(work)).arm(SOON)
    await asyncio.wait_for(acted.now.wait(), 5)
    assert next(work, None) is None


async def test_never_means_never():
    acted = Acted()
    timer = IdleTimer(acted, busy=lambda: False)
    for after_s in (SOON, None, SOON, 0):
        timer.arm(after_s)
    with timer.used():
        pass
    await turns_of_the_loop()
    timer.arm(SOON)
    timer.stop()
    await turns_of_the_loop()
    assert acted.times == 0


async def test_a_failing_action_is_logged_and_the_next_one_comes(caplog):
    acted = Acted()

    async def fail_first() -> None:
        await acted()
        if acted.times == 1:
            raise OSError("no")

    timer = IdleTimer(fail_first, busy=lambda: False)
    timer.arm(SOON)
    await asyncio.wait_for(acted.now.wait(), 5)
    acted.now.clear()
    with timer.used():
        pass
    await asyncio.wait_for(acted.now.wait(), 5)
    assert "idle timer failed" in caplog.text
