"""LSP types to our types and back. Positions are counted in the client's code units only here.

What clients do with an item, and so why it looks as it does (checked against VS Code 1.100, Neovim 0.12):
VS Code shows it only while the replaced text is a beginning of the inserted text, so at a line's end the
range begins at column 0 and survives backspacing; Neovim draws an empty range inline and any other as an
overlay, so mid-line the range is empty, or covers the closers that the text itself repeats.
"""

from __future__ import annotations

import re

from lsprotocol import types

from fim_lsp.lsp.documents import LspDocument, offset_at, units
from fim_lsp.lsp.rpc import InlineParams
from fim_lsp.types import Completion, CompletionRequest, DocumentSnapshot, Trigger

INVOKED = 1
_WORD_END = re.compile(r"\w*$")


def to_snapshot(document: LspDocument) -> DocumentSnapshot:
    """A frozen copy of a live document."""
    return DocumentSnapshot(
        document.uri, document.language_id or "plaintext", document.version or 0, document.source
    )


def to_request(params: InlineParams, document: LspDocument) -> CompletionRequest:
    """An inline completion request as the pipeline knows it."""
    offset = document.offset_at_position(params.position)
    return CompletionRequest(
        to_snapshot(document),
        offset,
        Trigger.INVOKED if params.trigger_kind == INVOKED else Trigger.AUTOMATIC,
        selected_text=_untyped_rest(params, document, offset),
        tab_size=params.tab_size or 4,
        insert_spaces=params.insert_spaces is not False,
    )


def to_completion_request(params: types.CompletionParams, document: LspDocument) -> CompletionRequest:
    """A request of a client without inline completion; always automatic.

    Editors call the first letter of a word "invoked" too, and what they show is a menu of short entries.
    """
    return CompletionRequest(to_snapshot(document), document.offset_at_position(params.position))


def to_inline_items(
    completion: Completion | None, params: InlineParams, request: CompletionRequest, encoding: str | None
) -> types.InlineCompletionList:
    """The answer to an inline completion request; no items where there is nothing to offer."""
    if completion is None:
        return types.InlineCompletionList(items=[])
    candidates = (completion, *completion.alternatives)
    return types.InlineCompletionList(
        items=[_inline_item(one, at, params, request, encoding) for at, one in enumerate(candidates)]
    )


def _inline_item(
    completion: Completion,
    candidate: int,
    params: InlineParams,
    request: CompletionRequest,
    encoding: str | None,
) -> types.InlineCompletionItem:
    """One suggestion; its command says which of several it is, unless it is the first."""
    start, end = params.position, params.position
    text = completion.text
    if request.selected_text and params.selected is not None:
        # VS Code previews a suggestion over its popup only with the popup's own range.
        typed = params.selected.text[: len(params.selected.text) - len(request.selected_text)]
        start, text = params.selected.range.start, typed + text
    elif completion.replace_suffix_chars:
        end = _moved(end, request, completion.replace_suffix_chars, encoding)
    elif not request.line_suffix:
        start, text = types.Position(params.position.line, 0), request.line_prefix + text
    accepted: dict[str, object] = {"uri": request.document.uri, "length": len(completion.text)}
    if candidate:
        accepted["candidate"] = candidate
    return types.InlineCompletionItem(
        insert_text=text,
        range=types.Range(start, end),
        command=types.Command(title="Accept completion", command=ACCEPTED, arguments=[accepted]),
    )


def to_completion_list(
    completion: Completion | None,
    position: types.Position,
    request: CompletionRequest,
    encoding: str | None,
) -> types.CompletionList:
    """The answer for clients without inline completion: one entry, first in the menu.

    The label is the word being typed and the first line, because clients filter entries by that word.
    """
    if completion is None:
        return types.CompletionList(is_incomplete=True, items=[])
    found = _WORD_END.search(request.line_prefix)
    word = found.group() if found else ""
    start = types.Position(position.line, max(0, position.character - units(word, encoding)))
    end = _moved(position, request, completion.replace_suffix_chars, encoding)
    text = word + completion.text
    first_line = text.strip().split("\n", 1)[0]
    return types.CompletionList(
        is_incomplete=True,
        items=[
            types.CompletionItem(
                label=first_line,
                filter_text=text,
                sort_text="\x01",
                kind=types.CompletionItemKind.Text,
                detail="fim-lsp",
                documentation=text,
                insert_text_format=types.InsertTextFormat.PlainText,
                text_edit=types.TextEdit(types.Range(start, end), text),
                command=types.Command(title="Accept completion", command=ACCEPTED, arguments=[]),
            )
        ],
    )


ACCEPTED = "fimLsp.accepted"


def _moved(
    position: types.Position, request: CompletionRequest, chars: int, encoding: str | None
) -> types.Position:
    passed = request.document.text[request.offset : request.offset + chars]
    return types.Position(position.line, position.character + units(passed, encoding))


def _untyped_rest(params: InlineParams, document: LspDocument, offset: int) -> str:
    """What the popup's selected entry would add at the cursor.

    Neovim puts the visual selection there, so only a range on the cursor's line that ends at the cursor
    counts, and only an entry that what is typed begins.
    """
    selected = params.selected
    if selected is None or selected.range.end != params.position:
        return ""
    if selected.range.start.line != params.position.line:
        return ""
    start = offset_at(document.source, selected.range.start, document.position_codec.encoding)
    typed = document.source[start:offset]
    return selected.text[len(typed) :] if selected.text.startswith(typed) else ""
