"""The recipe: one frozen value with all settings of the data and of the training.

Later layers win: defaults, the stage's preset, a TOML file, flags. Types are strict and unknown keys are
refused by name, as in :mod:`fim_lsp.settings`. The recipe is stored beside everything that is made from it.
The numbers come from the FIM paper (arXiv 2207.14255), AST-FIM (arXiv 2506.00204), the rsLoRA paper (arXiv
2312.03732) and our own measurements; the model card says which is from where.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs
from attrs import field, frozen

from fim_lsp import strict
from fim_lsp.errors import FimLspError
from fim_lsp.strict import bounds

T = TypeVar("T")

Stage = Literal["a", "b"]
"""``a`` teaches a base the FIM format; ``b`` tunes a model that knows the format on a repository."""


class RecipeError(FimLspError):
    """A recipe with a wrong type, a value out of bounds or an unknown key."""


_WORDING = strict.Wording("recipe", "key", "a table")
_WHOLE = frozenset({"language_weights"})
"""Tables that a later layer replaces as a whole, so that it can remove a language that the preset names."""


def _value(default: T, *, at_least: float | None = None, at_most: float | None = None) -> T:
    """Return an attrs field with a default and bounds; None is allowed if the type allows it."""
    return field(default=default, validator=bounds(at_least, at_most))


@frozen
class SpanMix:
    """The frequency of each kind of hole; the shares are relative to their sum."""

    node: float = _value(0.35, at_least=0)
    """A node of the syntax tree (AST-FIM)."""
    line_rest: float = _value(0.30, at_least=0)
    """The rest of the line at a cursor."""
    lines: float = _value(0.15, at_least=0)
    """Whole lines."""
    random: float = _value(0.15, at_least=0)
    """Characters between two random places (the FIM paper)."""
    empty: float = _value(0.05, at_least=0)
    """An empty middle: the model learns to end at once."""

    def __attrs_post_init__(self) -> None:
        if sum(attrs.astuple(self)) <= 0:
            raise ValueError("the span mix must have a share above 0")


@frozen
class DataSettings:
    """The settings that turn repositories into rows. Lengths are in tokens unless the name says otherwise."""

    seed: int = 0
    rows: int | None = _value(None, at_least=1)
    """Training rows; None for one for every :attr:`chars_per_row` characters, within bounds."""
    chars_per_row: int = _value(250, at_least=1)
    held_out_rows: int = _value(300, at_least=0)
    held_out_share: float = _value(0.06, at_least=0, at_most=0.5)
    """Share of the characters that is kept for held-out rows."""
    split: Literal["auto", "repository", "directory", "time"] = "auto"
    """The unit that is not divided between training and held-out rows.

    auto: repositories, or the directories if there is only one repository.
    """
    max_tokens: int = _value(512, at_least=64)
    """Longest row, middle and end token included."""
    min_tokens: int = _value(64, at_least=8)
    """Shortest row; lengths between the two are drawn log-uniformly, so that short rows are frequent."""
    prefix_share: float = _value(0.75, at_least=0.1, at_most=1)
    """Share of a row's context that lies before the hole."""
    fim_rate: float = _value(0.7, at_least=0, at_most=1)
    """Share of the rows that have a hole; the others are plain left-to-right text."""
    spans: SpanMix = SpanMix()
    history_share: float = _value(0.2, at_least=0, at_most=1)
    """Share of the holes that are cut where recent commits inserted text, in sources that have a history."""
    history_commits: int = _value(400, at_least=0)
    """Most commits that are read."""
    history_half_life_days: float = _value(90.0, at_least=0.1)
    """Age at which a commit is chosen half as often as a new one."""
    anchored_rate: float = _value(0.5, at_least=0, at_most=1)
    """Share of the holes whose prompt ends with the beginning of the middle; the loss is on its rest."""
    max_middle_chars: int = _value(700, at_least=1)
    """Longest middle; a hole with a longer one is not used."""
    no_suffix_rate: float = _value(0.05, at_least=0, at_most=1)
    """Share of the holes at line ends after which the file is cut off, as in code that is being written."""
    prefix_loss_weight: float = _value(0.0, at_least=0, at_most=1)
    """Loss weight of the last prefix tokens if the middle follows them directly (suffix first)."""
    prefix_loss_tokens: int = _value(64, at_least=0)
    """Number of these prefix tokens."""
    end_weight: float = _value(1.0, at_least=0, at_most=100)
    """Loss weight of the end token; a row has one end token and many other tokens of the middle."""
    left_to_right_weight: float = _value(0.3, at_least=0, at_most=1)
    """Loss weight in left-to-right rows; they have ten times as many labels as a row with a hole."""
    context_rate: float = _value(0.5, at_least=0, at_most=1)
    """Share of the holes whose prompt has snippets of other files."""
    max_snippets: int = _value(3, at_least=0)
    """Most snippets of a prompt."""
    language_weights: Mapping[str, float] = field(factory=dict)
    """Share of the rows by language id; other languages divide the rest. Empty: the shares of the sources."""
    max_file_bytes: int = _value(1_000_000, at_least=1)
    """Larger files are dropped."""
    max_line_chars: int = _value(1000, at_least=1)
    """Files with a longer line are dropped."""
    max_source_files: int | None = _value(None, at_least=1)
    """Most files of one source; larger sources are sampled, because variety teaches more than one source."""
    near_duplicate: float = _value(0.7, at_least=0.1, at_most=1)
    """Jaccard similarity of 5-token shingles at which a file counts as a copy and is dropped."""
    same_side: float = _value(0.5, at_least=0.1, at_most=1)
    """Similarity at which two files must be on the same side of the split."""

    def __attrs_post_init__(self) -> None:
        if self.min_tokens > self.max_tokens:
            raise ValueError("min_tokens must not be above max_tokens")
        if self.same_side > self.near_duplicate:
            raise ValueError("same_side must not be above near_duplicate")


