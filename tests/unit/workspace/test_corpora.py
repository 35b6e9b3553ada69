"""What is sorted in the server: always the files as they are now, with no former version beside them."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import weakref
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.engine.memory import TokenCorpus, TokenizedFile
from fim_lsp.workspace.corpora import MOST_AT_ONCE, WorkspaceCorpora
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


async def test_thousands_of_files_leave_few_objects_to_the_garbage_collector() -> None:
    corpora, count = WorkspaceCorpora(), 3000
    gc.collect()
    before = len(gc.get_objects())
    for start in range(0, count, 50):
        corpora.take([file(f"/p/{number}.py", 1, 100) for number in range(start, start + 50)], [])
        await built(corpora)
    assert len(voting(corpora)) == count
    gc.collect()
    assert len(gc.get_objects()) - before < 200


async def test_each_build_gets_what_came_since_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpora, given_files = WorkspaceCorpora(), list[int]()
    build = TokenCorpus.build

    def count(files: Iterable[TokenizedFile], max_tokens: int) -> TokenCorpus:
        kept = list(files)
        given_files.append(len(kept))
        return build(kept, max_tokens)

    monkeypatch.setattr(TokenCorpus, "build", count)
    for number in range(20):
        corpora.take([file(f"/p/{number}.py", 1, 10_000)], [])
        await built(corpora)
    assert given_files == [1] * 20
    assert len(voting(corpora)) == 20


async def test_files_that_keep_coming_are_sorted_together_after_a_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_files, rests, now = list[int](), list[float](), [100.0]
    join, build = TokenCorpus.join, TokenCorpus.build

    def slow(corpora_and_kept: list[tuple[TokenCorpus, np.ndarray]]) -> TokenCorpus:
        now[0] += 1
        return join(corpora_and_kept)

    def count(files: Iterable[TokenizedFile], max_tokens: int) -> TokenCorpus:
        kept = list(files)
        given_files.append(len(kept))
        return build(kept, max_tokens)

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        now[0] += seconds
        if len(rests) == 1:
            for number in range(10, 20):
                corpora.take([file(f"/p/{number}.py", 1, 50)], [])
                await asyncio.sleep(0)

    monkeypatch.setattr(TokenCorpus, "join", slow)
    monkeypatch.setattr(TokenCorpus, "build", count)
    corpora = WorkspaceCorpora(clock=lambda: now[0], sleep=rest)
    corpora.take([file("/p/0.py", 1, 50)], [])
    await built(corpora)
    corpora.take([file("/p/1.py", 1, 50)], [])
    await built(corpora)
    assert given_files == [1, 11]
    assert rests == [3.0]
    # A file that is saved a while later is sorted at once.
    now[0] += 60
    corpora.take([file("/p/2.py", 1, 50)], [])
    await built(corpora)
    assert (given_files, rests) == ([1, 11, 1], [3.0])
    assert len(voting(corpora)) == 13


async def test_what_could_not_be_sorted_is_sorted_with_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpora = WorkspaceCorpora()
    with monkeypatch.context() as context:
        context.setattr(TokenCorpus, "join", lambda *_: 1 / 0)
        corpora.take([file("/p/a.py", 1, 50)], [])
        await built(corpora)
    assert not corpora.parts
    corpora.take([file("/p/b.py", 1, 50)], [])
    await built(corpora)
    assert sorted(voting(corpora)) == ["/p/a.py", "/p/b.py"]


async def test_no_step_on_the_event_loop_looks_at_thousands_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: dict[str, int] = {"on the loop": 0}
    loop_thread, most = threading.get_ident(), list[int]()
    holds = TokenCorpus.holds

    def count(corpus: TokenCorpus, path: str) -> bool:
        looked_at["on the loop"] += threading.get_ident() == loop_thread
        return holds(corpus, path)

    async def note_steps() -> None:
        # It runs between any two steps of the corpora.
        while True:
            most.append(looked_at["on the loop"])
            looked_at["on the loop"] = 0
            await asyncio.sleep(0)

    monkeypatch.setattr(TokenCorpus, "holds", count)
    corpora, files = WorkspaceCorpora(), {f"/p/{number}.py": number for number in range(3000)}
    noting = asyncio.create_task(note_steps())
    for version in (1, 2):
        # All but the first come while that one is sorted.
        for start in range(0, len(files), 50):
            corpora.take([file(path, version, 100) for path in list(files)[start : start + 50]], [])
            await asyncio.sleep(0)
        await built(corpora)
    noting.cancel()
    assert len(voting(corpora)) == len(files)
    # Of two corpora, and of what came meanwhile.
    assert 0 < max(most) <= 2 * 50 + MOST_AT_ONCE


async def test_what_was_replaced_is_freed_beside_the_event_loop() -> None:
    corpora, freed_in = WorkspaceCorpora(), list[int]()
    for version in range(1, 4):
        files = [file(f"/p/{number}.py", version, 30_000) for number in range(8)]
        for each in files:
            weakref.finalize(each, lambda: freed_in.append(threading.get_ident()))
        corpora.take(files, [])
        del files, each
        await built(corpora)
        former = corpora.parts[-1].corpus
        weakref.finalize(former, lambda: freed_in.append(threading.get_ident()))
        del former
    while len(freed_in) < 3 * 8 + 2:
        await asyncio.sleep(0.001)
    assert threading.get_ident() not in freed_in
