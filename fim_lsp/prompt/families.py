"""Table of the model families and their FIM templates; :mod:`fim_lsp.prompt.templates` chooses among them.

Markers are written as the families document them, with the plain text around them (Code Llama's spaces,
CodeGeeX4's header). :mod:`fim_lsp.prompt.markers` turns them into ids.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from fim_lsp.types import FimTemplate

Evidence = Literal["markers", "name", "explicit"]
"""Evidence that is needed to recognise a family.

``markers``: its markers in the vocabulary. ``name``: its markers and the model's name, because other models
have the same tokens without being trained on them. ``explicit``: a setting or the catalog must name it.
"""


@frozen
class Family:
    """A template, and how the models that use it are recognised."""

    template: FimTemplate
    names: tuple[str, ...] = ()
    """Parts of model names, in lower case; they decide between families with the same markers."""
    architectures: tuple[str, ...] = ()
    """Beginnings of ``general.architecture``; they decide likewise."""
    evidence: Evidence = "markers"


# Qwen3-Coder keeps Qwen2.5-Coder's markers and order (its README, "Fill in the middle with Qwen3-Coder").
_QWEN = FimTemplate(
    name="qwen",
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    file_separator="<|file_sep|>",
    repo_name="<|repo_name|>",
    stops=("<|endoftext|>", "<|fim_pad|>", "<|im_start|>", "<|im_end|>"),
)
_STARCODER = FimTemplate(
    name="starcoder",
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    file_separator="<file_sep>",
    repo_name="<repo_name>",
    stops=("<|endoftext|>",),
)
# Mellum 4B's model card; Mellum 2 keeps it. StarCoder's markers, but the suffix comes first, and the names of
# files stand in front of it.
_MELLUM = FimTemplate(
    name="mellum",
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    file_separator="<filename>",
    stops=("<|endoftext|>", "<reponame>"),
    order="spm",
)
_GRANITE_CODE = FimTemplate(
    name="granite-code",
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    repo_name="<reponame>",
    stops=("<|endoftext|>", "<fim_pad>"),
)
_GRANITE_4 = FimTemplate(
    name="granite-4",
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    stops=("<|end_of_text|>", "<|fim_pad|>"),
)
_SANTACODER = FimTemplate(
    name="santacoder",
    prefix="<fim-prefix>",
    suffix="<fim-suffix>",
    middle="<fim-middle>",
    stops=("<|endoftext|>",),
)
_DEEPSEEK = FimTemplate(
    name="deepseek-coder",
    prefix="<｜fim▁begin｜>",
    suffix="<｜fim▁hole｜>",
    middle="<｜fim▁end｜>",
    stops=("<｜end▁of▁sentence｜>",),
)
# The spaces are part of the format: in SentencePiece the one after <PRE> is the dummy prefix, and the other
# two are in the tokens (codellama/llama/generation.py, infilling_prompt_tokens).
_CODE_LLAMA = FimTemplate(
    name="codellama", prefix="<PRE> ", suffix=" <SUF>", middle=" <MID>", stops=("<EOT>",)
)
_CODEGEMMA = FimTemplate(
    name="codegemma",
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    file_separator="<|file_separator|>",
    stops=("<end_of_turn>", "<eos>"),
)
_CODESTRAL = FimTemplate(name="codestral", prefix="[PREFIX]", suffix="[SUFFIX]", order="suffix_first")
_SEED_CODER = FimTemplate(
    name="seed-coder",
    prefix="<[fim-prefix]>",
    suffix="<[fim-suffix]>",
    middle="<[fim-middle]>",
    stops=("<[end▁of▁sentence]>", "<[PAD▁TOKEN]>", "<[SEP▁TOKEN]>"),
    order="spm",
)
_CODEGEEX4 = FimTemplate(
    name="codegeex4",
    prefix="<|code_prefix|>",
    suffix="<|code_suffix|>",
    middle="<|code_middle|>",
    stops=("<|user|>", "<|assistant|>", "<|endoftext|>"),
    order="spm",
    preamble="<|user|>\n###PATH:{path}\n###LANGUAGE:{language}\n###MODE:BLOCK\n",
    epilogue="<|assistant|>\n",
)
# llama.cpp knows these tokens of GLM 4.5 and puts the prefix first (pull request 14939); the model cards name
# no order.
_GLM = FimTemplate(
    name="glm",
    prefix="<|code_prefix|>",
    suffix="<|code_suffix|>",
    middle="<|code_middle|>",
    stops=("<|endoftext|>", "<|user|>", "<|observation|>"),
)
# Falcon-H1-Tiny-Coder's blog post, section "FIM format" (llama.cpp's pull request 19249 has the same tokens).
_FALCON_H1 = FimTemplate(
    name="falcon-h1",
    prefix="<|prefix|>",
    suffix="<|suffix|>",
    middle="<|middle|>",
    stops=("<|end_of_text|>", "<|endoftext|>", "<|im_end|>"),
)
# Qwen's strings on three reserved ids of SmolLM2; file and repository markers are SmolLM2's own.
_FIM_LSP = FimTemplate(
    name="fim-lsp",
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    file_separator="<file_sep>",
    repo_name="<repo_name>",
    stops=("<|endoftext|>",),
    order="suffix_first",
)
# The base was never trained on FIM; its unused Jupyter tokens are the ids that the tuned model's markers
# have.
_SMOLLM2 = FimTemplate(
    name="smollm2",
    prefix="<jupyter_start>",
    suffix="<jupyter_text>",
    middle="<jupyter_code>",
    file_separator="<file_sep>",
    repo_name="<repo_name>",
    stops=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    order="suffix_first",
)

FAMILIES: tuple[Family, ...] = (
    Family(_QWEN, names=("qwen",), architectures=("qwen",)),
    Family(
        _STARCODER,
        names=("starcoder", "stable-code", "stablecode", "stable code", "codeqwen"),
        architectures=("starcoder", "stablelm", "qwen"),
    ),
    # StarCoder 1 has all of its markers too.
    Family(_MELLUM, names=("mellum",), evidence="name"),
    Family(_GRANITE_CODE, names=("granite",), architectures=("granite",)),
    Family(_GRANITE_4, names=("granite",), architectures=("granite",)),
    Family(_SANTACODER, names=("santacoder",)),
    Family(_DEEPSEEK, names=("deepseek",), architectures=("deepseek",)),
    Family(_CODE_LLAMA, names=("codellama", "code-llama", "code llama")),
    Family(_CODEGEMMA, names=("gemma",), architectures=("gemma",)),
    # Other tokenisers of Mistral have [PREFIX] and [SUFFIX] too.
    Family(_CODESTRAL, names=("codestral",), evidence="name"),
    Family(_SEED_CODER, names=("seed",)),
    Family(_CODEGEEX4, names=("codegeex",), architectures=("chatglm",)),
    Family(_GLM, names=("glm-4", "glm-5", "glm4", "glm5"), architectures=("glm",)),
    Family(_FALCON_H1, names=("falcon-h1", "falcon_h1"), architectures=("falcon-h1",)),
    Family(_FIM_LSP, names=("fim-lsp", "fim_lsp"), evidence="name"),
    Family(_SMOLLM2, names=("smollm2",), evidence="explicit"),
)
"""All families; of several that fit equally well, the first is taken."""
