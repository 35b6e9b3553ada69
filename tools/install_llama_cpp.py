"""Install llama-cpp-python: a prebuilt wheel if one is asked for and its index answers, else compiled here.

PyPI has llama-cpp-python as source alone, and compiling it takes minutes and a C++ compiler. Its authors
publish wheels on an index of their own, one for each kind of machine. ``make demo WHEELS=cpu`` runs::

    python -m tools.install_llama_cpp --wheels cpu

The index is asked first, for at most :data:`PATIENCE_S` seconds, because pip retries an address that does not
answer for minutes. Arguments after ``--`` go to pip.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tools.requirements import package_of, read_project

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
PACKAGE = "llama-cpp-python"
INDEX = "https://abetlen.github.io/llama-cpp-python/whl"
PATIENCE_S = 5.0


def read_page(url: str, patience_s: float = PATIENCE_S) -> str | None:
    """Return the page at ``url``, or None if it can't be had within ``patience_s``.

    The time limit covers the look-up of the host's name too, which urllib's own does not.
    """
    pages: list[str] = []

    def read() -> None:
        try:
            with urllib.request.urlopen(url, timeout=patience_s) as answer:
                pages.append(answer.read().decode("utf-8", "replace"))
        except (OSError, ValueError):  # refused, timed out, no such page, not a URL
            return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(patience_s)
    return pages[0] if pages else None


def has_wheel(page: str, version: str | None) -> bool:
    """Return whether an index page links a wheel of the version; of any version if that is None."""
    wanted = re.escape(version) if version else r"[^-]+"
    return re.search(rf"llama_cpp_python-{wanted}-[^\"'<>\s]+\.whl", page) is not None


def pinned_version(constraints: str) -> str | None:
    """Return the version that a constraints file pins the package to, or None."""
    for line in constraints.splitlines():
        name, equals, version = line.partition("==")
        if equals and package_of(name) == PACKAGE:
            return version.split(";")[0].strip()
    return None


def find_index(wheels: str, version: str | None, base: str = INDEX) -> str | None:
    """Return the address of the index with wheels of that kind, or None if it has none of the version."""
    address = f"{base}/{wheels}"
    page = read_page(f"{address}/{PACKAGE}/")
    if page is None:
        print(f"{address} does not answer.")
        return None
    if not has_wheel(page, version):
        print(f"{address} has no wheel of {PACKAGE} {version or ''}.")
        return None
    return address


def install(wheels: str, base: str, pip_arguments: Sequence[str]) -> int:
    """Run pip and return its exit code."""
    pip = [sys.executable, "-m", "pip", "install", "--constraint", str(CONSTRAINTS), *pip_arguments]
    (requirement,) = (line for line in read_project()["dependencies"] if package_of(line) == PACKAGE)
    pinned = pinned_version(CONSTRAINTS.read_text(encoding="utf-8"))
    index = find_index(wheels, pinned, base) if wheels else None
    if index is not None:
        print(f"Installing {PACKAGE} from {index}.", flush=True)
        # A build that was compiled before, or is for another kind of machine, is replaced.
        options = ["--no-deps", "--force-reinstall", "--only-binary", PACKAGE, "--extra-index-url", index]
        if subprocess.run([*pip, *options, requirement]).returncode:
            print("No wheel of that index fits this machine.")
    if not _is_installed():
        print(
            f"Compiling {PACKAGE}. This takes 5 to 15 minutes, unless pip kept a wheel from before.",
            flush=True,
        )
    code = subprocess.run([*pip, requirement]).returncode
    if code and not wheels:
        print(
            "Compiling needs a C++ compiler; WHEELS=cpu takes a compiled wheel: see docs/getting-started.md."
        )
    return code


def _is_installed() -> bool:
    try:
        importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main() -> int:
    """Install what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--wheels", default="", help="cpu, metal, vulkan, cu124, …; compile if it is empty")
    parser.add_argument("--index", default=INDEX, help="the index of wheels, without the kind")
    parser.add_argument("pip", nargs="*", help="more arguments for pip")
    parsed = parser.parse_args()
    return install(parsed.wheels, parsed.index, parsed.pip)


if __name__ == "__main__":
    sys.exit(main())
