"""Translate LSP's types to this project's types and back.

Items look as the clients need them (checked against VS Code 1.100 and Neovim 0.12):

- VS Code shows an item only while the replaced text is a beginning of the inserted text. So at a line's end
the
  range begins at column 0, and the item survives a backspace.
- Neovim draws an empty range inline and any other as an overlay. So inside a line the range is empty, or
covers the
  closing brackets that the text itself repeats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from attrs import evolve
from lsprotocol import types

from fim_lsp.lsp.documents import LspDocument, units
from fim_lsp.lsp.notebooks import CellPlace, to_snapshot
from fim_lsp.lsp.rpc import InlineParams
from fim_lsp.types import Completion, CompletionRequest, LineEdit, Trigger

ACCEPTED = "fimLsp.accepted"
INVOKED = 1
_WORD_END = re.compile(r"\w*$")
_LONGEST_LINE = 2000
"""Characters of a line that an item repeats: in a minified file an answer would have megabytes."""
_LONGEST_WORD = 200


def to_request(
    params: InlineParams, document: LspDocument, place: CellPlace | None = None
) -> CompletionRequest:
    """Translate an inline completion request.

    Where an entry of the completion menu is selected, the request is for the document with the entry in it.

    Args:
        params: those of the client.
        document: the one that they name.
        place: where it is, if it is a cell of a notebook.
    """
    place = place or CellPlace(to_snapshot(document))
    offset = place.start + document.offset_at_position(params.position)
    snapshot, untyped = place.snapshot, ""
    if (selected := selected_entry(params)) is not None:
        start = place.start + document.offset_at_position(selected.range.start)
        typed = snapshot.text[start:offset]
        if selected.text.startswith(typed):
            untyped = selected.text[len(typed) :]
        else:
            text = snapshot.text[:start] + selected.text + snapshot.text[offset:]
            snapshot, offset = evolve(snapshot, text=text), start + len(selected.text)
    return CompletionRequest(
        snapshot,
        offset,
        Trigger.INVOKED if params.trigger_kind == INVOKED else Trigger.AUTOMATIC,
        selected_text=untyped,
        tab_size=params.tab_size or 4,
        insert_spaces=params.insert_spaces is not False,
        line=max(0, params.position.line),
    )


def to_completion_request(
    position: types.Position, document: LspDocument, place: CellPlace | None = None
) -> CompletionRequest:
    """Translate a request of a client without inline completion. It is always an automatic one.

    Editors call the first letter of a word "invoked" too, and they show a menu of short entries.
    """
    place = place or CellPlace(to_snapshot(document))
    offset = place.start + document.offset_at_position(position)
    return CompletionRequest(place.snapshot, offset, line=max(0, position.line))


def read_place(params: Any) -> tuple[str, types.Position] | None:
    """Read ``textDocument.uri`` and ``position`` of a notification of our own; None if one is malformed."""
    position = getattr(params, "position", None)
    uri = getattr(getattr(params, "textDocument", None), "uri", None)
    line, character = getattr(position, "line", None), getattr(position, "character", None)
    if not isinstance(uri, str) or not isinstance(line, int) or not isinstance(character, int):
        return None
    return (uri, types.Position(line, character)) if line >= 0 and character >= 0 else None


def read_edits(
    changes: Sequence[types.TextDocumentContentChangeEvent], lines_above: int = 0
) -> tuple[LineEdit, ...]:
    """Translate the changes of a document, in order; one of the whole document tells no places.

    ``lines_above`` is the number of lines above the client's document in ours: those of a notebook's cells.
    """
    return tuple(
        LineEdit(
            (lines_above + change.range.start.line, change.range.start.character),
            (lines_above + change.range.end.line, change.range.end.character),
            change.text.count("\n"),
            not change.text and change.range.start != change.range.end,
        )
        for change in changes
        if isinstance(change, types.TextDocumentContentChangePartial)
    )


def to_inline_items(
    completion: Completion | None, params: InlineParams, request: CompletionRequest, encoding: str | None
) -> types.InlineCompletionList:
    """Translate the answer to an inline completion request. No suggestion is an empty list."""
    if completion is None:
        return types.InlineCompletionList(items=[])
    suggestions = enumerate((completion, *completion.alternatives))
    return types.InlineCompletionList(
        items=[_inline_item(each, index, params, request, encoding) for index, each in suggestions]
    )


def _inline_item(
    completion: Completion,
    candidate: int,
    params: InlineParams,
    request: CompletionRequest,
    encoding: str | None,
) -> types.InlineCompletionItem:
    """Return the item of one suggestion. Its command names which of several it is, unless it is the first."""
    start, end = params.position, params.position
    text = completion.text
    if (selected := selected_entry(params)) is not None:
        # VS Code previews a suggestion over its menu only with the range of the menu's entry.
        typed = selected.text[: len(selected.text) - len(request.selected_text)]
        start, text = selected.range.start, typed + text
        repeated = request.line_suffix[: completion.replace_suffix_chars]
        if repeated and text.endswith(repeated):
            text = text[: -len(repeated)]  # The menu's range ends at the cursor.
        else:
            end = _moved(end, request, completion.replace_suffix_chars, encoding)
    elif completion.replace_suffix_chars:
        end = _moved(end, request, completion.replace_suffix_chars, encoding)
    elif not request.line_suffix and len(line := request.line_prefix) <= _LONGEST_LINE:
        start, text = types.Position(params.position.line, 0), line + text
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
    mode: types.InsertTextMode | None = None,
) -> types.CompletionList:
    """Translate the answer for a client without inline completion: one entry, the first in the menu.

    The entry begins with the word that is being typed, because clients filter entries by it. ``mode`` says
    how the client is to indent it; None where the client does not know modes.
    """
    if completion is None:
        return types.CompletionList(is_incomplete=True, items=[])
    found = _WORD_END.search(request.line_prefix[-_LONGEST_WORD:])
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
                insert_text_mode=mode,
                text_edit=types.TextEdit(types.Range(start, end), text),
                command=types.Command(title="Accept completion", command=ACCEPTED, arguments=[]),
            )
        ],
    )


def _moved(
    position: types.Position, request: CompletionRequest, chars: int, encoding: str | None
) -> types.Position:
    """Move a position behind the first ``chars`` characters after the cursor."""
    passed = request.document.text[request.offset : request.offset + chars]
    return types.Position(position.line, position.character + units(passed, encoding))


def selected_entry(params: InlineParams) -> types.SelectedCompletionInfo | None:
    """Return the selected entry of the completion menu, which accepting a suggestion also accepts.

    Neovim sends the visual selection in the same field. So the range must be on the cursor's line and end at
    the cursor.
    """
    selected = params.selected
    if selected is None or selected.range.end != params.position:
        return None
    return selected if selected.range.start.line == params.position.line else None
