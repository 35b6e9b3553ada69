from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from merging_tokenizer import request, request_at

from fim_lsp.gguf_keys import ANCHORED_MIDDLES
from fim_lsp.prompt.anchor import (
    Anchor,
    explain_layout,
    is_same_suffix,
    next_anchor,
    resolve_layout,
    should_renew,
)
from fim_lsp.prompt.templates import find_template
from fim_lsp.settings import PromptSettings
from fim_lsp.types import ModelInfo

_QWEN = find_template("qwen")
_SETTINGS = PromptSettings(max_middle_chars=40)
_CODE = "import os\n\n\ndef f(a):\n    █\n\n\ndef g():\n    pass\n"


def _anchor(marked: str, previous: Anchor | None = None, settings: PromptSettings = _SETTINGS) -> Anchor:
    return next_anchor(previous, request_at(marked), _QWEN, settings)


@pytest.mark.parametrize(
    ("setting", "metadata", "layout"),
    [
        ("auto", {ANCHORED_MIDDLES: "True"}, "anchored"),
        ("auto", {}, "anchored"),
        ("plain", {ANCHORED_MIDDLES: "true"}, "plain"),
        ("anchored", {}, "anchored"),
    ],
)
def test_the_layout_is_anchored_where_the_suffix_comes_last(
    setting: str, metadata: dict, layout: str
) -> None:
    settings, info = PromptSettings(layout=setting), ModelInfo("x", metadata=metadata)
    assert resolve_layout(settings, info, _QWEN).layout == layout
    reason = explain_layout(settings, info, _QWEN)
    assert reason.startswith(f"{layout} ({'auto' if setting == 'auto' else 'by the settings'})")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("fim-lsp", "suffix first"),
        ("seed-coder", "plain (auto): the suffix comes first"),
        (None, "the text before"),
    ],
)
def test_the_layout_is_not_anchored_where_nothing_stands_behind_typed_text(template, reason) -> None:
    found = find_template(template) if template else None
    assert resolve_layout(PromptSettings(), ModelInfo("x"), found).layout == "plain"
    assert explain_layout(PromptSettings(), ModelInfo("x"), found).startswith(reason)


@pytest.mark.parametrize(
    ("given", "metadata", "template", "renewed_at"),
    [
        (None, {}, "qwen", 120),
        (None, {ANCHORED_MIDDLES: "true"}, "qwen", 350),
        (None, {}, "fim-lsp", 350),
        (30, {}, "qwen", 30),
        (30, {ANCHORED_MIDDLES: "true"}, "qwen", 30),
    ],
)
def test_middles_are_kept_short_for_models_that_did_not_learn_long_ones(
    given: int | None, metadata: dict, template: str, renewed_at: int
) -> None:
    settings = PromptSettings(renew_middle_chars=given)
    resolved = resolve_layout(settings, ModelInfo("x", metadata=metadata), find_template(template))
    assert resolved.renew_middle_chars == renewed_at
    before, after = _CODE.split("█")
    anchor = next_anchor(None, request_at(_CODE), _QWEN, resolved)
    assert not should_renew(
        anchor, request(before + "x" * (renewed_at - 4) + after, len(before) + renewed_at - 4)
    )
    assert should_renew(anchor, request(before + "x" * renewed_at + after, len(before) + renewed_at))


def test_an_anchor_is_the_start_of_the_cursors_line() -> None:
    anchor = _anchor(_CODE)
    assert anchor.prefix == "import os\n\n\ndef f(a):\n"
    assert anchor.suffix == "\n\n\ndef g():\n    pass\n"


@pytest.mark.parametrize("typed", ["r", "return a", "x = 1\n    y = 2", ""])
def test_it_stays_while_the_user_types(typed: str) -> None:
    first = _anchor(_CODE)
    assert _anchor(_CODE.replace("█", f"{typed}█"), first) is first


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(_CODE.replace("█", "x" * 37 + "█"), id="the middle outgrew its bound"),
        pytest.param(_CODE.replace("import os", "import io"), id="the prefix changed"),
        pytest.param("#!\n" + _CODE, id="lines came above"),
        pytest.param(_CODE.replace("g()", "h()"), id="the suffix changed"),
        pytest.param(_CODE + "more = 1\n", id="lines came below"),
        pytest.param(_CODE.replace("█", "").replace("f(a)", "f(a█)"), id="the cursor went up"),
        pytest.param(_CODE.replace("█", "").replace("g()", "g(█)"), id="the cursor went down"),
        pytest.param(_CODE.replace("█", "█)"), id="a bracket without its opener"),
    ],
)
def test_it_moves_when(now: str) -> None:
    first = _anchor(_CODE)
    moved = _anchor(now, first)
    assert moved is not first
    assert moved == _anchor(now)


