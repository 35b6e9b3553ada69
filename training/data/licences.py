"""Decide by its licence if a file may be trained on: SPDX expressions, licence files, headers and metadata.

The text of a licence is recognised by a sentence that no other licence has. A licence that is not recognised
does not permit training; for the user's own code there is a flag (``--own``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from email.parser import Parser
from pathlib import Path, PurePosixPath
from types import MappingProxyType

_PERMISSIVE_NAMES = (
    "0BSD AFL-2.1 AFL-3.0 Apache-2.0 Artistic-2.0 BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-3-Clause "
    "BSD-3-Clause-Clear BSD-4-Clause BSL-1.0 CC0-1.0 CNRI-Python HPND ISC MIT MIT-0 MIT-CMU "
    "MulanPSL-2.0 NCSA PostgreSQL PSF-2.0 Python-2.0 Python-2.0.1 Unicode-3.0 Unlicense UPL-1.0 WTFPL "
    "X11 Zlib ZPL-2.1"
)
PERMISSIVE = frozenset(_PERMISSIVE_NAMES.split())
"""SPDX identifiers that allow training with attribution at most."""
_PERMISSIVE = frozenset(name.casefold() for name in PERMISSIVE)

_PERMISSIVE_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "MIT": "permission is hereby granted, free of charge, to any person obtaining a copy",
        "Apache-2.0": "apache license version 2.0",
        "BSD-3-Clause": "redistribution and use in source and binary forms, with or without",
        "ISC": "permission to use, copy, modify, and/or distribute this software for any purpose with or",
        "ISC ": "permission to use, copy, modify, and distribute this software for any purpose with or",
        "Unlicense": "this is free and unencumbered software released into the public domain",
        "Zlib": "altered source versions must be plainly marked as such",
        "PSF-2.0": "python software foundation license version 2",
        "BSL-1.0": "boost software license - version 1.0",
        "CC0-1.0": "cc0 1.0 universal",
        "HPND": "permission to use, copy, modify, and distribute this software and its documentation",
    }
)
_RESTRICTIVE_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "GPL": "gnu general public license version",
        "LGPL": "gnu lesser general public license version",
        "LGPL ": "gnu library general public license version",
        "AGPL": "gnu affero general public license version",
        "MPL": "mozilla public license version",
        "MPL ": "mozilla public license, version",
        "EPL": "eclipse public license",
        "CDDL": "common development and distribution license",
        "SSPL": "server side public license",
        "BUSL": "business source license",
        "EUPL": "european union public licence",
        "CC": "attribution-noncommercial",
        "CC ": "attribution-sharealike",
        "commons clause": "commons clause",
        "elastic": "elastic license",
    }
)
_CLASSIFIERS: Mapping[str, str] = MappingProxyType(
    {
        "MIT License": "MIT",
        "MIT No Attribution License (MIT-0)": "MIT-0",
        "Apache Software License": "Apache-2.0",
        "BSD License": "BSD-3-Clause",
        "ISC License (ISCL)": "ISC",
        "Python Software Foundation License": "PSF-2.0",
        "The Unlicense (Unlicense)": "Unlicense",
        "zlib/libpng License": "Zlib",
        "Historical Permission Notice and Disclaimer (HPND)": "HPND",
        "Zero-Clause BSD (0BSD)": "0BSD",
    }
)
_FILE_NAME = re.compile(r"(un)?licen[cs]e|copying|copyright", re.IGNORECASE)
_SPDX = re.compile(r"SPDX-License-Identifier:\s*([^\r\n]*?)\s*(?:\*/|-->|$)", re.MULTILINE)
_NO_LICENCE_FILE = frozenset(
    {".py", ".js", ".ts", ".go", ".rs", ".java", ".c", ".h", ".cpp", ".json", ".html"}
)
_HEADER = 2500
"""Characters at the top of a file that are searched for a header."""


def is_permissive(expression: str) -> bool:
    """Check if an SPDX expression permits training: one part of an OR is enough, an AND needs all parts.

    ``"GPL-2.0 OR MIT"`` -> True, ``"GPL-2.0 AND MIT"`` -> False. An exception (``WITH``) changes nothing.
    """
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR ").replace(",", " AND "))
    allowed, rest = _parse_or(tokens)
    return allowed and not rest


def _parse_or(tokens: list[str]) -> tuple[bool, list[str]]:
    """Parse licences joined by OR; return if they permit training, and the tokens behind them."""
    allowed, rest = _parse_and(tokens)
    while rest and rest[0].upper() == "OR":
        other, rest = _parse_and(rest[1:])
        allowed = allowed or other
    return allowed, rest


def _parse_and(tokens: list[str]) -> tuple[bool, list[str]]:
    allowed, rest = _parse_licence(tokens)
    while rest and rest[0].upper() in ("AND", "WITH"):
        is_exception = rest[0].upper() == "WITH"
        other, rest = (allowed, rest[2:]) if is_exception else _parse_licence(rest[1:])
        allowed = allowed and other
    return allowed, rest


def _parse_licence(tokens: list[str]) -> tuple[bool, list[str]]:
    if not tokens:
        return False, []
    if tokens[0] == "(":
        allowed, rest = _parse_or(tokens[1:])
        return allowed, rest[1:]
    return tokens[0].casefold() in _PERMISSIVE, tokens[1:]


def licence_of_text(text: str) -> str | None:
    """Return the licence of a licence file: an identifier, the name of a restrictive family, or None."""
    plain = re.sub(r"\W+", " ", text).casefold()
    # Restrictive ones in the title alone: PSF's text mentions the GPL, and many files list bundled licences.
    head = plain[:1500]
    for found, texts in ((head, _RESTRICTIVE_TEXTS), (plain, _PERMISSIVE_TEXTS)):
        for name, sentence in texts.items():
            if re.sub(r"\W+", " ", sentence) in found:
                return name.strip()
    return None


def header_licence(text: str) -> str | None:
    """Return the expression of a file's SPDX header, or the family of a restrictive notice, or None."""
    head = text[:_HEADER]
    if found := _SPDX.search(head):
        return found.group(1)
    if "icense" not in head:
        return None
    plain = re.sub(r"\W+", " ", head).casefold()
    for name, sentence in _RESTRICTIVE_TEXTS.items():
        # Notices name a licence without its version: "terms of the GNU General Public License as".
        if re.sub(r"\W+", " ", sentence).removesuffix(" version") in plain:
            return name.strip()
    return None


