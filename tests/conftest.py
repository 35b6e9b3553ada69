"""Fixtures that every suite shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fim_lsp.paths import KV_STATES, SETTINGS, STATE

MODEL = "smollm2-135m"

# Examples that come slowly tell of a busy machine, not of the code.
settings.register_profile("developer", suppress_health_check=[HealthCheck.too_slow])
# CI must not fail for an example that has nothing to do with the change; developers go on searching.
settings.register_profile("ci", settings.get_profile("developer"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Whoever runs the tests may have chosen another model, and their suggestions are not ours to count."""
    path = tmp_path_factory.mktemp("config") / "settings.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SETTINGS.variable, str(path))
        patch.setenv(STATE.variable, str(tmp_path_factory.mktemp("state")))
        yield path


@pytest.fixture(autouse=True)
def nothing_parked_before(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test starts cold, and leaves nothing in the user's cache."""
    folder = tmp_path_factory.mktemp("kv-states")
    monkeypatch.setenv(KV_STATES.variable, str(folder))
    return folder


@pytest.fixture(scope="session")
def model_path() -> Path:
    """The real weights; `make test` fetches them first."""
    from fim_lsp.models.store import ModelStore
    from fim_lsp.paths import models_folder

    return ModelStore(models_folder()).resolve(MODEL).path
