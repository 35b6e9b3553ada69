"""The index as a session uses it, with a real child process, whose tokens are bytes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from attrs import define, evolve, field

from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.settings import CompletionSettings, MemorySettings, Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot
from fim_lsp.workspace import child
from fim_lsp.workspace.index import WorkspaceIndex
from tests.unit.workspace.conftest import write

CODE = "def total(items):\n    return sum(items)\n"
RANDOM = "q8Zr7LmX2vN4bT6yW9sK"
BYTES = Path("bytes")
HOME = Path.home()


@define
class Desk:
    """An index of a folder."""

    root: Path
    storage: Path
    folders: list[Path] = field(factory=list)
    remarks: list[str] = field(factory=list)
    withdrawn: list[str] = field(factory=list)
    index: WorkspaceIndex = field(init=False)

    def __attrs_post_init__(self) -> None:
        module = "tests.unit.workspace.scripted_process"
        command = [sys.executable, "-m", module, str(self.storage)]
        self.folders = self.folders or [self.root]
        self.index = WorkspaceIndex(
            command,
            lambda: self.folders,
            on_remark=self.remarks.append,
            on_withdrawn=self.withdrawn.extend,
        )

    def begin(self, settings: Settings | None = None, vocabulary: Path | None = BYTES) -> None:
        self.index.settings_changed(settings or Settings())
        self.index.model_changed(vocabulary)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(50) if sys.version_info >= (3, 11) else _NoLimit():
            while not condition():
                await asyncio.sleep(0.01)

    async def ready(self) -> None:
        await self.until(lambda: self.index.status.ready)

    def texts(self) -> dict[str, str]:
        """Return what may vote, by path below the root."""
        found = {}
        for part in self.index.corpora(""):
            for file in part.corpus.files:
                if file.path not in part.excluded:
                    tokens = part.corpus.tokens[file.start : file.end].tolist()
                    found[Path(file.path).relative_to(self.root).as_posix()] = bytes(tokens).decode()
        return found

    def on_disk(self) -> bytes:
        """Return all bytes that were saved."""
        return b"".join(path.read_bytes() for path in self.storage.rglob("*") if path.is_file())


class _NoLimit:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


@pytest_asyncio.fixture
async def desk(root: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(root, tmp_path / "index")
    yield desk
    await desk.index.close()


def snapshot(path: Path, text: str = CODE) -> DocumentSnapshot:
    return DocumentSnapshot(path.as_uri(), "python", 1, text)


async def test_files_vote_and_changes_are_followed(root: Path, desk: Desk) -> None:
    write(root, {"a.py": CODE, "inner/b.py": "x = total(1)\n"})
    desk.begin()
    await desk.ready()
    assert desk.texts() == {"a.py": CODE, "inner/b.py": "x = total(1)\n"}
    assert desk.index.status.files == 2
    assert desk.index.status.tokens == len(CODE) + len("x = total(1)\n")
    assert "total" in desk.index.names
    assert "unheard_of" not in desk.index.names
    write(root, {"c.py": "def fresh(): ...\n"})
    shutil.rmtree(root / "inner")
    desk.index.files_changed([(root / "c.py").as_uri(), (root / "inner").as_uri()])
    await desk.until(lambda: desk.texts() == {"a.py": CODE, "c.py": "def fresh(): ...\n"})
    assert "fresh" in desk.index.names
    assert desk.withdrawn == ["inner/b.py"]
    write(root, {"a.py": CODE * 2})
    desk.index.document_saved((root / "a.py").as_uri())
    await desk.until(lambda: desk.texts().get("a.py") == CODE * 2)
    write(root, {".gitignore": "c.py\n", "a.py": f'API_KEY = "{RANDOM}"\n'})
    desk.index.files_changed([(root / ".gitignore").as_uri(), (root / "a.py").as_uri()])
    await desk.until(lambda: not desk.texts())
    assert sorted(desk.withdrawn[1:]) == ["a.py", "c.py"]


async def test_branch_switch_of_thousands_of_files(root: Path, desk: Desk) -> None:
    before = {f"d{number % 20}/f{number}.py": f"old_{number} = call()\n" for number in range(2000)}
    after = {f"d{number % 30}/f{number}.py": f"new_{number} = call()\n" for number in range(2000)}
    write(root, before)
    desk.begin()
    await desk.ready()
    assert desk.texts() == before
    for name in before.keys() - after.keys():
        (root / name).unlink()
    write(root, after)
    uris = [(root / name).as_uri() for name in {**before, **after}]
    for start in range(0, len(uris), 500):
        desk.index.files_changed(uris[start : start + 500])
    await desk.until(lambda: desk.index.status.ready and desk.texts() == after)


async def test_no_turn_of_the_event_loop_sends_thousands_of_changes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.begin()
    await desk.ready()
    sent: list[Mapping[str, Any]] = []
    encode = child.encode_frame
    monkeypatch.setattr(child, "encode_frame", lambda message: sent.append(message) or encode(message))
    uris = [f"file:///elsewhere/{number}.py" for number in range(20_000)]
    desk.index.files_changed(uris)
    desk.index.document_opened(snapshot(desk.root / "a.py"))
    in_turns = [len(sent)]
    while sent[-1]["kind"] != "opened":
        await asyncio.sleep(0)
        in_turns.append(len(sent) - sum(in_turns))
    assert [uri for message in sent[:-1] for uri in message["uris"]] == uris
    assert max(len(message["uris"]) for message in sent[:-1]) <= 1000
    assert max(in_turns) == 1


async def test_what_is_left_out_reaches_neither_index_nor_names_nor_disk(root: Path, desk: Desk) -> None:
    secret, hidden = f'API_KEY = "{RANDOM}"\n', "zebra_quagga = 'hidden'\n"
    write(root.parent / "outside", {"far.py": hidden})
    write(root, {"a.py": CODE, "keys.py": CODE + secret, ".env": hidden, "ignored.py": hidden})
    write(root, {".gitignore": "ignored.py\n", "node_modules/b/index.js": hidden})
    (root / "link.py").symlink_to(root.parent / "outside" / "far.py")
    (root / "folder").symlink_to(root.parent / "outside", target_is_directory=True)
    desk.begin()
    desk.index.document_opened(snapshot(root / "folder" / "far.py", hidden))
    desk.index.document_opened(snapshot(root / "ignored.py", hidden))
    await desk.ready()
    assert desk.texts() == {"a.py": CODE}
    assert "zebra_quagga" not in desk.index.names
    await desk.index.close()
    saved = desk.on_disk()
    assert "total".encode("utf-16-le") in saved
    for text in (RANDOM, "zebra_quagga", "hidden"):
        assert text.encode() not in saved
        assert text.encode("utf-16-le") not in saved


async def test_settings_switch_it_off_and_leave_files_out(root: Path, desk: Desk) -> None:
    write(root, {"a.py": CODE, "b.js": "let a = 1\n", "c.go": "package c\n"})
    desk.begin()
    await desk.ready()
    completion = CompletionSettings(disabled_files=("c.*",), disabled_languages=("javascript",))
    desk.index.settings_changed(Settings(completion=completion))
    await desk.until(lambda: desk.texts() == {"a.py": CODE})
    desk.index.settings_changed(Settings(memory=MemorySettings(workspace=False)))
    assert not desk.index.corpora("")
    assert not desk.index.names
    desk.index.settings_changed(Settings())
    await desk.until(lambda: len(desk.texts()) == 3)


async def test_folders_come_and_go(root: Path, tmp_path: Path) -> None:
    write(root, {"one/a.py": CODE, "two/b.py": CODE})
    desk = Desk(root, tmp_path / "index", [root / "one"])
    desk.begin()
    await desk.ready()
    assert list(desk.texts()) == ["one/a.py"]
    desk.folders = [root / "one", root / "two"]
    desk.index.settings_changed(Settings())
    await desk.until(lambda: sorted(desk.texts()) == ["one/a.py", "two/b.py"])
    desk.folders = [root / "two"]
    desk.index.settings_changed(Settings())
    await desk.until(lambda: list(desk.texts()) == ["two/b.py"])
    await desk.index.close()


async def test_another_vocabulary_indexes_again_and_none_forgets(root: Path, desk: Desk) -> None:
    write(root, {"a.py": CODE})
    desk.begin()
    await desk.ready()
    desk.index.model_changed(Path("other"))
    assert not desk.index.corpora("")
    await desk.until(desk.texts)
    desk.index.model_changed(None)
    assert not desk.index.corpora("")


async def test_process_that_dies_is_started_again_and_given_up_in_the_end(root: Path, desk: Desk) -> None:
    write(root, {"a.py": CODE})
    desk.begin()
    for _ in range(3):
        await desk.until(lambda: desk.texts() and desk.index.process_id)
        process_id = desk.index.process_id
        assert process_id is not None
        psutil.Process(process_id).kill()
        await desk.until(
            lambda former=process_id: desk.remarks or desk.index.process_id not in (None, former)
        )
    assert len(desk.remarks) == 1
    assert not desk.index.corpora("")


async def test_damaged_vocabulary_full_disk_and_home_are_said_once(root: Path, tmp_path: Path) -> None:
    write(root, {"a.py": CODE})
    storage = tmp_path / "file"
    storage.write_text("in the way of a folder")
    desk = Desk(root, storage, [root, HOME])
    desk.begin(vocabulary=Path("damaged"))
    await desk.until(lambda: len(desk.remarks) == 2)
    assert "vocabulary is damaged" in "".join(desk.remarks)
    assert "home folder" in "".join(desk.remarks)
    desk.index.model_changed(BYTES)
    await desk.until(lambda: desk.texts() and len(desk.remarks) == 3)
    assert "can't be saved" in desk.remarks[-1]
    write(root, {"b.py": CODE})
    desk.index.files_changed([(root / "b.py").as_uri()])
    await desk.until(lambda: len(desk.texts()) == 2)
    assert len(desk.remarks) == 3
    await desk.index.close()


async def test_files_that_no_editor_opened_are_found_for_snippets(root: Path, desk: Desk) -> None:
    write(
        root,
        {
            "shop/cart.py": "class Cart:\n    def total_price(self):\n        return sum(self.entries)\n",
            "shop/far.py": "def unrelated():\n    return 1\n",
            "shop/open.py": "from shop.cart import Cart\n\nclass Cart2(Cart): ...\n",
            "shop/secret.py": "class Cart:\n    ...\n",
        },
    )
    desk.begin()
    await desk.ready()
    write(root, {"shop/secret.py": f'class Cart:\n    API_KEY = "{RANDOM}"\n'})
    document = snapshot(root / "main.py", "from shop.cart import Cart\n\n\nprint(Cart())\n")
    desk.index.document_opened(snapshot(root / "shop" / "open.py"))
    desk.index.document_opened(document)
    desk.index.look_around(CompletionRequest(document, len(document.text) - 3), ByteTokenizer().encode)
    await desk.until(lambda: desk.index.related(document))
    paths = [other.path for other in desk.index.related(document)]
    assert paths[0] == "shop/cart.py"
    assert "shop/open.py" not in paths
    assert "shop/secret.py" not in paths
    chunks = desk.index.related(document)[0].chunks
    assert chunks[0].defines == "Cart"
    assert not desk.index.related(document)[0].is_open
    write(root, {"shop/cart.py": "class Other: ...\n"})
    desk.index.files_changed([(root / "shop" / "cart.py").as_uri()])
    await desk.until(lambda: "shop/cart.py" not in [o.path for o in desk.index.related(document)])


async def test_second_start_reads_nothing_that_is_the_same(root: Path, tmp_path: Path) -> None:
    write(root, {"a.py": CODE, "b.py": CODE, "c.py": f'API_KEY = "{RANDOM}"\n' + CODE})
    for name in "abc":
        os.utime(root / f"{name}.py", (1_000_000_000, 1_000_000_000))
    for saved, disk_mb in ((0, 0), (0, 256), (2, 256)):
        desk = Desk(root, tmp_path / "index")
        desk.begin(evolve(Settings(), memory=MemorySettings(disk_mb=disk_mb)))
        await desk.ready()
        assert sorted(desk.texts()) == ["a.py", "b.py"]
        assert desk.index.counts.saved == saved
        await desk.index.close()
        assert (tmp_path / "index").exists() == bool(disk_mb)


async def test_without_a_folder_no_process_is_started_and_the_log_says_so_once(
    tmp_path: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(root, tmp_path / "index")
    desk.folders = []
    with caplog.at_level("INFO", "fim_lsp"):
        for _ in range(2):
            desk.begin()
    assert [record.message for record in caplog.records] == [
        "The workspace is not indexed: the editor named no folder of it."
    ]
    desk.index.document_opened(snapshot(root / "a.py"))
    await asyncio.sleep(0)
    assert desk.index.process_id is None
    assert not desk.index.is_running
    await desk.index.close()
