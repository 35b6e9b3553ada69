"""What may be shown of the session's other documents."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.completion.edited_places import TextChange, move_edits
from fim_lsp.completion.open_documents import OpenDocuments, WorkspaceLocation
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import DocumentSnapshot

_HERE = DocumentSnapshot("file:///project/here.py", "python", 1, "x = 1\n")
_ON = CompletionSettings()


def _document(name: str = "other.py", text: str = "y = 2\n", language: str = "python") -> DocumentSnapshot:
    uri = name if ":" in name else f"file:///project/{name}"
    return DocumentSnapshot(uri, language, 1, text)


def _among(*documents: DocumentSnapshot, folders: tuple[str, ...] = ()) -> OpenDocuments:
    neighbours = OpenDocuments(lambda: [PurePath(folder) for folder in folders])
    for document in documents:
        neighbours.opened(document)
    return neighbours


def _paths(neighbours: OpenDocuments, completion: CompletionSettings = _ON) -> list[str]:
    return [one.path for one in neighbours.others(_HERE, completion)]


def test_the_document_used_last_comes_first_and_the_present_one_not_at_all():
    neighbours = _among(*map(_document, "abc"), _HERE)
    neighbours.used(_document("a").uri)
    neighbours.edited(_document("b").uri, 2, "z = 3\n")
    assert _paths(neighbours) == ["b", "a", "c"]


@pytest.mark.parametrize("name", [".env", ".env.local", "server.key", "id_rsa", "credentials.json", "%2Eenv"])
def test_secrets_are_never_shown(name: str):
    assert _paths(_among(_document(name), folders=("/project",))) == []


def test_nor_what_the_user_turned_off():
    neighbours = _among(_document("notes.md", language="markdown"), _document("a.py"))
    assert _paths(neighbours, evolve(_ON, disabled_languages=("markdown",))) == ["a.py"]
    assert _paths(neighbours, evolve(_ON, disabled_files=("*.py",))) == ["notes.md"]


@pytest.mark.parametrize("text", ["", "x" * 1001, "a\0b", "x = 1\n" * 200_000])
def test_nor_what_nobody_writes(text: str):
    assert _paths(_among(_document(text=text))) == []


_SECRET = 'API_KEY = "' + "q8Zr7LmX2vN4bT6yW9sKd3Fh" + '"\n'


def _shown_and_voting(neighbours: OpenDocuments) -> tuple[list[str], list[str]]:
    return _paths(neighbours), [each.path.name for each in neighbours.voting(_HERE, _ON)]


def test_a_document_with_a_secret_serves_itself_alone_until_the_secret_is_gone():
    neighbours = _among(_document("a.py"), _document("b.py", _SECRET))
    assert _shown_and_voting(neighbours) == (["a.py"], ["a.py"])
    uri, line = _document("a.py").uri, "y = 2\n"
    assert neighbours.edited(uri, 2, line + _SECRET[:-1]) == "a.py"
    assert _shown_and_voting(neighbours) == ([], [])
    assert neighbours.edited(uri, 3, line + _SECRET) is None
    neighbours.closed(uri)
    assert _shown_and_voting(neighbours) == ([], [])
    neighbours.opened(_document("a.py", line + _SECRET))
    assert neighbours.edited(uri, 4, line) is None
    assert neighbours.edited(_document("b.py").uri, 2, "z = 3\n") is None
    assert _shown_and_voting(neighbours) == (["b.py", "a.py"], ["b.py", "a.py"])


def test_what_was_pasted_is_shown_only_once_it_is_looked_through():
    neighbours = _among(_document("a.py"))
    pasted = "value = 1\n" * 15_000
    assert neighbours.edited(_document("a.py").uri, 2, pasted) == "a.py"
    looks = 1
    while neighbours.voting(_HERE, _ON) == ():
        looks += 1
    assert looks == 3
    assert neighbours.edited(_document("a.py").uri, 3, pasted + _SECRET) == "a.py"
    assert _shown_and_voting(neighbours) == ([], [])


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///project/src/a%20b.py", "src/a b.py"),
        ("file:///project/../secret/a.py", None),
        ("file:///works/a.py", None),
        ("file:///elsewhere/a.py", None),
        ("untitled:Untitled-1", None),
        ("git:/project/a.py", None),
        ("file:///lib/x/a.py", "x/a.py"),
    ],
)
def test_nor_what_is_outside_of_the_workspace(uri: str, path: str | None):
    neighbours = _among(_document(uri), folders=("/project", "/lib/"))
    assert _paths(neighbours) == ([path] if path else [])


def test_nor_what_the_editor_says_is_ignored_even_once_it_is_closed():
    neighbours = _among(_document("a.py"), _document("b.py"))
    neighbours.keep_out([_document("a.py").uri])
    neighbours.keep_out([])
    neighbours.closed(_document("a.py").uri)
    assert _paths(neighbours) == ["b.py"]


def test_without_folders_a_file_has_its_name_alone():
    neighbours = _among(_document("src/a.py"), _document("untitled:Untitled-1"))
    assert _paths(neighbours) == ["a.py"]
    assert neighbours.locate(_HERE) == WorkspaceLocation("here.py")


def test_a_document_is_named_in_the_innermost_folder():
    neighbours = _among(folders=("/project", "/project/part"))
    assert neighbours.locate(_document("part/src/a.py")) == WorkspaceLocation("src/a.py", "part")
    assert neighbours.locate(_HERE) == WorkspaceLocation("here.py", "project")
    assert neighbours.locate(_document("file:///elsewhere/a.py")) == WorkspaceLocation("a.py")


def test_closed_documents_are_remembered_for_a_while_and_open_ones_always():
    documents = [_document(f"{n}.py") for n in range(40)]
    neighbours = _among(*documents)
    neighbours.closed(documents[39].uri)
    (last, *_) = neighbours.others(_HERE, _ON)
    assert (last.path, last.is_open) == ("38.py", True)
    for document in documents[:30]:
        neighbours.closed(document.uri)
    assert len(neighbours._known) == 24
    assert {uri for uri, known in neighbours._known.items() if known.is_open} == {
        document.uri for document in documents[30:39]
    }


def test_a_closed_document_is_not_edited_any_more():
    neighbours = _among(_document())
    neighbours.closed(_document().uri)
    neighbours.edited(_document().uri, 2, "new = 1\n")
    neighbours.edited("file:///project/never-opened.py", 2, "new = 1\n")
    (other,) = neighbours.others(_HERE, _ON)
    assert (other.text, other.is_open) == ("y = 2\n", False)


def test_what_is_shown_is_the_text_of_now_and_where_it_was_edited():
    lines = [f"value_{n} = {n}\n" for n in range(200)]
    neighbours = _among(_document(text="".join(lines)))
    lines[150] = "changed = 1\n"
    neighbours.edited(_document().uri, 2, "".join(lines))
    neighbours.edited(_document().uri, 3, "top = 1\n" + "".join(lines))
    (other,) = neighbours.others(_HERE, _ON)
    assert any("changed = 1" in chunk.text for chunk in other.chunks)
    assert other.edited == (1, 151)


def test_many_documents_are_cut_a_few_at_a_time():
    neighbours = _among(*(_document(f"{n}.py") for n in range(8)))
    assert [len(_paths(neighbours)) for _ in range(4)] == [3, 6, 8, 8]
    assert _paths(neighbours)[:2] == ["7.py", "6.py"]


def test_a_document_is_cut_once_for_each_version():
    neighbours = _among(_document())
    (first,), (again,) = (neighbours.others(_HERE, _ON) for _ in range(2))
    assert first.chunks is again.chunks
    neighbours.edited(_document().uri, 2, "z = 3\n")
    (changed,) = neighbours.others(_HERE, _ON)
    assert changed.chunks is not first.chunks


@given(
    st.text("ab\n", max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.text("ab\n", max_size=20)), max_size=6),
)
def test_places_stay_inside_the_text_and_the_last_edit_comes_first(text: str, edits):
    places: tuple[int, ...] = ()
    for start, removed, added in edits:
        start = min(start, len(text))
        after = text[:start] + added + text[start + removed :]
        places = move_edits(places, TextChange.between(text, after))
        assert 1 <= len(places) <= 4
        assert all(0 <= place <= len(after) for place in places)
        # What is behind the place is as it was.
        assert text.endswith(after[places[0] :])
        text = after