def folder_licences(root: Path, files: Iterable[str]) -> dict[str, str]:
    """Return the licence of each folder that has a licence file; ``""`` is the root.

    Several files in a folder may be alternatives or parts, so a restrictive one decides, unless the package's
    metadata declares a licence (:func:`declared_licence`).
    """
    found: dict[str, str] = {}
    for path in files:
        pure = PurePosixPath(path)
        if not is_licence_file(pure.name):
            continue
        licence = _read_licence(root / path)
        parent = "" if pure.parent == PurePosixPath() else pure.parent.as_posix()
        folder = parent.rpartition("/")[0] if pure.parent.name.upper() in ("LICENSES", "LICENCES") else parent
        if licence is not None and (folder not in found or not is_permissive(licence)):
            found[folder] = licence
    return found


def is_licence_file(name: str) -> bool:
    """Check by its name if a file holds a licence: ``LICENSE``, ``COPYING.txt``, but not ``licensing.py``."""
    suffix = PurePosixPath(name).suffix.lower()
    return _FILE_NAME.match(name) is not None and suffix not in _NO_LICENCE_FILE


def _read_licence(path: Path) -> str | None:
    try:
        return licence_of_text(path.read_text(encoding="utf-8", errors="replace")[:40_000])
    except OSError:
        return None


def governing_licence(path: str, folders: Mapping[str, str]) -> str | None:
    """Return the licence of the nearest folder above ``path`` that has one, or None."""
    parents = [parent.as_posix() for parent in PurePosixPath(path).parents]
    return next((folders[key] for key in ("" if p == "." else p for p in parents) if key in folders), None)


def declared_licence(root: Path) -> str | None:
    """Return the licence in ``package.json``, ``pyproject.toml``, ``Cargo.toml`` or ``METADATA``, or None."""
    metadata = [root / name for name in METADATA if (root / name).is_file()]
    for file in (*metadata, *sorted(root.glob("*.dist-info/METADATA"))):
        try:
            licence = _READERS[file.name](file.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError):
            continue
        if licence:
            return licence
    return None


def _npm_licence(text: str) -> str | None:
    package = json.loads(text)
    licence = package.get("license") if isinstance(package, dict) else None
    if isinstance(licence, dict):
        licence = licence.get("type")
    return licence if isinstance(licence, str) else None


def _toml_licence(text: str) -> str | None:
    """Return ``license = "…"`` or ``license = { text = "…" }`` of the first table that has one."""
    found = re.search(r"^license\s*=\s*(?:\{\s*text\s*=\s*)?\"([^\"]+)\"", text, re.MULTILINE)
    return found.group(1) if found else None


def _metadata_licence(text: str) -> str | None:
    """Return ``License-Expression``, else ``License`` if it is permissive, else the classifiers, or None."""
    metadata = Parser().parsestr(text, headersonly=True)
    for key in ("License-Expression", "License"):
        licence = (metadata.get(key) or "").strip()
        if licence and "\n" not in licence and (key == "License-Expression" or is_permissive(licence)):
            return licence
    classifiers = [line for line in metadata.get_all("Classifier", []) if "License ::" in line]
    names = [line.rpartition(" :: ")[2] for line in classifiers]
    return " AND ".join(_CLASSIFIERS.get(name, name).replace(" ", "-") for name in names) or None


_READERS: Mapping[str, Callable[[str], str | None]] = MappingProxyType(
    {
        "package.json": _npm_licence,
        "pyproject.toml": _toml_licence,
        "Cargo.toml": _toml_licence,
        "PKG-INFO": _metadata_licence,
        "METADATA": _metadata_licence,
    }
)
METADATA = tuple(_READERS)
"""Names of the files with a package's metadata, in the order in which they are read."""
