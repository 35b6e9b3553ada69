from __future__ import annotations

import pytest
from attrs import evolve
from merging_tokenizer import MergingTokenizer, tokenizer_for

from fim_lsp.prompt.families import FAMILIES
from fim_lsp.prompt.templates import TemplateError, choose_template, find_template, template_names
from fim_lsp.types import ModelInfo

_QWEN_IDS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def _fim_ids(tokenizer: MergingTokenizer, **texts: str) -> dict[str, int]:
    return {key: tokenizer.specials[text] for key, text in texts.items()}


def _named_qwen_ids(tokenizer: MergingTokenizer) -> dict[str, int]:
    return _fim_ids(tokenizer, pre=_QWEN_IDS[0], suf=_QWEN_IDS[1], mid=_QWEN_IDS[2])


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(TemplateError, match=r"'quen'.*qwen, starcoder"):
        find_template("quen")


def test_every_family_is_found_by_its_name() -> None:
    assert [find_template(name).name for name in template_names()] == list(template_names())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.template.name)
def test_a_model_named_after_its_family_gets_its_template_from_the_vocabulary(family) -> None:
    info = ModelInfo(name=f"{family.names[0]}-1b")
    chosen = choose_template(info, tokenizer_for(family.template), None)
    expected = None if family.evidence == "explicit" else family.template
    assert chosen.template == expected
    assert chosen.source == ("vocabulary" if expected else "none")


@pytest.mark.parametrize("name", ["qwen", "codegemma", "granite-4"])
def test_families_that_share_their_strings_are_told_apart_by_their_other_markers(name: str) -> None:
    template = find_template(name)
    chosen = choose_template(ModelInfo(name="my-finetune"), tokenizer_for(template), None)
    assert chosen.template == template


def test_a_family_whose_end_of_middle_is_missing_gives_way_to_one_whose_end_is_there() -> None:
    tokenizer = MergingTokenizer([*_QWEN_IDS, "<|endoftext|>"])
    chosen = choose_template(ModelInfo(name="my-finetune"), tokenizer, None)
    assert chosen.template == find_template("qwen")


@pytest.mark.parametrize(
    ("architecture", "name"), [("gemma2", "codegemma"), ("granitehybrid", "granite-4"), ("qwen3moe", "qwen")]
)
def test_the_architecture_decides_where_the_name_says_nothing(architecture: str, name: str) -> None:
    info = ModelInfo(name="mine", architecture=architecture)
    chosen = choose_template(info, MergingTokenizer(_QWEN_IDS), None)
    assert chosen.template == find_template(name)


_STARCODERS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<filename>", "<reponame>", "<|endoftext|>")
_GLMS = (
    "<|code_prefix|>",
    "<|code_suffix|>",
    "<|code_middle|>",
    "<|user|>",
    "<|assistant|>",
    "<|endoftext|>",
)


@pytest.mark.parametrize(
    ("name", "architecture", "specials", "expected"),
    [
        ("Mellum-4b-base", "llama", _STARCODERS, "mellum"),
        ("Mellum2-12B-A2.5B-Base", "mellum", _STARCODERS, "mellum"),
        ("starcoderbase-1b", "starcoder", _STARCODERS, "starcoder"),
        ("my-finetune", "starcoder", _STARCODERS, "starcoder"),
        ("granite-3.3-8b-base", "granite", _STARCODERS, "granite-code"),
        ("GLM-4.5-Air", "glm4moe", _GLMS, "glm"),
        ("my-finetune", "glm4", _GLMS, "glm"),
        ("codegeex4-all-9b", "chatglm", _GLMS, "codegeex4"),
        ("Falcon-H1-Tiny-Coder-90M", "falcon-h1", ("<|prefix|>", "<|suffix|>", "<|middle|>"), "falcon-h1"),
        ("Qwen3-Coder-30B-A3B-Instruct", "qwen3moe", (*_QWEN_IDS, "<|endoftext|>", "<|im_end|>"), "qwen"),
    ],
)
@pytest.mark.parametrize("by_keys", [False, True])
def test_models_that_share_markers_get_the_order_of_their_own_family(
    name: str, architecture: str, specials: tuple[str, ...], expected: str, by_keys: bool
) -> None:
    tokenizer = MergingTokenizer(specials)
    ids = _fim_ids(tokenizer, pre=specials[0], suf=specials[1], mid=specials[2]) if by_keys else {}
    chosen = choose_template(ModelInfo(name=name, architecture=architecture, fim_ids=ids), tokenizer, None)
    assert chosen.template is not None
    assert (chosen.template.name, chosen.template.order) == (expected, find_template(expected).order)


@pytest.mark.parametrize("mid", ["<P>", "<M>"])
def test_fim_ids_that_are_equal_are_not_believed(mid: str) -> None:
    tokenizer = MergingTokenizer(["<P>", "<M>"])
    ids = _fim_ids(tokenizer, pre="<P>", suf="<P>", mid=mid)
    chosen = choose_template(ModelInfo(name="x", fim_ids=ids), tokenizer, None)
    assert chosen.template is None
    assert "name one token twice" in chosen.reason


def test_code_llama_is_found_by_sentencepiece_spellings() -> None:
    tokenizer = MergingTokenizer(["▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"])
    chosen = choose_template(ModelInfo(name="x"), tokenizer, None)
    assert chosen.template == find_template("codellama")


def test_mistral_tokens_alone_do_not_make_a_codestral() -> None:
    tokenizer = MergingTokenizer(["[PREFIX]", "[MIDDLE]", "[SUFFIX]"])
    chosen = choose_template(ModelInfo(name="Mistral-Nemo-Instruct"), tokenizer, None)
    assert chosen.template is None
    assert "'codestral'" in chosen.reason
    assert choose_template(ModelInfo(name="Codestral-22B-v0.1"), tokenizer, None).template is not None


