"""What the process that indexes sends to the server: in which order, and how much at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.workspace.frames import Report
from fim_lsp.workspace.process import IndexingProcess, LoadedVocabulary
from tests.unit.workspace.conftest import write

MOST_FILES, MOST_HEADER_BYTES = 50, 20_000


def index(root: Path, storage: Path, on_report: Callable[[Report], None]) -> IndexingProcess:
    """Index a folder until all is done."""
    process = IndexingProcess(lambda path: LoadedVocabulary(path, ByteTokenizer().encode), on_report, storage)
    rules = {"disabled_files": [], "disabled_languages": []}
    process.handle({"kind": "start", "folders": [str(root)], "max_tokens": 100_000, "disk_mb": 1, **rules})
    process.handle({"kind": "vocabulary", "path": "bytes"})
    while not process.idle:
        process.work()
    return process


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
    index(root, tmp_path / "index", reports.append)
    assert max(len(report.files) for report in reports) == MOST_FILES
    paths = [file.path for report in reports for file in report.files]
    assert len(paths) == len(set(paths)) == 170
    header = max(int.from_bytes(report.encode()[:4], "little") for report in reports)
    assert header < MOST_HEADER_BYTES


def test_a_question_for_chunks_does_not_make_the_index_unready(root: Path, tmp_path: Path) -> None:
    write(root, {"a.py": "def total(items):\n    return sum(items)\n"})
    reports: list[Report] = []
    process = index(root, tmp_path / "index", reports.append)
    process.handle({"kind": "chunks", "number": 1, "paths": [str(root / "a.py")]})
    assert process.idle
    assert reports[-1].counts.done
    assert reports[-1].answer is not None
    assert [each["path"] for each in reports[-1].answer["documents"]] == [str(root / "a.py")]
