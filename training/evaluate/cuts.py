"""Cut holes into source code: into a repository's files, or only into those that a data set held out.

Training rows are tokens of one vocabulary; holes of an evaluation are texts. Both are cut by the same code
(:mod:`training.data.spans`). Here one hole is cut into each file in turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from fim_lsp.files import sha256_of
from training.config import SpanMix
from training.evaluate import EvaluationError
from training.evaluate.infilling import EvaluationHole

if TYPE_CHECKING:
    from training.data.screening import SourceFile

_MIX = SpanMix(empty=0.1)
"""More empty holes than in training rows, so that there are enough to measure false suggestions."""
_MAX_ROUNDS = 200


def cut_repository(root: Path, count: int, seed: int) -> tuple[EvaluationHole, ...]:
    """Cut ``count`` holes into the code below ``root``; fewer where there is not enough of it.

    Args:
        root: a repository, folder or file.
        count: number of holes.
        seed: decides the files' order and every cut.

    Raises:
        EvaluationError: there is no code.
    """
    return cut_files(source_files(root), root.resolve().name, count, seed)


def cut_held_out(
    roots: tuple[Path, ...], dataset: Path, count: int, seed: int, evaluation: tuple[Path, ...] = ()
) -> tuple[EvaluationHole, ...]:
    """Cut ``count`` holes into the files that a data set held out of what it was prepared from.

    Args:
        roots: all repositories that the data set was prepared from.
        dataset: the data set's folder.
        count: number of holes.
        seed: decides the files' order and every cut.
        evaluation: files that the data set may have been decontaminated against.

    Raises:
        EvaluationError: there is no data set, its sources have changed since, or it held nothing out.
    """
    name = f"{dataset.resolve().name}, held out"
    return cut_files(_held_out(roots, dataset, evaluation), name, count, seed)


def cut_files(files: Sequence[SourceFile], source: str, count: int, seed: int) -> tuple[EvaluationHole, ...]:
    """Cut ``count`` holes into files, one into each in turn.

    A larger ``count`` gives the same holes and more behind them.

    Args:
        files: the files to cut.
        source: their name in the report.
        count: number of holes.
        seed: decides the files' order and every cut.

    Raises:
        EvaluationError: there are no files.
    """
    if not files:
        raise EvaluationError(f"There is no code to cut holes into: {source}.", "Give a folder with code.")
    in_turn = sorted(files, key=lambda file: sha256(f"{seed}\0{file.key}".encode()).digest())
    return tuple(islice(_cut(in_turn, source, seed), count))


def _cut(files: Sequence[SourceFile], source: str, seed: int) -> Iterator[EvaluationHole]:
    from training.data.spans import ParsedFile, choose_hole

    documents = [(file, ParsedFile(file.text, file.language)) for file in files]
    for turn in range(_MAX_ROUNDS):
        for file, document in documents:
            rng = Random(f"{seed}\0{file.key}\0{turn}")
            cut = choose_hole(document, _MIX, rng, anchored_rate=0.0)
            if cut is not None:
                yield EvaluationHole(
                    cut.prefix,
                    cut.middle,
                    cut.suffix,
                    cut.kind,
                    name=f"{file.key}#{turn}",
                    set=source,
                    path=file.path,
                    language=file.language,
                )


def source_files(root: Path) -> tuple[SourceFile, ...]:
    """Return every file of hand-written code; a measurement needs no licences."""
    from fim_lsp.code.languages import language_of
    from training.config import DataSettings
    from training.data.screening import ScreeningRules, SourceFile, read_text, text_problem
    from training.data.walk import list_files, name_problem

    if not root.exists():
        raise EvaluationError(f"There is no repository at {root}.", "Check the path given with --repo.")
    settings = DataSettings()
    rules = ScreeningRules(settings.max_file_bytes, settings.max_line_chars)
    folder = root if root.is_dir() else root.parent
    found = []
    for path in list_files(root):
        if name_problem(path) is None:
            text, problem = read_text(folder / path, rules)
            language = language_of(path, text)
            if not problem and language and not text_problem(text, rules):
                found.append(SourceFile(root.resolve().name, path, language.id, text))
    return tuple(found)


def _held_out(roots: tuple[Path, ...], dataset: Path, evaluation: tuple[Path, ...]) -> tuple[SourceFile, ...]:
    """Return the files that the data set held out, by splitting again with the recipe in its manifest."""
    from training.config import structure
    from training.data.corpus import build_corpus
    from training.data.sources import open_sources

    manifest = _manifest(dataset)
    recipe = structure(manifest["recipe"])
    excluded = {entry["sha256"] for entry in manifest["evaluation"]}
    avoided = tuple(file for file in evaluation if sha256_of(file) in excluded)
    own = all(source["licence"] == "own" for source in manifest["sources"])
    corpus = build_corpus(open_sources(roots, own=own), recipe.data, avoided)
    used = _digests((*corpus.train, *corpus.held_out))
    if used != {source["name"]: source["sha256"] for source in manifest["sources"]}:
        raise EvaluationError(
            f"The data set in {dataset} was not made from this code as it stands.",
            "Give all repositories that it was prepared from, unchanged, and its benchmarks with --holes.",
        )
    return corpus.held_out


def _manifest(dataset: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((dataset / "manifest.json").read_text(encoding="utf-8"))
        missing = {"recipe", "evaluation", "sources"} - set(manifest)
        if missing:
            raise ValueError(f"its manifest lacks {', '.join(sorted(missing))}")
    except (OSError, ValueError) as error:
        raise EvaluationError(
            f"There is no data set in {dataset}: {error}.", "Give what python -m training prepare wrote."
        ) from error
    return manifest


def _digests(files: Sequence[SourceFile]) -> dict[str, str]:
    """Return the digest of each source's files, as the manifest has it."""
    lines: dict[str, list[str]] = {}
    for file in files:
        lines.setdefault(file.source, []).append(f"{file.path} {file.digest}")
    return {
        source: sha256("\n".join(sorted(own_lines)).encode("utf-8", "surrogateescape")).hexdigest()
        for source, own_lines in lines.items()
    }
