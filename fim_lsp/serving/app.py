"""The HTTP application: one route an endpoint, all of them on one shared model."""

from __future__ import annotations

import contextlib
import datetime
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

from attrs import evolve, field, frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from fim_lsp import __version__
from fim_lsp.serving import llama_server, ollama, openai, tgi
from fim_lsp.serving.adapter_registry import adapter_path
from fim_lsp.serving.exchange import (
    BodyLimits,
    GoneError,
    PieceStream,
    StreamedResponse,
    error_answer,
    error_response,
    read_fields,
    read_json,
    unless_gone,
)
from fim_lsp.serving.fields import Fields, KnownFields
from fim_lsp.serving.guard import Access, GuardMiddleware
from fim_lsp.serving.metrics import Metrics
from fim_lsp.serving.openapi import describe
from fim_lsp.serving.orders import CompletionOrder, Outcome, ServedPiece
from fim_lsp.serving.refusals import RefusedError, protocol_of
from fim_lsp.serving.replies import Offer, Reply, read_scales
from fim_lsp.serving.served_model import ServedModel
from fim_lsp.workspace.index import WorkspaceIndex

logger = logging.getLogger(__name__)

Parse = Callable[[Fields, Offer], Reply]
Answer = Callable[[Request], Awaitable[Response]]
_WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,5})"?\s*', re.IGNORECASE)
_CLIENT_NAME = re.compile(r"[\w.:@-]{1,64}")
_LOAD = KnownFields(
    frozenset({"lora_name", "lora_path", "scale"}), {"lora_int_id": (), "load_inplace": (False,)}
)
_UNLOAD = KnownFields(frozenset({"lora_name"}), {"lora_int_id": ()})


@frozen
class _Asker:
    """The client of a request, and how long it wants to wait."""

    client: str
    wait_s: float | None


