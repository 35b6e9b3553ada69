"""``python -m training corpus``: fetch the packages that the default model is trained on.

Packages are fetched from their registries by ``pip`` and ``npm``, with the user's settings; nothing is
installed and none of their code is run. Each is unpacked into a folder of its own and recorded with name,
version and licence in ``packages.json``, which ``prepare --repo`` reads.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from fim_lsp.code.languages import is_code
from fim_lsp.files import write_text_atomically
from training.config import read_toml
from training.data import DataError
from training.data.licences import METADATA, is_licence_file

_MAX_MEMBER = 2_000_000
"""Bytes; larger files of a package are skipped."""
_MAX_PACKAGE = 300_000_000
_SECONDS = 600
_PIP = ("--no-deps", "--only-binary=:all:", "--no-input", "--quiet")
"""Wheels only, because fetching a source distribution runs its build script."""
_NPM = ("--silent", "--ignore-scripts")
_STANDARD_LIBRARY_SKIPS = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "__pycache__"}
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's flags."""
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where to put the packages")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="fetch only the first N packages of each registry"
    )
    parser.add_argument(
        "--only",
        choices=("python", "pypi", "npm"),
        action="append",
        help="take this origin alone; may be given several times (python: the standard library)",
    )


def run(parsed: argparse.Namespace) -> int:
    """Fetch the packages that are missing."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    origins = parsed.only or ["python", "pypi", "npm"]
    folder: Path = parsed.output
    chosen = [(origin, name) for origin in origins for name in _names(origin)[: parsed.limit]]
    folder.mkdir(parents=True, exist_ok=True)
    packages, failed = _recorded(folder), []
    for origin, name in track(chosen, "Fetching", console=console):
        if (origin, name) in packages:
            continue
        try:
            packages[origin, name] = _fetch(origin, name, folder)
        except DataError as error:
            failed.append(f"{origin}:{name}: {error.problem}")
            continue
        _record(folder, packages)
    for line in failed:
        console.print(f"Not fetched: {line}", markup=False, soft_wrap=True)
    console.print(f"{len(packages)} packages in {folder}.")
    if not packages:
        raise DataError("No package could be fetched.", "Check the network, and pip's and npm's settings.")
    return 0


def _names(origin: str) -> tuple[str, ...]:
    if origin == "python":
        return ("python",)
    return tuple(read_toml(Path(__file__).with_name("packages.toml"))[origin])


def _recorded(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    try:
        packages = json.loads((folder / "packages.json").read_text(encoding="utf-8"))["packages"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{folder / 'packages.json'} can't be read: {error}.", "Remove the folder."
        ) from error
    return {(package["registry"], package["name"]): package for package in packages}


def _record(folder: Path, packages: dict[tuple[str, str], dict[str, Any]]) -> None:
    ordered = [packages[key] for key in sorted(packages)]
    text = json.dumps({"packages": ordered}, indent=1, ensure_ascii=False) + "\n"
    write_text_atomically(folder / "packages.json", text)


def _fetch(origin: str, name: str, folder: Path) -> dict[str, Any]:
    """Fetch and unpack one package; return its record."""
    target = folder / origin / name.replace("/", "+")
    shutil.rmtree(target, ignore_errors=True)
    if origin == "python":
        return _standard_library(target) | {"folder": target.relative_to(folder).as_posix()}
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder) as scratch:
        if origin == "pypi":
            _run([sys.executable, "-m", "pip", "download", *_PIP, "--dest", scratch, name], name)
        else:
            _run(["npm", "pack", *_NPM, "--pack-destination", scratch, name], name)
        archive = next(iter(sorted(Path(scratch).iterdir())), None)
        if archive is None:
            raise DataError(f"{name} was not fetched: the registry gave no file.")
        unpack(archive, target)
    return {
        "registry": origin,
        "name": name,
        "version": _version(archive, origin, target),
        "folder": target.relative_to(folder).as_posix(),
    }


def _run(command: list[str], name: str) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise DataError(f"{name} needs {command[0]}, which is not installed.")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{name} was not fetched within {_SECONDS} seconds.") from error
    if done.returncode != 0:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no output")
        raise DataError(f"{name} was not fetched: {last.strip()}")


def _version(archive: Path, origin: str, target: Path) -> str:
    if origin == "pypi":
        return archive.name.split("-")[1]
    package = json.loads((target / "package.json").read_text(encoding="utf-8"))
    return str(package.get("version", ""))


def _standard_library(target: Path) -> dict[str, Any]:
    """Copy the standard library of the running Python, without its tests; return its record."""
    root = Path(sysconfig.get_path("stdlib"))
    for file in sorted(root.rglob("*.py")):
        path = file.relative_to(root)
        if not _STANDARD_LIBRARY_SKIPS.intersection(path.parts):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / path)
    version = ".".join(map(str, sys.version_info[:3]))
    return {"registry": "python", "name": "python", "version": version, "licence": "PSF-2.0"}


def unpack(archive: Path, target: Path) -> None:
    """Unpack a wheel or an npm tarball: only plain files that stay below ``target``, and no large ones.

    Raises:
        DataError: it is neither, it is broken, or it holds more than 300 MB.
    """
    total = 0
    try:
        for name, size, data in _members(archive):
            path = PurePosixPath(name)
            if size > _MAX_MEMBER or not _stays_below(path) or not _is_needed(path):
                continue
            total += size
            if total > _MAX_PACKAGE:
                raise DataError(f"{archive.name} holds more than {_MAX_PACKAGE // 1_000_000} MB.")
            file = target.joinpath(*path.parts)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data.read(size))
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{archive.name} can't be unpacked: {error}.") from error


def _stays_below(path: PurePosixPath) -> bool:
    """Check that a member's path leads to no place outside of the folder that it is unpacked into."""
    parts = path.parts
    return (
        bool(parts)
        and not path.is_absolute()
        and ".." not in parts
        and not any("\\" in part for part in parts)
    )


def _is_needed(path: PurePosixPath) -> bool:
    """Check if a file holds code, metadata or a licence."""
    return is_code(path.name) or path.name in METADATA or is_licence_file(path.name)


def _members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if not info.is_dir():
                    with wheel.open(info) as member:
                        yield info.filename, info.file_size, member
        return
    with tarfile.open(archive, "r:gz") as tarball:
        for entry in tarball:
            data = tarball.extractfile(entry) if entry.isreg() else None
            if data is not None:
                # npm packs everything into one folder, in most cases "package".
                yield entry.name.partition("/")[2], entry.size, data
