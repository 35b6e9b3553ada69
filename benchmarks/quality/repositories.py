"""Fetch the repositories that are measured: pinned releases from PyPI and npm.

All were held out when the default model was trained (marked with * in MODEL_CARD.md), and none of them is
used to fit the gate of the repository memory or the confidence of suggestions.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Literal

from attrs import frozen

from fim_lsp.errors import FimLspError


class FetchError(FimLspError):
    """A repository can't be fetched."""


@frozen
class Release:
    """A pinned release of a package."""

    registry: Literal["pypi", "npm"]
    package: str
    version: str
    inside: str = ""
    """The folder of the release that is taken for the repository; empty for all."""

    @property
    def name(self) -> str:
        """The repository's name in the figures."""
        return self.package.rpartition("/")[2]


RELEASES = (
    Release("pypi", "marshmallow", "4.4.0"),
    Release("pypi", "optax", "0.2.8"),
    Release("pypi", "s3transfer", "0.19.3"),
    Release("pypi", "black", "26.10.1", "src"),
    Release("pypi", "pyjwt", "2.15.1"),
    Release("pypi", "prometheus-client", "0.26.0"),
    Release("npm", "mocha", "12.0.3", "lib"),
    Release("npm", "@tanstack/query-core", "5.108.4", "src"),
    Release("npm", "cheerio", "1.2.0", "src"),
    Release("npm", "reselect", "5.3.0", "src"),
)


def fetch(release: Release, folder: Path) -> Path:
    """Return the folder of a release below ``folder``, which is fetched if it is missing.

    Raises:
        FetchError: pip or npm failed.
    """
    root = folder / release.name
    if not root.is_dir():
        incoming = folder / f"{release.name}.incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(parents=True)
        with tarfile.open(_download(release, incoming)) as archive:
            archive.extractall(incoming / "tree", filter="data")
        (top,) = (incoming / "tree").iterdir()
        top.rename(root)
        shutil.rmtree(incoming)
    return root / release.inside


def _download(release: Release, folder: Path) -> Path:
    if release.registry == "npm":
        command = ["npm", "pack", "--silent", f"{release.package}@{release.version}"]
    else:
        requirement = f"{release.package}=={release.version}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        command.append(requirement)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    archives = [*folder.glob("*.tgz"), *folder.glob("*.tar.gz")]
    if len(archives) != 1:
        words = (done.stderr.strip() or "no archive came").splitlines()[-1]
        raise FetchError(
            f"{release.package} {release.version} can't be fetched: {words}", "Check the network."
        )
    return archives[0]
