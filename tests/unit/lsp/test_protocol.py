from __future__ import annotations

from types import SimpleNamespace

import pytest
from lsprotocol import types
from pygls.workspace import PositionCodec

from fim_lsp.lsp import protocol
from fim_lsp.lsp.acceptance_messages import suggestion_of_command
from fim_lsp.lsp.documents import LspDocument
from fim_lsp.lsp.rpc import InlineParams
from fim_lsp.types import Completion, LineEdit, Trigger

UTF16 = types.PositionEncodingKind.Utf16


def _place(marked: str, **options: object) -> tuple[InlineParams, LspDocument]:
    """Parameters and document for a cursor at █."""
    before, after = marked.split("█")
    line = before.count("\n")
    column = len(before.rsplit("\n", 1)[-1].encode("utf-16-le")) // 2
    document = LspDocument(
        "file:///a.py",
        source=before + after,
        version=3,
        language_id="python",
        sync_kind=types.TextDocumentSyncKind.Incremental,
        position_codec=PositionCodec(UTF16),
    )
    params = InlineParams(
        types.TextDocumentIdentifier("file:///a.py"), types.Position(line, column), **options
    )
    return params, document


def _item(marked: str, completion: Completion, **options: object) -> types.InlineCompletionItem:
    params, document = _place(marked, **options)
    request = protocol.to_request(params, document)
    return protocol.to_inline_items(completion, params, request, UTF16).items[0]


@pytest.mark.parametrize(
    ("kind", "trigger"), [(0, Trigger.AUTOMATIC), (1, Trigger.INVOKED), (2, Trigger.AUTOMATIC)]
)
def test_trigger_kinds(kind, trigger):
    params, document = _place("x█", trigger_kind=kind)
    assert protocol.to_request(params, document).trigger is trigger


def test_at_a_lines_end_the_whole_line_is_replaced():
    item = _item("x\n    retu█", Completion("rn 1"))
    assert item.insert_text == "    return 1"
    assert item.range == types.Range(types.Position(1, 0), types.Position(1, 8))


def test_inside_a_line_the_text_is_inserted():
    item = _item("f(█, b)", Completion("a"))
    assert item.insert_text == "a"
    assert item.range == types.Range(types.Position(0, 2), types.Position(0, 2))


def test_closers_that_the_text_repeats_are_replaced():
    item = _item("f(█)", Completion("a, b)", replace_suffix_chars=1))
    assert item.insert_text == "a, b)"
    assert item.range == types.Range(types.Position(0, 2), types.Position(0, 3))


def test_astral_characters_count_twice_in_utf16():
    item = _item("s = '😀█'", Completion("!'", replace_suffix_chars=1))
    assert item.range == types.Range(types.Position(0, 7), types.Position(0, 8))


def test_a_selected_entry_keeps_the_popups_range():
    selected = types.SelectedCompletionInfo(types.Range(types.Position(0, 0), types.Position(0, 3)), "print")
    params, document = _place("pri█", selected=selected)
    request = protocol.to_request(params, document)
    assert request.selected_text == "nt"
    assert request.line_prefix == "print"
    item = protocol.to_inline_items(Completion("nt(x)"), params, request, UTF16).items[0]
    assert item.insert_text == "print(x)"
    assert item.range == selected.range


@pytest.mark.parametrize(
    "selected",
    [
        types.SelectedCompletionInfo(types.Range(types.Position(0, 0), types.Position(0, 2)), "print"),
        types.SelectedCompletionInfo(types.Range(types.Position(0, 0), types.Position(1, 3)), "print"),
    ],
)
def test_a_visual_selection_is_no_selected_entry(selected):
    params, document = _place("x\npri█", selected=selected)
    assert protocol.to_request(params, document).selected_text == ""


def _selected(start: int, end: int, text: str) -> types.SelectedCompletionInfo:
    return types.SelectedCompletionInfo(types.Range(types.Position(0, start), types.Position(0, end)), text)


@pytest.mark.parametrize("entry", ["getcwd", "GCD", "gc"])
def test_an_entry_that_does_not_begin_with_what_is_typed_replaces_it(entry):
    selected = _selected(3, 6, entry)
    params, document = _place("os.gcd█ + 1", selected=selected)
    request = protocol.to_request(params, document)
    assert request.prefix == f"os.{entry}"
    assert request.suffix == " + 1"
    item = protocol.to_inline_items(Completion("()"), params, request, UTF16).items[0]
    assert item.insert_text == f"{entry}()"
    assert item.range == selected.range


