"""The exact prompt of every family: ``decode(head) + tail``."""

from __future__ import annotations

import pytest
from merging_tokenizer import EVERY_MARKER, MergingTokenizer, request, request_at, tokenizer_for

from fim_lsp.prompt.builder import build
from fim_lsp.prompt.families import FAMILIES
from fim_lsp.prompt.markers import marker_id, strip_marker
from fim_lsp.prompt.templates import find_template
from fim_lsp.settings import PromptSettings
from fim_lsp.types import Snippet

_P, _S = "def f():\n    ret", "urn 1\n"
_SNIPPETS = (Snippet("lib/a.py", "a = 1\n"), Snippet("lib/b.py", "b = 2\n"))
_SETTINGS = PromptSettings()

PLAIN = {
    "qwen": f"<|fim_prefix|>{_P}<|fim_suffix|>{_S}<|fim_middle|>",
    "starcoder": f"<fim_prefix>{_P}<fim_suffix>{_S}<fim_middle>",
    "mellum": f"<fim_suffix>{_S}<fim_prefix>{_P}<fim_middle>",
    "granite-code": f"<fim_prefix>{_P}<fim_suffix>{_S}<fim_middle>",
    "granite-4": f"<|fim_prefix|>{_P}<|fim_suffix|>{_S}<|fim_middle|>",
    "santacoder": f"<fim-prefix>{_P}<fim-suffix>{_S}<fim-middle>",
    "deepseek-coder": f"<｜fim▁begin｜>{_P}<｜fim▁hole｜>{_S}<｜fim▁end｜>",
    "codellama": f"<PRE> {_P} <SUF>{_S} <MID>",
    "codegemma": f"<|fim_prefix|>{_P}<|fim_suffix|>{_S}<|fim_middle|>",
    "codestral": f"[SUFFIX]{_S}[PREFIX]{_P}",
    "seed-coder": f"<[fim-suffix]>{_S}<[fim-prefix]>{_P}<[fim-middle]>",
    "codegeex4": (
        "<|user|>\n###PATH:shop.py\n###LANGUAGE:Python\n###MODE:BLOCK\n"
        f"<|code_suffix|>{_S}<|code_prefix|>{_P}<|code_middle|><|assistant|>\n"
    ),
    "glm": f"<|code_prefix|>{_P}<|code_suffix|>{_S}<|code_middle|>",
    "falcon-h1": f"<|prefix|>{_P}<|suffix|>{_S}<|middle|>",
    "fim-lsp": f"<|fim_prefix|><|fim_suffix|>{_S}<|fim_middle|>{_P}",
    "smollm2": f"<jupyter_start><jupyter_text>{_S}<jupyter_code>{_P}",
}
_LINES = (
    "<|repo_name|>shop\n<|file_sep|>lib/a.py\na = 1\n<|file_sep|>lib/b.py\nb = 2\n<|file_sep|>src/shop.py\n"
)
_STARCODER = "<repo_name>shop<file_sep>lib/a.py\na = 1\n<file_sep>lib/b.py\nb = 2\n<file_sep>"
_COMMENTS = "# Path: lib/a.py\n# a = 1\n# Path: lib/b.py\n# b = 2\n# Path: src/shop.py\n"
REPOSITORY = {
    "qwen": _LINES + PLAIN["qwen"],
    "starcoder": f"{_STARCODER}<fim_prefix>src/shop.py\n{_P}<fim_suffix>{_S}<fim_middle>",
    "mellum": (
        "<filename>lib/a.py\na = 1\n<filename>lib/b.py\nb = 2\n<filename>src/shop.py\n"
        f"<fim_suffix>{_S}<fim_prefix>{_P}<fim_middle>"
    ),
    "granite-code": f"<fim_prefix>{_COMMENTS}{_P}<fim_suffix>{_S}<fim_middle>",
    "granite-4": f"<|fim_prefix|>{_COMMENTS}{_P}<|fim_suffix|>{_S}<|fim_middle|>",
    "santacoder": f"<fim-prefix>{_COMMENTS}{_P}<fim-suffix>{_S}<fim-middle>",
    "deepseek-coder": f"<｜fim▁begin｜>{_COMMENTS}{_P}<｜fim▁hole｜>{_S}<｜fim▁end｜>",
    "codellama": f"<PRE> {_COMMENTS}{_P} <SUF>{_S} <MID>",
    "codegemma": (
        "lib/a.py\na = 1\n<|file_separator|>lib/b.py\nb = 2\n<|file_separator|>src/shop.py\n"
        + PLAIN["codegemma"]
    ),
    "codestral": (
        f"[SUFFIX]{_S}[PREFIX]+++++ lib/a.py\na = 1\n\n+++++ lib/b.py\nb = 2\n\n+++++ src/shop.py\n{_P}"
    ),
    "seed-coder": f"<[fim-suffix]>{_S}<[fim-prefix]>{_COMMENTS}{_P}<[fim-middle]>",
    "codegeex4": (
        "<|user|>\n###REFERENCE:\n###PATH:lib/a.py\na = 1\n###REFERENCE:\n###PATH:lib/b.py\nb = 2\n"
        "###PATH:src/shop.py\n###LANGUAGE:Python\n###MODE:BLOCK\n"
        f"<|code_suffix|>{_S}<|code_prefix|>{_P}<|code_middle|><|assistant|>\n"
    ),
    "glm": f"<|code_prefix|>{_COMMENTS}{_P}<|code_suffix|>{_S}<|code_middle|>",
    "falcon-h1": f"<|prefix|>{_COMMENTS}{_P}<|suffix|>{_S}<|middle|>",
    "fim-lsp": f"{_STARCODER}src/shop.py\n{PLAIN['fim-lsp']}",
    "smollm2": f"{_STARCODER}src/shop.py\n{PLAIN['smollm2']}",
}
NAMES = [family.template.name for family in FAMILIES]


