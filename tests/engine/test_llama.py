"""The real engine alone: a warm cache changes nothing, markers stay text, broken files are errors."""

from __future__ import annotations

import pytest
from attrs import evolve

from fim_lsp.engine.base import CancelToken, DecodeError, ModelLoadError
from fim_lsp.engine.llama import open_llama
from fim_lsp.prompt.families import FAMILIES
from fim_lsp.settings import ModelSettings
from fim_lsp.types import FinishReason, Prompt, SamplingParams

pytestmark = pytest.mark.model


def _run(engine, prompt: Prompt, max_tokens: int = 12):
    return engine.generate(prompt, SamplingParams(max_tokens=max_tokens), CancelToken(), [lambda _: True])[0]


def test_a_warm_cache_gives_the_text_of_a_cold_one(llama_engine):
    source = "import json\n\n\ndef read(path):\n    with open(path) as file:\n        return json."
    _run(llama_engine, Prompt(head=llama_engine.tokenizer.encode("#"), tail=""))
    cold = _run(llama_engine, Prompt(head=(), tail=source)).text
    for cut in range(len(source) - 20, len(source)):
        _run(llama_engine, Prompt(head=(), tail=source[:cut]), max_tokens=4)
    warm = _run(llama_engine, Prompt(head=(), tail=source))
    assert warm.text == cold
    assert warm.timings.evaluated_tokens <= 4


def test_markers_in_code_stay_text(llama_engine):
    tokenizer = llama_engine.tokenizer
    markers = {marker for family in FAMILIES for marker in family.template.markers}
    for marker in markers:
        for token in tokenizer.encode(f"x = '{marker}'  # {marker}"):
            assert not tokenizer.is_special(token), marker


def test_the_pieces_of_a_text_spell_it(llama_engine):
    text = "def f(x):\n\treturn {'ключ': \"日本\", 'emoji': '😀'}  # ½\r\n"
    tokenizer = llama_engine.tokenizer
    tokens = tokenizer.encode(text)
    assert b"".join(tokenizer.vocabulary().pieces[token] for token in tokens).decode() == text
    assert tokenizer.decode(tokens) == text


def test_pieces_longer_than_32_bytes_are_whole(llama_engine):
    pieces = llama_engine.tokenizer.vocabulary().pieces
    assert sum(len(piece) > 32 for piece in pieces) >= 47


def test_healing_rewrites_a_word_cut_in_half(llama_engine):
    prompt = Prompt(head=(), tail="def fib(n):\n    if n < 2:\n        return n\n    retu", heal=True)
    assert _run(llama_engine, prompt, max_tokens=6).text.startswith("rn ")


def test_a_lifted_end_comes_before_another_line(llama_engine):
    prompt = Prompt(head=(), tail="def add(a, b):\n    return")
    free, lifted = (
        llama_engine.generate(prompt, SamplingParams(24, end_bias=bias), CancelToken(), [lambda _: True])[0]
        for bias in (0, 1e9)
    )
    assert free.text.startswith(lifted.text + "\n")
    assert lifted.text.strip()
    assert lifted.finish_reason is FinishReason.END


def test_temperature_draws_and_a_seed_repeats(llama_engine):
    prompt = Prompt(head=(), tail="names = [")
    params = [SamplingParams(max_tokens=8, temperature=1.5, seed=seed) for seed in (1, 1, 2, 3)]
    texts = [llama_engine.generate(prompt, each, CancelToken(), [lambda _: True])[0].text for each in params]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


def test_a_file_that_is_no_model_is_a_load_error(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(ModelLoadError, match=r"broken\.gguf"):
        open_llama(path, ModelSettings())


def test_an_engine_reopens_after_a_close(model_path):
    for _ in range(2):
        engine = open_llama(model_path, ModelSettings(context_tokens=256))
        assert _run(engine, Prompt(head=(), tail="x = "), max_tokens=2).text
        engine.close()


@pytest.mark.parametrize(
    ("before", "keys"),
    [
        ("def add(first, second):\n    return first + sec", "o\n)."),
        ("def add(first, second):\n    return add(", "f1)'"),
        ("def add(first, second):\n    ", "rx#"),
        ("def add(first, second):\n", "d@\n"),
        ("class Stack:\n    def push(self, item):\n        self.", "i_"),
    ],
)
def test_the_first_key_where_a_prompt_was_evaluated_ahead_evaluates_nothing(llama_engine, before, keys):
    for key in keys:
        llama_engine.mirror.clear()
        prompt = Prompt(head=(), tail=before, heal=True)
        llama_engine.prefill(prompt, CancelToken())
        first = _run(llama_engine, evolve(prompt, tail=before + key))
        assert first.timings.evaluated_tokens == 0, key
        llama_engine.mirror.clear()
        assert first.text == _run(llama_engine, evolve(prompt, tail=before + key)).text


def test_a_word_that_is_typed_evaluates_nothing_until_it_ends(llama_engine):
    before = "def total(items):\n    return "
    prompt = Prompt(head=(), tail=before + "s", heal=True, location="a.py")
    _run(llama_engine, prompt)
    counts = [
        _run(llama_engine, evolve(prompt, tail=before + typed)).timings.evaluated_tokens
        for typed in ("su", "sum", "sum(", "sum(i", "sum(it", "sum(i", "sum(")
    ]
    assert max(counts) <= 1
    within_a_word_or_back = [counts[index] for index in (0, 1, 4, 5, 6)]
    assert within_a_word_or_back == [0] * 5


def test_a_prompt_without_tokens_is_an_error(llama_engine):
    with pytest.raises(DecodeError, match="no tokens"):
        _run(llama_engine, Prompt(head=(), tail=""))
