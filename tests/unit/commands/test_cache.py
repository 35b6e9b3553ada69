from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from fim_lsp.commands import cache
from fim_lsp.paths import INDEX, KV_STATES


def test_it_counts_and_deletes_saved_states_and_indexes_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "index"
    monkeypatch.setenv(KV_STATES.variable, str(tmp_path))
    monkeypatch.setenv(INDEX.variable, str(index))
    for name in ("one/a.kv", "two/b.kv", "two/notes.txt", "index/c.index"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 1_000_000)
    assert cache.run(argparse.Namespace(clear=False)) == 0
    assert capsys.readouterr().out == (
        f"In {tmp_path}: 2 evaluated states, 2 MB\nIn {index}: 1 workspace index, 1 MB\n"
    )
    assert cache.run(argparse.Namespace(clear=True)) == 0
    assert capsys.readouterr().out == "Deleted 2 evaluated states, 2 MB\nDeleted 1 workspace index, 1 MB\n"
    assert [path.name for path in tmp_path.glob("*/*")] == ["notes.txt"]