def test_the_prompts_of_every_family_are_written_here() -> None:
    assert list(PLAIN) == list(REPOSITORY) == NAMES


@pytest.mark.parametrize("bos", ["", "<s>"])
@pytest.mark.parametrize("name", NAMES)
def test_one_file(name: str, bos: str) -> None:
    template = find_template(name)
    tokenizer = tokenizer_for(template, bos)
    prompt = build(request_at(f"{_P}█{_S}"), template, tokenizer, _SETTINGS)
    assert tokenizer.decode(prompt.head) + prompt.tail == bos + PLAIN[name]
    assert prompt.template == name
    assert prompt.tail == (_P if template.order == "suffix_first" else "")


@pytest.mark.parametrize("name", NAMES)
def test_a_repository(name: str) -> None:
    template = find_template(name)
    tokenizer = tokenizer_for(template)
    prompt = build(
        request_at(f"{_P}█{_S}"),
        template,
        tokenizer,
        _SETTINGS,
        snippets=_SNIPPETS,
        path="src/shop.py",
        repository="shop",
    )
    assert tokenizer.decode(prompt.head) + prompt.tail == REPOSITORY[name]


def test_a_model_without_fim_continues_the_prefix() -> None:
    tokenizer = MergingTokenizer(["<file_sep>"], bos="<s>")
    prompt = build(request_at(f"{_P}█{_S}"), None, tokenizer, _SETTINGS, snippets=_SNIPPETS)
    assert tokenizer.decode(prompt.head) == "<s>" + _COMMENTS.replace("src/", "")
    assert prompt.tail == _P
    assert prompt.template == "prefix only"
    assert prompt.stop_ids == {tokenizer.specials["<file_sep>"]}


@pytest.mark.parametrize("name", NAMES)
def test_code_that_spells_markers_stays_text(name: str) -> None:
    template = find_template(name)
    tokenizer = MergingTokenizer(EVERY_MARKER)
    hostile = "\n".join((*EVERY_MARKER, "{path}", "{language}", "{}", "{0}", "\0", ""))
    calm = build(request_at("x = 1\n█y = 2\n"), template, tokenizer, _SETTINGS, snippets=_SNIPPETS)
    prompt = build(
        request(hostile * 2, len(hostile)),
        template,
        tokenizer,
        PromptSettings(max_tokens=100_000),
        snippets=[Snippet(hostile, hostile), Snippet("b", hostile)],
        path=hostile,
        repository=hostile,
    )
    spliced = tokenizer.special_count(calm.head) + (marker_id(template.repo_name, tokenizer) is not None)
    if not template.file_separator:
        spliced = tokenizer.special_count(calm.head)
    assert tokenizer.special_count(prompt.head) == spliced
    assert tokenizer.decode(prompt.head + tokenizer.encode(prompt.tail)).count(hostile) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_every_marker_of_the_family_ends_a_generation(name: str) -> None:
    template = find_template(name)
    tokenizer = tokenizer_for(template)
    prompt = build(request_at("█"), template, tokenizer, _SETTINGS)
    assert prompt.stop_ids == {tokenizer.specials[strip_marker(marker)] for marker in template.markers}


def test_spaces_inside_of_code_llamas_tokens_are_not_doubled() -> None:
    tokenizer = MergingTokenizer([" <PRE>", " <SUF>", " <MID>", "<EOT>"])
    prompt = build(request_at(f"{_P}█{_S}"), find_template("codellama"), tokenizer, _SETTINGS)
    assert tokenizer.decode(prompt.head) == f" <PRE> {_P} <SUF>{_S} <MID>"


def test_code_llamas_space_is_tokenised_with_the_prefix() -> None:
    template = find_template("codellama")
    tokenizer = tokenizer_for(template)
    prompt = build(request_at("   x█"), template, tokenizer, _SETTINGS)
    assert tokenizer.encode("    ") == prompt.head[1:2]


def test_starcoder_1_has_no_file_separator_and_gets_comments() -> None:
    template = find_template("starcoder")
    tokenizer = MergingTokenizer(["<fim_prefix>", "<fim_suffix>", "<fim_middle>"])
    prompt = build(request_at("x█", language="go"), template, tokenizer, _SETTINGS, snippets=_SNIPPETS[:1])
    assert tokenizer.decode(prompt.head).startswith(
        "<fim_prefix>// Path: lib/a.py\n// a = 1\n// Path: shop.py\nx"
    )


def test_comments_close_where_the_language_closes_them() -> None:
    tokenizer = MergingTokenizer()
    prompt = build(request_at("x█", language="css"), None, tokenizer, _SETTINGS, snippets=_SNIPPETS[:1])
    assert tokenizer.decode(prompt.head) == "/* Path: lib/a.py */\n/* a = 1 */\n/* Path: shop.py */\n"
