from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from fim_lsp.engine.remote import RemoteEngine, open_remote
from fim_lsp.remote_settings import RemoteSettings
from fim_lsp.settings import ModelSettings
from tests.stand_in_server import StandInServer, running

Open = Callable[..., tuple[RemoteEngine, StandInServer]]


@pytest.fixture
def open_stand_in() -> Iterator[Open]:
    """Return a function that starts a stand-in server and an engine for it."""
    with ExitStack() as stack:

        def start(
            server: StandInServer,
            vocabulary: object | None = None,
            template: str | None = None,
            **remote: object,
        ) -> tuple[RemoteEngine, StandInServer]:
            stack.enter_context(running(server))
            settings = RemoteSettings(url=server.url, server=server.kind, **remote)
            engine = open_remote(ModelSettings(remote=settings, template=template), vocabulary)
            stack.callback(engine.close)
            return engine, server

        yield start
