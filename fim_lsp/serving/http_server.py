"""Run the application: listen, load the model meanwhile, and end in order."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvicorn
from attrs import field, frozen
from starlette.applications import Starlette

from fim_lsp.engine.base import EngineFactory
from fim_lsp.errors import FimLspError
from fim_lsp.serving.adapter_registry import AdapterRegistry, NamedAdapter
from fim_lsp.serving.app import CompletionService, make_app
from fim_lsp.serving.exchange import BodyLimits
from fim_lsp.serving.fair_queue import FairQueue
from fim_lsp.serving.guard import Access
from fim_lsp.serving.replies import Offer
from fim_lsp.serving.served_model import ServedModel
from fim_lsp.settings import Settings
from fim_lsp.workspace.child import indexing_command
from fim_lsp.workspace.index import WorkspaceIndex

logger = logging.getLogger(__name__)

_CONNECTIONS = 512
_SHUTDOWN_S = 3
_KEEP_ALIVE_S = 15


class ListenError(FimLspError):
    """The server can't listen as it was told."""


@frozen
class ServerPlan:
    """Everything that the command line says about a server."""

    host: str
    port: int
    access: Access
    settings: Settings
    adapters: tuple[NamedAdapter, ...] = ()
    default_adapter: str = ""
    """The adapter of requests that name no model."""
    aliases: tuple[str, ...] = ()
    """Further names of the model without adapters."""
    filters: bool = False
    runtime_adapters: bool = False
    most_waiting: int = 64
    most_waiting_of_client: int = 8
    deadline_s: float = 60.0
    body: BodyLimits = field(factory=BodyLimits)
    workspaces: tuple[Path, ...] = ()
    """Folders whose code votes on filtered completions."""
    certificate: Path | None = None
    key: Path | None = None
    progress: bool = field(default=True)
    """True to print where it listens."""


def make_service(plan: ServerPlan, factory: EngineFactory) -> CompletionService:
    """Return the service of a plan; its model is not loaded yet."""
    name = plan.settings.model.name
    bases = (*plan.aliases, Path(name).stem if name.endswith(".gguf") else name)
    queue = FairQueue(plan.most_waiting, plan.most_waiting_of_client)
    index = WorkspaceIndex(indexing_command() if plan.workspaces else None, lambda: plan.workspaces)
    model = ServedModel(factory, plan.settings, queue, plan.deadline_s, index.corpora)
    offer = Offer(AdapterRegistry(bases), plan.settings, plan.filters)
    return CompletionService(model, offer, plan.body, plan.runtime_adapters, index)


async def load(service: CompletionService, plan: ServerPlan) -> None:
    """Load the model and its adapters.

    Raises:
        FimLspError: one of them can't be used.
    """
    engine = await service.model.load()
    service.index.settings_changed(plan.settings)
    service.index.model_changed(engine.info.path)
    for adapter in plan.adapters:
        default = adapter.name == plan.default_adapter
        await service.serve_adapter(adapter.name, adapter.path, adapter.scale, default=default)
    service.model.open = True


def run_server(plan: ServerPlan, factory: EngineFactory) -> int:
    """Serve until the process is told to end, and return its exit code.

    Raises:
        ListenError: the address is taken, or the certificate can't be read.
        FimLspError: the model or an adapter can't be used.
    """
    service = make_service(plan, factory)
    failures: list[Exception] = []
    server = make_server(plan, service, failures.append)
    listening = listen(plan.host, plan.port)
    port = listening.getsockname()[1]
    host = f"[{plan.host}]" if ":" in plan.host else plan.host
    _tell(plan, f"Listening on {'https' if plan.certificate else 'http'}://{host}:{port}, loading the model")
    server.run(sockets=[listening])
    if failures:
        raise failures[0]
    return 0


def make_server(
    plan: ServerPlan, service: CompletionService, on_failure: Callable[[Exception], None]
) -> uvicorn.Server:
    """Return a server that loads the model when it starts. If that fails, it ends.

    Raises:
        ListenError: the certificate can't be read.
    """
    server: uvicorn.Server

    async def load_or_end() -> None:
        try:
            await load(service, plan)
            _tell(plan, f"Ready: {', '.join(service.offer.registry.names)}")
        except Exception as error:
            service.model.failure = error
            on_failure(error)
            server.should_exit = True

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        loading = asyncio.create_task(load_or_end())
        try:
            yield
        finally:
            await service.model.close()
            await service.index.close()
            loading.cancel()
            await asyncio.wait({loading})

    config = uvicorn.Config(
        make_app(service, plan.access, lifespan),
        log_config=None,
        # Addresses and queries stay out of the log.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        ssl_certfile=str(plan.certificate) if plan.certificate else None,
        ssl_keyfile=str(plan.key) if plan.key else None,
    )
    try:
        config.load()
    except OSError as error:
        remedy = "Check --tls-cert and --tls-key."
        raise ListenError(f"The certificate can't be used: {error}.", remedy) from error
    server = uvicorn.Server(config)
    return server


def listen(host: str, port: int) -> socket.socket:
    """Open the port.

    Raises:
        ListenError: it is taken, or no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise ListenError(f"Can't listen on {host}, port {port}: {error.strerror}.") from error


def _tell(plan: ServerPlan, text: str) -> None:
    if plan.progress:
        now = datetime.datetime.now().strftime("%H:%M:%S")
        print(f"{now} {text}", file=sys.stderr, flush=True)
