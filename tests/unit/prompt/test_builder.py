from __future__ import annotations

import re

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from merging_tokenizer import MergingTokenizer, request, request_at, tokenizer_for

from fim_lsp.prompt.anchor import Anchor, next_anchor
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.families import FAMILIES
from fim_lsp.prompt.templates import find_template
from fim_lsp.prompt.window import visible
from fim_lsp.settings import PromptSettings
from fim_lsp.types import FimTemplate, Prompt, Snippet

_QWEN, _OURS, _SEED = find_template("qwen"), find_template("fim-lsp"), find_template("seed-coder")
_ANCHORED = PromptSettings(layout="anchored")
_EVERY = [*(family.template for family in FAMILIES), None]
_LAYOUTS = ["plain", "anchored"]
_documents = st.text(st.sampled_from("ab(){}[]'\" \n\r\tdef éß🙂\ud800\0<|fim_middle|>"), max_size=600)
_typed = st.text(st.sampled_from("abcdef_ .,=é🙂<|>"), max_size=40)
_CODE = "def f():\n    return 1\n\n\n" * 400


def _spelled(prompt: Prompt, tokenizer: MergingTokenizer) -> str:
    return tokenizer.decode(prompt.head) + prompt.tail


@pytest.mark.parametrize("template", [_QWEN, _SEED], ids=["psm", "spm"])
def test_an_anchored_prompt_keeps_what_was_typed_behind_the_middle_marker(template: FimTemplate) -> None:
    tokenizer = tokenizer_for(template)
    prompt = build(request_at("a = 1\nb = █\nc = 3\n"), template, tokenizer, _ANCHORED)
    expected = {
        "qwen": "<|fim_prefix|>a = 1\n<|fim_suffix|>\nc = 3\n<|fim_middle|>b = ",
        "seed-coder": "<[fim-suffix]>\nc = 3\n<[fim-prefix]>a = 1\n<[fim-middle]>b = ",
    }
    assert _spelled(prompt, tokenizer) == expected[template.name]
    assert prompt.tail == "b = "


@given(_documents, st.data())
@pytest.mark.parametrize("template", [_QWEN, _SEED, _OURS], ids=lambda template: template.name)
def test_typing_never_changes_the_head(template: FimTemplate, document: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(document)))
    typed = data.draw(_typed)
    tokenizer = tokenizer_for(template, "<s>")
    anchor: Anchor | None = None
    heads = set()
    for count in range(len(typed) + 1):
        text = document[:offset] + typed[:count] + document[offset:]
        here = request(text, offset + count)
        anchor = next_anchor(anchor, here, template, _ANCHORED)
        prompt = build(here, template, tokenizer, _ANCHORED, anchor=anchor)
        heads.add(prompt.head)
        assert prompt.tail.endswith(visible(typed[:count]))
    assert len(heads) == 1


@given(_documents, st.data())
@pytest.mark.parametrize("template", [_QWEN, _SEED, _OURS], ids=lambda template: template.name)
def test_a_prompt_spells_prefix_and_suffix(template: FimTemplate, document: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(document)))
    layout = data.draw(st.sampled_from(_LAYOUTS))
    tokenizer = tokenizer_for(template)
    settings = PromptSettings(layout=layout, max_tokens=8192)
    here = request(document, offset)
    prompt = build(here, template, tokenizer, settings)
    parts = {kind: "".join(p.text for p in prompt.parts if p.kind == kind) for kind in _KINDS}
    anchored = layout == "anchored" and template.order != "suffix_first"
    middle = prompt.tail if anchored else ""
    assert visible(parts["prefix"]) + middle == visible(document[: offset - len(middle)]) + middle
    assert parts["suffix"] == visible(document[offset:])
    assert "".join(part.text for part in prompt.parts) == _spelled(prompt, tokenizer)


_KINDS = ("prefix", "suffix", "middle")


@given(
    _documents,
    st.data(),
    st.sampled_from(_EVERY),
    st.sampled_from(_LAYOUTS),
    st.integers(64, 600),
    st.lists(st.text(max_size=80), max_size=4),
)
def test_parts_add_up_and_stay_within_the_budget(
    document: str,
    data: st.DataObject,
    template: FimTemplate | None,
    layout: str,
    max_tokens: int,
    snippets: list[str],
) -> None:
    offset = data.draw(st.integers(0, len(document)))
    selected = data.draw(st.text("ab🙂", max_size=100))
    tokenizer = MergingTokenizer(["<s>"], "<s>") if template is None else tokenizer_for(template, "<s>")
    prompt = build(
        request(document, offset, selected=selected),
        template,
        tokenizer,
        PromptSettings(max_tokens=max_tokens, layout=layout, max_middle_chars=100),
        snippets=[Snippet("p", text) for text in snippets],
        path="p",
        repository="r",
    )
    tail = tokenizer.encode(prompt.tail)
    assert sum(part.tokens for part in prompt.parts) == len(prompt.head) + len(tail) <= max_tokens
    assert "".join(part.text for part in prompt.parts) == _spelled(prompt, tokenizer)
    assert all(part.text for part in prompt.parts)


