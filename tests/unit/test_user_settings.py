from __future__ import annotations

import json

import pytest

from fim_lsp.settings import SettingsError
from fim_lsp.user_settings import choose_model, read_user_settings


def test_no_file_means_no_settings(tmp_path):
    assert read_user_settings(tmp_path / "none.json") == {}


def test_choosing_a_model_keeps_what_else_was_set(tmp_path):
    path = tmp_path / "folder" / "settings.json"
    choose_model(path, "one")
    path.write_text(json.dumps({"model": {"name": "one", "threads": 2}, "status": True}))
    choose_model(path, "two")
    assert read_user_settings(path) == {"model": {"name": "two", "threads": 2}, "status": True}
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("text", ["{", "[]", "3", "\x00"])
def test_a_file_that_is_no_settings_is_named_and_never_overwritten(tmp_path, text):
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"settings\.json"):
        read_user_settings(path)
    with pytest.raises(SettingsError):
        choose_model(path, "one")
    assert path.read_text() == text
