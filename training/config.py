"""The recipe: one frozen value that says how data is made and how a model is trained on it.

Defaults < the stage's preset < a TOML file < flags given by hand. Types are strict and unknown keys are
refused by name, as in :mod:`fim_lsp.settings`. The recipe is stored beside everything made from it. The
numbers come from the FIM paper (arXiv 2207.14255), AST-FIM (arXiv 2506.00204), the rsLoRA paper
(arXiv 2312.03732) and own measurements; the model card names which.
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
"""``a`` teaches a base the format; ``b`` tunes a model that has it on a repository."""


class RecipeError(FimLspError):
    """A recipe with a wrong type, a value out of bounds or an unknown key."""


_WORDING = strict.Wording("recipe", "key", "a table")
_WHOLE = frozenset({"language_weights"})
"""Weights are one value: a language that the preset names must be removable."""


def _value(default: T, *, at_least: float | None = None, at_most: float | None = None) -> T:
    """An attrs field with bounds; None passes where the type allows it."""
    return field(default=default, validator=bounds(at_least, at_most))


@frozen
class SpanMix:
    """How often each kind of hole is cut; the shares are relative to their sum."""

    node: float = _value(0.35, at_least=0)
    """A node of the syntax tree (AST-FIM)."""
    line_rest: float = _value(0.30, at_least=0)
    """The rest of the line at a cursor."""
    lines: float = _value(0.15, at_least=0)
    """Whole lines."""
    random: float = _value(0.15, at_least=0)
    """Characters at random (the FIM paper)."""
    empty: float = _value(0.05, at_least=0)
    """Nothing is missing: the model learns to stop at once."""

    def __attrs_post_init__(self) -> None:
        if sum(attrs.astuple(self)) <= 0:
            raise ValueError("the span mix must have a share above 0")


@frozen
class DataSettings:
    """How repositories become rows. Lengths are tokens unless the name says otherwise."""

    seed: int = 0
    rows: int | None = _value(None, at_least=1)
    """Training rows; None makes one for every :attr:`chars_per_row` characters, within bounds."""
    chars_per_row: int = _value(250, at_least=1)
    held_out_rows: int = _value(300, at_least=0)
    held_out_share: float = _value(0.06, at_least=0, at_most=0.5)
    """Part of the characters that is kept for held-out rows."""
    split: Literal["auto", "repository", "directory", "time"] = "auto"
    """What is never divided between training and held-out; auto: repositories, or directories of one."""
    max_tokens: int = _value(512, at_least=64)
    """Longest row, middle and end token included."""
    min_tokens: int = _value(64, at_least=8)
    """Shortest row; lengths between the two are drawn log-uniformly, so that short rows are frequent."""
    prefix_share: float = _value(0.75, at_least=0.1, at_most=1)
    fim_rate: float = _value(0.7, at_least=0, at_most=1)
    """Part of the rows with a hole; the rest is left to right."""
    spans: SpanMix = SpanMix()
    history_share: float = _value(0.2, at_least=0, at_most=1)
    """Part of the holes cut where recent commits inserted, in sources that have a history."""
    history_commits: int = _value(400, at_least=0)
    history_half_life_days: float = _value(90.0, at_least=0.1)
    anchored_rate: float = _value(0.5, at_least=0, at_most=1)
    """Part of the holes whose beginning is already typed; the loss is on what follows."""
    max_middle_chars: int = _value(700, at_least=1)
    """A longer middle is never cut; its hole is not used."""
    no_suffix_rate: float = _value(0.05, at_least=0, at_most=1)
    """Part of the holes at line ends behind which the file is cut off, as in code still being written."""
    prefix_loss_weight: float = _value(0.0, at_least=0, at_most=1)
    """Loss weight of the last prefix tokens where the middle follows them directly (suffix first)."""
    prefix_loss_tokens: int = _value(64, at_least=0)
    end_weight: float = _value(1.0, at_least=0, at_most=100)
    """Loss weight of the end token, of which a row has one and the middle's other tokens many."""
    left_to_right_weight: float = _value(0.3, at_least=0, at_most=1)
    """Loss weight in left-to-right rows: they have ten times as many targets as a row with a hole."""
    context_rate: float = _value(0.5, at_least=0, at_most=1)
    """Part of the holes that see snippets of other files."""
    max_snippets: int = _value(3, at_least=0)
    language_weights: Mapping[str, float] = field(factory=dict)
    """Part of the rows by language id; languages not named share the rest. Empty: as the sources are."""
    max_file_bytes: int = _value(1_000_000, at_least=1)
    max_line_chars: int = _value(1000, at_least=1)
    max_source_files: int | None = _value(None, at_least=1)
    """Files taken of one source, a sample of the larger ones; variety teaches more than any one of them."""
    near_duplicate: float = _value(0.7, at_least=0.1, at_most=1)
    """Jaccard similarity of 5-token shingles from which a file counts as a copy."""
    same_side: float = _value(0.5, at_least=0.1, at_most=1)
    """Similarity from which two files may not stand on both sides of the split."""

    def __attrs_post_init__(self) -> None:
        if self.min_tokens > self.max_tokens:
            raise ValueError("min_tokens must not be above max_tokens")
        if self.same_side > self.near_duplicate:
            raise ValueError("same_side must not be above near_duplicate")


