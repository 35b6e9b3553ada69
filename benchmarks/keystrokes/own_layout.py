"""Build prompts in the model's own order for llama-server's ``/completion``.

With fim-lsp's layout, to measure the layout's effect alone; and with the context that llama.vim takes, for
models whose order ``/infill`` does not know.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

from benchmarks.keystrokes.llama_vim import local_context
from fim_lsp.prompt.anchor import Anchor, next_anchor
from fim_lsp.prompt.builder import build
from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, FimTemplate, Tokenizer


@define
class OwnLayout:
    """Builds prompts as the server does, with an anchor for each document."""

    _template: FimTemplate | None
    _tokenizer: Tokenizer
    _settings: PromptSettings
    _anchors: dict[str, Anchor] = field(factory=dict)

    def prompt(self, name: str, text: str, cursor: int) -> dict[str, Any]:
        """Return the prompt's part of a ``/completion`` request: head and tail as one list of tokens."""
        request = CompletionRequest(DocumentSnapshot(f"file:///{name}", "python", 1, text), cursor)
        anchor = next_anchor(self._anchors.get(name), request, self._template, self._settings)
        self._anchors[name] = anchor
        prompt = build(request, self._template, self._tokenizer, self._settings, anchor=anchor)
        return {"prompt": [*prompt.head, *self._tokenizer.encode(prompt.tail)]}

    def forget(self) -> None:
        """Forget the anchors of all documents."""
        self._anchors.clear()


@frozen
class RenderedContext:
    """Builds prompts from the lines that llama.vim takes, shortened as ``/infill`` does it."""

    template: FimTemplate | None
    tokenizer: Tokenizer
    settings: PromptSettings
    """Three quarters of the tokens are for the prefix, as in llama-server."""

    def prompt(self, name: str, text: str, cursor: int) -> dict[str, Any]:
        """Return the prompt's part of a ``/completion`` request, as a list of tokens."""
        context = local_context(text, cursor)
        before = context.prefix + context.middle
        document = DocumentSnapshot(f"file:///{name}", "plaintext", 1, before + context.suffix)
        prompt = build(CompletionRequest(document, len(before)), self.template, self.tokenizer, self.settings)
        return {"prompt": [*prompt.head, *self.tokenizer.encode(prompt.tail)]}
