from __future__ import annotations

from pathlib import Path

import pytest
from repositories import write

from training.data.licences import (
    declared_licence,
    folder_licences,
    governing_licence,
    header_licence,
    is_licence_file,
    is_permissive,
    licence_of_text,
)

_MIT = (
    "MIT License\n\nCopyright (c) 2024 Somebody\n\nPermission is hereby granted, free of charge, to any\n"
    "person obtaining a copy of this software and associated documentation files"
)
_GPL = "                    GNU GENERAL PUBLIC LICENSE\n                       Version 3, 29 June 2007\n"


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("apache-2.0", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT/Apache-2.0", True),
        ("MIT AND MPL-2.0", False),
        ("(MIT OR GPL-2.0) AND BSD-3-Clause", True),
        ("(MIT AND GPL-2.0) OR ISC", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0 WITH Classpath-exception-2.0", False),
        ("MPL-2.0", False),
        ("LGPL-2.1", False),
        ("", False),
        ("SEE LICENSE IN LICENSE.md", False),
        ("UNLICENSED", False),
    ],
)
def test_an_expression_is_decided_by_its_best_choice_and_its_worst_part(expression: str, allowed: bool):
    assert is_permissive(expression) is allowed


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (_MIT, "MIT"),
        (_GPL, "GPL"),
        ("Mozilla Public License Version 2.0\n====", "MPL"),
        ("Apache License\nVersion 2.0, January 2004", "Apache-2.0"),
        ("All rights reserved.", None),
        (
            "Redistribution and use in source and binary forms, with or without modification, are",
            "BSD-3-Clause",
        ),
    ],
)
def test_licence_files_are_recognised_by_their_words(text: str, licence: str | None):
    assert licence_of_text(text) == licence


def test_headers_speak_for_their_file():
    assert header_licence("# SPDX-License-Identifier: GPL-2.0-only\nimport os\n") == "GPL-2.0-only"
    assert header_licence("/* SPDX-License-Identifier: MIT */\nint a;\n") == "MIT"
    assert header_licence("// under the terms of the GNU General Public License as published\n") == "GPL"
    assert header_licence("import os\n") is None


def test_the_nearest_licence_governs(tmp_path: Path):
    write(tmp_path, {"LICENSE": _MIT, "addons/COPYING": _GPL, "addons/a/b.py": "", "src/licence.py": _GPL})
    folders = folder_licences(tmp_path, ["LICENSE", "addons/COPYING", "addons/a/b.py", "src/licence.py"])
    assert folders == {"": "MIT", "addons": "GPL"}
    assert governing_licence("addons/a/b.py", folders) == "GPL"
    assert governing_licence("src/a.py", folders) == "MIT"
    assert governing_licence("a.py", {}) is None


@pytest.mark.parametrize(
    ("name", "text", "licence"),
    [
        ("package.json", '{"license": "MIT"}', "MIT"),
        ("package.json", '{"license": {"type": "ISC"}}', "ISC"),
        ("package.json", "[1, 2", None),
        ("pyproject.toml", '[project]\nlicense = { text = "Apache-2.0" }\n', "Apache-2.0"),
        ("Cargo.toml", '[package]\nlicense = "MIT OR Apache-2.0"\n', "MIT OR Apache-2.0"),
        ("METADATA", "Metadata-Version: 2.4\nLicense-Expression: BSD-3-Clause\n\nText", "BSD-3-Clause"),
        (
            "METADATA",
            "License: A licence of our own\nClassifier: License :: OSI Approved :: MIT License\n\n",
            "MIT",
        ),
        ("METADATA", "Name: x\n\nLicense-Expression: MIT\n", None),
    ],
)
def test_packages_say_what_they_are(tmp_path: Path, name: str, text: str, licence: str | None):
    write(tmp_path, {name: text})
    assert declared_licence(tmp_path) == licence


def test_code_is_no_licence_file():
    assert is_licence_file("LICENSE-MIT")
    assert is_licence_file("COPYING.txt")
    assert not is_licence_file("licensing.py")
    assert not is_licence_file("copyright.js")