@pytest.mark.parametrize("template", [_QWEN, _OURS], ids=lambda template: template.name)
def test_the_head_stays_across_brackets_that_the_editor_closed(template: FimTemplate) -> None:
    tokenizer = tokenizer_for(template)
    first = request_at("a = 1\nb = █\nc = 3\n")
    anchor = next_anchor(None, first, template, _ANCHORED)
    before = build(first, template, tokenizer, _ANCHORED, anchor=anchor)
    after = build(request_at('a = 1\nb = f("x█")\nc = 3\n'), template, tokenizer, _ANCHORED, anchor=anchor)
    assert after.head == before.head
    assert after.tail.endswith('b = f("x')


def test_the_head_stays_while_a_function_is_typed_in_a_large_file() -> None:
    tokenizer = tokenizer_for(_OURS)
    settings = PromptSettings(max_tokens=1024)
    offset = len(_CODE) // 48 * 24
    anchor, prompts = None, []
    body = "def g():\n    return 2\n" * 20
    for count in range(len(body)):
        here = request(_CODE[:offset] + body[:count] + _CODE[offset:], offset + count)
        anchor = next_anchor(anchor, here, _OURS, settings)
        prompts.append(build(here, _OURS, tokenizer, settings, anchor=anchor))
    assert len({prompt.head for prompt in prompts}) == 1
    # The tail's start moves in steps, not with every key.
    assert len({prompt.tail[:40] for prompt in prompts}) <= 3


def test_an_anchor_that_no_longer_holds_is_not_used() -> None:
    tokenizer = tokenizer_for(_QWEN)
    stale = next_anchor(None, request_at("x = 1\n█"), _QWEN, _ANCHORED)
    here = request_at("y = 2\nz = █")
    assert build(here, _QWEN, tokenizer, _ANCHORED, anchor=stale) == build(here, _QWEN, tokenizer, _ANCHORED)


def test_a_middle_too_dense_for_its_reserve_falls_back_to_the_plain_layout() -> None:
    tokenizer = tokenizer_for(_QWEN)
    settings = PromptSettings(layout="anchored", max_tokens=256, max_middle_chars=200)
    prompt = build(request("🙂" * 150, 150), _QWEN, tokenizer, settings)
    assert prompt.tail == ""
    assert len(prompt.head) <= 256


def test_auto_is_plain() -> None:
    tokenizer = tokenizer_for(_QWEN)
    here = request_at("a\nb█\nc")
    plain = build(here, _QWEN, tokenizer, PromptSettings(layout="plain"))
    assert build(here, _QWEN, tokenizer, PromptSettings(layout="auto")) == plain


