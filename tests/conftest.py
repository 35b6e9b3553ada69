"""Fixtures that every suite shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fim_lsp.paths import KV_STATES, USER_PATHS, variables_for

MODEL = "smollm2-135m"

# Examples that come slowly are a sign of a busy machine, not of the code.
settings.register_profile("developer", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# In CI a change must not fail by an example that has nothing to do with it. Developers go on searching.
settings.register_profile("ci", settings.get_profile("developer"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(scope="session", autouse=True)
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the settings, statistics and KV states of all tests in one folder, away from the user's own."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for variable, path in variables_for(folder, USER_PATHS).items():
            patch.setenv(variable, path)
        yield folder


@pytest.fixture(autouse=True)
def kv_states(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every test start cold: with a folder of its own for KV states."""
    folder = tmp_path_factory.mktemp("kv-states")
    monkeypatch.setenv(KV_STATES.variable, str(folder))
    return folder


@pytest.fixture(scope="session")
def model_path() -> Path:
    """Return the path of the real weights, which `make test` fetches first."""
    from fim_lsp.models.store import ModelStore
    from fim_lsp.paths import models_folder

    return ModelStore(models_folder()).resolve(MODEL).path