def test_it_moves_with_the_document_the_template_and_the_settings() -> None:
    first = _anchor(_CODE)
    here = request_at(_CODE)
    elsewhere = request_at(_CODE, uri="file:///other.py")
    assert next_anchor(first, elsewhere, _QWEN, _SETTINGS) is not first
    assert next_anchor(first, here, find_template("starcoder"), _SETTINGS) is not first
    assert next_anchor(first, here, None, _SETTINGS) is not first
    assert next_anchor(first, here, _QWEN, evolve(_SETTINGS, max_tokens=512)) is not first
    assert next_anchor(first, here, _QWEN, evolve(_SETTINGS)) is first


@pytest.mark.parametrize(
    "now",
    ["print(█)", "print([█])", 'print("█")', "f(x)[█]", "x = {\n        █\n    }", "f(g(█))", "f('it█')"],
)
def test_it_stays_across_what_the_editor_closed_by_itself(now: str) -> None:
    first = _anchor(_CODE)
    assert _anchor(_CODE.replace("█", now), first) is first


def test_it_stays_across_closed_brackets_in_a_document_longer_than_its_window() -> None:
    code = _CODE + "more = 1\n" * 2000
    first = _anchor(code)
    assert not first.reaches_end
    assert _anchor(code.replace("█", "f(█)"), first) is first
    assert _anchor(code.replace("█", "f█)"), first) is not first


def test_it_stays_in_a_document_with_crlf() -> None:
    code = _CODE.replace("\n", "\r\n")
    first = _anchor(code)
    assert "\r" not in first.prefix + first.suffix
    assert _anchor(code.replace("█", "x = {\r\n  █\r\n}"), first) is first


def test_the_entry_selected_in_the_popup_counts_as_typed() -> None:
    text = _CODE.replace("█", "ret")
    offset = _CODE.index("█") + 3
    first = next_anchor(None, request(text, offset), _QWEN, _SETTINGS)
    assert next_anchor(first, request(text, offset, selected="urn"), _QWEN, _SETTINGS) is first
    assert next_anchor(first, request(text, offset, selected="u" * 40), _QWEN, _SETTINGS) is not first


def test_in_a_very_long_line_the_middle_stays_within_its_bound() -> None:
    text = "x" * 100_000
    previous, moves = None, 0
    for offset in range(50_000, 50_200):
        anchor = next_anchor(previous, request(text, offset), _QWEN, _SETTINGS)
        moves += anchor is not previous
        assert 0 <= offset - anchor.offset <= 40
        previous = anchor
    assert moves <= 10


def test_without_room_for_a_middle_the_anchor_is_the_cursor() -> None:
    anchor = next_anchor(None, request("abc", 2), _QWEN, PromptSettings(max_middle_chars=0))
    assert (anchor.offset, anchor.prefix, anchor.suffix) == (2, "ab", "c")


