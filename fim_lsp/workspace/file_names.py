"""The files that are left out because of their name: other projects' code, generated code, lock files."""

from __future__ import annotations

from pathlib import PurePosixPath

_VENDORED_NAMES = (
    "node_modules bower_components vendor vendors vendored _vendor _vendored _vendored_packages "
    "third_party third-party thirdparty 3rdparty external externals extern site-packages dist-packages "
    "Pods jspm_packages .yarn __pycache__"
)
VENDORED = frozenset(_VENDORED_NAMES.split())
"""Names of folders with code of other projects."""
_GENERATED_NAMES = (
    "dist umd esm cjs _esm _cjs _types esm5 esm2015 esm2020 fesm2015 fesm2020 fesm2022 bundles locale "
    "locales coverage __generated__ generated"
)
GENERATED = frozenset(_GENERATED_NAMES.split())
"""Names of folders with generated code, or with tables rather than code."""
_LOCK_FILES_NAMES = (
    "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml poetry.lock pdm.lock uv.lock "
    "Pipfile.lock Cargo.lock go.sum composer.lock Gemfile.lock gradle.lockfile flake.lock"
)
LOCK_FILES = frozenset(_LOCK_FILES_NAMES.split())
ENVIRONMENTS = frozenset((".venv", "venv", ".tox", ".nox"))
"""Names of folders with Python environments."""
REPOSITORIES = frozenset((".git", ".hg", ".svn"))
"""Names of folders in which version control keeps its own files."""
_OPEN_DOT_FOLDERS = frozenset((".github", ".gitlab", ".circleci"))
"""Folders with a dot that people write files in; the others are caches and tools' settings."""


def is_left_out_folder(name: str) -> bool:
    """Tell whether a folder of this name is not looked into."""
    if name.startswith("."):
        return name not in _OPEN_DOT_FOLDERS
    return name in VENDORED or name in GENERATED or name in ENVIRONMENTS


def file_name_problem(name: str) -> str:
    """Return the reason to leave a file out because of its name alone; empty for none.

    Example: ``jquery.min.js`` -> ``minified``.
    """
    if PurePosixPath(name).name in LOCK_FILES:
        return "lock file"
    name = name.lower()
    if ".min." in name or "-min." in name or ".bundle." in name:
        return "minified"
    generated = name.endswith((".d.ts", ".d.mts", ".d.cts", "_pb2.py", "_pb2_grpc.py", ".pb.go", ".g.dart"))
    return "generated" if generated else ""
