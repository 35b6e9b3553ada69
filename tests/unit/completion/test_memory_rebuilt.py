"""The memory of the open documents after any edits is the one that is built from scratch."""

from __future__ import annotations

import asyncio
from pathlib import PurePath

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.completion.open_documents import OpenDocuments
from fim_lsp.completion.request_memories import RequestMemories
from fim_lsp.engine.memory import ChunkEncoder, RepositoryMemory
from fim_lsp.settings import Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot

HERE = DocumentSnapshot("file:///project/here.py", "python", 1, "x = 1\n")
LINES = ["def f():\n", "    return a + b\n", "x = [1, 2]\n", "\n", "class A:\n"]
TEXT = st.lists(st.sampled_from(LINES), max_size=60)
EDITS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["open", "edit", "close"]), TEXT, st.floats(0, 1)),
    max_size=12,
)


def _encode(text: str) -> list[int]:
    """Return a token for each word and each blank, as far as text is one chunk."""
    return [hash(word) % 1000 for word in text.replace("\n", " \n ").split(" ")]


async def _memory(documents: OpenDocuments, memories: RequestMemories) -> RepositoryMemory:
    request = CompletionRequest(HERE, 3)
    memories.of(request, Settings())
    while memories.building:
        await asyncio.sleep(0)
    memory = memories.of(request, Settings())
    assert memory is not None
    return memory


def _arrays(memory: RepositoryMemory) -> list[list[int]]:
    corpora = [part.corpus for part in memory.parts]
    return [
        array.tolist() for each in corpora for array in (each.tokens, each.positions, each.keys, each.ranges)
    ]


@settings(deadline=None, max_examples=40)
@given(EDITS)
def test_after_any_edits_the_index_is_the_one_built_from_scratch(edits):
    async def run() -> None:
        documents = OpenDocuments(lambda: [PurePath("/project")])
        memories = RequestMemories(documents, lambda _: ())
        memories.model_changed(_encode)
        texts: dict[str, str] = {}
        for version, (name, action, lines, place) in enumerate(edits, 2):
            uri, new = f"file:///project/{name}.py", "".join(lines)
            if action == "close":
                documents.closed(uri)
            elif action == "open" or name not in texts:
                documents.opened(DocumentSnapshot(uri, "python", version, new))
                texts[name] = new
            else:
                cut = int(len(texts[name]) * place)
                texts[name] = texts[name][:cut] + new + texts[name][cut:]
                documents.edited(uri, version, texts[name])
            if version % 3 == 0:
                await _memory(documents, memories)
        scratch = RequestMemories(documents, lambda _: ())
        scratch.model_changed(_encode)
        assert _arrays(await _memory(documents, memories)) == _arrays(await _memory(documents, scratch))

    asyncio.run(run())


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_the_tokens_of_a_document_do_not_depend_on_what_was_encoded_before(texts):
    kept = ChunkEncoder(_encode)
    document = HERE.text
    for lines in texts:
        document = document[: len(document) // 2] + "".join(lines) + document[len(document) // 2 :]
        np.testing.assert_array_equal(kept.encode(document), ChunkEncoder(_encode).encode(document))
