from __future__ import annotations

from pathlib import PurePath
from random import Random

import pytest
from attrs import evolve, frozen
from byte_base import make_base
from hypothesis import given, settings
from hypothesis import strategies as st
from repositories import module

from fim_lsp.completion.open_documents import OpenDocuments
from fim_lsp.completion.prompts import Prompts
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import ChosenTemplate
from fim_lsp.settings import PromptSettings, from_wire
from fim_lsp.types import CompletionRequest, DocumentSnapshot, ModelInfo, Snippet, Tokenizer
from training.bases import Base
from training.config import DataSettings, SpanMix
from training.data.rows import cut_off, draw_budget, fim_row, left_to_right_row, served_prompt
from training.data.screening import SourceFile
from training.data.spans import Hole, ParsedFile, choose_hole, make_hole

_SETTINGS = DataSettings(max_tokens=512, min_tokens=16)
_TEXT = module("apple", 20)
_FILE = SourceFile("shop", "src/apple.py", "python", _TEXT)
_EVERY = ["fim-lsp", "qwen", "starcoder", "deepseek-coder", "seed-coder", "codegeex4"]


def _hole(seed: int, rate: float = 0.5) -> Hole:
    hole = choose_hole(ParsedFile(_TEXT, "python"), SpanMix(), Random(seed), anchored_rate=rate)
    assert hole is not None
    return hole


def _served(hole: Hole, base: Base, room: int) -> tuple[int, ...]:
    """Return the prompt that the server sends, built from the server's own parts alone."""
    document = DocumentSnapshot("file:///src/apple.py", "python", 1, hole.prefix + hole.suffix)
    request = CompletionRequest(document, len(hole.prefix))
    prompt = build(
        request, base.template, base.tokenizer, PromptSettings(max_tokens=room), path="src/apple.py"
    )
    return prompt.head + (base.tokenizer.encode(prompt.tail) if prompt.tail else ())


@pytest.mark.parametrize("template", _EVERY)
@pytest.mark.parametrize("seed", range(12))
def test_a_row_begins_with_the_prompt_that_is_served(template: str, seed: int):
    base = make_base(template)
    hole = _hole(seed, rate=0)
    row = fim_row(hole, _FILE, base, _SETTINGS, 400)
    assert row is not None
    answer = base.tokenizer.encode(hole.middle)
    room = max(64, 400 - len(answer) - 1)
    if 400 - len(answer) - 1 < len(answer) + 1:
        room = _SETTINGS.max_tokens - len(answer) - 1
    assert row.tokens == (*_served(hole, base, room), *answer, base.end)


def test_what_is_typed_is_part_of_the_prompt_and_bears_no_loss(base: Base):
    hole = evolve(
        make_hole(_TEXT, (_TEXT.index("total_apple"), _TEXT.index("total_apple") + 11), "node"), typed=4
    )
    row = fim_row(hole, _FILE, base, _SETTINGS, 300)
    assert row is not None
    assert base.tokenizer.decode(row.tokens[: row.middle_start]).endswith("    tota")
    assert base.tokenizer.decode(row.tokens[row.middle_start : -1]) == "l_apple"
    assert row.tokens[-1] == base.end
    assert row.weights == (0.0,) * row.middle_start + (1.0,) * 8
    assert row.anchored
    assert (row.start_kind, row.end_kind) == ("mid_word", "mid_line")


def test_what_is_typed_goes_behind_the_middle_marker_where_the_suffix_comes_last():
    base = make_base("qwen")
    begin = _TEXT.index("    total_apple")
    hole = evolve(make_hole(_TEXT, (begin, begin + 30), "lines"), typed=9)
    row = fim_row(hole, _FILE, base, _SETTINGS, 400)
    assert row is not None
    prompt = base.tokenizer.decode(row.tokens[: row.middle_start])
    assert prompt.endswith("<|fim_middle|>" + hole.middle[:9])
    assert prompt.index("<|fim_suffix|>" + hole.suffix[:20])


def test_the_tail_of_the_prefix_bears_a_lower_weight_where_the_middle_follows_it():
    settings = DataSettings(prefix_loss_weight=0.25, prefix_loss_tokens=10)
    hole = make_hole(_TEXT, (400, 420), "random")
    weights = {}
    for template in ("fim-lsp", "qwen"):
        row = fim_row(hole, _FILE, make_base(template), settings, 300)
        assert row is not None
        weights[template] = row.weights[row.middle_start - 12 : row.middle_start + 1]
    # The prompt's last token ends where the cursor cut it, so it is none to learn.
    assert weights["fim-lsp"] == (0.0, *[0.25] * 10, 0.0, 1.0)
    assert weights["qwen"] == (0.0,) * 12 + (1.0,)


def test_the_end_token_bears_its_own_weight(base: Base):
    hole = make_hole(_TEXT, (400, 420), "random")
    row = fim_row(hole, _FILE, base, evolve(_SETTINGS, end_weight=2.0), 300)
    assert row is not None
    answer = row.weights[row.middle_start :]
    assert answer == (*[1.0] * (len(answer) - 1), 2.0)


def test_an_empty_middle_is_the_end_token_alone(base: Base):
    row = fim_row(make_hole(_TEXT, (300, 300), "empty"), _FILE, base, _SETTINGS, 200)
    assert row is not None
    assert row.tokens[row.middle_start :] == (base.end,)


def test_a_long_middle_takes_the_room_of_the_longest_row_or_none(base: Base):
    hole = make_hole(_TEXT, (100, 400), "lines")
    grown = fim_row(hole, _FILE, base, _SETTINGS, 64)
    assert grown is not None
    assert 301 < len(grown.tokens) <= 512
    assert fim_row(make_hole(_TEXT, (100, 590), "lines"), _FILE, base, _SETTINGS, 512) is None


