from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.code.cursor import WINDOW, surroundings
from fim_lsp.code.lexical import Scope, scan
from fim_lsp.completion.filters import FILTERS, FilterStep, postprocess
from fim_lsp.types import CompletionRequest, DocumentSnapshot
from tests.golden.cases import CURSOR, cases, request_at

LANGUAGES = ["python", "javascript", "go", "rust", "c", "shellscript", "markdown", "gleam"]
IDEMPOTENT = {"newlines", "blank", "suffix_lines", "brackets", "trim"}

code = st.lists(
    st.sampled_from(
        [*"()[]{}<>\"'`;,:. \t\n\\#/é🎉x1", "    ", "\r\n", "foo", '"""', "/*", "*/", "//", "\n\t"]
    ),
    max_size=40,
).map("".join)


@st.composite
def requests(draw: st.DrawFn) -> CompletionRequest:
    before, after = draw(code), draw(code)
    document = DocumentSnapshot("file:///case", draw(st.sampled_from(LANGUAGES)), 1, before + after)
    return CompletionRequest(
        document,
        len(before),
        selected_text=draw(st.sampled_from(["", "foo", "bar("])),
        tab_size=draw(st.sampled_from([1, 2, 4, 8])),
        insert_spaces=draw(st.booleans()),
    )


@pytest.mark.parametrize("case", cases("filters.toml"))
def test_golden(case: dict[str, Any]) -> None:
    options = {name: case[name] for name in ("crlf", "tab_size", "insert_spaces") if name in case}
    done = postprocess(case["generated"], request_at(case["document"], case["language"], **options))
    assert done.text == case["expected"]
    assert done.replace_suffix_chars == case.get("replace", 0)
    assert [step.name for step in done.steps] == case["steps"]


def test_steps_tell_how_the_text_came_about() -> None:
    done = postprocess("a = 1)  \n", request_at(f"x = 2\n{CURSOR}\n"))
    assert done.steps == (FilterStep("brackets", "a = 1)  \n", "a = 1"),)
    assert done.text == "a = 1"


@given(code, requests())
@settings(max_examples=400, deadline=None)
def test_a_replace_range_stays_on_the_cursors_line(text: str, request: CompletionRequest) -> None:
    done = postprocess(text, request)
    assert 0 <= done.replace_suffix_chars <= len(request.line_suffix)
    assert "\r" not in done.text
    assert done.text == "" or done.text.strip()


@given(code, requests())
@settings(max_examples=400, deadline=None)
def test_filters_only_take_away(text: str, request: CompletionRequest) -> None:
    for name, filter_text in FILTERS:
        filtered = filter_text(text, request)
        if name == "indentation":
            assert "".join(filtered.split()) == "".join(text.split())
        elif name == "newlines":
            assert filtered.splitlines() == text.splitlines()
        elif name == "whole_lines":
            assert filtered.rstrip() == text.rstrip()
        else:
            assert text.startswith(filtered) or name == "trim"
            assert len(filtered) <= len(text)
        text = filtered


@given(code, requests())
@settings(max_examples=400, deadline=None)
def test_filters_that_find_no_more_to_do(text: str, request: CompletionRequest) -> None:
    for name, filter_text in FILTERS:
        text = filter_text(text, request)
        if name in IDEMPOTENT:
            assert filter_text(text, request) == text, name


@given(requests())
@settings(max_examples=300, deadline=None)
def test_surroundings_are_the_documents_own_text(request: CompletionRequest) -> None:
    around = surroundings(request)
    assert around.before == request.prefix.replace("\r\n", "\n")
    assert around.after == request.suffix.replace("\r\n", "\n")
    assert around.rest == request.line_suffix.rstrip()


def test_surroundings_begin_and_end_with_whole_lines() -> None:
    lines = "".join(f"line {number}\r\n" for number in range(5000))
    document = DocumentSnapshot("file:///case", "python", 1, lines)
    around = surroundings(CompletionRequest(document, lines.index("line 2500") + 4))
    assert not around.whole_after
    assert around.line_prefix == "line"
    assert around.rest == " 2500"
    assert around.lines_above[-1] == "line 2499"
    assert all(f"{line}\r\n" in lines for line in (*around.lines_above, *around.lines_below))
    assert WINDOW // 2 < len(around.before) < WINDOW


@pytest.mark.parametrize(
    "text",
    [
        "x = f(a)\n" * 600_000,
        "x" * 5_000_000,
        "(" * 2_500_000 + "]" * 2_500_000,
        ("a" * 100_000 + "\n") * 50,
        '"' * 5_000_000,
    ],
    ids=["many lines", "one line", "brackets", "long lines", "quotes"],
)
def test_a_document_of_megabytes_costs_no_more_than_a_small_one(text: str) -> None:
    middle = len(text) // 2
    assert cost(text) < 3 * cost(text[middle - 2 * WINDOW : middle + 2 * WINDOW]) + 0.005


def cost(text: str) -> float:
    """Seconds of this thread to postprocess a suggestion in the middle of ``text``, at best."""
    request = CompletionRequest(DocumentSnapshot("file:///case", "python", 1, text), len(text) // 2)
    seconds = []
    for _ in range(5):
        started = time.thread_time()
        postprocess("foo(a, b)\n    x = [1, 2]\n)", request)
        seconds.append(time.thread_time() - started)
    return min(seconds)


@pytest.mark.parametrize(
    ("language", "text", "scope"),
    [
        ("python", "x = '''a\n", Scope.STRING),
        ("python", "x = 'a\n", Scope.CODE),
        ("python", r"x = 'a\'", Scope.STRING),
        ("c", "/* a\n", Scope.COMMENT),
        ("c", "int x = '\"';", Scope.CODE),
        ("rust", "fn f<'a>(", Scope.CODE),
        ("lua", "--[[ a\n", Scope.COMMENT),
        ("shellscript", "echo $#", Scope.CODE),
        ("shellscript", "echo # a", Scope.COMMENT),
        ("sql", "select 1 -- a", Scope.COMMENT),
        ("html", "<p>don't", Scope.CODE),
    ],
)
def test_scan_knows_what_is_open(language: str, text: str, scope: Scope) -> None:
    inside = scan(text, language).inside
    assert (inside.scope if inside else Scope.CODE) is scope
