from __future__ import annotations

from pathlib import Path

import pytest

from training.evaluate import EvaluationError
from training.evaluate.records import AnswerRecord, ResultJournal


def test_what_was_added_is_there_the_next_time(tmp_path: Path) -> None:
    with ResultJournal(tmp_path / "new" / "answers.jsonl") as journal:
        journal.add(AnswerRecord("one", written="a", finish="end"))
        journal.add({"key": "two", "passed": True})
    with ResultJournal(tmp_path / "new" / "answers.jsonl") as journal:
        assert journal.record("one") == AnswerRecord("one", written="a", finish="end")
        assert journal.get("two") == {"key": "two", "passed": True}
        assert journal.record("two") is None
        assert journal.get("three") is None


def test_the_line_that_a_kill_cut_in_half_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('{"key": "one"}\nno json\n{"key": "tw')
    with ResultJournal(file) as journal:
        assert journal.get("one")
        journal.add({"key": "two"})
    assert file.read_text().splitlines()[-1] == '{"key": "two"}'


def test_the_last_of_several_lines_counts(tmp_path: Path) -> None:
    with ResultJournal(tmp_path / "a.jsonl") as journal:
        journal.add({"key": "one", "n": 1})
        journal.add({"key": "one", "n": 2})
    with ResultJournal(tmp_path / "a.jsonl") as journal:
        assert journal.get("one") == {"key": "one", "n": 2}


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match="kept"):
        ResultJournal(tmp_path / "file" / "answers.jsonl")
