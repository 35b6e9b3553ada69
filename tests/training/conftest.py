from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from tests.training.tiny import save_folder, save_rows, tiny_model
from training.config import Recipe, make_recipe
from training.train.options import TrainOptions


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a Llama-shaped random model as a folder."""
    return save_folder(tiny_model(), tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_rows(tmp_path_factory.mktemp("rows"))


@pytest.fixture
def options(tmp_path: Path, base: Path, data: Path) -> TrainOptions:
    """Provide a run on one thread, so that sums are always taken in the same order."""
    return TrainOptions(
        data=data,
        base=str(base),
        output=tmp_path / "run",
        precision="fp32",
        pass_tokens=128,
        cpu=True,
        threads=1,
    )


@pytest.fixture
def recipe() -> Recipe:
    made = make_recipe("a", flags={"train": {"rank": 4, "alpha": 4, "batch_rows": 8, "max_steps": 24}})
    return evolve(made, train=evolve(made.train, eval_every=8, checkpoint_every=3, learning_rate=3e-2))
