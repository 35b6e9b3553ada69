"""What is sorted in the server: always the files as they are now, with no former version beside them."""

from __future__ import annotations

import asyncio
import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.workspace.corpora import WorkspaceCorpora
from fim_lsp.workspace.file_text import FileStamp
from fim_lsp.workspace.indexed_file import IndexedFile
from fim_lsp.workspace.words import hash_names


def file(name: str, version: int, length: int) -> IndexedFile:
    tokens = np.array(random.Random(f"{name}{version}").choices(range(1000), k=length), np.uint16)
    names = hash_names([f"{name}_{version}", "shared"])
    return IndexedFile(name, "python", FileStamp(version, length), tokens, names, names[:1])


def voting(corpora: WorkspaceCorpora) -> dict[str, list[int]]:
    """Return the tokens that may vote, by path; a path that is in two parts must not be."""
    found: dict[str, list[int]] = {}
    for part in corpora.parts:
        for each in part.corpus.files:
            if each.path not in part.excluded:
                assert each.path not in found
                found[each.path] = part.corpus.tokens[each.start : each.end].tolist()
    return found


async def built(corpora: WorkspaceCorpora) -> None:
    while corpora.building:
        await asyncio.sleep(0.001)


NAMES = st.sampled_from([f"/p/{letter}.py" for letter in "abcdef"])
CHANGES = st.lists(
    st.tuples(NAMES, st.sampled_from(["write", "large", "delete"]), st.booleans()), max_size=30
)


async def _check(changes: list[tuple[str, str, bool]]) -> None:
    corpora, files = WorkspaceCorpora(), dict[str, IndexedFile]()
    for version, (name, kind, wait) in enumerate(changes, 1):
        if kind == "delete":
            corpora.take([], [name] if files.pop(name, None) else [])
        else:
            files[name] = file(name, version, 60_000 if kind == "large" else 50)
            corpora.take([files[name]], [])
        if wait:
            await asyncio.sleep(0)
        # Whatever is ready, nothing that was before votes.
        for path, tokens in voting(corpora).items():
            assert tokens == files[path].tokens.tolist()
    await built(corpora)
    assert voting(corpora) == {path: each.tokens.tolist() for path, each in files.items()}
    for name, each in files.items():
        assert f"{name}_{each.stamp.modified_ns}" in corpora.names
        assert corpora.definitions(f"{name}_{each.stamp.modified_ns}") in ([name], [])
    assert not files or "shared" in corpora.names
    assert "never_seen_here" not in corpora.names


@settings(max_examples=60, deadline=None)
@given(CHANGES)
def test_what_votes_equals_the_files_after_any_changes(changes: list[tuple[str, str, bool]]) -> None:
    asyncio.run(_check(changes))


async def test_another_vocabulary_forgets_everything() -> None:
    corpora = WorkspaceCorpora()
    corpora.take([file("/p/a.py", 1, 50)], [])
    corpora.clear()
    await built(corpora)
    assert not corpora.parts
    assert "shared" not in corpora.names
