from __future__ import annotations

from pathlib import Path

import pytest

from fim_lsp.paths import (
    KV_STATES,
    MODELS,
    SETTINGS,
    STATE,
    STORAGE_PATHS,
    StoragePath,
    kv_states_folder,
    models_folder,
    settings_file,
    state_folder,
    variables_for,
)


@pytest.mark.parametrize("place", STORAGE_PATHS, ids=lambda place: place.variable)
def test_a_variable_moves_it(place: StoragePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(place.variable, "~/elsewhere")
    assert place.path() == Path.home() / "elsewhere"


@pytest.mark.parametrize(
    ("place", "end"),
    [
        (SETTINGS, ("fim-lsp", "settings.json")),
        (STATE, ("fim-lsp",)),
        (MODELS, ("fim-lsp", "models")),
        (KV_STATES, ("fim-lsp", "kv-states")),
    ],
)
def test_by_default_it_is_in_a_folder_of_the_user(
    place: StoragePath, end: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(place.variable, raising=False)
    assert place.path().parts[-len(end) :] == end


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS.variable, "")
    assert models_folder().name == "models"


def test_one_folder_can_hold_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, path in variables_for(tmp_path).items():
        monkeypatch.setenv(variable, path)
    paths = [settings_file(), state_folder(), models_folder(), kv_states_folder()]
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "settings.json",
        "state",
        "models",
        "kv-states",
    ]