def test_an_entry_that_is_typed_already_keeps_the_menus_range():
    selected = _selected(3, 8, "print")
    params, document = _place("x; print█", selected=selected)
    request = protocol.to_request(params, document)
    item = protocol.to_inline_items(Completion("(x)"), params, request, UTF16).items[0]
    assert (item.insert_text, item.range) == ("print(x)", selected.range)


def test_a_closer_that_the_text_repeats_is_left_to_the_document_under_a_menu():
    params, document = _place("f(pri█)", selected=_selected(2, 5, "print"))
    request = protocol.to_request(params, document)
    item = protocol.to_inline_items(
        Completion("nt(x))", replace_suffix_chars=1), params, request, UTF16
    ).items[0]
    assert (item.insert_text, item.range) == ("print(x)", _selected(2, 5, "print").range)


@pytest.mark.parametrize("mode", [None, types.InsertTextMode.AsIs])
def test_a_menu_entry_is_not_indented_again_where_the_client_knows_of_it(mode):
    params, document = _place("    re█")
    request = protocol.to_request(params, document)
    answer = protocol.to_completion_list(Completion("turn 1"), params.position, request, UTF16, mode=mode)
    assert answer.items[0].insert_text_mode is mode


def test_nothing_to_offer_is_an_empty_list():
    params, document = _place("x█")
    request = protocol.to_request(params, document)
    assert protocol.to_inline_items(None, params, request, UTF16).items == []


def test_a_menu_entry_begins_with_the_word_being_typed():
    params, document = _place("import json\njson.lo█")
    request = protocol.to_request(params, document)
    answer = protocol.to_completion_list(Completion("ads(text)\nprint(1)"), params.position, request, UTF16)
    (entry,) = answer.items
    assert answer.is_incomplete
    assert entry.label == "loads(text)"
    assert entry.filter_text.startswith("lo")
    assert isinstance(entry.text_edit, types.TextEdit)
    assert entry.text_edit.new_text == "loads(text)\nprint(1)"
    assert entry.text_edit.range == types.Range(types.Position(1, 5), types.Position(1, 7))


def test_a_carriage_return_is_not_part_of_the_line():
    params, document = _place("a = 1█\r\nb = 2\r\n")
    request = protocol.to_request(params, document)
    assert request.line_suffix == ""


def test_each_of_several_suggestions_is_an_item_whose_command_names_it():
    completion = Completion("rn 1", alternatives=(Completion("rn x"), Completion("ry:")))
    params, document = _place("x\n    retu█", trigger_kind=1)
    request = protocol.to_request(params, document)
    items = protocol.to_inline_items(completion, params, request, UTF16).items
    assert [item.insert_text for item in items] == ["    return 1", "    return x", "    retury:"]
    arguments = [item.command.arguments for item in items]
    assert arguments[0] == [{"uri": "file:///a.py", "length": 4}]
    assert [suggestion_of_command(each).candidate for each in arguments] == [0, 1, 2]
    assert [suggestion_of_command(each).chars for each in arguments] == [4, 4, 3]


@pytest.mark.parametrize(
    ("params", "place"),
    [
        (
            {"textDocument": {"uri": "file:///a.py"}, "position": {"line": 1, "character": 2}},
            ("file:///a.py", types.Position(1, 2)),
        ),
        ({"textDocument": {"uri": "file:///a.py"}}, None),
        ({"position": {"line": 1, "character": 2}}, None),
        ({"textDocument": {"uri": 1}, "position": {"line": 1, "character": 2}}, None),
        ({"textDocument": {"uri": "file:///a.py"}, "position": {"line": "1", "character": 2}}, None),
        ({"textDocument": {"uri": "file:///a.py"}, "position": {"line": -1, "character": 2}}, None),
        ({}, None),
        ([], None),
    ],
)
def test_a_place_is_read_and_a_malformed_one_is_none(params: object, place: object) -> None:
    assert protocol.read_place(as_object(params)) == place


def as_object(value: object) -> object:
    """Return what pygls makes of the parameters of a notification that it does not know."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(item) for key, item in value.items()})
    return value


def test_changes_become_edits_by_line():
    def at(line: int, character: int) -> types.Position:
        return types.Position(line, character)

    change = types.TextDocumentContentChangePartial
    edits = protocol.read_edits(
        [
            change(types.Range(at(1, 4), at(2, 0)), "a\nb\n"),
            change(types.Range(at(3, 0), at(3, 2)), ""),
            change(types.Range(at(3, 0), at(3, 0)), ""),
            types.TextDocumentContentChangeWholeDocument("all"),
        ]
    )
    assert edits == (
        LineEdit((1, 4), (2, 0), 2, False),
        LineEdit((3, 0), (3, 2), 0, True),
        LineEdit((3, 0), (3, 0), 0, False),
    )
