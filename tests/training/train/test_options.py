from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.training.tiny import save_rows
from training.config import RecipeError
from training.train.options import add_arguments, options_from, recipe_from


def parse(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--base", "x.gguf", "--output", "out", *flags])


def test_flags_become_options_and_recipe(tmp_path: Path) -> None:
    parsed = parse(
        *("--data", str(tmp_path), "--lr", "3e-4", "--rank", "8", "--max-tokens", "5000", "--method", "dora"),
        *("--trackers", "tensorboard,wandb", "--pass-tokens", "512", "--qlora", "--max-row-tokens", "256"),
    )
    options, recipe = options_from(parsed), recipe_from(parsed)
    assert (options.max_train_tokens, options.method, options.pass_tokens) == (5000, "dora", 512)
    assert options.trackers == ("tensorboard", "wandb")
    assert (options.qlora, options.cpu, options.precision) == (True, False, "auto")
    assert (recipe.train.learning_rate, recipe.train.rank, recipe.train.max_tokens) == (3e-4, 8, 256)
    assert recipe.stage == "b"


def test_the_stage_is_the_data_set_s(tmp_path: Path) -> None:
    save_rows(tmp_path / "rows")
    assert recipe_from(parse("--data", str(tmp_path / "rows"))).train.learning_rate == 5e-4
    assert recipe_from(parse("--data", str(tmp_path / "rows"), "--stage", "b")).stage == "b"


def test_a_value_out_of_bounds_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="rank must be at least 1"):
        recipe_from(parse("--data", str(tmp_path), "--rank", "0"))
