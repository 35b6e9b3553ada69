"""Ask a server what it is, which models and adapters it has, and which markers its vocabulary knows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

from attrs import field, frozen

from fim_lsp.engine.remote.client import Client
from fim_lsp.engine.remote.dialects import (
    Codestral,
    Dialect,
    LlamaServerDialect,
    Ollama,
    OpenAi,
    Tgi,
    Vllm,
)
from fim_lsp.engine.remote.errors import RemoteError
from fim_lsp.prompt.families import FAMILIES
from fim_lsp.remote_settings import RemoteSettings, ServerKind

T = TypeVar("T")

_QWEN = next(family.template for family in FAMILIES if family.template.name == "qwen")
_OURS = "fim-lsp"
"""Owner of the models that ``fim-lsp serve`` lists."""
_QUESTIONS = ("/props", "/info", "/api/tags", "/v1/models")
_CODESTRAL = next(family.template for family in FAMILIES if family.template.name == "codestral")


@frozen
class ServerFacts:
    """The facts that were found out about a server."""

    dialect: Dialect
    model: str
    models: tuple[str, ...] = ()
    """All models that it names, adapters among them where it serves them as models."""
    adapters: tuple[str, ...] | None = None
    """The adapters that it has; None where it does not list them, so that any name is tried."""
    context: int | None = None
    markers: tuple[str, ...] = field(default=(), repr=False)
    """Markers that are single tokens of its model's vocabulary, as far as known."""
    bos: tuple[int, ...] = ()
    """Ids that it puts before a text, but not before token ids."""


@frozen
class _Asked:
    """The answers to the first questions; None for what a server does not have."""

    props: Any
    info: Any
    tags: Any
    models: Any

    @property
    def kind(self) -> ServerKind:
        """The kind of server that these answers come from."""
        listed = _listed(self.models)
        if any(model.get("owned_by") == _OURS for model in listed):
            # fim-lsp serve answers as several servers do; this is the one that asks for nothing more.
            return "openai"
        if "default_generation_settings" in _mapping(self.props):
            return "llama-server"
        if "model_id" in _mapping(self.info):
            return "tgi"
        if any(model.get("owned_by") == "vllm" for model in listed):
            return "vllm"
        if isinstance(_mapping(self.tags).get("models"), list):
            return "ollama"
        return "openai"


async def detect(client: Client, settings: RemoteSettings, default_context: int) -> ServerFacts:
    """Find out what a server is and has.

    Args:
        client: Connected to nothing yet.
        settings: The kind of the server and its model, where they are set.
        default_context: Tokens of context where the server does not say.

    Raises:
        RemoteError: the server can't be reached, or has nothing that completes.
    """
    if settings.server == "codestral" or "codestral" in client.address.host:
        markers = (_CODESTRAL.prefix, _CODESTRAL.suffix)
        return ServerFacts(Codestral(), settings.model or "codestral-latest", markers=markers)
    asked = _Asked(*await asyncio.gather(*map(client.get, _QUESTIONS)))
    kind = asked.kind if settings.server == "auto" else settings.server
    if settings.server == "auto" and all(
        answer is None for answer in (asked.props, asked.info, asked.tags, asked.models)
    ):
        raise RemoteError(
            f"{client.address.host} answers, but not as a server that completes code.",
            "Check model.remote.url, or set model.remote.server.",
        )
    if kind == "llama-server":
        return await _llama_server(client, settings, asked)
    if kind == "vllm":
        return await _vllm(client, settings, asked)
    if kind == "tgi":
        info = _mapping(asked.info)
        model = settings.model or str(info.get("model_id", "tgi"))
        return ServerFacts(Tgi(), model, (model,), context=_count(info.get("max_total_tokens")))
    if kind == "ollama":
        found = _mapping(asked.tags).get("models")
        names = [str(_mapping(model).get("name")) for model in found] if isinstance(found, list) else []
        model = _choose(settings.model, names, client)
        return ServerFacts(
            Ollama(default_context), model, tuple(names), tuple(names), context=default_context
        )
    return _open_ai(client, settings, asked, kind)


