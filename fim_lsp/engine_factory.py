"""Open an engine from a model's name. No other module uses both the model store and llama.cpp.

The server, the doctor and the evaluation of trained models all open their engine here, so that they refuse
the same files with the same messages.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fim_lsp.engine.base import OnLoading
    from fim_lsp.engine.llama import CheckAdapter, LlamaEngine
    from fim_lsp.models.gguf_header import GgufHeader
    from fim_lsp.settings import ModelSettings


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
    # Spinning OpenMP threads starve the editor. The variable is read when the library loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
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
