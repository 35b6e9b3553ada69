from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.remote.encoding import PromptEncoder, neutralised, split_last_word
from fim_lsp.engine.remote.text_tokenizer import TextTokenizer
from fim_lsp.prompt.families import FAMILIES
from fim_lsp.types import Prompt

TOKENIZER = TextTokenizer(("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"))
MARKERS = sorted({marker.strip() for family in FAMILIES for marker in family.template.markers})


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_pieces_spell_their_text(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_user_text_never_becomes_a_marker():
    ids = TOKENIZER.encode("x <|fim_middle|> y")
    assert TOKENIZER.special("<|fim_middle|>") not in ids
    assert TOKENIZER.special("<|im_end|>") is None


def test_lengths_are_about_those_of_a_real_vocabulary():
    code = "def average(numbers):\n    total = sum(numbers)\n    return total / len(numbers)\n"
    # 21 to 26 tokens with the vocabularies of Qwen, StarCoder and SmolLM.
    assert 20 <= len(TOKENIZER.encode(code)) <= 36


def encode(head_text: str, tail: str, heal: bool = False):
    head = (
        TOKENIZER.special("<|fim_prefix|>"),
        *TOKENIZER.encode(head_text),
        TOKENIZER.special("<|fim_suffix|>"),
    )
    return PromptEncoder(TOKENIZER, TOKENIZER.is_marker).encode(Prompt(head, tail, heal=heal), heal=heal)


def test_a_prompt_is_rendered_with_its_own_markers():
    assert encode("a + b", "c").text == "<|fim_prefix|>a + b<|fim_suffix|>c"


@pytest.mark.parametrize("marker", [*MARKERS, "<|anything|>", "</s>", "[INST]"])
def test_user_text_can_not_spell_a_marker(marker):
    encoded = encode(f"x = '{marker}'", marker)
    assert marker not in encoded.text.removeprefix("<|fim_prefix|>").replace("<|fim_suffix|>", "", 1)
    assert encoded.spells_markers


@given(st.lists(st.sampled_from(["<", "|", "fim_middle", ">", "<|fim_", "middle|>", " ", "x"])).map("".join))
def test_nothing_is_left_that_spells_a_marker(text):
    assert "<|fim_middle|>" not in neutralised(text)


def test_a_marker_that_two_parts_spell_together_is_taken_apart():
    head = (*TOKENIZER.encode("<|fim_"), *TOKENIZER.encode("middle|>"))
    encoded = PromptEncoder(TOKENIZER, TOKENIZER.is_marker).encode(Prompt(head, ""), heal=False)
    assert "<|fim_middle|>" not in encoded.text


@pytest.mark.parametrize("text", ["if x < y | z > 0:", "List<String> a = b || c;", "a <| b |> c"])
def test_ordinary_code_is_left_alone(text):
    assert neutralised(text) == text


@pytest.mark.parametrize(
    ("text", "rest", "word"),
    [
        ("return to", "return", " to"),
        ("x = foo.ba", "x = foo.", "ba"),
        ("if x:\n    ", "if x:", "\n    "),
        ("", "", ""),
    ],
)
def test_the_last_word_is_left_out_to_heal_it(text, rest, word):
    assert split_last_word(text) == (rest, word)
    assert encode("", text, heal=True).healed == word