def test_of_a_large_document_only_windows_are_kept() -> None:
    text = "value = compute(value)\n" * 220_000
    here = request(text, len(text) // 2)
    anchor = next_anchor(None, here, _QWEN, PromptSettings())
    assert len(anchor.prefix) + len(anchor.suffix) < 8000
    assert next_anchor(anchor, here, _QWEN, PromptSettings()) is anchor


@pytest.mark.parametrize(
    ("typed", "now", "then"),
    [
        ("", "rest", "rest"),
        ("foo", "rest", "rest"),
        ("f(", ")rest", "rest"),
        ("f([", "])rest", "rest"),
        ('f("', '")rest', "rest"),
        ('f("', ")rest", "rest"),
        ("f(x)", "rest", "rest"),
        ("{\n    ", "\n}rest", "rest"),
        ('"""', '"""', ""),
        ("# don't\nf(", ")", ""),
        ("'\\'(", ")'", ""),
        ('f(")"', ")", ""),
        ("f(", ")" + "y" * 299, "y" * 300),
    ],
)
def test_suffixes_that_agree(typed: str, now: str, then: str) -> None:
    assert is_same_suffix(typed, now, then)


@pytest.mark.parametrize(
    ("typed", "now", "then"),
    [
        ("f", ")rest", "rest"),
        ("f()", ")rest", "rest"),
        ("f(", "]rest", "rest"),
        ("f([", ")]rest", "rest"),
        ("f(", "))rest", "rest"),
        ("f(", ") rest", "rest"),
        ("f(", "rest", ")rest"),
        ("f(", ")res", "rest"),
        ("\n", "\nrest", "rest"),
        ("f(", "]" + "y" * 299, "y" * 300),
        ("f(", "x" * 300, "y" * 300),
    ],
)
def test_suffixes_that_do_not(typed: str, now: str, then: str) -> None:
    assert not is_same_suffix(typed, now, then)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_suffix_agrees_only_if_it_ends_in_the_former_one(typed: str, now: str, then: str) -> None:
    if is_same_suffix(typed, now, then):
        assert now.endswith(then)
        assert set(now.removesuffix(then)) <= set(")]}\"'` \n\t") | {c for c in now if c.isspace()}


def test_large_windows_are_compared_by_their_closers() -> None:
    then = ")}\n" * 30_000
    assert is_same_suffix("f({[" * 100, "]" + then[:-1], then)
    assert not is_same_suffix("x" * 1000, ")" + then[:-1], then)


_SUFFIX_FIRST = find_template("fim-lsp")
_LINES = [f"name_{n} = {n}\n" for n in range(30)]


def _at(line: int, typed: str = "", lines: list[str] = _LINES) -> str:
    return "".join(lines[:line]) + typed + "█" + "".join(lines[line:])


def _lagging(now: str, *, bound: int = 30, template=_SUFFIX_FIRST) -> tuple[Anchor, Anchor, bool]:
    """Provide an anchor made in line 5, the one for ``now``, and whether that one should be renewed."""
    settings = PromptSettings(max_stale_chars=bound)
    first = next_anchor(None, request_at(_at(5)), template, settings)
    second = next_anchor(first, request_at(now), template, settings)
    return first, second, should_renew(second, request_at(now))


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(_at(6), id="a line"),
        pytest.param(_at(7), id="two lines"),
        pytest.param(_at(6, "x = 1"), id="and typed there"),
        pytest.param(_at(7, lines=[*_LINES[:5], "typed = 0\n", *_LINES[5:]]), id="after typing a line"),
    ],
)
def test_going_down_into_a_suffix_that_comes_first_keeps_it_for_a_while(now: str) -> None:
    first, second, _ = _lagging(now)
    assert second is first


def test_such_a_suffix_is_ageing_and_an_exact_one_is_not() -> None:
    assert _lagging(_at(6))[2]
    assert not _lagging(_at(5, "x = 1"))[2]


@pytest.mark.parametrize(
    ("why", "now"),
    [
        ("too far", _at(9)),
        ("up", _at(4)),
        ("the suffix changed", _at(6, lines=[*_LINES[:20], "new = 0\n", *_LINES[21:]])),
        ("lines came below", _at(6, lines=[*_LINES, "new = 0\n"])),
    ],
)
def test_else_it_is_replaced_at_once(why: str, now: str) -> None:
    first, second, ageing = _lagging(now)
    assert second is not first, why
    assert not ageing


def test_a_suffix_behind_the_prefix_is_never_stale() -> None:
    first, second, _ = _lagging(_at(6), template=_QWEN)
    assert second is not first


def test_a_bound_of_0_allows_nothing() -> None:
    first, second, _ = _lagging(_at(6), bound=0)
    assert second is not first


def test_an_anchor_ages_when_half_of_its_middle_is_used_up() -> None:
    anchor = _anchor(_CODE)
    assert not should_renew(anchor, request_at(_CODE.replace("█", "x" * 10 + "█")))
    grown = _CODE.replace("█", "x" * 20 + "█")
    assert _anchor(grown, anchor) is anchor
    assert should_renew(anchor, request_at(grown))