@frozen
class TrainSettings:
    """How a LoRA is trained on a data set."""

    seed: int = 0
    rank: int = _value(32, at_least=1)
    alpha: int = _value(32, at_least=1)
    rslora: bool = True
    """Scale by alpha / sqrt(rank) instead of alpha / rank."""
    dropout: float = _value(0.0, at_least=0, at_most=0.9)
    learning_rate: float = _value(2e-4, at_least=0)
    """Peak; 5e-4 for a base that does not know the format."""
    warmup_share: float = _value(0.03, at_least=0, at_most=1)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    batch_rows: int = _value(16, at_least=1)
    """Rows to an optimiser step, over all processes and accumulated passes."""
    max_tokens: int = _value(512, at_least=16)
    """Longest row that is trained on; longer ones are skipped."""
    minutes: float | None = _value(None, at_least=0)
    max_steps: int | None = _value(None, at_least=1)
    checkpoint_every: int = _value(50, at_least=1)
    """Steps."""
    eval_every: int = _value(50, at_least=1)
    """Steps."""
    patience: int = _value(5, at_least=1)
    """Evaluations without a better held-out middle NLL before training stops."""


@frozen
class Recipe:
    """Everything that decides what comes out, apart from the sources and the base."""

    stage: Stage = "b"
    data: DataSettings = DataSettings()
    train: TrainSettings = TrainSettings()

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, for TOML, JSON and hashes."""
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
    """Merge the layers and structure them once.

    Args:
        stage: whose preset to begin with; a stage named in the file or in the flags wins.
        file: a TOML file with the tables ``data``, ``data.spans`` and ``train``.
        flags: nested like the file; None values are flags that were not given.

    Raises:
        RecipeError: names each bad value with its path.
    """
    layers = [read_toml(file) if file else {}, _without_none(flags or {})]
    named = next((layer["stage"] for layer in reversed(layers) if "stage" in layer), stage)
    preset = _STAGE_A if named == "a" else {}
    return structure(strict.merge({"stage": named}, preset, *layers, whole=_WHOLE))


def structure(values: Mapping[str, Any]) -> Recipe:
    """A recipe from plain values, as :meth:`Recipe.as_dict` gives them.

    Raises:
        RecipeError: names each bad value with its path.
    """
    try:
        return strict.structure(values, Recipe, _WORDING)
    except strict.StrictError as error:
        raise RecipeError(f"Bad recipe: {error}.") from error


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        RecipeError: it can't be read, or is not TOML.
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
