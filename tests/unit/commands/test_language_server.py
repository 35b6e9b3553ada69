from __future__ import annotations

import argparse
import gc
from pathlib import Path

import pytest

from fim_lsp.commands import language_server
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.paths import KV_STATES
from fim_lsp.settings import ModelSettings, SettingsError


def _parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    language_server.add_arguments(parser)
    return parser.parse_args(arguments)


def test_flags_become_a_layer_of_settings() -> None:
    given = ("model.threads=2", "completion.multiline=never", "model.name=a")
    parsed = _parsed(*(part for each in given for part in ("--set", each)), "--model", "b")
    assert language_server.flags(parsed) == {
        "model": {"threads": 2, "name": "b"},
        "completion": {"multiline": "never"},
    }


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("model.threads", "--set model.threads has no value"),
        ("model.threads=many", "expected int, not 'many' @ fimLsp.model.threads"),
        ("modle.threads=2", "unknown setting modle @ fimLsp"),
    ],
)
def test_a_bad_flag_is_refused(flag: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        language_server.flags(_parsed("--set", flag))


def test_a_child_process_gets_the_same_flags_and_keeps_nothing_unless_told() -> None:
    parsed = _parsed("--model", "b", "--set", "model.kvStateMb=9", "--set", "memory.workspace=true")
    forwarded = language_server.forwarded(parsed)
    assert language_server.flags(_parsed(*forwarded)) == language_server.flags(parsed)
    assert language_server.flags(_parsed(*language_server.forwarded(_parsed()))) == {
        "memory": {"workspace": False},
        "model": {"kvStateMb": 0},
    }


@pytest.mark.parametrize(
    ("text", "address"),
    [("2087", ("127.0.0.1", 2087)), ("0.0.0.0:1", ("0.0.0.0", 1)), ("[::1]:65535", ("::1", 65535))],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert language_server.parse_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:65536", "host:-1", "host:x"])
def test_an_address_without_a_valid_port_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="no valid port"):
        language_server.parse_address(text)


def test_what_stays_to_the_end_is_kept_from_the_garbage_collector(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(KV_STATES.variable, str(tmp_path))
    monkeypatch.setattr(language_server, "open_engine", lambda *_: ScriptedEngine(lambda prompt: "x"))
    gc.unfreeze()
    try:
        language_server.open_engine_for_editor(ModelSettings(), lambda _: True)
        frozen = gc.get_freeze_count()
        assert frozen > 10_000
        loaded_later = [[number] for number in range(1000)]
        language_server.open_engine_for_editor(ModelSettings(), lambda _: True)
        assert len(loaded_later) == 1000
        # Only once: garbage of a model that was in use must be collected.
        assert gc.get_freeze_count() <= frozen
    finally:
        gc.unfreeze()
