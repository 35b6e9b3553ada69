"""Write and read a data set: flat arrays that are mapped into memory, and a manifest that is written last.

::

    DIR/manifest.json              recipe, base, sources with licences, counts, versions, hashes
    DIR/train/tokens.npy           all rows' tokens, one after the other: uint16, or uint32
    DIR/train/weights.npy          loss weight of each of them: float16
    DIR/train/rows.npy             one record for each row: its offset and length, and its description
    DIR/held_out/…                 likewise

The same inputs and seed give the same bytes: no file holds times or paths of the machine. A data set without
a manifest, or with arrays that differ from it, is refused, so a killed run leaves nothing that looks
complete.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from fim_lsp.files import sha256_of, write_text_atomically
from training.data import DataError
from training.data.rows import TrainingRow
from training.data.spans import EndKind, HoleKind, StartKind

FORMAT = 1
PARTS = ("train", "held_out")
KINDS: tuple[HoleKind, ...] = get_args(HoleKind)
START_KINDS: tuple[StartKind, ...] = get_args(StartKind)
END_KINDS: tuple[EndKind, ...] = get_args(EndKind)

_MANIFEST = "manifest.json"
_ARRAYS = ("tokens", "weights", "rows")
_ROW_DTYPE = np.dtype(
    [
        ("offset", "<i8"),
        ("length", "<i4"),
        ("middle_start", "<i4"),
        ("tail_start", "<i4"),
        ("kind", "u1"),
        ("start_kind", "u1"),
        ("end_kind", "u1"),
        ("language", "u1"),
        ("source", "<u2"),
        ("anchored", "u1"),
        ("snippets", "u1"),
    ]
)


@frozen
class StoredRow:
    """A row of a data set; its arrays are views into the file."""

    tokens: NDArray[np.unsignedinteger[Any]] = field(repr=False)
    """Shape (tokens,)."""
    weights: NDArray[np.float16] = field(repr=False)
    """Loss weight of each token as a target, shape (tokens,); 0 for no loss."""
    middle_start: int
    """Index of the middle's first token; 0 in a left-to-right row."""
    kind: HoleKind
    start_kind: StartKind
    end_kind: EndKind
    language: str
    source: str
    tail_start: int
    """Index of the first token of the text that stands directly before the middle (suffix first: the
    prefix)."""
    anchored: bool
    snippets: int


