"""Keep evaluation data out of the training data: find files that share 13 words in a row with it.

13-grams are the measure of GPT-3 (arXiv 2005.14165, appendix C). Punctuation does not count, so that a common
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
    """Yield every 13 words in a row, in lower case, joined by spaces."""
    words = _WORDS.findall(text.lower())
    return (" ".join(words[start : start + GRAM]) for start in range(len(words) - GRAM + 1))


def is_telling(gram: str) -> bool:
    """Check if most words of a 13-gram are words: a row of numbers is no evidence of a copy."""
    return sum(word[0].isalpha() and len(word) > 1 for word in gram.split(" ")) > GRAM // 2


def is_contaminated(text: str, evaluation: frozenset[str]) -> bool:
    """Check if ``text`` shares a 13-gram with the evaluation files."""
    return bool(evaluation) and any(gram in evaluation for gram in grams(text))


def evaluation_grams(files: tuple[Path, ...]) -> frozenset[str]:
    """Return the 13-grams of evaluation files in JSON lines, gzipped or not.

    In HumanEval-Infilling's format (``prompt``, ``canonical_solution``, ``suffix``, ``test``) a task's
    prefix, middle and suffix are one text and its test is another; in other formats each string of a task is
    a text.

    Raises:
        DataError: a file can't be read or is not JSON lines.
    """
    return frozenset(
        gram
        for file in files
        for task in _tasks(file)
        for text in _texts(task)
        for gram in grams(text)
        if is_telling(gram)
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
