from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fim_lsp.code.cursor import WIDE_AFTER, WIDE_BEFORE, WINDOW, CursorContext
from fim_lsp.code.languages import LANGUAGES
from fim_lsp.code.lexical import Scope, scan
from fim_lsp.code.nesting import is_markup, read_nesting
from fim_lsp.completion.acceptance import after_accepting
from fim_lsp.completion.filters import FILTERS, Filtered, FilterStep, apply_filters
from fim_lsp.completion.stop_rules import make_stop_rules
from fim_lsp.completion.stopping import StopCheck
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import Completion, CompletionRequest, DocumentSnapshot, Trigger
from tests.golden.cases import CURSOR, cases, request_at

SAMPLED = ["python", "javascript", "go", "rust", "c", "shellscript", "markdown", "no-such-language"]
IDEMPOTENT = {"normalize_newlines", "drop_blank", "drop_lines_below", "drop_unmatched_closers", "trim_end"}

code = st.lists(
    st.sampled_from(
        [*"()[]{}<>\"'`;,:. \t\n\\#/é🎉x1", "    ", "\r\n", "foo", '"""', "/*", "*/", "//", "\n\t"]
    ),
    max_size=40,
).map("".join)


@st.composite
def requests(draw: st.DrawFn) -> CompletionRequest:
    before, after = draw(code), draw(code)
    document = DocumentSnapshot("file:///case", draw(st.sampled_from(SAMPLED)), 1, before + after)
    return CompletionRequest(
        document,
        len(before),
        selected_text=draw(st.sampled_from(["", "foo", "bar("])),
        tab_size=draw(st.sampled_from([1, 2, 4, 8])),
        insert_spaces=draw(st.booleans()),
    )


def filtered(text: str, request: CompletionRequest) -> Filtered:
    return apply_filters(text, CursorContext.of(request))


@pytest.mark.parametrize("case", cases("filters.toml"))
def test_golden(case: dict[str, Any]) -> None:
    options = {name: case[name] for name in ("crlf", "tab_size", "insert_spaces") if name in case}
    done = filtered(case["generated"], request_at(case["document"], case["language"], **options))
    assert done.text == case["expected"]
    assert done.replace_suffix_chars == case.get("replace", 0)
    assert [step.name for step in done.steps] == case["steps"]


def test_steps_tell_how_the_text_came_about() -> None:
    done = filtered("a = 1)  \n", request_at(f"x = 2\n{CURSOR}\n"))
    assert done.steps == (FilterStep("drop_unmatched_closers", "a = 1)  \n", "a = 1"),)
    assert done.text == "a = 1"


@pytest.mark.parametrize("case", cases("fit.toml"))
def test_a_suggestion_fits_the_code_around_it(case: dict[str, Any]) -> None:
    """Accept what the model wrote at a cursor, and compare the document."""
    options = {name: case[name] for name in ("tab_size", "insert_spaces") if name in case}
    request = request_at(case["document"], case["language"], trigger=Trigger.INVOKED, **options)
    context = CursorContext.of(request)
    check = StopCheck(make_stop_rules(context, CompletionSettings(), multiline=True))
    stop = next((stop for char in case["generated"] if (stop := check.add(char, 1.0, 0))), None)
    done = apply_filters(check.text[: stop.keep] if stop else check.text, context)
    accepted = after_accepting(request, Completion(done.text, done.replace_suffix_chars))
    assert (accepted.document.text if done.text else None) == case.get("accepted")


@given(code, requests())
@settings(max_examples=400, deadline=None)
def test_a_replace_range_stays_on_the_cursors_line(text: str, request: CompletionRequest) -> None:
    done = filtered(text, request)
    assert 0 <= done.replace_suffix_chars <= len(request.line_suffix)
    assert "\r" not in done.text
    assert done.text == "" or done.text.strip()


@given(code, requests())
@settings(max_examples=400, deadline=None)
def test_filters_only_take_away(text: str, request: CompletionRequest) -> None:
    context = CursorContext.of(request)
    for filter_text in FILTERS:
        name, filtered = filter_text.__name__, filter_text(text, context)
        if name in ("convert_indentation", "indent_below_header"):
            assert "".join(filtered.split()) == "".join(text.split())
        elif name == "normalize_newlines":
            assert filtered.splitlines() == text.splitlines()
        elif name in ("break_before_code", "break_before_closer"):
            assert filtered.rstrip() == text.rstrip()
        elif name in ("drop_repeated_prefix", "align_first_line"):
            assert text.endswith(filtered)
        elif name == "strip_fences":
            assert filtered in f"{text}\n"
        else:
            assert text.startswith(filtered) or name == "trim_end"
            assert len(filtered) <= len(text)
        text = filtered


