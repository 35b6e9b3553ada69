from __future__ import annotations

import json
from pathlib import Path

import pytest
from repositories import commit, git, module, write

from training.data import DataError
from training.data.sources import candidates, open_sources

_MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software\n"
_GPL = "GNU GENERAL PUBLIC LICENSE Version 3\n"


def test_code_without_a_licence_is_only_taken_as_ones_own(tmp_path: Path):
    write(tmp_path, {"a.py": module("apple"), "README.md": "x"})
    (source,) = open_sources((tmp_path,))
    kept, dropped = candidates(source)
    assert not kept
    assert dropped == {"no licence found": 1, "not code": 1}
    (mine,) = open_sources((tmp_path,), own=True)
    assert [file.path for file in candidates(mine)[0]] == ["a.py"]


def test_links_out_of_a_repository_and_submodules_are_left_out(tmp_path: Path):
    write(tmp_path, {"outside/secret.py": "password = 1", "repo/a.py": module("apple")})
    repo = tmp_path / "repo"
    (repo / "link.py").symlink_to(tmp_path / "outside/secret.py")
    (repo / "inside.py").symlink_to("a.py")
    git(repo, "init", "-q")
    (repo / "nested").mkdir()
    git(repo / "nested", "init", "-q")
    commit(repo / "nested", {"b.py": "x"}, 1_700_000_000)
    (source,) = open_sources((repo,), own=True)
    kept, dropped = candidates(source)
    assert [file.path for file in kept] == ["a.py", "inside.py"]
    assert dropped == {
        "link out of the repository": 1,
        "submodule (to train on it, name it with --repo)": 1,
    }


def test_folders_with_another_licence_are_left_out(tmp_path: Path):
    write(tmp_path, {"LICENSE": _MIT, "a.py": "", "gpl/LICENSE": _GPL, "gpl/b.py": ""})
    (source,) = open_sources((tmp_path,))
    kept, dropped = candidates(source)
    assert [(file.path, file.licence) for file in kept] == [("a.py", "MIT")]
    assert dropped["licence"] == 1


def test_the_declared_licence_wins_where_it_is_clear(tmp_path: Path):
    write(tmp_path, {"LICENSE": _GPL, "package.json": '{"license": "MIT OR GPL-3.0"}', "a.js": ""})
    assert open_sources((tmp_path,))[0].licence == "MIT OR GPL-3.0"
    write(tmp_path, {"LICENSE": _MIT, "package.json": '{"license": "GPL-3.0"}'})
    assert open_sources((tmp_path,))[0].licence == "GPL-3.0"
    write(tmp_path, {"package.json": '{"license": "see the file"}'})
    assert open_sources((tmp_path,))[0].licence == "MIT"


def test_fetched_packages_are_sources_of_their_own(tmp_path: Path):
    write(
        tmp_path,
        {
            "pypi/fig/fig/a.py": module("fig"),
            "pypi/fig/fig-1.0.dist-info/METADATA": "License-Expression: MIT\n",
            "npm/@a+b/index.js": "",
            "npm/@a+b/package.json": '{"license": "ISC"}',
        },
    )
    packages = [
        {"registry": "pypi", "name": "fig", "version": "1.0", "folder": "pypi/fig"},
        {"registry": "npm", "name": "@a/b", "version": "2.1", "folder": "npm/@a+b"},
    ]
    write(tmp_path, {"packages.json": json.dumps({"packages": packages})})
    found = open_sources((tmp_path,))
    assert [(source.name, source.version, source.licence) for source in found] == [
        ("pypi:fig", "1.0", "MIT"),
        ("npm:@a/b", "2.1", "ISC"),
    ]
    assert [file.path for file in candidates(found[0])[0]] == ["fig/a.py"]


def test_installed_distributions_are_found_by_name():
    (source,) = open_sources(installed=("attrs",))
    kept, _ = candidates(source)
    assert source.licence == "MIT"
    assert "attr/__init__.py" in {file.path for file in kept}


def test_sources_of_one_name_are_told_apart(tmp_path: Path):
    write(tmp_path, {"a/shop/x.py": "", "b/shop/x.py": "", "fig/x.py": ""})
    found = open_sources((tmp_path / "a/shop", tmp_path / "b/shop", tmp_path / "fig"), own=True)
    assert [source.name for source in found] == ["shop-1", "shop-2", "fig"]


def test_what_does_not_exist_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no repository at"):
        open_sources((tmp_path / "gone",))
    with pytest.raises(DataError, match="No distribution named"):
        open_sources(installed=("no-such-distribution-here",))
    write(tmp_path, {"packages.json": '{"packages": [{}]}'})
    with pytest.raises(DataError, match=r"packages\.json can't be read"):
        open_sources((tmp_path,))
