from __future__ import annotations

import io
import json
import stat
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from training.__main__ import main
from training.data import DataError
from training.data.fetch import unpack
from training.data.sources import open_sources


def _tarball(path: Path, members: dict[str, str], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tarball:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tarball.addfile(info, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tarball.addfile(info)
    return path


def _wheel(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in members.items():
            wheel.writestr(name, text)
    return path


def _files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def test_code_and_licences_are_unpacked(tmp_path: Path):
    members = {
        "package/a.js": "x",
        "package/LICENSE": "MIT",
        "package/package.json": "{}",
        "package/b.png": "x",
    }
    unpack(_tarball(tmp_path / "a.tgz", members), tmp_path / "a")
    assert _files(tmp_path / "a") == ["LICENSE", "a.js", "package.json"]
    unpack(
        _wheel(tmp_path / "b.whl", {"b/c.py": "x", "b/d.so": "x", "b-1.dist-info/METADATA": ""}),
        tmp_path / "b",
    )
    assert _files(tmp_path / "b") == ["b-1.dist-info/METADATA", "b/c.py"]


def test_nothing_leaves_the_folder(tmp_path: Path):
    members = {"package/../../evil.js": "x", "package//etc/evil.js": "x", "package/ok.js": "x"}
    unpack(_tarball(tmp_path / "a.tgz", members, {"package/link.js": "/etc/passwd"}), tmp_path / "a" / "b")
    unpack(_wheel(tmp_path / "b.whl", {"../evil.py": "x", "..\\evil.py": "x"}), tmp_path / "a" / "b")
    assert _files(tmp_path / "a") == ["b/ok.js"]
    assert not list(tmp_path.rglob("evil*"))


def test_a_broken_archive_is_said(tmp_path: Path):
    (tmp_path / "a.whl").write_bytes(b"PK\x03\x04 no")
    (tmp_path / "a.tgz").write_bytes(b"\x1f\x8b no")
    for name in ("a.whl", "a.tgz"):
        with pytest.raises(DataError, match="can't be unpacked"):
            unpack(tmp_path / name, tmp_path / "out")


def test_the_standard_library_is_taken_from_the_running_python(tmp_path: Path):
    assert main(["corpus", "--output", str(tmp_path), "--only", "python"]) == 0
    (source,) = open_sources((tmp_path,))
    assert (source.name, source.licence) == ("python:python", "PSF-2.0")
    assert source.version == ".".join(map(str, sys.version_info[:3]))
    assert "argparse.py" in source.files
    assert not any(file.startswith("test/") for file in source.files)


_NPM = """#!{python}
import sys, tarfile, io, pathlib, json
name = sys.argv[-1]
if name != "lodash" and name != "@capacitor/android":
    sys.exit("npm error 404 " + name)
folder = pathlib.Path(sys.argv[sys.argv.index("--pack-destination") + 1])
with tarfile.open(folder / "x.tgz", "w:gz") as tar:
    about = json.dumps(dict(version="4.2.0", license="MIT"))
    for path, text in [("package/package.json", about), ("package/a.js", "x")]:
        info = tarfile.TarInfo(path)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
"""


def test_packages_are_fetched_once_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(_NPM.format(python=sys.executable))
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(npm.parent))
    output = tmp_path / "corpus"
    assert main(["corpus", "--output", str(output), "--only", "npm", "--limit", "2"]) == 0
    (package,) = json.loads((output / "packages.json").read_text())["packages"]
    assert package == {
        "registry": "npm",
        "name": "@capacitor/android",
        "version": "4.2.0",
        "folder": "npm/@capacitor+android",
    }
    assert "npm error 404" in capsys.readouterr().err
    npm.unlink()
    assert main(["corpus", "--output", str(output), "--only", "npm", "--limit", "1"]) == 0
    assert open_sources((output,))[0].licence == "MIT"


def test_without_the_client_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["corpus", "--output", str(tmp_path / "out"), "--only", "npm", "--limit", "1"]) == 1
    output = capsys.readouterr().err
    assert "needs npm, which is not installed" in output
    assert "No package could be fetched" in output