@frozen
class TrainSettings:
    """The settings of the training of a LoRA on a data set."""

    seed: int = 0
    rank: int = _value(32, at_least=1)
    alpha: int = _value(32, at_least=1)
    rslora: bool = True
    """Scale by alpha / sqrt(rank) instead of alpha / rank."""
    dropout: float = _value(0.0, at_least=0, at_most=0.9)
    learning_rate: float = _value(2e-4, at_least=0)
    """Peak learning rate; 5e-4 for a base that does not know the format."""
    warmup_share: float = _value(0.03, at_least=0, at_most=1)
    """Share of the run in which the learning rate rises."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    batch_rows: int = _value(16, at_least=1)
    """Rows of an optimiser step, over all processes and passes."""
    max_tokens: int = _value(512, at_least=16)
    """Longest row that is trained on; longer rows are skipped."""
    minutes: float | None = _value(None, at_least=0)
    """Approximate time of the run; None for a limit of tokens or steps."""
    max_steps: int | None = _value(None, at_least=1)
    checkpoint_every: int = _value(50, at_least=1)
    """Steps from one checkpoint to the next."""
    eval_every: int = _value(50, at_least=1)
    """Steps from one held-out evaluation to the next."""
    patience: int = _value(5, at_least=1)
    """Evaluations without a lower held-out middle NLL after which training stops."""


@frozen
class Recipe:
    """Everything that decides the trained model, apart from the sources and the base."""

    stage: Stage = "b"
    data: DataSettings = DataSettings()
    train: TrainSettings = TrainSettings()

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values, for TOML, JSON and hashes."""
        return attrs.asdict(self)


_STAGE_A: dict[str, Any] = {
    "data": {
        "fim_rate": 0.9,
        "context_rate": 0.0,
        "history_share": 0.0,
        "max_source_files": 250,
        "language_weights": {"python": 0.6, "javascript": 0.12, "typescript": 0.13},
        "spans": {"node": 0.28, "line_rest": 0.27, "lines": 0.2, "random": 0.2, "empty": 0.05},
    },
    "train": {"learning_rate": 5e-4},
}


def make_recipe(
    stage: Stage = "b", file: Path | None = None, flags: Mapping[str, Any] | None = None
) -> Recipe:
    """Merge preset, file and flags, and return the recipe.

    Args:
        stage: the stage with the preset; a stage named in the file or in the flags wins.
        file: a TOML file with the tables ``data``, ``data.spans`` and ``train``.
        flags: nested like the file; None values are flags that were not given.

    Raises:
        RecipeError: a value is bad; the message names each one with its path.
    """
    layers = [read_toml(file) if file else {}, _without_none(flags or {})]
    named = next((layer["stage"] for layer in reversed(layers) if "stage" in layer), stage)
    preset = _STAGE_A if named == "a" else {}
    return structure(strict.merge({"stage": named}, preset, *layers, whole=_WHOLE))


def structure(values: Mapping[str, Any]) -> Recipe:
    """Return the recipe made of plain values, as :meth:`Recipe.as_dict` gives them.

    Raises:
        RecipeError: a value is bad; the message names each one with its path.
    """
    try:
        return strict.structure(values, Recipe, _WORDING)
    except strict.StrictError as error:
        raise RecipeError(f"Bad recipe: {error}.") from error


def read_toml(file: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        RecipeError: it can't be read, or it is not TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"The recipe {file} can't be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise RecipeError(f"The recipe {file} is not TOML: {error}.") from error


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }
