from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from repositories import module

from training.data.screening import SourceFile
from training.data.split import Split, split


def _file(key: str, language: str = "python", functions: int = 6) -> SourceFile:
    source, _, path = key.partition("/")
    return SourceFile(source, path, language, module("x", functions))


def _split(
    files: Sequence[SourceFile],
    clusters: Sequence[int] | None = None,
    seed: int = 1,
    by: Literal["auto", "repository", "directory", "time"] = "auto",
    ages: dict[str, float] | None = None,
) -> Split:
    return split(files, clusters or range(len(files)), 0.2, seed, by, ages)


def test_several_repositories_are_held_out_whole():
    files = [_file(f"repo{repo}/{name}.py") for repo in range(10) for name in "abc"]
    sides = _split(files)
    assert sides.by == "repository"
    assert {file.source for file in sides.train}.isdisjoint(file.source for file in sides.held_out)
    assert len({file.source for file in sides.held_out}) == 2


def test_each_language_is_held_out():
    files = [_file(f"py{n}/a.py") for n in range(6)] + [_file(f"go{n}/a.go", "go") for n in range(6)]
    assert {file.language for file in _split(files).held_out} == {"python", "go"}


def test_a_single_repository_is_split_by_folder():
    files = [_file(f"shop/part{part}/{name}.py") for part in range(10) for name in "abcd"]
    sides = _split(files)
    assert sides.by == "directory"
    folders = {file.path.split("/")[0] for file in sides.held_out}
    assert folders.isdisjoint(file.path.split("/")[0] for file in sides.train)
    assert 1 <= len(folders) <= 3


def test_a_flat_repository_is_split_by_file():
    assert len(_split([_file(f"shop/{number}.py") for number in range(10)]).held_out) == 2


def test_similar_files_never_stand_on_both_sides():
    files = [_file(f"repo{number}/a.py") for number in range(10)]
    alone = _split(files)
    held_out = files.index(alone.held_out[0])
    clusters = [0 if index in (held_out, (held_out + 1) % 10) else index + 1 for index in range(10)]
    sides = _split(files, clusters)
    assert files[held_out] not in sides.held_out + sides.train or files[(held_out + 1) % 10] in sides.held_out
    assert sides.too_similar + len(sides.held_out) + len(sides.train) == 10


def test_the_newest_files_are_held_out_by_time():
    files = [_file(f"shop/{number}.py") for number in range(10)]
    ages = {file.key: float(number) for number, file in enumerate(files)}
    assert {file.path for file in _split(files, by="time", ages=ages).held_out} == {"9.py", "8.py"}


def test_a_giant_is_never_held_out():
    files = [_file("giant/a.py", functions=300), *(_file(f"small{number}/a.py") for number in range(5))]
    for seed in range(20):
        assert "giant" not in {file.source for file in _split(files, seed=seed, by="repository").held_out}


def test_one_file_is_trained_on():
    sides = _split([_file("shop/a.py")])
    assert len(sides.train) == 1
    assert not sides.held_out


def test_the_seed_decides():
    files = [_file(f"repo{number}/a.py") for number in range(10)]
    assert _split(files, seed=1).units == _split(files, seed=1).units
    assert len({_split(files, seed=seed).units for seed in range(6)}) > 1
