from __future__ import annotations

import pytest
from attrs import evolve

from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.families import FAMILIES
from fim_lsp.prompt.rebuild import rebuild
from fim_lsp.prompt.texts import around_cursor
from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Prompt, Snippet

BEFORE, AFTER = "def add(a, b):\n    return a ", "\n\n\nprint(add(1, 2))\n"
TOKENIZER = ByteTokenizer(
    tuple({marker.strip() for family in FAMILIES for marker in family.template.markers}), bos=None
)
TEMPLATES = [family.template for family in FAMILIES]


def built(template, layout: str = "plain", **options) -> Prompt:
    document = DocumentSnapshot("file:///project/add.py", "python", 1, BEFORE + AFTER)
    settings = PromptSettings(layout=layout)
    return build(CompletionRequest(document, len(BEFORE)), template, TOKENIZER, settings, **options)


@pytest.mark.parametrize("layout", ["plain", "anchored"])
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_the_texts_around_the_cursor_are_read_back(template, layout):
    snippet = Snippet("other.py", "def other():\n    pass\n")
    assert around_cursor(built(template, layout, snippets=(snippet,), path="add.py")) == (BEFORE, AFTER)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_continued_tail_counts_as_typed(template):
    prompt = built(template)
    continued = evolve(prompt, tail=prompt.tail + "+ ")
    assert around_cursor(continued) == (BEFORE + "+ ", AFTER)


def test_a_prefix_alone_has_no_text_behind_the_cursor():
    assert around_cursor(built(None)) == (BEFORE, "")


@pytest.mark.parametrize("source", TEMPLATES, ids=lambda template: template.name)
def test_a_prompt_is_built_anew_in_another_familys_markers(source):
    prompt = evolve(built(source), location="file:///project/add.py@3")
    target = next(template for template in TEMPLATES if template.name == "qwen")
    other = rebuild(prompt, target, TOKENIZER, PromptSettings())
    text = TOKENIZER.decode(other.head) + other.tail
    assert text == f"<|fim_prefix|>{BEFORE}<|fim_suffix|>{AFTER}<|fim_middle|>"
    assert other.location == prompt.location