@frozen(eq=False)
class CompletionService:
    """The handlers of all endpoints."""

    model: ServedModel
    offer: Offer
    limits: BodyLimits = field(factory=BodyLimits)
    runtime_adapters: bool = False
    """True if adapters may be added, removed and made the default while the server runs."""
    index: WorkspaceIndex = field(factory=WorkspaceIndex, repr=False)
    """The code of given folders, for the repository memory."""
    metrics: Metrics = field(factory=Metrics, repr=False)
    started: datetime.datetime = field(factory=lambda: datetime.datetime.now(datetime.timezone.utc))

    # --- Completions

    async def complete(self, parse: Parse, request: Request) -> Response:
        """Answer a request for completions, at once or piece by piece."""
        fields = await read_fields(request, self.limits)
        reply = parse(fields, self._offer_for(request))
        asker = _Asker(client_of(request, fields), preferred_wait_s(request))
        if reply.streamed:
            return await self._stream(request, reply, asker)

        async def all_outcomes() -> list[Outcome]:
            return [await self._outcome(order, asker) for order in reply.orders]

        outcomes = await unless_gone(request, all_outcomes())
        return JSONResponse(reply.whole(outcomes))

    async def _outcome(
        self,
        order: CompletionOrder,
        asker: _Asker,
        on_piece: Callable[[ServedPiece], None] = lambda _: None,
    ) -> Outcome:
        began_s = time.perf_counter()
        outcome = await self.model.complete(order, asker.client, on_piece, asker.wait_s)
        self.metrics.completed(outcome, time.perf_counter() - began_s)
        return outcome

    async def _stream(self, request: Request, reply: Reply, asker: _Asker) -> Response:
        """Answer piece by piece. What fails before the first piece has an answer of its own."""
        streams = [PieceStream() for _ in reply.orders]

        def start(number: int) -> None:
            streams[number].start(partial(self._outcome, reply.orders[number], asker))

        async def close() -> None:
            for stream in streams:
                await stream.close()

        start(0)
        try:
            first = await unless_gone(request, streams[0].first())
        except BaseException:
            await close()
            raise

        async def parts() -> AsyncIterator[bytes]:
            outcomes: list[Outcome] = []
            try:
                for number, stream in enumerate(streams):
                    if number:
                        start(number)
                    yield reply.begin(number)
                    async for piece in stream.pieces(first if not number else await stream.first()):
                        yield reply.piece(number, piece)
                    outcomes.append(await stream.outcome())
                    yield reply.finished(number, outcomes[-1])
                yield reply.end(outcomes)
            except Exception as error:
                yield reply.failed(error_answer(error, protocol_of(request.url.path)).body)

        return StreamedResponse(parts(), close, self.metrics.request_cancelled, reply.media_type)

    def _offer_for(self, request: Request) -> Offer:
        """Return the offer, with the filters that the query asks for.

        In some clients only the address can be set.
        """
        asked = request.query_params.get("filters")
        if asked is None:
            return self.offer
        if asked not in ("true", "false"):
            raise RefusedError(400, "filters in the address must be true or false.", param="filters")
        return evolve(self.offer, filters=asked == "true")

    # --- Facts

    async def health(self, _: Request) -> Response:
        """Tell whether the model is loaded: 503 while it is not."""
        self.model.engine  # noqa: B018 - raises while there is none
        return JSONResponse({"status": "ok"})

    async def models(self, _: Request) -> Response:
        """List base and adapters."""
        info, created = self.model.engine.info, int(self.started.timestamp())
        return JSONResponse(openai.models(self.offer.registry, info, created))

    async def props(self, _: Request) -> Response:
        """Tell llama-server's facts."""
        info, base = self.model.engine.info, self.offer.registry.bases[0]
        return JSONResponse(llama_server.props(info, self.offer.settings, base))

    async def slots(self, _: Request) -> Response:
        """List the sequences of the KV cache."""
        info, queue = self.model.engine.info, self.model.queue
        return JSONResponse(llama_server.slots(info, self.offer.settings, running=queue.running))

    async def tags(self, _: Request) -> Response:
        """List the models as Ollama does."""
        return JSONResponse(ollama.tags(self.offer.registry, self.model.engine.info, self.started))

    async def version(self, _: Request) -> Response:
        """Tell the version."""
        return JSONResponse({"version": __version__})

    async def prometheus(self, _: Request) -> Response:
        """Tell the counts."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    # --- Adapters

    async def list_adapters(self, _: Request) -> Response:
        """List the adapters with their scales."""
        return JSONResponse(llama_server.lora_adapters(self.offer.registry))

    async def set_adapters(self, request: Request) -> Response:
        """Change the adapters of requests that choose none."""
        self._check_runtime()
        listed = Fields({"adapters": await read_json(request, self.limits)})
        self.offer.registry.set_defaults(read_scales(listed.objects("adapters", 128)))
        return JSONResponse({"success": True})

    async def load_adapter(self, request: Request) -> Response:
        """Serve one more adapter, if it fits."""
        self._check_runtime()
        fields = await read_fields(request, self.limits)
        fields.check(_LOAD)
        name, path = fields.text("lora_name"), fields.text("lora_path")
        if not path:
            raise fields.refused("lora_path", "is missing")
        scale = fields.number("scale", 1.0, 0.01, 4)
        await self.serve_adapter(name, adapter_path(path), scale)
        return Response(f"Success: LoRA adapter '{name}' added successfully.", media_type="text/plain")

    async def unload_adapter(self, request: Request) -> Response:
        """Serve an adapter no more."""
        self._check_runtime()
        fields = await read_fields(request, self.limits)
        fields.check(_UNLOAD)
        name = fields.text("lora_name")
        self.offer.registry.remove(name)
        logger.warning("The adapter %s is served no more", name)
        return Response(f"Success: LoRA adapter '{name}' removed successfully.", media_type="text/plain")

    async def serve_adapter(
        self, name: str, path: Path, scale: float = 1.0, *, default: bool = False
    ) -> None:
        """Load an adapter, and serve it.

        Raises:
            RefusedError: the name is taken.
            AdapterError: it does not fit the model.
        """
        adapter = self.offer.registry.add(name, path, scale, default=default)
        try:
            await self.model.check_adapters((adapter.applied,))
        except BaseException:
            self.offer.registry.remove(name)
            raise
        logger.warning("Serving the adapter %s (%s, scale %g)", name, path, scale)

    def _check_runtime(self) -> None:
        if not self.runtime_adapters:
            raise RefusedError(
                403, "Adapters can't be changed while the server runs.", "Start it with --runtime-adapters."
            )


def client_of(request: Request, fields: Fields) -> str:
    """Return a name for the client, which its turns and its places in the code go by.

    Several clients on one machine tell themselves apart by the header ``X-Client-Id`` or OpenAI's ``user``.
    """
    address = request.client.host if request.client is not None else ""
    user = fields.values.get("user")
    named = request.headers.get("x-client-id") or (user if isinstance(user, str) else "")
    return f"{address}/{named}" if _CLIENT_NAME.fullmatch(named) else address


def preferred_wait_s(request: Request) -> float | None:
    """Return the seconds that a client wants to wait, from the header ``Prefer: wait=5`` (RFC 7240)."""
    for preference in ",".join(request.headers.getlist("prefer")).split(","):
        if (found := _WAIT.fullmatch(preference.partition(";")[0])) is not None:
            return float(max(1, int(found[1])))
    return None


def make_app(
    service: CompletionService,
    access: Access,
    lifespan: Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]] | None = None,
) -> ASGIApp:
    """Return the application.

    Args:
        service: answers.
        access: who may send requests.
        lifespan: what happens before the first request and after the last one.
    """
    complete = service.complete
    page = files("fim_lsp.serving").joinpath("try_it.html").read_text(encoding="utf-8")
    completions: dict[str, Parse] = {
        "/v1/completions": openai.parse_completion,
        "/infill": llama_server.parse_infill,
        "/completion": llama_server.parse_completion,
        "/completions": llama_server.parse_completion,
        "/generate": partial(tgi.parse_generate, streamed=False),
        "/generate_stream": partial(tgi.parse_generate, streamed=True),
        "/api/generate": ollama.parse_generate,
    }
    posts: dict[str, Answer] = {
        **{path: partial(complete, parse) for path, parse in completions.items()},
        "/lora-adapters": service.set_adapters,
        "/v1/load_lora_adapter": service.load_adapter,
        "/v1/unload_lora_adapter": service.unload_adapter,
    }
    gets: dict[str, Answer] = {
        "/v1/models": service.models,
        "/models": service.models,
        "/props": service.props,
        "/slots": service.slots,
        "/health": service.health,
        "/lora-adapters": service.list_adapters,
        "/api/tags": service.tags,
        "/api/version": service.version,
        "/metrics": service.prometheus,
        "/docs": _constant(HTMLResponse(page, headers=_PAGE_HEADERS)),
        "/openapi.json": _constant(JSONResponse(describe())),
    }
    routes = [
        *(Route(path, _endpoint(service, answer), methods=["POST"]) for path, answer in posts.items()),
        *(Route(path, _endpoint(service, answer), methods=["GET"]) for path, answer in gets.items()),
    ]
    known = frozenset((*posts, *gets))
    service.metrics.watch(
        "waiting", "Requests that wait for their turn.", lambda: service.model.queue.waiting
    )
    service.metrics.watch(
        "index_ready", "1 once the workspaces are indexed.", lambda: service.index.status.ready
    )
    service.metrics.watch("running", "1 while a request has its turn.", lambda: service.model.queue.running)

    def count(path: str, status: int) -> None:
        service.metrics.request_answered(path if path in known else "other", status)

    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path}, lifespan=lifespan)
    return GuardMiddleware(app, access, count)


_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}


def _constant(response: Response) -> Answer:
    async def answer(_: Request) -> Response:
        return response

    return answer


def _endpoint(service: CompletionService, answer: Answer) -> Answer:
    """Return a handler whose failures have the shape of their protocol."""

    async def endpoint(request: Request) -> Response:
        try:
            return await answer(request)
        except GoneError:
            service.metrics.request_cancelled()
            return Response(status_code=499)
        except Exception as error:
            return error_response(error, protocol_of(request.url.path))

    return endpoint


async def _no_such_path(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    problem = "This path has no such method." if status == 405 else "There is no such path here."
    refusal = RefusedError(status, problem, "GET /openapi.json lists them.", name="not_found")
    return error_response(refusal, protocol_of(request.url.path))
