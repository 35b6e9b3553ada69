from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from repositories import commit, module, write

from training.config import DataSettings
from training.data import DataError, corpus
from training.data.corpus import Corpus, build_corpus
from training.data.sources import open_sources

_SETTINGS = DataSettings(held_out_share=0.2)


def _build(*roots: Path, settings: DataSettings = _SETTINGS) -> Corpus:
    return build_corpus(open_sources(roots, own=True), settings)


def test_every_file_seen_is_trained_on_held_out_or_counted(repository: Path):
    write(
        repository,
        {
            "copy.py": module("apple"),
            "near.py": module("fig") + "\nx = 1\n",
            "README.md": "# Shop",
            "tiny.py": "x = 1\n",
            "vendor/lib.py": module("lib"),
        },
    )
    found = _build(repository)
    assert found.seen == 15
    assert found.dropped == {"exact copy": 1, "near copy": 1, "not code": 1, "too short": 1, "vendored": 1}
    assert len(found.train) + len(found.held_out) == 10
    assert found.by == "directory"
    assert len(found.held_out) == len(found.held_out_units) == 2


def test_several_repositories_are_split_as_wholes(tmp_path: Path):
    for number, name in enumerate(["apple", "banana", "cherry", "damson", "elder"]):
        write(tmp_path, {f"{name}/{part}.py": module(f"{name}{part}", 3 + number) for part in "abc"})
    found = _build(*sorted(tmp_path.iterdir()))
    assert found.by == "repository"
    held_out = {file.source for file in found.held_out}
    assert held_out == set(found.held_out_units)
    assert 1 <= len(held_out) <= 2
    assert len(found.held_out) == 3 * len(held_out)


def test_the_newest_files_can_be_held_out(repository: Path):
    commit(repository, {"apple/zucchini.py": module("zucchini")}, 1_700_900_000)
    found = _build(repository, settings=evolve(_SETTINGS, split="time", held_out_share=0.05))
    assert [file.path for file in found.held_out] == ["apple/zucchini.py"]


def test_a_large_source_gives_a_sample(repository: Path):
    settings = evolve(_SETTINGS, max_source_files=4)
    found = _build(repository, settings=settings)
    assert found.dropped["beyond the sample"] == 6
    assert [file.key for file in found.train] == [
        file.key for file in _build(repository, settings=settings).train
    ]


def test_processes_find_what_one_finds(repository: Path, monkeypatch: pytest.MonkeyPatch):
    alone = _build(repository)
    monkeypatch.setattr(corpus, "_FEW_FILES", 1)
    assert _build(repository).train == alone.train


def test_nothing_to_train_on_is_said_with_the_reasons(tmp_path: Path):
    with pytest.raises(DataError, match="There are no files"):
        _build(tmp_path)
    write(tmp_path, {"README.md": "x", "a.py": "x = 1\n", "b.py": "y = 2\n"})
    with pytest.raises(DataError, match="None of 3 files can be trained on: 2 too short, 1 not code"):
        _build(tmp_path)
    write(tmp_path, {"c.py": module("apple")})
    with pytest.raises(DataError, match="say so with --own"):
        build_corpus(open_sources((tmp_path,)), _SETTINGS)
