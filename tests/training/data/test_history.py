from __future__ import annotations

from pathlib import Path

from repositories import commit, git, module

from training.data.history import first_commits, insertions, past_holes

_DAY = 86_400
_START = 1_700_000_000


def _with_function(name: str, body: str) -> str:
    return module("apple").replace("def apple_3", f"def {name}() -> int:\n    return {body}\n\n\ndef apple_3")


def test_inserted_hunks_are_holes_in_the_file_as_it_then_stood(repository: Path):
    commit(repository, {"apple/core.py": _with_function("price", "41")}, _START + _DAY)
    commit(repository, {"apple/core.py": _with_function("price", "41") + "\nLAST = 1\n"}, _START + 2 * _DAY)
    found = list(insertions(repository, 10, frozenset({"apple/core.py"})))
    assert [insertion.time for insertion in found] == [_START + 2 * _DAY, _START + _DAY]
    newest, older = past_holes(repository, found, 700, half_life_days=1)
    assert older.hole.text == _with_function("price", "41")
    assert older.hole.middle.startswith("def price() -> int:\n    return 41")
    assert older.hole.kind == "history"
    assert older.hole.start_kind == "column_0"
    assert newest.hole.middle == "\nLAST = 1"
    assert (newest.weight, older.weight) == (1.0, 0.5)


def test_new_files_deletions_other_paths_and_long_hunks_are_no_holes(repository: Path):
    commit(repository, {"new.py": module("new")}, _START + _DAY)
    commit(repository, {"fig/core.py": module("fig")[:-30] + "\n"}, _START + 2 * _DAY)
    assert list(insertions(repository, 10, frozenset({"new.py"}))) == []
    commit(repository, {"apple/core.py": _with_function("price", "1" * 200)}, _START + 3 * _DAY)
    found = list(insertions(repository, 10, frozenset({"apple/core.py", "new.py"})))
    assert len(found) == 1
    assert list(past_holes(repository, found, 100, 90)) == []


def test_paths_are_those_of_the_folder_that_was_given(repository: Path):
    commit(repository, {"apple/größe.py": module("apple")}, _START)
    commit(repository, {"apple/größe.py": _with_function("price", "41")}, _START + _DAY)
    root = repository / "apple"
    found = list(insertions(root, 10, frozenset({"größe.py"})))
    assert len(list(past_holes(root, found, 700, 90))) == 1
    assert first_commits(root)["größe.py"] == _START


def test_renamed_and_binary_versions_do_no_harm(repository: Path):
    (repository / "apple/core.py").write_bytes(b"x = 1\n\xff\xfe\0\n" * 5)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "binary", when=_START + _DAY)
    found = list(insertions(repository, 10, frozenset({"apple/core.py"})))
    assert list(past_holes(repository, found, 700, 90)) == []


def test_without_git_there_is_no_history(tmp_path: Path):
    assert list(insertions(tmp_path, 10, frozenset({"a.py"}))) == []
    assert first_commits(tmp_path) == {}
    assert list(past_holes(tmp_path, [], 700, 90)) == []
