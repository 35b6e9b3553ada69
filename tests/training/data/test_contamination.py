from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from training.data import DataError
from training.data.contamination import GRAM, evaluation_grams, grams, is_contaminated

_WORDS = [f"word{number}" for number in range(30)]


def test_thirteen_words_in_a_row_are_a_match_whatever_stands_between():
    known = frozenset(grams(" ".join(_WORDS)))
    assert len(known) == 30 - GRAM + 1
    assert is_contaminated("x = (" + ", ".join(word.upper() for word in _WORDS[3:16]) + ")", known)
    assert not is_contaminated(" ".join(_WORDS[3:15]), known)
    assert not is_contaminated(" ".join(_WORDS), frozenset())


def test_a_task_is_joined_before_it_is_cut(tmp_path: Path):
    task = {
        "task_id": "t/1",
        "prompt": " ".join(_WORDS[:6]) + " ",
        "canonical_solution": " ".join(_WORDS[6:10]) + "\n",
        "suffix": " ".join(_WORDS[10:20]),
    }
    for name, opener in (("a.jsonl", open), ("a.jsonl.gz", gzip.open)):
        with opener(tmp_path / name, "wt") as file:
            file.write(json.dumps(task) + "\n\n")
        assert " ".join(_WORDS[:13]) in evaluation_grams((tmp_path / name,))


@pytest.mark.parametrize("content", [b"not json\n", b"[1]\n", b"\x1f\x8b\x08 broken"])
def test_a_file_that_is_no_json_lines_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / ("a.jsonl.gz" if content.startswith(b"\x1f") else "a.jsonl")
    path.write_bytes(content)
    with pytest.raises(DataError, match="can't be read as JSON lines"):
        evaluation_grams((path,))


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"gone\.jsonl"):
        evaluation_grams((tmp_path / "gone.jsonl",))
