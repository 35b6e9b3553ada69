from __future__ import annotations

from pathlib import Path

import pytest

from fim_lsp.models.catalog import CatalogModel, HubSource
from fim_lsp.models.store import ModelStore
from tests.unit.models.tiny_gguf import tiny_llama

REPO, FILE = "someone/tiny-GGUF", "tiny-q8_0.gguf"


@pytest.fixture
def tiny_bytes() -> bytes:
    """Provide a whole model file."""
    model = tiny_llama()
    return model.header() + model.data()


@pytest.fixture
def hub_model() -> CatalogModel:
    return CatalogModel(
        name="tiny-hub",
        title="Tiny from the hub",
        source=HubSource(REPO, FILE),
        template="qwen",
        licence="MIT",
        size_bytes=50_000,
        memory_mb=1,
        parameters_m=1,
    )


@pytest.fixture
def store(tmp_path: Path, hub_model: CatalogModel) -> ModelStore:
    """Provide an empty store whose folder does not exist yet, with a catalog of one."""
    return ModelStore(tmp_path / "cache" / "models", {hub_model.name: hub_model})