def test_prefix_and_suffix_get_their_shares_of_a_large_file() -> None:
    tokenizer = tokenizer_for(_QWEN)
    prompt = build(request(_CODE, len(_CODE) // 2), _QWEN, tokenizer, PromptSettings(max_tokens=1000))
    tokens = {part.kind: part.tokens for part in prompt.parts}
    assert 500 <= tokens["prefix"] <= 800
    assert 180 <= tokens["suffix"] <= 250


@pytest.mark.parametrize(("offset", "kind"), [(0, "suffix"), (len(_CODE), "prefix")])
def test_the_share_that_one_side_does_not_need_goes_to_the_other(offset: int, kind: str) -> None:
    tokenizer = tokenizer_for(_QWEN)
    prompt = build(request(_CODE, offset), _QWEN, tokenizer, PromptSettings(max_tokens=1000))
    # A quarter is left to what will be typed.
    assert {part.kind: part.tokens for part in prompt.parts}[kind] > 650


@pytest.mark.parametrize("template", [_QWEN, _OURS, None], ids=["psm", "suffix first", "none"])
def test_snippets_are_dropped_from_the_front_when_over_budget(template: FimTemplate | None) -> None:
    tokenizer = MergingTokenizer() if template is None else tokenizer_for(template)
    snippets = [Snippet(f"{name}.py", f"{name} = {name * 60}\n") for name in "abc"]
    settings = PromptSettings(max_tokens=280, snippet_share=0.75)
    prompt = build(request_at("x█"), template, tokenizer, settings, snippets=snippets)
    spelled = _spelled(prompt, tokenizer)
    assert "a.py" not in spelled
    assert spelled.index("b.py") < spelled.index("c.py") < spelled.index("shop.py") < spelled.index("x")


def test_without_room_for_a_snippet_the_current_file_has_no_header_either() -> None:
    tokenizer = tokenizer_for(_QWEN)
    here = request_at("x█")
    snippets = [Snippet("big.py", "b" * 10_000_000)]
    prompt = build(here, _QWEN, tokenizer, PromptSettings(), snippets=snippets)
    assert prompt == build(here, _QWEN, tokenizer, PromptSettings())
    assert tokenizer.encoded_chars < 1000


def test_snippets_stay_while_the_tail_grows() -> None:
    tokenizer = tokenizer_for(_OURS)
    settings = PromptSettings(max_tokens=512)
    snippets = [Snippet(f"{number}.py", "x = 1\n" * 4) for number in range(20)]
    heads = set()
    for count in range(60):
        here = request("y" * count + "\nz\n", count)
        heads.add(build(here, _OURS, tokenizer, settings, snippets=snippets).head)
    assert len(heads) <= 2


def test_less_room_in_the_context_window_counts() -> None:
    tokenizer = tokenizer_for(_OURS)
    here = request(_CODE, len(_CODE) // 2)
    prompt = build(here, _OURS, tokenizer, PromptSettings(), max_tokens=200)
    tokens = {part.kind: part.tokens for part in prompt.parts}
    assert len(prompt.head) + tokens["prefix"] <= 200
    assert tokens["suffix"] <= 50


def test_less_room_still_freezes_the_head() -> None:
    tokenizer = tokenizer_for(_OURS)
    first, then = request_at("f = █\ng = 1\n"), request_at("f = (█)\ng = 1\n")
    anchor = next_anchor(None, first, _OURS, PromptSettings())
    heads = {
        build(here, _OURS, tokenizer, PromptSettings(), anchor=anchor, max_tokens=200).head
        for here in (first, then)
    }
    assert len(heads) == 1


def test_the_entry_selected_in_the_popup_ends_the_prompt() -> None:
    tokenizer = tokenizer_for(_OURS)
    here = evolve(request_at("import o█\n"), selected_text="s.path")
    prompt = build(here, _OURS, tokenizer, PromptSettings())
    assert prompt.tail == "import os.path"
    assert tokenizer.decode(prompt.head).endswith("\n<|fim_middle|>")


def test_crlf_surrogates_and_nul() -> None:
    tokenizer = tokenizer_for(_OURS)
    prompt = build(request_at("a\r\n\ud83d\0█\r\nb\udfff\r\n"), _OURS, tokenizer, PromptSettings())
    assert _spelled(prompt, tokenizer) == "<|fim_prefix|><|fim_suffix|>\nb\ufffd\n<|fim_middle|>a\n\ufffd\0"


@pytest.mark.parametrize("layout", _LAYOUTS)
@pytest.mark.parametrize("template", [_QWEN, _OURS, None], ids=["psm", "suffix first", "none"])
@pytest.mark.parametrize("text", ["value = compute(value)\n" * 220_000, "x" * 100_000], ids=["5 MB", "line"])
def test_a_huge_document_is_never_tokenised_whole(
    template: FimTemplate | None, layout: str, text: str
) -> None:
    tokenizer = MergingTokenizer() if template is None else tokenizer_for(template)
    here = request(text, len(text) // 2)
    build(here, template, tokenizer, PromptSettings(layout=layout))
    assert tokenizer.encoded_chars < 20_000


def test_the_same_input_gives_the_same_prompt() -> None:
    here = request(_CODE, 3000)
    first, second = (build(here, _OURS, tokenizer_for(_OURS), PromptSettings()) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("qwen", "<|fim_prefix|># case.py\na = 1\n<|fim_suffix|>\nc = 3\n<|fim_middle|>b = "),
        ("seed-coder", "<[fim-suffix]>\nc = 3\n<[fim-prefix]># case.py\na = 1\n<[fim-middle]>b = "),
        ("", "# case.py\na = 1\nb = "),
    ],
)
def test_a_comment_names_the_file_where_it_is_wanted(template: str, expected: str) -> None:
    known = find_template(template) if template else None
    tokenizer = tokenizer_for(known or _QWEN)
    settings = evolve(_ANCHORED, name_file=True)
    here = request_at("a = 1\nb = █\nc = 3\n")
    assert _spelled(build(here, known, tokenizer, settings, path="case.py"), tokenizer) == expected


@pytest.mark.parametrize("template", _EVERY, ids=lambda template: template.name if template else "none")
def test_the_comment_stands_once_right_before_the_text_and_within_the_budget(
    template: FimTemplate | None,
) -> None:
    tokenizer = tokenizer_for(template or _QWEN)
    named = evolve(_ANCHORED, name_file=True, max_tokens=100)
    prompt = build(request(_CODE, 50), template, tokenizer, named, path="src/case.py")
    spelled = _spelled(prompt, tokenizer)
    names = template is not None and "{path}" in template.preamble + template.prefix + template.suffix
    assert spelled.count("src/case.py") == 1
    assert names or re.search(r"# src/case\.py\n(def f|    return 1|\n)", spelled)
    assert len(prompt.head) + len(tokenizer.encode(prompt.tail)) <= 100
    # Text has no comments.
    text = request("ab", 1, language="plaintext")
    assert names or "src" not in _spelled(build(text, template, tokenizer, named, path="src/a"), tokenizer)
