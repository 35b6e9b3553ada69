from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.config import Recipe, RecipeError, make_recipe, structure


def test_later_layers_win(tmp_path: Path):
    file = tmp_path / "recipe.toml"
    file.write_text(
        'stage = "a"\n[data]\nfim_rate = 0.8\nseed = 3\n[data.spans]\nnode = 1.0\n[train]\nrank = 8\n'
    )
    recipe = make_recipe(file=file, flags={"stage": None, "data": {"seed": 4, "rows": None}})
    assert recipe.stage == "a"
    assert (recipe.data.fim_rate, recipe.data.seed, recipe.data.rows) == (0.8, 4, None)
    assert (recipe.data.spans.node, recipe.data.spans.lines) == (1.0, 0.2)
    assert recipe.data.context_rate == 0
    assert (recipe.train.rank, recipe.train.learning_rate) == (8, 5e-4)


def test_the_stage_chooses_the_preset():
    assert make_recipe().stage == "b"
    assert make_recipe(flags={"stage": "a"}).data.fim_rate == 0.9
    only_go = make_recipe("a", flags={"data": {"language_weights": {"go": 1.0}}})
    assert only_go.data.language_weights == {"go": 1.0}


def test_a_recipe_survives_being_stored():
    recipe = make_recipe("a")
    assert structure(json.loads(json.dumps(recipe.as_dict()))) == recipe != Recipe()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[data]\nfim_rat = 1\n", "unknown key fim_rat"),
        ("[data]\nfim_rate = 2\n", "fim_rate must be at most 1, not 2"),
        ('[data]\nrows = "many"\n', "rows"),
        ("[train]\nrank = true\n", "expected int, not True"),
        ('[data]\nsplit = "luck"\n', "expected one of auto, repository, directory, time"),
        ("data = 3\n", "expected a table"),
        ("[data]\nmin_tokens = 900\n", "min_tokens must not be above max_tokens"),
        ("[data.spans]\nnode = 0\nline_rest = 0\nlines = 0\nrandom = 0\nempty = 0\n", "above 0"),
        ("[data\n", "is not TOML"),
    ],
)
def test_bad_recipes_are_refused_by_name(tmp_path: Path, text: str, problem: str):
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(RecipeError, match=problem):
        make_recipe(file=tmp_path / "recipe.toml")
