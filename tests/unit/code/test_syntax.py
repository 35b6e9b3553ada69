from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.code.syntax import Scope, cursor_scope, syntax_errors, wants_multiline
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Trigger
from tests.golden.cases import CURSOR, cases, request_at

GRAMMARS = ["python", "javascript", "typescript", "typescriptreact", "go", "rust", "java", "c", "cpp"]


@pytest.mark.parametrize("case", cases("multiline.toml"))
def test_golden(case: dict[str, Any]) -> None:
    trigger = Trigger.INVOKED if case.get("invoked") else Trigger.AUTOMATIC
    request = request_at(case["document"], case["language"], crlf=case.get("crlf", False), trigger=trigger)
    assert cursor_scope(request).value == case.get("scope", "code")
    assert wants_multiline(request, CompletionSettings(**case.get("settings", {}))) is case["expected"]


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_grammar_loads(language: str) -> None:
    comment = "#" if language == "python" else "//"
    assert cursor_scope(request_at(f"{comment} it's {CURSOR}\n", language)) is Scope.COMMENT
    assert cursor_scope(request_at(f'{comment} it\'s\nx = "a{CURSOR}b"\n', language)) is Scope.STRING


@pytest.mark.parametrize(
    ("document", "language", "better", "worse"),
    [
        (f"x = f({CURSOR})\n", "python", "1, 2", "1 2)"),
        (f"return {CURSOR}string)\n", "python", "len(", "len(string)"),
        (f"if (a) {{\n  {CURSOR}\n}}\n", "javascript", "b();", "} else if"),
        (f"func f() {{\n\t{CURSOR}\n}}\n", "go", "return", "return )"),
    ],
)
def test_what_fits_leaves_fewer_errors(document: str, language: str, better: str, worse: str) -> None:
    request = request_at(document, language)
    assert syntax_errors(request, better) < syntax_errors(request, worse)


def test_what_is_replaced_is_no_error() -> None:
    request = request_at(f"x = f({CURSOR})\n", "python")
    assert syntax_errors(request, "1)") > syntax_errors(request, "1)", replaced=1) == 0


def test_without_a_grammar_nothing_is_an_error() -> None:
    assert syntax_errors(request_at(f"x = ({CURSOR}\n", "cobol"), "))))") == 0


def test_a_window_that_begins_in_a_docstring() -> None:
    function = 'def f():\n    """Do it.\n\n    At length.\n    """\n    return 1\n\n\n'
    text = function * 400
    for offset in range(len(text) // 2, len(text) // 2 + 2 * len(function)):
        document = DocumentSnapshot("file:///case", "python", 1, text)
        line_end = text.find("\n", offset)
        in_code = text[:line_end].endswith("return 1")
        if in_code:
            assert cursor_scope(CompletionRequest(document, line_end)) is Scope.CODE


@pytest.mark.parametrize("text", ["x = f(a)\n" * 600_000, "x" * 5_000_000, "(" * 5_000_000])
def test_a_document_of_megabytes_costs_no_more_than_a_small_one(text: str) -> None:
    middle = len(text) // 2
    assert cost(text) < 3 * cost(text[middle - 20_000 : middle + 20_000]) + 0.005


def cost(text: str) -> float:
    """Seconds of this thread to look around the middle of ``text``, at best."""
    request = CompletionRequest(DocumentSnapshot("file:///case", "python", 1, text), len(text) // 2)
    seconds = []
    for _ in range(5):
        started = time.thread_time()
        wants_multiline(request, CompletionSettings())
        seconds.append(time.thread_time() - started)
    return min(seconds)


@given(
    st.text("()[]{}\"'`#/*\\:;x\n\r é🎉\ud800", max_size=60),
    st.text("()[]{}\"'`#/*\\:;x\n\r é🎉", max_size=60),
    st.sampled_from([*GRAMMARS, "lua", "markdown", "gleam"]),
)
@settings(max_examples=400, deadline=None)
def test_any_text_has_an_answer(before: str, after: str, language: str) -> None:
    request = request_at(before + CURSOR + after, language)
    assert isinstance(cursor_scope(request), Scope)
    assert isinstance(wants_multiline(request, CompletionSettings()), bool)
