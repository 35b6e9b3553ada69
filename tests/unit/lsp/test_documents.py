from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lsprotocol import types
from pygls.workspace import PositionCodec

from fim_lsp.lsp import documents
from fim_lsp.lsp.documents import LspDocument, LspWorkspace, canonical_uri, offset_at, units

ENCODINGS = list(types.PositionEncodingKind)
UTF8, UTF16, UTF32 = (
    types.PositionEncodingKind.Utf8,
    types.PositionEncodingKind.Utf16,
    types.PositionEncodingKind.Utf32,
)


def _document(text: str, encoding: types.PositionEncodingKind = UTF16) -> LspDocument:
    return LspDocument(
        "file:///a.py",
        source=text,
        version=1,
        language_id="python",
        sync_kind=types.TextDocumentSyncKind.Incremental,
        position_codec=PositionCodec(encoding),
    )


def _change(
    start: tuple[int, int], end: tuple[int, int], text: str
) -> types.TextDocumentContentChangePartial:
    return types.TextDocumentContentChangePartial(
        types.Range(types.Position(*start), types.Position(*end)), text
    )


@pytest.mark.parametrize(("encoding", "column"), [(UTF8, 4), (UTF16, 2), (UTF32, 1)])
def test_a_column_after_an_astral_character(encoding, column):
    assert offset_at("x\n😀!", types.Position(1, column), encoding) == 3


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("position", "offset"),
    [((0, 99), 2), ((1, 0), 4), ((1, 99), 6), ((9, 0), 6), ((9, 9), 6)],
)
def test_past_the_end_means_the_end(encoding, position, offset):
    assert offset_at("ab\r\ncd", types.Position(*position), encoding) == offset


def test_a_column_inside_a_character_means_before_it():
    assert offset_at("😀", types.Position(0, 1), UTF16) == 0


def test_form_feeds_and_separators_do_not_end_lines():
    text = "a\x0cb\x0b\u2028\x85c\nd"
    assert offset_at(text, types.Position(1, 0), UTF16) == text.index("d")
    assert _document(text).lines == (text[:-1], "d")


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\nb", "a\r\nb\rc\n\n"])
def test_lines_put_together_are_the_text(text: str):
    assert "".join(_document(text).lines) == text


def test_edits_after_a_form_feed_land_where_the_editor_made_them():
    document = _document("import os\n\x0c\nclass A:\n    pass\n")
    document.apply_change(_change((3, 4), (3, 8), "x = 1"))
    assert document.source == "import os\n\x0c\nclass A:\n    x = 1\n"


def test_an_edit_past_the_end_appends():
    document = _document("a\n")
    document.apply_change(_change((5, 0), (5, 0), "b"))
    assert document.source == "a\nb"


def test_lone_surrogates_count_as_one_unit_of_utf16():
    assert units("\ud800", UTF16) == 1
    assert offset_at("\ud800x", types.Position(0, 1), UTF16) == 1


@given(st.text(alphabet="a\nß日😀\x0c\r", max_size=40), st.data())
def test_every_offset_is_reached_from_its_own_position(text: str, data: st.DataObject):
    encoding = data.draw(st.sampled_from(ENCODINGS))
    offset = data.draw(st.integers(0, len(text)))
    if text[offset - 1 : offset + 1] == "\r\n":
        return  # no position lies inside a line break
    lines = _document(text[:offset] + "|").lines
    position = types.Position(len(lines) - 1, units(lines[-1][:-1], encoding))
    assert offset_at(text, position, encoding) == offset


@given(st.text(alphabet="ab\n😀\r\x0c", max_size=30), st.text(alphabet="x\n😀", max_size=5), st.data())
def test_an_incremental_edit_is_a_splice(text: str, inserted: str, data: st.DataObject):
    places = [i for i in range(len(text) + 1) if text[i - 1 : i + 1] != "\r\n"]
    start = data.draw(st.sampled_from(places))
    end = data.draw(st.sampled_from([i for i in places if i >= start]))
    document = _document(text, UTF8)
    corners = []
    for offset in (start, end):
        lines = _document(text[:offset] + "|").lines
        corners.append((len(lines) - 1, units(lines[-1][:-1], UTF8)))
    document.apply_change(_change(corners[0], corners[1], inserted))
    assert document.source == text[:start] + inserted + text[end:]


