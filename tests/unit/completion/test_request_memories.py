"""What votes on a request: the document around the cursor, other documents, and the workspace's corpora."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePath

import numpy as np
import pytest
from attrs import evolve

from fim_lsp.completion.open_documents import OpenDocuments
from fim_lsp.completion.request_memories import RequestMemories
from fim_lsp.engine.memory import ChunkEncoder, MemoryPart, RepositoryMemory, TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.gate import Gate
from fim_lsp.engine.memory.stream import MemoryIndex
from fim_lsp.files import real_path
from fim_lsp.settings import CompletionSettings, Settings, from_wire
from fim_lsp.types import CompletionRequest, DocumentSnapshot

ON = Settings()
LINE_BREAKS = np.array([character == ord("\n") for character in range(256)], np.int64)


def _encode(text: str) -> list[int]:
    return list(text.encode())


def _document(folder: Path, name: str, text: str, language: str = "python") -> DocumentSnapshot:
    return DocumentSnapshot((folder / name).as_uri(), language, 1, text)


def _voting_text(memory: RepositoryMemory) -> dict[str, str]:
    """Return the text of each file that may vote, by its name."""
    voting = {}
    for part in memory.parts:
        for file in part.corpus.files:
            if (file.start, file.end) not in part.blocked:
                text = bytes(part.corpus.tokens[file.start : file.end].astype(np.uint8)).decode()
                name = PurePath(file.path).name
                voting[name] = voting.get(name, "") + text
    return voting


class Room:
    """The documents of a session, and the memories of its requests."""

    def __init__(self, folder: Path, *on_disk: tuple[str, str]) -> None:
        files = [
            TokenizedFile(real_path(folder / name), np.array(_encode(text), np.int32))
            for name, text in on_disk
        ]
        workspace = (MemoryPart(TokenCorpus.build(files)),)
        self.folder = folder
        self.documents = OpenDocuments(lambda: [folder])
        self.memories = RequestMemories(self.documents, lambda path: workspace)
        self.memories.model_changed(_encode)

    def open(self, name: str, text: str, language: str = "python") -> DocumentSnapshot:
        document = _document(self.folder, name, text, language)
        self.documents.opened(document)
        return document

    async def voting(self, document: DocumentSnapshot, settings: Settings = ON) -> dict[str, str]:
        """Return what votes once everything is indexed."""
        self.memories.of(CompletionRequest(document, 0), settings)
        while self.memories.building:
            await asyncio.sleep(0.001)
        memory = self.memories.of(CompletionRequest(document, 0), settings)
        return {} if memory is None else _voting_text(memory)


async def test_the_document_votes_before_and_after_the_cursor_alone(tmp_path):
    room = Room(tmp_path)
    document = room.open("here.py", "first\r\nsecond\r\n")
    memory = room.memories.of(CompletionRequest(document, 8, selected_text="sel"), ON)
    assert (memory.before, memory.after) == ("first\nssel", "econd\n")


async def test_open_documents_vote_as_they_are_in_the_editor_and_not_as_on_the_disk(tmp_path):
    room = Room(tmp_path, ("other.py", "old\n"), ("third.py", "third\n"), ("here.py", "the hole\n"))
    room.open("other.py", "new\n")
    assert await room.voting(room.open("here.py", "x")) == {"other.py": "new\n", "third.py": "third\n"}


async def test_a_document_never_votes_on_itself_by_another_path(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "here.py").write_text("the hole\n")
    room = Room(tmp_path, ("real/here.py", "the hole\n"))
    assert await room.voting(room.open("link/here.py", "x")) == {}


async def test_a_stale_index_of_the_document_never_votes_on_it(tmp_path):
    room = Room(tmp_path)
    here, other = room.open("here.py", "the hole\n"), room.open("other.py", "other\n")
    assert await room.voting(other) == {"here.py": "the hole\n"}
    room.documents.edited(here.uri, 2, "")
    memory = room.memories.of(CompletionRequest(evolve(here, text="", version=2), 0), ON)
    assert _voting_text(memory) == {}


async def test_documents_where_completion_is_off_stop_voting_at_once(tmp_path):
    room = Room(tmp_path, ("secret.py", "old secret\n"))
    here = room.open("here.py", "x")
    room.open("secret.py", "secret\n")
    room.open(".env", "KEY=1\n", "dotenv")
    assert await room.voting(here) == {"secret.py": "secret\n"}
    off = evolve(ON, completion=evolve(CompletionSettings(), disabled_files=("secret.py", ".env")))
    memory = room.memories.of(CompletionRequest(here, 0), off)
    assert _voting_text(memory) == {}


async def test_a_document_stops_voting_at_the_key_that_makes_a_secret_and_votes_when_it_is_gone(tmp_path):
    room = Room(tmp_path, ("other.py", "on disk\n"))
    here, other = room.open("here.py", "x"), room.open("other.py", "one = 1\n")
    assert await room.voting(here) == {"other.py": "one = 1\n"}
    secret = "TOKEN = '" + "q8Zr7LmX2vN4bT6yW9sK"
    room.documents.edited(other.uri, 2, f"one = 1\n{secret}\n")
    assert await room.voting(here) == {"other.py": f"one = 1\n{secret}\n"}
    room.documents.edited(other.uri, 3, f"one = 1\n{secret}'\n")
    assert _voting_text(room.memories.of(CompletionRequest(here, 0), ON)) == {}
    assert await room.voting(here) == {}
    # On itself it votes.
    itself = evolve(other, version=3, text=f"one = 1\n{secret}'\n")
    memory = room.memories.of(CompletionRequest(itself, 0), ON)
    assert secret in memory.after
    assert await room.voting(itself) == {"here.py": "x"}
    room.documents.edited(other.uri, 4, "one = 1\n")
    assert await room.voting(here) == {"other.py": "one = 1\n"}


async def test_documents_kept_out_or_outside_of_the_workspace_do_not_vote(tmp_path):
    room = Room(tmp_path / "project", ("ignored.py", "on disk\n"))
    room.documents.keep_out([room.open("ignored.py", "ignored\n").uri])
    room.documents.opened(_document(tmp_path, "elsewhere.py", "elsewhere\n"))
    assert await room.voting(room.open("here.py", "x")) == {}


async def test_an_edit_of_another_document_is_indexed(tmp_path):
    room = Room(tmp_path)
    here, other = room.open("here.py", "x"), room.open("other.py", "one = 1\n")
    assert await room.voting(here) == {"other.py": "one = 1\n"}
    room.documents.edited(other.uri, 2, "two = 1\n")
    assert await room.voting(here) == {"other.py": "two = 1\n"}


def _continuations(memory: RepositoryMemory) -> set[str]:
    """Return what the memory votes for at the cursor, a character at a time."""
    voters = MemoryIndex.of(memory, ChunkEncoder(_encode), Gate()).begin().matches.voters()
    return set() if voters is None else {chr(token) for token in voters.tokens.tolist()}


async def _memory(room: Room, document: DocumentSnapshot, offset: int) -> RepositoryMemory:
    await room.voting(document)
    memory = room.memories.of(CompletionRequest(document, offset), ON)
    assert memory is not None
    return memory


async def test_the_unfinished_line_at_another_cursor_does_not_vote_for_its_end(tmp_path):
    room = Room(tmp_path)
    text = "def a():\r\n    \r\n\r\ndef b():\r\n    \r\n"
    document = room.open("here.py", text)
    for version, typed in enumerate(("total ", "total +"), 2):
        document = evolve(document, version=version, text=text.replace("    ", "    " + typed))
        room.documents.edited(document.uri, version, document.text)
    for offset in (document.text.index("+") + 1, document.text.rindex("+") + 1):
        assert _continuations(await _memory(room, document, offset)) == set()
    # The same text as it was opened is an example.
    assert _continuations(await _memory(room, room.open("opened.py", document.text), offset)) == {"\n"}


async def test_the_line_that_the_user_left_in_another_document_does_not_vote_for_its_end(tmp_path):
    room = Room(tmp_path)
    other = room.open("other.py", "days = [\n    \n]\ntotal = 1\n")
    # VS Code closes the quote.
    other = evolve(other, version=2, text="days = [\n    'Wed'\n]\ntotal = 1\n")
    room.documents.edited(other.uri, 2, "days = [\n    ''\n]\ntotal = 1\n")
    room.documents.edited(other.uri, 2, other.text)
    here = room.open("here.py", "days = [\n    'Wed")
    memory = await _memory(room, here, len(here.text))
    assert _continuations(memory) == set()
    # The other lines vote, and are found where they stand.
    votes = MemoryIndex.of(evolve(memory, before="tot"), ChunkEncoder(_encode), Gate(), b"", LINE_BREAKS)
    found = votes.begin().matches.voters()
    assert found is not None
    assert votes.locate(int(found.parts[0]), int(found.positions[0])) == (real_path(other.path), 3)


async def test_a_line_that_was_ended_votes_for_its_end(tmp_path):
    room = Room(tmp_path)
    other = room.open("other.py", "\n")
    for version, text in enumerate(("total.close()\n", "total.close()\n\n", "total.close()\nx\n"), 2):
        room.documents.edited(other.uri, version, text)
    here = room.open("here.py", "total.close()")
    assert _continuations(await _memory(room, here, len(here.text))) == {"\n"}


async def test_nothing_votes_while_the_memory_is_off_or_no_model_is_loaded(tmp_path):
    room = Room(tmp_path, ("other.py", "x\n"))
    request = CompletionRequest(room.open("here.py", "x"), 0)
    assert room.memories.of(request, from_wire({"memory": {"enabled": False}})) is None
    assert RequestMemories(room.documents, lambda _: ()).of(request, ON) is None


async def test_the_beginning_of_a_long_document_moves_in_steps(tmp_path):
    room = Room(tmp_path)
    document = room.open("long.py", "x = 1\n" * 40_000)
    offsets = (150_000, 150_001, 150_100)
    starts = set()
    for offset in offsets:
        memory = room.memories.of(CompletionRequest(document, offset), ON)
        assert document.text.startswith(memory.before, offset - len(memory.before))
        assert memory.first_line == document.text.count("\n", 0, offset - len(memory.before))
        starts.add(offset - len(memory.before))
    assert len(starts) == 1


@pytest.mark.parametrize("name", ["a b.py", "ä.py"])
def test_a_path_has_one_spelling_whether_it_comes_from_a_uri_or_the_disk(tmp_path, name):
    document = _document(tmp_path, name, "")
    assert real_path(document.path) == real_path(tmp_path / "." / name)
