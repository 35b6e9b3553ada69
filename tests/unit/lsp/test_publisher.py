from __future__ import annotations

import asyncio

from attrs import define, field
from lsprotocol import types

from fim_lsp.lsp.publisher import LoadProgress


@define
class ClientProgress:
    """A client's side of work-done progress: takes what pygls would send."""

    error: Exception | None = None
    """Raised if the client refuses."""
    sent: list[types.WorkDoneProgressBegin | types.WorkDoneProgressReport | types.WorkDoneProgressEnd] = (
        field(factory=list)
    )

    async def create_async(self, token: str) -> None:
        if self.error is not None:
            raise self.error

    def begin(self, token: str, value: types.WorkDoneProgressBegin) -> None:
        self.sent.append(value)

    report = end = begin


async def test_a_load_is_shown_from_its_begin_to_its_end():
    client = ClientProgress()
    async with LoadProgress(client, "loading tiny") as on_progress:
        for fraction in (0.1, 0.1004, 0.5):
            await asyncio.to_thread(on_progress, fraction)
        await asyncio.sleep(0)
    begin, *reports, end = client.sent
    assert isinstance(begin, types.WorkDoneProgressBegin)
    assert begin.title == "loading tiny"
    assert [report.percentage for report in reports] == [10, 50]
    assert isinstance(end, types.WorkDoneProgressEnd)


async def test_a_client_that_refuses_is_shown_nothing():
    client = ClientProgress(ValueError("no"))
    async with LoadProgress(client, "loading tiny") as on_progress:
        on_progress(0.5)
        await asyncio.sleep(0)
    assert client.sent == []


async def test_progress_without_a_client_that_shows_it_is_dropped():
    async with LoadProgress(None, "loading tiny") as on_progress:
        on_progress(0.5)
        await asyncio.sleep(0)


async def test_progress_after_the_end_is_dropped():
    client = ClientProgress()
    async with LoadProgress(client, "loading tiny") as on_progress:
        pass
    on_progress(0.5)
    await asyncio.sleep(0)
    assert len(client.sent) == 2
