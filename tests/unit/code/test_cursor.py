"""The code around a cursor: each answer is computed once for a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fim_lsp.code import cursor, syntax
from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.lexical import Scope
from tests.golden.cases import CURSOR, request_at

CODE = f"def f(x):\n    return g(x, {CURSOR})\n"


def counting(calls: list[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*given: Any, **named: Any) -> Any:
        calls.append(name)
        return function(*given, **named)

    return counted


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count what reads the code: parsers, and readers of nesting and brackets."""
    made: list[str] = []
    for module, name in ((syntax, "parser_for"), (cursor, "read_nesting"), (cursor, "find_enclosing")):
        monkeypatch.setattr(module, name, counting(made, name, getattr(module, name)))
    return made


def test_the_place_and_the_errors_share_a_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    parses: list[str] = []
    monkeypatch.setattr(syntax, "parse_window", counting(parses, "parse", syntax.parse_window))
    context = CursorContext.of(request_at(CODE, "python"))
    assert context.scope.scope is Scope.CODE
    assert context.syntax_errors == 0
    assert syntax.count_syntax_errors(context, "y") == 0
    assert parses == ["parse"]


def test_what_is_prepared_is_not_computed_again(calls: list[str]) -> None:
    context = CursorContext.of(request_at(CODE, "python"))
    context.prepare()
    assert {"parser_for", "read_nesting", "find_enclosing"} <= set(calls)
    calls.clear()
    assert context.syntax_errors == 0
    assert [pair.close for pair in context.nesting] == [")"]
    assert len(context.brackets.openers) == 1
    assert context.scope.scope is Scope.CODE
    assert calls == []


@pytest.mark.parametrize("language", ["markdown", "plaintext", "unknown"])
def test_a_language_without_a_grammar_has_no_errors(language: str) -> None:
    context = CursorContext.of(request_at(f"a (b {CURSOR}", language))
    context.prepare()
    assert context.syntax_errors == 0
    assert context.parsed.root is None


def test_code_that_is_being_written_has_errors_of_its_own() -> None:
    assert CursorContext.of(request_at(f"x = = {CURSOR}\n", "python")).syntax_errors > 0
