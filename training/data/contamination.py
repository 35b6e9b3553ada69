"""Evaluation data must not be trained on: a file that shares 13 words in a row with it is dropped.

13-grams are GPT-3's measure (arXiv 2005.14165, appendix C); punctuation does not count, so that a common
loop header is no match.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.data import DataError

GRAM = 13
_WORDS = re.compile(r"\w+")


def grams(text: str) -> Iterator[str]:
    """Every run of 13 words, lower case."""
    words = _WORDS.findall(text.lower())
    return (" ".join(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1))


def tells(gram: str) -> bool:
    """Whether most words of a run are words: a row of numbers proves nothing."""
    return sum(word[0].isalpha() and len(word) > 1 for word in gram.split(" ")) > GRAM // 2


def is_contaminated(text: str, known: frozenset[str]) -> bool:
    """Whether ``text`` shares a 13-gram with the evaluation files."""
    return bool(known) and any(gram in known for gram in grams(text))


def evaluation_grams(files: tuple[Path, ...]) -> frozenset[str]:
    """The 13-grams of evaluation files in JSON lines, gzipped or not: of each task's texts joined.

    A task is prefix, middle and suffix (``prompt``, ``canonical_solution``, ``suffix`` as in
    HumanEval-Infilling) and its ``test``; of other formats, each text.

    Raises:
        DataError: a file can't be read or is not JSON lines.
    """
    return frozenset(
        gram
        for file in files
        for task in _tasks(file)
        for text in _texts(task)
        for gram in grams(text)
        if tells(gram)
    )


def _tasks(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open() as lines:
            for line in lines:
                if line.strip():
                    task = json.loads(line)
                    if not isinstance(task, dict):
                        raise ValueError("a line is not an object")
                    yield task
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"The evaluation file {file} can't be read as JSON lines: {error}.",
            "Give JSON lines, gzipped or not, with one task a line.",
        ) from error


def _texts(task: dict[str, Any]) -> Iterator[str]:
    if "prompt" in task and "canonical_solution" in task:
        yield f"{task['prompt']}{task['canonical_solution']}{task.get('suffix', '')}"
        yield str(task.get("test", ""))
    else:
        yield from (value for value in task.values() if isinstance(value, str))