def test_the_setting_overrides_what_the_file_says() -> None:
    tokenizer = MergingTokenizer([*_QWEN_IDS, "<fim_prefix>", "<fim_suffix>", "<fim_middle>"])
    info = ModelInfo(name="qwen", fim_ids=_named_qwen_ids(tokenizer))
    chosen = choose_template(info, tokenizer, "starcoder")
    assert chosen.template is not None
    assert (chosen.template.name, chosen.source) == ("starcoder", "settings")


def test_a_setting_that_the_vocabulary_cannot_express_names_the_missing_markers() -> None:
    with pytest.raises(TemplateError, match=r"lacks <fim_suffix>, <fim_middle>"):
        choose_template(ModelInfo(name="x"), MergingTokenizer(["<fim_prefix>"]), "starcoder")


def test_the_preamble_of_codegeex_is_needed_too() -> None:
    tokenizer = MergingTokenizer(["<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", "<|user|>"])
    with pytest.raises(TemplateError, match=r"lacks <\|assistant\|>"):
        choose_template(ModelInfo(name="x"), tokenizer, "codegeex4")


def test_gguf_keys_with_an_order_choose_our_own_family_whatever_the_file_is_called() -> None:
    tokenizer = tokenizer_for(find_template("fim-lsp"))
    info = ModelInfo(
        name="tuned",
        metadata={"fim_lsp.fim_order": "suffix_first"},
        fim_ids={
            **_named_qwen_ids(tokenizer),
            **_fim_ids(tokenizer, rep="<repo_name>", sep="<file_sep>"),
        },
    )
    chosen = choose_template(info, tokenizer, None)
    assert chosen.template == find_template("fim-lsp")
    assert chosen.source == "gguf keys"


def test_gguf_keys_win_over_the_vocabulary() -> None:
    strings = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"]
    tokenizer = MergingTokenizer([*strings, "<P>", "<S>", "<M>", "<PAD>", "<SEP>"])
    ids = _fim_ids(tokenizer, pre="<P>", suf="<S>", mid="<M>", pad="<PAD>", sep="<SEP>")
    chosen = choose_template(ModelInfo(name="starcoder", fim_ids=ids), tokenizer, None)
    template = chosen.template
    assert template is not None
    assert (template.name, template.prefix, template.suffix, template.middle) == (
        "custom",
        "<P>",
        "<S>",
        "<M>",
    )
    assert (template.order, template.file_separator, template.stops) == ("psm", "<SEP>", ("<PAD>",))


def test_an_order_that_no_family_has_makes_a_template_of_its_own() -> None:
    tokenizer = tokenizer_for(find_template("qwen"))
    info = ModelInfo(name="qwen", metadata={"fim_lsp.fim_order": "spm"}, fim_ids=_named_qwen_ids(tokenizer))
    template = choose_template(info, tokenizer, None).template
    assert template is not None
    assert (template.name, template.order) == ("custom", "spm")


def test_an_unknown_order_is_ignored_and_said() -> None:
    tokenizer = tokenizer_for(find_template("qwen"))
    info = ModelInfo(
        name="qwen", metadata={"fim_lsp.fim_order": "sideways"}, fim_ids=_named_qwen_ids(tokenizer)
    )
    chosen = choose_template(info, tokenizer, None)
    assert chosen.template == find_template("qwen")
    assert "'sideways'" in chosen.reason


def test_incomplete_gguf_keys_are_skipped_with_the_reason() -> None:
    tokenizer = tokenizer_for(find_template("qwen"))
    ids = _fim_ids(tokenizer, pre="<|fim_prefix|>", rep="<|repo_name|>")
    chosen = choose_template(ModelInfo(name="qwen", fim_ids=ids), tokenizer, None)
    assert chosen.source == "vocabulary"
    assert "no usable token for suf, mid" in chosen.reason


def test_a_hint_is_used_where_the_vocabulary_says_nothing() -> None:
    template = find_template("smollm2")
    info = ModelInfo(name="SmolLM2 135M", template_hint="smollm2")
    chosen = choose_template(info, tokenizer_for(template), None)
    assert (chosen.template, chosen.source) == (template, "catalog")


def test_a_hint_tells_families_with_the_same_strings_apart() -> None:
    template = find_template("fim-lsp")
    info = ModelInfo(name="tuned", template_hint="fim-lsp")
    assert choose_template(info, tokenizer_for(template), None).template == template


@pytest.mark.parametrize(("hint", "because"), [("smollm2", "lacks <jupyter_start>"), ("nope", "'nope'")])
def test_a_hint_never_produces_a_wrong_template(hint: str, because: str) -> None:
    info = ModelInfo(name="llama", template_hint=hint)
    chosen = choose_template(info, MergingTokenizer(["<|endoftext|>"]), None)
    assert chosen.template is None
    assert chosen.source == "none"
    assert because in chosen.reason


def test_text_that_merely_tokenises_is_no_marker() -> None:
    chosen = choose_template(ModelInfo(name="qwen2.5-coder"), MergingTokenizer(), None)
    assert chosen.template is None


def test_the_registry_cannot_be_changed() -> None:
    assert isinstance(FAMILIES, tuple)
    changed = evolve(find_template("qwen"), order="spm")
    assert find_template("qwen") != changed


def test_the_setting_none_means_the_prefix_alone() -> None:
    tokenizer = tokenizer_for(find_template("qwen"))
    chosen = choose_template(ModelInfo("m", architecture="qwen2"), tokenizer, "none")
    assert chosen.template is None
    assert chosen.source == "settings"