@pytest.mark.parametrize("budget", [80, 200, 512])
def test_rows_keep_their_budget(base: Base, budget: int):
    for seed in range(30):
        row = fim_row(_hole(seed), _FILE, base, _SETTINGS, budget)
        if row is not None:
            limit = budget if len(row.tokens) - row.middle_start < budget // 3 else 512
            assert len(row.tokens) <= limit
            assert len(row.weights) == len(row.tokens)


def test_markers_in_the_code_stay_text(base: Base):
    text = "a = '<|fim_middle|>'\n" * 20
    file = SourceFile("shop", "a.py", "python", text)
    row = fim_row(make_hole(text, (100, 130), "random"), file, base, _SETTINGS, 300)
    assert row is not None
    assert sum(token >= 256 for token in row.tokens) == 4


def test_snippets_stand_in_front_as_the_server_writes_them(base: Base):
    hole = make_hole(_TEXT, (1000, 1010), "random")
    snippets = [Snippet("src/fig.py", "def fig():\n    return 1")]
    row = fim_row(hole, _FILE, base, _SETTINGS, 500, snippets)
    assert row is not None
    assert row.snippets == 1
    text = base.tokenizer.decode(row.tokens)
    assert text.startswith(
        "<repo_name>shop<file_sep>src/fig.py\ndef fig():\n    return 1\n<file_sep>src/apple.py\n"
    )


_SNIPPETS = (
    Snippet("src/elder.py", "def elder(jam):\n    return jam * 2", 0.7, "similar"),
    Snippet("src/fig.py", "def fig():\n    return 1", 0.9, "definition"),
)


@pytest.mark.parametrize("template", [*_EVERY, "codegemma"])
@pytest.mark.parametrize("anchored", [False, True])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 200), count=st.integers(0, 2), budget=st.integers(150, 500))
def test_a_row_with_snippets_begins_with_the_prompt_that_is_served(
    template: str, anchored: bool, seed: int, count: int, budget: int
):
    """Compare with the prompt of the class that the completer uses, with the same choice of snippets."""
    base, snippets = make_base(template), _SNIPPETS[:count]
    hole = _hole(seed, rate=float(anchored))
    row = fim_row(hole, _FILE, base, _SETTINGS, budget, snippets)
    if row is None:
        return
    answer = len(row.tokens) - row.middle_start
    room = budget - answer if budget - answer >= max(24, answer) else _SETTINGS.max_tokens - answer
    wire = {
        "maxTokens": max(64, room),
        "layout": "anchored" if hole.typed else "plain",
        "snippets": "on",
        "snippetShare": 0.58,
        "prefixShare": _SETTINGS.prefix_share,
    }
    served_under = from_wire({"prompt": wire, "sampling": {"maxTokens": 1, "invokedMaxTokens": 1}})
    documents = OpenDocuments(lambda: [PurePath("/code/shop")])
    prompts = Prompts(
        _PromptEngine(ModelInfo("x", context=room + 2), base.tokenizer), _chosen(base), documents
    )
    document = DocumentSnapshot("file:///code/shop/src/apple.py", "python", 1, hole.prefix + hole.suffix)
    before = CompletionRequest(document, len(hole.prefix))
    prompts.current(before, served_under)
    basis = prompts.bases[document.uri]
    prompts.adopt(evolve(basis, snippets=snippets))
    typed = evolve(document, text=hole.before_cursor + hole.suffix)
    prompt = prompts.current(CompletionRequest(typed, len(hole.before_cursor)), served_under)
    served = prompt.head + (base.tokenizer.encode(prompt.tail) if prompt.tail else ())
    assert row.tokens[: row.middle_start] == served
    assert row.snippets == len(prompt.snippets)


def test_snippets_are_served_to_every_row_that_is_given_some(base: Base):
    prompt = served_prompt(_hole(3), _FILE, base, _SETTINGS, 400, _SNIPPETS)
    assert prompt.snippets == _SNIPPETS


@frozen
class _PromptEngine:
    """The part of an engine that prompts are built with."""

    info: ModelInfo
    tokenizer: Tokenizer


def _chosen(base: Base) -> ChosenTemplate:
    return ChosenTemplate(base.template, "settings", "")


def test_left_to_right_rows_bear_the_loss_everywhere(base: Base):
    row = left_to_right_row(_FILE, 900, base, _SETTINGS, 200)
    assert row is not None
    assert _TEXT[:900].endswith(base.tokenizer.decode(row.tokens))
    assert set(row.weights[1:]) == {_SETTINGS.left_to_right_weight}
    assert row.middle_start == 0
    at_the_end = left_to_right_row(_FILE, len(_TEXT), base, _SETTINGS, 200)
    assert at_the_end is not None
    assert at_the_end.tokens[-1] == base.end


def test_code_that_is_still_being_written_has_nothing_behind_it():
    whole_line = make_hole("a = 1\nb = 2\n", (0, 5), "lines")
    assert cut_off(whole_line).suffix == ""
    within = make_hole("a = 1\nb = 2\n", (0, 3), "random")
    assert cut_off(within) == within


def test_short_rows_are_as_frequent_as_long_ones():
    budgets = [draw_budget(DataSettings(), Random(seed)) for seed in range(2000)]
    assert min(budgets) >= 64
    assert max(budgets) <= 512
    assert 0.25 < sum(budget < 160 for budget in budgets) / 2000 < 0.55
