from __future__ import annotations

import pytest
from merging_tokenizer import MergingTokenizer, request_at, tokenizer_for

from fim_lsp.prompt.builder import build
from fim_lsp.prompt.repository import CurrentFile, knows_repositories, render_snippets
from fim_lsp.prompt.templates import find_template
from fim_lsp.settings import PromptSettings
from fim_lsp.types import ModelInfo, Snippet


@pytest.mark.parametrize(
    ("template", "in_file", "knows"),
    [
        ("qwen", None, True),
        ("starcoder", None, True),
        ("codegemma", None, True),
        ("codestral", None, True),
        ("codegeex4", None, True),
        ("qwen", "false", False),
        ("deepseek-coder", None, False),
        ("deepseek-coder", "true", False),
        ("santacoder", None, False),
        ("fim-lsp", None, False),
        ("fim-lsp", "true", True),
        ("smollm2", None, False),
    ],
)
def test_who_was_trained_to_read_other_files(template: str, in_file: str | None, knows: bool):
    found = find_template(template)
    info = ModelInfo("x", metadata={"fim_lsp.repository_context": in_file} if in_file else {})
    assert knows_repositories(found, tokenizer_for(found), info) is knows


def test_a_vocabulary_without_the_separator_cannot_be_asked():
    template = find_template("starcoder")
    markers = (marker for marker in template.markers if marker != "<file_sep>")
    assert not knows_repositories(template, MergingTokenizer(markers), ModelInfo("x"))
    assert not knows_repositories(None, MergingTokenizer(), ModelInfo("x"))


def test_a_snippet_that_is_too_long_does_not_keep_out_the_others():
    template = find_template("qwen")
    snippets = [Snippet("a.py", "a = 1"), Snippet("b.py", "b" * 400), Snippet("c.py", "c = 3")]
    written = render_snippets(snippets, template, tokenizer_for(template), CurrentFile("d.py", "python"), 100)
    assert [snippet.path for snippet in written.snippets] == ["a.py", "c.py"]
    assert written.tokens <= 100


@pytest.mark.parametrize("template", ["qwen", "fim-lsp", "codestral"])
def test_windows_do_not_move_with_the_length_of_a_snippet(template: str):
    found, code = find_template(template), "value = compute(value)\n" * 400
    here = request_at(code + "█" + code)
    settings = PromptSettings(max_tokens=1000)

    def texts(length: int) -> list[tuple[str, int]]:
        snippets = [Snippet("a.py", "x" * length)]
        prompt = build(here, found, tokenizer_for(found), settings, snippets=snippets)
        assert len(prompt.snippets) == (length < 200)
        return [
            (part.kind, part.tokens) for part in prompt.parts if part.kind in ("prefix", "suffix", "middle")
        ]

    assert texts(140) == texts(150) != texts(1000)