@given(code, requests())
@settings(max_examples=400, deadline=None)
def test_filters_that_find_no_more_to_do(text: str, request: CompletionRequest) -> None:
    context = CursorContext.of(request)
    for filter_text in FILTERS:
        text = filter_text(text, context)
        if filter_text.__name__ in IDEMPOTENT:
            assert filter_text(text, context) == text, filter_text.__name__


@given(requests())
@settings(max_examples=300, deadline=None)
def test_the_context_is_the_documents_own_text(request: CompletionRequest) -> None:
    context = CursorContext.of(request)
    assert context.near.before == request.prefix.replace("\r\n", "\n")
    assert context.near.after == request.suffix.replace("\r\n", "\n")
    assert context.line_suffix == request.line_suffix.rstrip()


def test_the_context_begins_and_ends_with_whole_lines() -> None:
    lines = "".join(f"line {number}\r\n" for number in range(5000))
    document = DocumentSnapshot("file:///case", "python", 1, lines)
    context = CursorContext.of(CompletionRequest(document, lines.index("line 2500") + 4))
    assert not context.near.whole_after
    assert context.line_prefix == "line"
    assert context.line_suffix == " 2500"
    assert context.lines_above[-1] == "line 2499"
    assert all(f"{line}\r\n" in lines for line in (*context.lines_above, *context.lines_below))
    assert WINDOW // 2 < len(context.near.before) < WINDOW


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
def test_filters_see_a_few_thousand_characters_of_a_document_of_megabytes(text: str) -> None:
    request = CompletionRequest(DocumentSnapshot("file:///case", "python", 1, text), len(text) // 2)
    context = CursorContext.of(request)
    assert len(context.near.before) + len(context.near.after) <= 2 * WINDOW
    assert len(context.wide.before) + len(context.wide.after) <= WIDE_BEFORE + WIDE_AFTER
    near = text[len(text) // 2 - 2 * WINDOW : len(text) // 2 + 2 * WINDOW]
    small = CompletionRequest(DocumentSnapshot("file:///case", "python", 1, near), 2 * WINDOW)
    suggestion = "foo(a, b)\n    x = [1, 2]\n)"
    assert apply_filters(suggestion, context) == filtered(suggestion, small)


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


PAIRED = [row.id for row in LANGUAGES if row.balanced and not row.prose and not is_markup(row.id)]
WORDS = [
    "a",
    "b1",
    " ",
    "x = ",
    "f(",
    "g[",
    "{",
    ")",
    "]",
    "}",
    '"',
    ",",
    ";",
    "\n",
    "\n    ",
    "+ c",
    "return ",
]


@st.composite
def closed_by_the_editor(draw: st.DrawFn) -> tuple[CompletionRequest, str]:
    """Provide a balanced document with pairs around the cursor, and a text that may repeat their closers."""
    before, closers = draw(st.sampled_from(["", "x = 1\n", "f(a)\n", "if (a) {\n    b();\n}\n"])), ""
    for opener, closer in draw(st.lists(st.sampled_from([("f(", ")"), ("[", "]"), ("{", "}")]), max_size=3)):
        before, closers = before + opener, closer + closers
    if draw(st.booleans()):
        before, closers = f'{before}g("', f'"){closers}'
    text = "".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8)))
    text += closers if draw(st.booleans()) else ""
    after = closers + draw(st.sampled_from(["", ";", "\ny = 2\n"]))
    document = DocumentSnapshot("file:///case", draw(st.sampled_from(PAIRED)), 1, before + after)
    return CompletionRequest(document, len(before), Trigger.INVOKED), text


@given(closed_by_the_editor())
@settings(max_examples=600, deadline=None)
def test_accepting_never_unbalances_what_was_balanced(case: tuple[CompletionRequest, str]) -> None:
    request, text = case
    language, context = request.document.language_id, CursorContext.of(request)
    nesting = read_nesting(request.document.text, language)
    assume(not nesting.open and not nesting.closers)
    # `]` before the `]]` of a Lua string closes it one character early: half a delimiter is not tried here.
    assume(all(len(pair.close) == 1 for pair in context.nesting))
    done = apply_filters(text, context)
    # A text that leaves a bracket of its own open is still being written.
    assume(done.text and not context.read_inserted(done.text).own)
    accepted = after_accepting(request, Completion(done.text, done.replace_suffix_chars)).document.text
    assert not read_nesting(accepted, language).closers
