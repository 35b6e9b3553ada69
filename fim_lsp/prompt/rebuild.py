"""Build a prompt anew for another model, from the texts that it holds."""

from __future__ import annotations

from attrs import evolve

from fim_lsp.code.languages import UNKNOWN, language_of
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.texts import around_cursor
from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, FimTemplate, Prompt, Tokenizer, path_of


def rebuild(
    prompt: Prompt,
    template: FimTemplate | None,
    tokenizer: Tokenizer,
    settings: PromptSettings,
    max_tokens: int | None = None,
) -> Prompt:
    """Build a prompt anew with another template and vocabulary.

    Args:
        prompt: built for the first model; its snippets, adapters and location stay.
        template: of the other model; None to continue the prefix.
        tokenizer: of the other model.
        settings: budgets in tokens; the layout is plain.
        max_tokens: room in the other model's context window.
    """
    prefix, suffix = around_cursor(prompt)
    uri = prompt.location.rpartition("@")[0]
    language = (language_of(str(path_of(uri))) or UNKNOWN).id
    document = DocumentSnapshot(uri, language, 0, prefix + suffix)
    built = build(
        CompletionRequest(document, len(prefix)),
        template,
        tokenizer,
        evolve(settings, layout="plain"),
        snippets=prompt.snippets,
        max_tokens=max_tokens,
    )
    return evolve(
        built,
        adapters=prompt.adapters,
        location=prompt.location,
        draft=prompt.draft,
        second_model=prompt.second_model,
        snippet_reason=prompt.snippet_reason,
        heal=built.heal and prompt.heal,
    )
