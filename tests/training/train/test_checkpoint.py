from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from training.train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, step, {"weight": torch.full((3,), float(step))}, {"step": step}, keep=2)


def test_the_last_ones_stay_and_the_newest_is_read(tmp_path: Path) -> None:
    save(tmp_path, 9, 10, 110)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000110"]
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.progress == {"step": 110}
    assert found.tensors["weight"].tolist() == [110.0] * 3


@pytest.mark.parametrize("name", ["state.safetensors", "progress.json", "manifest.json"])
@pytest.mark.parametrize("damage", [b"", b"{}", None])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, name: str, damage: bytes | None
) -> None:
    save(tmp_path, 1, 2)
    broken = tmp_path / "step-00000002" / name
    content = broken.read_bytes()
    broken.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if damage is None else damage)
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.progress == {"step": 1}


def test_what_a_killed_process_left_is_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "step-00000001").rename(tmp_path / ".step-00000002.part")
    assert load_checkpoint(tmp_path) is None


def test_a_full_disk_leaves_the_checkpoints_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", full)
        with pytest.raises(CheckpointError, match=r"disk is full.*Free some room.*--resume"):
            save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert load_checkpoint(tmp_path) is not None
