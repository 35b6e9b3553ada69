from __future__ import annotations

from collections import Counter
from random import Random
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.config import SpanMix
from training.data.spans import (
    EndKind,
    Hole,
    ParsedFile,
    StartKind,
    anchored,
    choose_hole,
    end_kind,
    make_hole,
    start_kind,
)

_PYTHON = '''import os


def first(path: str) -> str:
    """Größe of the path: 🙂."""
    if not path:
        return ""
    return os.path.join(path, "x", str(len(path)))


class Shop:
    rows = [1, 2, 3]

    def total(self) -> int:
        return sum(self.rows)
'''
_GO = "package main\n\nfunc add(a int, b int) int {\n\tif a > b {\n\t\treturn a\n\t}\n\treturn a + b\n}\n"
_SOURCES = {
    "python": _PYTHON,
    "go": _GO,
    "javascript": "function add(a, b) {\n  return a + b;\n}\n\nmodule.exports = { add };\n",
    "typescript": "export function add(a: number, b: number): number {\n  return a + b;\n}\n",
    "rust": "fn add(a: i32, b: i32) -> i32 {\n    let c = a + b;\n    c\n}\n",
    "java": "class Shop {\n    int add(int a, int b) {\n        return a + b;\n    }\n}\n",
    "c": "int add(int a, int b)\n{\n    return a + b;\n}\n",
    "cpp": "template <class T>\nT add(T a, T b) {\n    return a + b;\n}\n",
    "sql": "SELECT name, count(*) FROM shop WHERE price > 3 GROUP BY name ORDER BY name;\n",
    "ruby": "def add(a, b)\n  a + b\nend\n",
}
_texts = st.text(st.sampled_from("ab_ (){}\n\t:,é🙂="), max_size=300)


def _only(kind: str) -> SpanMix:
    return SpanMix(
        **{name: float(name == kind) for name in ("node", "line_rest", "lines", "random", "empty")}
    )


@given(text=_texts, seed=st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_a_hole_gives_the_text_back_and_is_usable(text: str, seed: int):
    hole = choose_hole(ParsedFile(text, "python"), SpanMix(), Random(seed), max_chars=50)
    if hole is None:
        return
    assert hole.prefix + hole.middle + hole.suffix == text
    assert hole.before_cursor + hole.rest + hole.suffix == text
    assert len(hole.middle) <= 50
    assert (hole.middle == "") == (hole.kind == "empty")
    assert hole.kind == "empty" or hole.rest.strip()


@given(before=_texts, after=_texts)
@settings(max_examples=200)
def test_start_kinds_are_truthful(before: str, after: str):
    kind = start_kind(before, after)
    line = before.rpartition("\n")[2]
    assert (kind == "column_0") == (line == "")
    assert (kind == "indentation") == (line != "" and line.strip() == "")
    if kind == "line_end":
        assert after == "" or after.startswith("\n")
    if kind == "mid_word":
        assert (line[-1] + after[0]).replace("_", "a").isalnum()


@given(before=_texts, after=_texts)
@settings(max_examples=200)
def test_end_kinds_are_truthful(before: str, after: str):
    kind = end_kind(before, after)
    at_line_start = before == "" or before.endswith("\n")
    at_line_end = after == "" or after.startswith("\n")
    assert (kind == "mid_line") == (not at_line_start and not at_line_end)
    if kind == "after_newline":
        assert at_line_start
    if kind == "before_newline":
        assert at_line_end


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("def f():\n    return 1", "\n\ndef g():\n", "block_end"),
        ("def f():\n    return 1\n", "def g():\n", "block_end"),
        ("def f():\n    a = 1", "\n    return a\n", "before_newline"),
        ("def f():\n    a = 1\n", "    return a\n", "after_newline"),
        ("x = 1", "", "block_end"),
        ("x = ", "1\n", "mid_line"),
    ],
)
def test_blocks_end_where_the_next_line_is_indented_less(before: str, after: str, kind: EndKind):
    assert end_kind(before, after) == kind


def test_holes_begin_and_end_everywhere():
    document = ParsedFile(_PYTHON, "python")
    holes = [choose_hole(document, SpanMix(), Random(seed)) for seed in range(400)]
    found = [hole for hole in holes if hole is not None]
    assert len(found) > 380
    starts = Counter(hole.start_kind for hole in found)
    ends = Counter(hole.end_kind for hole in found)
    assert set(starts) == set(get_args(StartKind))
    assert set(ends) == set(get_args(EndKind))
    assert min(starts.values()) > 12
    assert sum(hole.rest.startswith("\n") for hole in found) > 12


@pytest.mark.parametrize("language", sorted(_SOURCES))
def test_nodes_of_every_language_are_found(language: str):
    document = ParsedFile(_SOURCES[language], language)
    holes = [choose_hole(document, _only("node"), Random(seed)) for seed in range(40)]
    assert sum(hole is not None for hole in holes) > 35
    assert language == "ruby" or (document.root is not None and not document.root.has_error)


def test_nodes_are_cut_at_characters_not_bytes():
    document = ParsedFile('x = "ß🙂"\nfoo(alpha)\n', "python")
    middles = {
        hole.middle
        for seed in range(200)
        if (hole := choose_hole(document, _only("node"), Random(seed), anchored_rate=0))
    }
    assert {"foo(alpha)", "alpha", '"ß🙂"'} <= middles


@pytest.mark.parametrize("kind", ["node", "line_rest", "lines", "random", "empty"])
def test_a_text_with_nothing_to_cut_gives_nothing_or_an_empty_hole(kind: str):
    hole = choose_hole(ParsedFile("", "python"), _only(kind), Random(1))
    assert hole is None or (kind == "empty" and hole.middle == "")


def test_the_same_seed_cuts_the_same_hole():
    document = ParsedFile(_PYTHON, "python")
    again = ParsedFile(_PYTHON, "python")
    for seed in range(20):
        assert choose_hole(document, SpanMix(), Random(seed)) == choose_hole(again, SpanMix(), Random(seed))


def test_half_of_the_middles_are_begun():
    document = ParsedFile(_PYTHON, "python")
    holes = [choose_hole(document, SpanMix(empty=0), Random(seed)) for seed in range(300)]
    share = sum(hole.typed > 0 for hole in holes if hole) / len(holes)
    assert 0.35 < share < 0.6
    assert not any(
        hole.typed
        for seed in range(50)
        if (hole := choose_hole(document, SpanMix(), Random(seed), anchored_rate=0))
    )


def test_what_is_typed_stands_before_the_cursor():
    hole = make_hole("a = foo(1)\n", (4, 10), "node")
    begun = anchored(hole, Random(3))
    assert begun.typed > 0
    assert begun.before_cursor == "a = " + hole.middle[: begun.typed]
    assert Hole("a", "b", "c", "node").rest == "b"
