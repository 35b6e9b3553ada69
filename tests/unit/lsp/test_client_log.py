from __future__ import annotations

import asyncio
import logging

import pytest
from lsprotocol.types import LogMessageParams, MessageType

from fim_lsp.lsp.client_log import ClientLogHandler


@pytest.fixture
def sent() -> list[LogMessageParams]:
    return []


@pytest.fixture
def log(sent):
    """Provide a logger whose records go to the client."""
    logger = logging.Logger("test", logging.DEBUG)
    logger.addHandler(ClientLogHandler(sent.append))
    return logger


def _handler(log: logging.Logger) -> ClientLogHandler:
    (handler,) = log.handlers
    assert isinstance(handler, ClientLogHandler)
    return handler


async def test_records_from_before_the_client_is_ready_are_sent_then(log, sent):
    log.warning("early %d", 1)
    assert sent == []
    _handler(log).client_ready()
    log.error("late")
    await asyncio.sleep(0)
    assert [(message.type, message.message) for message in sent] == [
        (MessageType.Warning, "early 1"),
        (MessageType.Error, "late"),
    ]


async def test_code_which_is_logged_at_debug_is_not_sent(log, sent):
    _handler(log).client_ready()
    log.debug("def secret(): ...")
    log.info("loaded")
    await asyncio.sleep(0)
    assert [message.type for message in sent] == [MessageType.Info]


async def test_records_of_another_thread_are_sent_on_the_loop(log, sent):
    _handler(log).client_ready()
    await asyncio.to_thread(log.info, "from a thread")
    await asyncio.sleep(0)
    assert [message.message for message in sent] == ["from a thread"]


def test_a_record_after_the_end_of_the_loop_is_dropped(log, sent):
    async def ready() -> None:
        _handler(log).client_ready()

    asyncio.run(ready())
    log.info("late")
    assert sent == []
