from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from training.data import DataError, dataset
from training.data.dataset import load_dataset, write_dataset
from training.data.rows import TrainingRow


def _row(*tokens: int, middle_start: int = 1, source: str = "shop", snippets: int = 0) -> TrainingRow:
    weights = tuple(float(index >= middle_start) for index in range(len(tokens)))
    return TrainingRow(
        tokens=tokens,
        weights=weights,
        middle_start=middle_start,
        kind="node",
        start_kind="mid_word",
        end_kind="block_end",
        language="python",
        source=source,
        tail_start=max(0, middle_start - 1),
        anchored=True,
        snippets=snippets,
    )


_PARTS = {
    "train": [_row(1, 2, 3), _row(4, 5, middle_start=1, source="fig", snippets=2)],
    "held_out": [_row(6, 7)],
}


def _write(folder: Path, vocabulary: int = 300) -> None:
    write_dataset(folder, _PARTS, vocabulary, {"recipe": {"stage": "b"}})


def test_rows_are_read_back(tmp_path: Path):
    _write(tmp_path)
    found = load_dataset(tmp_path)
    assert len(found.train) == 2
    assert found.train.lengths.tolist() == [3, 2]
    first, second = found.train
    assert first.tokens.tolist() == [1, 2, 3]
    assert first.weights.tolist() == [0.0, 1.0, 1.0]
    assert (first.middle_start, first.tail_start) == (1, 0)
    assert (first.kind, first.start_kind, first.end_kind) == ("node", "mid_word", "block_end")
    assert (second.source, second.language, second.anchored, second.snippets) == ("fig", "python", True, 2)
    assert found.train[-1].tokens.tolist() == [4, 5]
    assert [row.tokens.tolist() for row in found.train[:1]] == [[1, 2, 3]]
    assert found.held_out[0].tokens.tolist() == [6, 7]
    assert found.manifest["rows"]["train"]["tokens"] == 5


def test_tokens_are_as_narrow_as_the_vocabulary_allows(tmp_path: Path):
    for vocabulary, kind in ((49_152, np.uint16), (65_536, np.uint16), (151_936, np.uint32)):
        _write(tmp_path, vocabulary)
        assert load_dataset(tmp_path).train.tokens.dtype == kind


def test_the_same_rows_give_the_same_bytes(tmp_path: Path):
    for name in "ab":
        _write(tmp_path / name)
    files = sorted(file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*") if file.is_file())
    assert len(files) == 7
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_an_empty_part_is_fine(tmp_path: Path):
    write_dataset(tmp_path, {"train": _PARTS["train"], "held_out": []}, 300, {})
    assert list(load_dataset(tmp_path).held_out) == []


def test_a_data_set_that_is_not_whole_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no whole data set"):
        load_dataset(tmp_path)
    _write(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(DataError, match="no whole data set"):
        load_dataset(tmp_path)


def test_a_damaged_data_set_is_refused(tmp_path: Path):
    _write(tmp_path)
    file = tmp_path / "train" / "tokens.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"damaged: train/tokens\.npy"):
        load_dataset(tmp_path)


def test_another_format_is_refused(tmp_path: Path):
    _write(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(DataError, match="format 99"):
        load_dataset(tmp_path)


def test_a_full_disk_is_said_and_leaves_nothing_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _write(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dataset.np, "save", full)
    with pytest.raises(DataError, match="No space left on device"):
        _write(tmp_path)
    with pytest.raises(DataError, match="no whole data set"):
        load_dataset(tmp_path)