@frozen
class StoredRows(Sequence[StoredRow]):
    """The rows of one part of a data set: ``train`` or ``held_out``."""

    tokens: NDArray[np.unsignedinteger[Any]] = field(repr=False)
    weights: NDArray[np.float16] = field(repr=False)
    records: NDArray[np.void] = field(repr=False)
    languages: tuple[str, ...] = field(repr=False)
    sources: tuple[str, ...] = field(repr=False)

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Number of tokens of each row, shape (rows,)."""
        lengths: NDArray[np.int32] = self.records["length"]
        return lengths

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        record = self.records[index]
        start = int(record["offset"])
        end = start + int(record["length"])
        return StoredRow(
            tokens=self.tokens[start:end],
            weights=self.weights[start:end],
            middle_start=int(record["middle_start"]),
            kind=KINDS[record["kind"]],
            start_kind=START_KINDS[record["start_kind"]],
            end_kind=END_KINDS[record["end_kind"]],
            language=self.languages[record["language"]],
            source=self.sources[record["source"]],
            tail_start=int(record["tail_start"]),
            anchored=bool(record["anchored"]),
            snippets=int(record["snippets"]),
        )

    def __iter__(self) -> Iterator[StoredRow]:
        return (self[index] for index in range(len(self)))


@frozen
class DataSet:
    """Both parts of a data set, and its manifest."""

    path: Path
    train: StoredRows
    held_out: StoredRows
    manifest: Mapping[str, Any] = field(repr=False)


def write_dataset(
    folder: Path,
    parts: Mapping[str, Sequence[TrainingRow]],
    vocabulary_size: int,
    manifest: Mapping[str, Any],
) -> None:
    """Write both parts and, when they are complete, the manifest.

    Args:
        folder: of the data set.
        parts: the rows, by the part's name.
        vocabulary_size: of the base; decides between uint16 and uint32.
        manifest: what :func:`training.data.manifest.make_manifest` returned; counts and hashes are added.

    Raises:
        DataError: the disk is full or the folder can't be written.
    """
    rows = [row for part in parts.values() for row in part]
    languages = sorted({row.language for row in rows})
    sources = sorted({row.source for row in rows})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MANIFEST).unlink(missing_ok=True)
        for part, members in parts.items():
            (folder / part).mkdir(exist_ok=True)
            for name, array in _arrays(members, languages, sources, vocabulary_size).items():
                np.save(folder / part / f"{name}.npy", array, allow_pickle=False)
        whole = dict(manifest) | {
            "format": FORMAT,
            "languages": languages,
            "row_sources": sources,
            "rows": {part: count_rows(members) for part, members in parts.items()},
            "sha256": _digests(folder, tuple(parts)),
        }
        text = json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_text_atomically(folder / _MANIFEST, text)
    except OSError as error:
        raise DataError(
            f"The data set can't be written to {folder}: {error.strerror or error}.",
            "Free some room, or choose another folder with --output.",
        ) from error


def load_dataset(folder: Path, *, verify: bool = True) -> DataSet:
    """Open a data set; the arrays stay on disk until they are used.

    Args:
        folder: of the data set.
        verify: True to compare the files' hashes with the manifest's.

    Raises:
        DataError: there is no data set, it is incomplete or damaged, or of another format.
    """
    remedy = "Make it again: python -m training prepare."
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise DataError(
                f"The data set in {folder} has format {manifest['format']}, not {FORMAT}.", remedy
            )
        if verify and (found := _digests(folder, PARTS)) != manifest["sha256"]:
            wrong = ", ".join(sorted(name for name in found if found[name] != manifest["sha256"].get(name)))
            raise DataError(f"The data set in {folder} is damaged: {wrong}.", remedy)
        languages, sources = tuple(manifest["languages"]), tuple(manifest["row_sources"])
        train, held_out = (_open_part(folder / part, languages, sources) for part in PARTS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"There is no whole data set in {folder}: {error}.", remedy) from error
    return DataSet(folder, train, held_out, manifest)


def count_rows(rows: Sequence[TrainingRow]) -> dict[str, Any]:
    """Count a part's rows, tokens and supervised tokens, and its rows by kind and language."""
    holes = [row for row in rows if row.middle_start]
    return {
        "rows": len(rows),
        "tokens": sum(len(row.tokens) for row in rows),
        "supervised_tokens": sum(sum(weight > 0 for weight in row.weights) for row in rows),
        "middle_tokens": sum(len(row.tokens) - row.middle_start for row in holes),
        "anchored": sum(row.anchored for row in rows),
        "with_snippets": sum(row.snippets > 0 for row in rows),
        "by_kind": dict(sorted(Counter(row.kind for row in rows).items())),
        "by_start_kind": dict(sorted(Counter(row.start_kind for row in holes).items())),
        "by_end_kind": dict(sorted(Counter(row.end_kind for row in holes).items())),
        "by_language": dict(sorted(Counter(row.language for row in rows).items())),
    }


def _arrays(
    rows: Sequence[TrainingRow], languages: list[str], sources: list[str], vocabulary_size: int
) -> dict[str, NDArray[Any]]:
    lengths = [len(row.tokens) for row in rows]
    records = np.zeros(len(rows), _ROW_DTYPE)
    records["length"] = lengths
    records["offset"] = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)]) if rows else []
    records["middle_start"] = [row.middle_start for row in rows]
    records["tail_start"] = [row.tail_start for row in rows]
    records["kind"] = [KINDS.index(row.kind) for row in rows]
    records["start_kind"] = [START_KINDS.index(row.start_kind) for row in rows]
    records["end_kind"] = [END_KINDS.index(row.end_kind) for row in rows]
    numbers = {name: number for number, name in enumerate(languages)}
    records["language"] = [numbers[row.language] for row in rows]
    numbers = {name: number for number, name in enumerate(sources)}
    records["source"] = [numbers[row.source] for row in rows]
    records["anchored"] = [row.anchored for row in rows]
    records["snippets"] = [row.snippets for row in rows]
    narrow = vocabulary_size <= 1 << 16
    tokens = np.fromiter((token for row in rows for token in row.tokens), np.uint16 if narrow else np.uint32)
    weights = np.fromiter((weight for row in rows for weight in row.weights), np.float16)
    return {"tokens": tokens, "weights": weights, "rows": records}


def _open_part(folder: Path, languages: tuple[str, ...], sources: tuple[str, ...]) -> StoredRows:
    tokens, weights, records = (
        np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS
    )
    return StoredRows(tokens, weights, records, languages, sources)


def _digests(folder: Path, parts: tuple[str, ...]) -> dict[str, str]:
    names = (f"{part}/{array}.npy" for part in parts for array in _ARRAYS)
    return {name: sha256_of(folder / name) for name in names}
