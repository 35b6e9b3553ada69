"""Make the manifest of a data set: recipe, base, sources with their licences, versions, counts by reason.

Everything in it depends on the inputs alone. The model card lists its packages from here.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from fim_lsp.files import sha256_of
from training.bases import Base
from training.config import Recipe
from training.data.corpus import Corpus
from training.data.sampling import DrawnRows
from training.data.screening import SourceFile

_MEASURED = ("datasketch", "detect-secrets", "numpy", "tree-sitter")
"""Distributions whose version may change the rows."""


def make_manifest(
    corpus: Corpus,
    base: Base,
    recipe: Recipe,
    evaluation: tuple[Path, ...],
    drawn: Mapping[str, DrawnRows],
) -> dict[str, Any]:
    """Return all inputs that decide the rows, and the counts of files by reason; no times and no paths.

    :func:`training.data.dataset.write_dataset` adds the counts of rows and the hashes of the arrays.
    """
    return {
        "recipe": recipe.as_dict(),
        "base": {
            "name": base.name,
            "sha256": base.sha256,
            "template": base.template.name,
            "order": base.template.order,
            "end_id": base.end,
            "sentinels": dict(base.sentinels),
            "vocabulary_size": base.vocabulary_size,
        },
        "versions": _versions(),
        "evaluation": [{"name": file.name, "sha256": _file_digest(file)} for file in evaluation],
        "sources": _source_entries(corpus),
        "files": {
            "seen": corpus.seen,
            "train": len(corpus.train),
            "held_out": len(corpus.held_out),
            "dropped": dict(corpus.dropped),
            "characters": _characters(corpus.train),
        },
        "split": {"by": corpus.by, "held_out": list(corpus.held_out_units)},
        "draws_dropped": {part: dict(sorted(rows.dropped.items())) for part, rows in drawn.items()},
    }


def _characters(files: Sequence[SourceFile]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for file in files:
        counts[file.language] += len(file.text)
    return dict(sorted(counts.items()))


def _source_entries(corpus: Corpus) -> list[dict[str, Any]]:
    """Describe each source with files in the data set: name, version, licences, and a hash of its files."""
    by_source: dict[str, list[SourceFile]] = {source.name: [] for source in corpus.sources}
    for file in (*corpus.train, *corpus.held_out):
        by_source[file.source].append(file)
    return [
        {
            "name": source.name,
            "version": source.version,
            "licence": source.licence,
            "licences": sorted({file.licence for file in by_source[source.name]}),
            "files": len(by_source[source.name]),
            "characters": sum(len(file.text) for file in by_source[source.name]),
            "sha256": _joint_digest(by_source[source.name]),
        }
        for source in corpus.sources
        if by_source[source.name]
    ]


def _joint_digest(files: Sequence[SourceFile]) -> str:
    lines = sorted(f"{file.path} {file.digest}" for file in files)
    return sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _file_digest(file: Path) -> str:
    return sha256_of(file)


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    from fim_lsp import __version__

    found = {"fim-lsp": __version__, "python": platform.python_version()}
    for name in _MEASURED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
