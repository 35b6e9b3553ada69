"""Open an engine from a model's name. No other module uses both the model store and llama.cpp.

The server, the doctor and the evaluation of trained models all open their engine here, so that they refuse
the same files with the same messages.
"""

from __future__ import annotations

import logging
import os
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

if TYPE_CHECKING:
    from fim_lsp.engine.base import Engine, OnLoading
    from fim_lsp.engine.llama import CheckAdapter, LlamaEngine, ModelVocabulary
    from fim_lsp.engine.remote.fallback import Rebuild
    from fim_lsp.models.gguf_header import GgufHeader
    from fim_lsp.settings import ModelSettings
    from fim_lsp.types import Prompt

logger = logging.getLogger(__name__)

_SPINS = "1000"
"""Turns that a waiting thread spins, about 25 microseconds. One that sleeps at once is woken for each of some
hundred nodes of the graph, which can take longer than computing them; many more turns starve the editor
(decision 011)."""


def limit_spinning(environment: MutableMapping[str, str]) -> None:
    """Let OpenMP's waiting threads spin for a moment, and then sleep, unless the user decided otherwise.

    Call it before llama.cpp is loaded: OpenMP reads these variables then. Only GNU's knows the second one.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment["OMP_WAIT_POLICY"] = "passive"
        environment.setdefault("GOMP_SPINCOUNT", _SPINS)


def open_engine(
    settings: ModelSettings, on_loading: OnLoading, kv_state_folder: Path | None = None
) -> LlamaEngine:
    """Find the model that the settings name, refuse a broken file before llama.cpp sees it, and open it.

    Args:
        settings: The model, and how to run it.
        on_loading: See :data:`fim_lsp.engine.base.OnLoading`.
        kv_state_folder: Folder of saved KV states. Only the server has one: a measurement must not depend on
            what was evaluated before.

    Raises:
        ModelError: no such model, or a file that can't be used.
        EngineError: llama.cpp could not load it.
    """
    from fim_lsp.models.chat_models import chat_notice
    from fim_lsp.models.gguf_header import check_model
    from fim_lsp.models.store import ModelStore
    from fim_lsp.paths import models_folder

    resolved = ModelStore(models_folder()).resolve(settings.name)
    header = check_model(resolved.path)
    limit_spinning(os.environ)
    from fim_lsp.engine.llama import open_llama

    known = resolved.model
    return open_llama(
        resolved.path,
        settings,
        on_loading,
        name=known.title if known else None,
        template_hint=known.template if known else None,
        notice=known.notice if known else chat_notice(resolved.path, header.metadata),
        check_adapter=_adapter_check(settings.name, resolved.path, header),
        kv_state_folder=kv_state_folder if settings.kv_state_mb else None,
    )


def open_any_engine(
    settings: ModelSettings, on_loading: OnLoading, kv_state_folder: Path | None = None
) -> Engine:
    """Open the engine that the settings name: a server with or without a fallback, a local model, or two.

    Args:
        settings: The model, and how to run it.
        on_loading: See :data:`fim_lsp.engine.base.OnLoading`.
        kv_state_folder: See :func:`open_engine`.

    Raises:
        ModelError: no such model, or a file that can't be used.
        EngineError: the model can't be loaded, or the server can't be used and there is no fallback.
    """
    if settings.second is None:
        return _open_one(settings, on_loading, kv_state_folder)
    from fim_lsp.engine.second_model import SecondModelEngine

    first = _open_one(evolve(settings, second=None), on_loading, kv_state_folder)
    try:
        if settings.remote.url:
            other = evolve(settings, second=None, remote=evolve(settings.remote, model=settings.second))
        else:
            other = evolve(settings, second=None, name=settings.second)
        return SecondModelEngine(first, _open_one(other, on_loading, None), rebuild_for(settings))
    except Exception:
        first.close()
        raise


def _open_one(settings: ModelSettings, on_loading: OnLoading, kv_state_folder: Path | None) -> Engine:
    """Open one model: on a server, with or without a fallback, or in this process."""
    if not settings.remote.url:
        return open_engine(settings, on_loading, kv_state_folder)
    from fim_lsp.engine.remote import FallbackEngine, RemoteError, open_remote

    remote = open_remote(settings, _open_vocabulary(settings))
    try:
        remote.connect()
    except RemoteError as error:
        if settings.fallback is None:
            remote.close()
            raise
        logger.warning("%s", error)
    if settings.fallback is None:
        return remote
    remote.patience_ms = settings.remote.fallback_after_ms
    try:
        local = open_engine(evolve(settings, name=settings.fallback), on_loading, kv_state_folder)
    except Exception:
        remote.close()
        raise
    return FallbackEngine(remote, local, rebuild_for(settings), settings.remote.first)


def _open_vocabulary(settings: ModelSettings) -> ModelVocabulary | None:
    """Open the vocabulary of the model on the server, if the settings name its file."""
    if settings.remote.vocabulary is None:
        return None
    limit_spinning(os.environ)
    from fim_lsp.engine.llama import open_model_vocabulary
    from fim_lsp.models.gguf_header import check_model
    from fim_lsp.models.store import ModelStore
    from fim_lsp.paths import models_folder

    resolved = ModelStore(models_folder()).resolve(settings.remote.vocabulary)
    check_model(resolved.path)
    return open_model_vocabulary(resolved.path)


def rebuild_for(settings: ModelSettings) -> Rebuild:
    """Return a function that builds a prompt anew for an engine, with the engine's own template."""
    from fim_lsp.prompt.rebuild import rebuild
    from fim_lsp.prompt.templates import choose_template
    from fim_lsp.settings import PromptSettings

    def build(prompt: Prompt, engine: Engine, most: int | None = None) -> Prompt:
        # A template that is set belongs to the model on the server.
        named = settings.template if engine.info.host else None
        template = choose_template(engine.info, engine.tokenizer, named).template
        room = min(engine.info.context // 2, most or engine.info.context)
        return rebuild(prompt, template, engine.tokenizer, PromptSettings(max_tokens=max(64, room)))

    return build


def _adapter_check(name: str, path: Path, header: GgufHeader) -> CheckAdapter:
    """Return a check of adapters against one model. Compute the model's digest once, when it is needed."""
    from fim_lsp.files import sha256_of
    from fim_lsp.models.adapter_header import check_adapter
    from fim_lsp.models.store import ModelStore
    from fim_lsp.paths import models_folder

    @cache
    def digest() -> str:
        known = ModelStore(models_folder()).verify(name, deep=False).expected
        return known or sha256_of(path)

    return lambda adapter: check_adapter(adapter, path, header, digest)
