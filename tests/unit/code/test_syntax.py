from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.syntax import Scope, count_syntax_errors, locate_cursor
from fim_lsp.completion.multiline import wants_multiline
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Trigger
from tests.golden.cases import CURSOR, cases, request_at

GRAMMARS = ["python", "javascript", "typescript", "typescriptreact", "go", "rust", "java", "c", "cpp"]


def scope_at(request: CompletionRequest) -> Scope:
    return locate_cursor(CursorContext.of(request)).scope


def count_errors(request: CompletionRequest, text: str, replaced: int = 0) -> int:
    return count_syntax_errors(CursorContext.of(request), text, replaced)


@pytest.mark.parametrize("case", cases("multiline.toml"))
def test_golden(case: dict[str, Any]) -> None:
    trigger = Trigger.INVOKED if case.get("invoked") else Trigger.AUTOMATIC
    request = request_at(case["document"], case["language"], crlf=case.get("crlf", False), trigger=trigger)
    assert scope_at(request).value == case.get("scope", "code")
    values = CompletionSettings(**case.get("settings", {}))
    assert wants_multiline(CursorContext.of(request), trigger, values) is case["expected"]


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_grammar_loads(language: str) -> None:
    comment = "#" if language == "python" else "//"
    assert scope_at(request_at(f"{comment} it's {CURSOR}\n", language)) is Scope.COMMENT
    assert scope_at(request_at(f'{comment} it\'s\nx = "a{CURSOR}b"\n', language)) is Scope.STRING


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
    assert count_errors(request, better) < count_errors(request, worse)


@pytest.mark.parametrize("language", GRAMMARS)
@given(
    before=st.text("ab (){}[]:;=,.\n\t\"'é😀", max_size=40),
    text=st.text("ab (){}[]:;=,.\n\t\"'é😀", max_size=20),
    after=st.text("ab (){}[]:;=,.\n\t\"'é😀", max_size=40),
    replaced=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_an_inserted_text_has_the_errors_of_a_parse_from_scratch(
    language: str, before: str, text: str, after: str, replaced: int
) -> None:
    context = CursorContext.of(request_at(f"{before}{CURSOR}{after}", language))
    whole = CursorContext.of(request_at(f"{before}{text}{CURSOR}{after[replaced:]}", language))
    assert count_syntax_errors(context, text, replaced) == whole.syntax_errors


def test_what_is_replaced_is_no_error() -> None:
    request = request_at(f"x = f({CURSOR})\n", "python")
    assert count_errors(request, "1)") > count_errors(request, "1)", replaced=1) == 0


def test_without_a_grammar_nothing_is_an_error() -> None:
    assert count_errors(request_at(f"x = ({CURSOR}\n", "cobol"), "))))") == 0


def test_a_window_that_begins_in_a_docstring() -> None:
    function = 'def f():\n    """Do it.\n\n    At length.\n    """\n    return 1\n\n\n'
    text = function * 400
    for offset in range(len(text) // 2, len(text) // 2 + 2 * len(function)):
        document = DocumentSnapshot("file:///case", "python", 1, text)
        line_end = text.find("\n", offset)
        in_code = text[:line_end].endswith("return 1")
        if in_code:
            assert scope_at(CompletionRequest(document, line_end)) is Scope.CODE


@given(
    st.text("()[]{}\"'`#/*\\:;x\n\r é🎉\ud800", max_size=60),
    st.text("()[]{}\"'`#/*\\:;x\n\r é🎉", max_size=60),
    st.sampled_from([*GRAMMARS, "lua", "markdown", "no-such-language"]),
)
@settings(max_examples=400, deadline=None)
def test_any_text_has_an_answer(before: str, after: str, language: str) -> None:
    request = request_at(before + CURSOR + after, language)
    assert isinstance(scope_at(request), Scope)
    context = CursorContext.of(request)
    assert isinstance(wants_multiline(context, Trigger.AUTOMATIC, CompletionSettings()), bool)