POSITIONS = st.tuples(st.integers(0, 3), st.integers(0, 3))
SPLICES = st.lists(st.tuples(POSITIONS, POSITIONS, st.text(alphabet="x\n\r😀", max_size=3)), max_size=4)


@example(
    text="a\rb",
    splices=[((1, 0), (1, 1), "\n"), ((1, 0), (1, 0), "x")],
    from_the_end=False,
    encoding=UTF16,
)
@given(st.text(alphabet="ab\n\r😀", max_size=8), SPLICES, st.booleans(), st.sampled_from(ENCODINGS))
def test_changes_applied_together_come_to_the_same_as_one_by_one(text, splices, from_the_end, encoding):
    """Past ends of lines and of the text, too, where one change moves the place of the next."""
    if from_the_end:
        corners = sorted((corner for *both, _ in splices for corner in both), reverse=True)
        inserted = (splice[2] for splice in splices)
        splices = list(zip(corners[1::2], corners[::2], inserted, strict=True))
    changes = [_change(*splice) for splice in splices]
    one_by_one, together = _document(text, encoding), _document(text, encoding)
    for change in changes:
        one_by_one.apply_change(change)
    with patch.object(documents, "MANY_CHANGES", 1):
        together.apply_changes(changes)
    assert together.source == one_by_one.source
    assert together.lines == one_by_one.lines


def test_a_word_that_is_replaced_everywhere_is_spliced_at_once(monkeypatch):
    text = "".join(f"old_{line} = old\r\n" for line in range(500))
    places = [(line, column) for line in range(500) for column in (0, len(f"old_{line} = "))]
    changes = [_change(place, (place[0], place[1] + 3), "newer") for place in reversed(places)]
    document = _document(text)
    monkeypatch.setattr(LspDocument, "apply_change", lambda *_: 1 / 0)
    document.apply_changes(changes)
    assert document.source == text.replace("old", "newer")
    assert document.offset_at_position(types.Position(1, 5)) == len("newer_0 = newer\r\n") + 5


@pytest.mark.parametrize(
    ("uri", "canonical"),
    [
        ("file:///C:/a.py", "file:///c:/a.py"),
        ("file:///c%3A/A%20b.py", "file:///c:/A%20b.py"),
        ("file:///C%3a/a.py", "file:///c:/a.py"),
        ("vscode-notebook-cell:/C%3A/a.ipynb#W0s", "vscode-notebook-cell:/c:/a.ipynb#W0s"),
        ("file:///home/C:/a.py", "file:///home/C:/a.py"),
        ("untitled:Untitled-1", "untitled:Untitled-1"),
        ("not a uri", "not a uri"),
        ("", ""),
    ],
)
def test_a_drive_has_one_spelling(uri, canonical):
    assert canonical_uri(uri) == canonical


def _workspace() -> LspWorkspace:
    return LspWorkspace(None, types.TextDocumentSyncKind.Incremental, [], UTF16)


def test_all_spellings_of_a_drive_are_one_document():
    workspace = _workspace()
    workspace.put_text_document(types.TextDocumentItem("file:///C:/a.py", "python", 1, "x"))
    edited = types.VersionedTextDocumentIdentifier(2, "file:///c%3A/a.py")
    workspace.update_text_document(edited, _change((0, 1), (0, 1), "y"))
    found = workspace.find("file:///c:/a.py")
    assert found is not None
    assert (found.uri, found.source, found.version) == ("file:///c:/a.py", "xy", 2)
    workspace.remove_text_document("file:///C%3A/a.py")
    assert workspace.find("file:///C:/a.py") is None


def test_a_uri_that_is_none_opens_no_document():
    workspace = _workspace()
    workspace.put_text_document(types.TextDocumentItem("file://[", "python", 1, "x"))
    assert workspace.find("file://[") is None