def _open_ai(client: Client, settings: RemoteSettings, asked: _Asked, kind: str) -> ServerFacts:
    """Complete the facts of a server with ``/v1/completions``. Models with a parent are its adapters."""
    listed = _listed(asked.models)
    adapters = tuple(str(model.get("id")) for model in listed if model.get("parent"))
    names = [str(model.get("id")) for model in listed]
    model = _choose(settings.model, [name for name in names if name not in adapters], client)
    chosen = next((entry for entry in listed if entry.get("id") == model), {})
    # fim-lsp serve reads the markers of every family, and lays the prompt out anew for its model.
    markers = _QWEN.markers if chosen.get("owned_by") == _OURS else ()
    # Where no model has a parent, an adapter may be listed as any other model.
    known = adapters or tuple(names) or None
    context = _count(chosen.get("max_model_len"))
    return ServerFacts(OpenAi(kind=kind), model, tuple(names), known, context, markers)


async def _llama_server(client: Client, settings: RemoteSettings, asked: _Asked) -> ServerFacts:
    """Complete the facts of llama.cpp's server."""
    props = _mapping(asked.props)
    context = _count(_mapping(props.get("default_generation_settings")).get("n_ctx"))
    loaded = await client.get("/lora-adapters")
    adapters = {
        PurePath(str(entry.get("path", number)).replace("\\", "/")).stem: int(entry.get("id", number))
        for number, entry in enumerate(map(_mapping, loaded if isinstance(loaded, list) else []))
    }
    name = PurePath(str(props.get("model_alias") or props.get("model_path") or "llama-server")).stem
    names = [str(model.get("id")) for model in _listed(asked.models)]
    markers = await _find_markers(client, "/tokenize", lambda text: {"content": text, "parse_special": True})
    empty = _mapping(await client.post("/tokenize", {"content": "", "add_special": True})).get("tokens")
    bos = tuple(token for token in empty if _count(token) is not None)[:1] if isinstance(empty, list) else ()
    return ServerFacts(
        LlamaServerDialect(adapters),
        settings.model or name,
        tuple(names),
        tuple(adapters),
        context,
        markers,
        bos,
    )


async def _vllm(client: Client, settings: RemoteSettings, asked: _Asked) -> ServerFacts:
    """Complete the facts of vLLM, whose adapters are models with a parent."""
    listed = _listed(asked.models)
    adapters = tuple(str(model.get("id")) for model in listed if model.get("parent"))
    bases = [str(model.get("id")) for model in listed if not model.get("parent")]
    model = _choose(settings.model, bases, client)
    length = next((_count(entry.get("max_model_len")) for entry in listed if entry.get("id") == model), None)
    markers = await _find_markers(
        client, "/tokenize", lambda text: {"model": model, "prompt": text, "add_special_tokens": False}
    )
    return ServerFacts(Vllm(), model, (*bases, *adapters), adapters, length, markers)


async def _find_markers(client: Client, path: str, question: Any) -> tuple[str, ...]:
    """Return the markers of all families that are one token in the server's vocabulary."""
    known = sorted({marker.strip() for family in FAMILIES for marker in family.template.markers})
    try:
        answers = await asyncio.gather(*(client.post(path, question(marker)) for marker in known))
    except RemoteError:
        return ()
    tokens = (_mapping(answer).get("tokens") for answer in answers)
    return tuple(
        marker for marker, ids in zip(known, tokens, strict=True) if isinstance(ids, list) and len(ids) == 1
    )


def markers_by_name(model: str) -> tuple[str, ...]:
    """Return the markers of the family that a model's name belongs to; none for an unknown name.

    Of several names that fit, the longest counts: ``codeqwen`` is no ``qwen``.
    """
    fitting = [
        (len(name), family.template.markers)
        for family in FAMILIES
        if family.evidence != "explicit"
        for name in family.names
        if name in model.lower()
    ]
    return max(fitting, key=lambda entry: entry[0], default=(0, ()))[1]


def _choose(wanted: str, names: Sequence[str], client: Client) -> str:
    """Return the model that the settings name, or the server's first.

    Raises:
        RemoteError: the server has no such model, or none at all.
    """
    if not wanted and not names:
        raise RemoteError(f"{client.address.host} lists no model.", "Set model.remote.model.")
    if wanted and names and wanted not in names:
        known = ", ".join(names[:10])
        raise RemoteError(
            f"{client.address.host} has no model {wanted!r}.", f"Set model.remote.model to one of: {known}."
        )
    return wanted or names[0]


def _listed(models: Any) -> list[Mapping[str, Any]]:
    data = _mapping(models).get("data")
    return [_mapping(model) for model in data] if isinstance(data, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
