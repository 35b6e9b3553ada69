from __future__ import annotations

from pathlib import Path

import pytest
from repositories import commit, git, write

from training.data.walk import list_files, list_submodules, name_problem


def test_git_says_what_belongs_to_a_repository(repository: Path):
    write(repository, {".gitignore": "*.log\nout/\n", "new.py": "x", "debug.log": "x", "out/a.py": "x"})
    write(repository, {".fimignore": "apple/\n"})
    (repository / "banana/core.py").unlink()
    files = list_files(repository)
    assert "new.py" in files
    assert "cherry/core.py" in files
    assert not {"debug.log", "out/a.py", "apple/core.py", "banana/core.py"} & set(files)
    assert files == sorted(files)


def test_a_folder_in_a_repository_gives_its_own_files(repository: Path):
    assert list_files(repository / "fig") == ["core.py"]


def test_without_git_ignore_files_are_kept_to(tmp_path: Path):
    write(
        tmp_path,
        {
            "a.py": "",
            "b/c.py": "",
            "b/skip.py": "",
            "b/deep/skip.py": "",
            "skip.py": "",
            ".venv/lib.py": "",
            "b/.gitignore": "skip.py\n",
            "only/here/x.py": "",
            ".gitignore": "/only/\n",
        },
    )
    (tmp_path / "loop").symlink_to(tmp_path)
    files = set(list_files(tmp_path))
    assert files == {"a.py", "b/c.py", "skip.py", ".gitignore", "b/.gitignore"}


def test_an_empty_repository_is_walked(tmp_path: Path):
    git(tmp_path, "init", "-q")
    assert [file for file in list_files(tmp_path) if not file.startswith(".git/")] == []


def test_repositories_inside_of_a_repository_are_named(repository: Path, tmp_path: Path):
    (tmp_path / "other").mkdir()
    git(tmp_path / "other", "init", "-q")
    commit(tmp_path / "other", {"theirs.py": "x"}, 1_700_000_000)
    git(
        repository,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        str(tmp_path / "other"),
        "lib/other",
    )
    (repository / "nested").mkdir()
    git(repository / "nested", "init", "-q")
    commit(repository / "nested", {"nested.py": "x"}, 1_700_000_000)
    assert list_submodules(repository) == ["lib/other", "nested"]
    assert not {"lib/other", "lib/other/theirs.py", "nested/nested.py"} & set(list_files(repository))


def test_one_file_is_its_own_source(tmp_path: Path):
    write(tmp_path, {"a.py": "", "b.py": ""})
    assert list_files(tmp_path / "a.py") == ["a.py"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("src/a.py", None),
        ("README.md", "not code"),
        ("deploy/wp-config.php", "may hold secrets"),
        (".aws/rotate.py", "may hold secrets"),
        ("package-lock.json", "lock file"),
        ("node_modules/x/index.js", "vendored"),
        ("third_party/zlib/inflate.c", "vendored"),
        ("static/app.min.js", "minified"),
        ("types/a.d.ts", "generated"),
        ("api/shop_pb2.py", "generated"),
        ("dist/a.js", "generated"),
        ("vendor.py", None),
    ],
)
def test_names_tell_what_is_not_ones_own_code(path: str, reason: str | None):
    assert name_problem(path) == reason
