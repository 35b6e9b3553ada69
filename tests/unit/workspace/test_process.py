"""What the process that indexes sends to the server: in which order, and how much at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.workspace.frames import Report
from fim_lsp.workspace.index_file import IndexFiles
from fim_lsp.workspace.process import IndexingProcess, LoadedVocabulary
from tests.unit.workspace.conftest import write

MOST_FILES, MOST_HEADER_BYTES = 50, 20_000


def index(
    root: Path,
    storage: Path,
    on_report: Callable[[Report], None] = lambda report: None,
    *,
    vocabulary: str = "bytes",
    max_tokens: int = 100_000,
    clock: Callable[[], float] = time.monotonic,
) -> IndexingProcess:
    """Index a folder until all is done."""
    process = IndexingProcess(
        lambda path: LoadedVocabulary(path, ByteTokenizer().encode), on_report, storage, clock
    )
    rules = {"disabled_files": [], "disabled_languages": []}
    process.handle({"kind": "start", "folders": [str(root)], "max_tokens": max_tokens, "disk_mb": 1, **rules})
    process.handle({"kind": "vocabulary", "path": vocabulary})
    settle(process)
    return process


def settle(process: IndexingProcess) -> None:
    """Let the process work until it has nothing to do."""
    while not process.idle:
        process.work()


def change(process: IndexingProcess, root: Path, files: dict[str, str]) -> None:
    """Write files and let the process follow."""
    write(root, files)
    process.handle({"kind": "changed", "uris": [(root / name).as_uri() for name in files]})
    settle(process)


def saved(root: Path, storage: Path, vocabulary: str = "bytes") -> list[str]:
    """Return the names of the files whose tokens are on the disk."""
    files = IndexFiles(storage, vocabulary, 1_000_000).load(str(root))
    return sorted(Path(file.path).name for file in files if len(file.tokens))


def test_all_is_saved_before_the_server_hears_that_all_is_done(root: Path, tmp_path: Path) -> None:
    write(root, {f"f{number}.py": f"old_{number} = call()\n" for number in range(5)})
    storage, saved_when_done = tmp_path / "index", list[bool]()

    def on_report(report: Report) -> None:
        if report.counts.done:
            saved_when_done.append(any(path.is_file() for path in storage.rglob("*")))

    index(root, storage, on_report)
    assert saved_when_done == [True]


def test_a_message_holds_few_files(root: Path, tmp_path: Path) -> None:
    write(root, {f"d{number % 3}/f{number}.py": f"old_{number} = call()\n" for number in range(170)})
    reports: list[Report] = []
    process = index(root, tmp_path / "index", reports.append)
    assert max(len(report.files) for report in reports) == MOST_FILES
    paths = [file.path for report in reports for file in report.files]
    assert len(paths) == len(set(paths)) == 170
    header = max(int.from_bytes(report.encode()[:4], "little") for report in reports)
    assert header < MOST_HEADER_BYTES
    for number in range(170):
        (root / f"d{number % 3}" / f"f{number}.py").unlink()
    reports.clear()
    process.handle({"kind": "look_again"})
    settle(process)
    assert max(len(report.gone) for report in reports) == MOST_FILES
    assert sorted(path for report in reports for path in report.gone) == sorted(paths)


def test_a_question_for_chunks_does_not_make_the_index_unready(root: Path, tmp_path: Path) -> None:
    write(root, {"a.py": "def total(items):\n    return sum(items)\n"})
    reports: list[Report] = []
    process = index(root, tmp_path / "index", reports.append)
    process.handle({"kind": "chunks", "number": 1, "paths": [str(root / "a.py")]})
    assert process.idle
    assert reports[-1].counts.done
    assert reports[-1].answer is not None
    assert [each["path"] for each in reports[-1].answer["documents"]] == [str(root / "a.py")]


def test_what_must_stay_out_leaves_the_disk_at_once_and_other_changes_in_time(
    root: Path, tmp_path: Path
) -> None:
    storage, now = tmp_path / "index", [1000.0]
    write(root, {f"{name}.py": f"{name} = call()\n" for name in "abcd"})
    index(root, storage, vocabulary="other")
    process = index(root, storage, clock=lambda: now[0])
    assert saved(root, storage) == saved(root, storage, "other") == ["a.py", "b.py", "c.py", "d.py"]
    now[0] += 1
    change(process, root, {"e.py": "e = call()\n"})
    assert "e.py" not in saved(root, storage)
    assert saved(root, storage, "other")
    change(process, root, {"a.py": 'token = "ghp_' + "a1B2" * 10 + '"\n'})
    assert saved(root, storage) == ["b.py", "c.py", "d.py", "e.py"]
    # An index of another model's tokens holds the same text.
    assert not saved(root, storage, "other")
    change(process, root, {".gitignore": "b.py\n"})
    assert saved(root, storage) == ["c.py", "d.py", "e.py"]
    (root / "c.py").unlink()
    process.handle({"kind": "changed", "uris": [(root / "c.py").as_uri()]})
    settle(process)
    assert saved(root, storage) == ["d.py", "e.py"]
    change(process, root, {"f.py": "f = call()\n"})
    now[0] += 600
    # As it wakes once in a while, with nothing to do.
    process.work()
    assert saved(root, storage) == ["d.py", "e.py", "f.py"]


def test_files_that_the_budget_displaces_are_not_written_off_at_once(root: Path, tmp_path: Path) -> None:
    storage = tmp_path / "index"
    write(root, {f"{name}/x.py": "a = call()\n" for name in "ab"})
    process = index(root, storage, max_tokens=15, clock=lambda: 1000.0)
    (path,) = storage.iterdir()
    before = path.stat().st_ino
    for name in "aba":
        uri = (root / name / "x.py").as_uri()
        process.handle({"kind": "opened", "uri": uri, "language": "python", "text": ""})
        settle(process)
    assert path.stat().st_ino == before


def test_what_was_ignored_while_no_server_ran_leaves_the_disk_with_the_next_start(
    root: Path, tmp_path: Path
) -> None:
    storage = tmp_path / "index"
    write(root, {"a.py": "a = call()\n"})
    index(root, storage)
    assert saved(root, storage) == ["a.py"]
    write(root, {".gitignore": "a.py\n"})
    index(root, storage)
    assert saved(root, storage) == []
