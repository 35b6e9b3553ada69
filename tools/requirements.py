"""Print the requirements of pyproject.toml, a line each, with those of some extras and without some packages.

``pip install --editable .`` would compile llama.cpp, which the unit tests, the linters and mypy do not need.
The Makefile installs the project without dependencies, and then what this script prints::

    python -m tools.requirements --extra dev --without llama-cpp-python

It runs in a virtual environment that holds nothing but pip.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:  # pip brings the same parser along
    from pip._vendor import tomli as tomllib

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_OWN_EXTRAS = re.compile(r"fim-lsp\[(?P<extras>[^]]+)\]")


def read_project() -> dict[str, Any]:
    """Return the table ``[project]`` of pyproject.toml."""
    project: dict[str, Any] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    return project


def package_of(requirement: str) -> str:
    """Return the normalised name of a requirement's package.

    Example: ``llama_cpp_python>=0.3.36,<0.4`` -> ``llama-cpp-python``.
    """
    found = _NAME.match(requirement)
    if found is None:
        raise ValueError(f"{requirement!r} names no package")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def requirements(project: dict[str, Any], extras: list[str], without: set[str]) -> Iterator[str]:
    """Yield the project's dependencies and those of the extras, except the packages in ``without``.

    An extra may name others of the project, as in ``fim-lsp[plot]``; their requirements are yielded too.
    """
    optional = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *(line for extra in extras for line in optional[extra])]:
        own = _OWN_EXTRAS.fullmatch(requirement)
        if own is not None:
            nested = [name.strip() for name in own["extras"].split(",")]
            yield from requirements({**project, "dependencies": []}, nested, without)
        elif package_of(requirement) not in without:
            yield requirement


def main() -> None:
    """Print the requirements that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--extra", action="append", default=[], help="an extra to add; may be repeated")
    parser.add_argument("--without", action="append", default=[], help="a package to leave out")
    parsed = parser.parse_args()
    without = {package_of(name) for name in parsed.without}
    print("\n".join(requirements(read_project(), parsed.extra, without)))


if __name__ == "__main__":
    main()
