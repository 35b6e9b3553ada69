"""Fixtures that every suite shares."""

from __future__ import annotations

from pathlib import Path

import pytest

MODEL = "smollm2-135m"


@pytest.fixture(scope="session")
def model_path() -> Path:
    """The real weights; `make test` fetches them first."""
    from fim_lsp.models.store import ModelStore, default_root

    return ModelStore(default_root()).resolve(MODEL).path
