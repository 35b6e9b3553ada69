"""``python -m training sweep``: search for the recipe that suits a repository and a base.

::

    python -m training sweep --repo PATH --own --base NAME|PATH --output DIR --trials N --minutes-per-trial M

    DIR/best.toml      the best recipe, for --recipe of prepare, train and run
    DIR/*.png          plots of the trials and of the parameters
    DIR/study.sqlite   all trials, in optuna's format; run again, the command continues the search
    DIR/data/          a data set for each span mix; all have the same held-out rows
    DIR/trials/        losses of each trial

A trial trains for its minutes with a rank, an alpha, a learning rate and a span mix; its score is the
held-out NLL. A trial that is worse than the median of the earlier trials at the same point is stopped. The
first trial is the given recipe unchanged, so that the best recipe is never worse than it.
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from training.config import Recipe, make_recipe
from training.sweep import SweepError
from training.sweep.search_space import recipe_of, suggest, unchanged
from training.train import TrainError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial
    from rich.console import Console

    from training.bases import Base

STUDY, BEST = "study.sqlite", "best.toml"
_RECORD = "sweep.json"
_EVALUATIONS = 6
"""Held-out evaluations of a trial."""
_BEFORE_PRUNING = 2
"""Number of first trials that are never stopped, and number of first evaluations at which no trial is."""
_PROBLEM, _INSTEAD_OF = "problem", "instead_of"
"""Attributes of trials: the error that a trial ended with, and the number of the trial that it repeats."""
_PRECISION = "precision"
"""Attribute of the study. It is measured once: if both are about as fast, trials would differ in it."""
_BEFORE_MODELLING = 6
"""Trials with random parameters, before the sampler learns from them."""


@frozen
class SweepOptions:
    """The code to search on, and the length of the search."""

    repositories: tuple[Path, ...]
    base: Path
    output: Path
    trials: int
    """Number of all trials, with those of earlier runs."""
    minutes_per_trial: float
    recipe: Recipe
    """The recipe of the first trial."""
    own: bool = False
    """True if the repositories are the user's own, so that no licence is checked."""
    cpu: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's flags."""
    parser.add_argument(
        "--repo",
        type=Path,
        action="append",
        required=True,
        metavar="PATH",
        help="code to train on; may be given several times",
    )
    parser.add_argument("--own", action="store_true", help="the repositories are your own: check no licence")
    parser.add_argument(
        "--base",
        required=True,
        metavar="NAME|PATH",
        help="the model to train: a name of the catalog, a GGUF, or a folder of safetensors",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for everything; with the same folder and options a search continues",
    )
    parser.add_argument(
        "--trials", type=int, default=20, metavar="N", help="trials in all, with earlier ones (default: 20)"
    )
    parser.add_argument(
        "--minutes-per-trial", type=float, default=5.0, metavar="N", help="approximate time (default: 5)"
    )
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="the recipe to begin with")
    parser.add_argument(
        "--stage",
        choices=("a", "b"),
        help="defaults to use: a teaches the format, b tunes on a repository (default: b)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="seed of the data, of training and of the search"
    )
    parser.add_argument("--cpu", action="store_true", help="use no GPU")


def run(parsed: argparse.Namespace) -> int:
    """Search, print the trials, and return the exit code."""
    from rich.console import Console

    from training.sweep.report import trials_table

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    options = _read_options(parsed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optuna warns of its experimental parts
        study = sweep(options, console)
    console.print(trials_table(study))
    console.print(
        f"The best recipe is in {options.output / BEST}; give it to prepare, train or run with --recipe."
    )
    return 0


def sweep(options: SweepOptions, console: Console) -> Study:
    """Run the trials that are missing, and write the best recipe.

    Args:
        options: all but ``trials`` must stay the same when a search is continued.
        console: prints what is being done.

    Raises:
        FimLspError: there are no rows to train on or to evaluate on, the folder belongs to another search, or
            no trial succeeded.
    """
    from training.bases import open_base
    from training.record import lock_folder, open_record
    from training.sweep.report import draw_plots, write_best

    base = open_base(options.base)
    with lock_folder(options.output):
        open_record(options.output / _RECORD, _deciding_options(options, base))
        study = _open_study(options)
        missing = options.trials - sum(map(_counts, study.get_trials()))
        if missing > 0:
            study.optimize(
                lambda trial: _run_trial(trial, options, base, console),
                n_trials=missing,
                catch=(TrainError,),
                gc_after_trial=True,
            )
        best = _best(study)
        write_best(options.output / BEST, recipe_of(best.params, options.recipe), best, study)
        draw_plots(study, options.output)
    return study


def _run_trial(trial: Trial, options: SweepOptions, base: Base, console: Console) -> float:
    """Train with a trial's recipe, and return the best held-out NLL."""
    params = suggest(trial, options.recipe)
    recipe = recipe_of(params, options.recipe)
    description = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in params.items())
    console.print(f"Trial {trial.number + 1}: {description}")
    data = _data_set(params["spans"], recipe, options, base, console)
    folder = options.output / "trials" / f"{trial.number:03}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return _train(trial, data, folder, recipe, options)
    except TrainError as error:
        trial.set_user_attr(_PROBLEM, str(error))
        raise
    finally:
        for large in ("checkpoints", "adapter"):
            shutil.rmtree(folder / large, ignore_errors=True)


def _train(trial: Trial, data: Path, folder: Path, recipe: Recipe, options: SweepOptions) -> float:
    from optuna import TrialPruned

    from training.train.options import TrainOptions
    from training.train.train import train

    def on_evaluation(number: int, nll: float) -> None:
        trial.report(nll, number)
        if trial.should_prune():
            raise TrialPruned

    timed = attrs.evolve(recipe, train=attrs.evolve(recipe.train, minutes=options.minutes_per_trial))
    run = TrainOptions(
        data=data,
        base=str(options.base),
        output=folder,
        precision=trial.study.user_attrs[_PRECISION],
        keep=1,
        evaluations=_EVALUATIONS,
        checkpoints=1,
        cpu=options.cpu,
    )
    result = train(run, timed, on_evaluation)
    if not result.finished:
        raise KeyboardInterrupt
    if result.held_out_nll is None:
        raise SweepError("No held-out row has a hole to evaluate on.", "Raise data.fim_rate in the recipe.")
    return result.held_out_nll


def _data_set(mix: str, recipe: Recipe, options: SweepOptions, base: Base, console: Console) -> Path:
    """Return the data set of a span mix; make it at its first use. All have the same held-out rows."""
    from training.data.prepare import ProgressBars, prepare
    from training.data.sources import open_sources

    folder = options.output / "data" / mix.replace(" ", "-")
    if not (folder / "manifest.json").is_file():
        sources = open_sources(options.repositories, own=options.own)
        with ProgressBars(console) as bars:
            dataset = prepare(
                sources, base, recipe, folder, on_progress=bars.show, held_out_recipe=options.recipe
            )
        if not len(dataset.held_out):
            raise SweepError(
                "There is too little code to hold some back, so trials can't be compared.",
                "Add another repository with --repo.",
            )
    return folder


def _open_study(options: SweepOptions) -> Study:
    """Return the study in the folder or a new one, with the interrupted trials queued again."""
    import optuna

    from training.train.base_model import faster_precision
    from training.train.processes import training_device

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = f"sqlite:///{(options.output / STUDY).resolve()}"
    study = optuna.create_study(
        study_name="sweep", storage=storage, direction="minimize", load_if_exists=True
    )
    trials = study.get_trials()
    # The seed changes, because a continued search would otherwise draw the same parameters again.
    study.sampler = optuna.samplers.TPESampler(
        seed=options.recipe.train.seed + len(trials), n_startup_trials=_BEFORE_MODELLING
    )
    study.pruner = optuna.pruners.MedianPruner(
        n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=_BEFORE_PRUNING
    )
    if not trials:
        study.enqueue_trial(unchanged(options.recipe))
    if _PRECISION not in study.user_attrs:
        study.set_user_attr(_PRECISION, faster_precision(training_device(cpu=options.cpu)))
    _queue_again(study, trials)
    return study


def _queue_again(study: Study, trials: list[FrozenTrial]) -> None:
    """Queue the trials again that a killed or interrupted process left unfinished."""
    from optuna.trial import TrialState

    replaced = {trial.user_attrs.get(_INSTEAD_OF) for trial in trials}
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        unfinished = trial.state == TrialState.RUNNING or _was_interrupted(trial)
        if unfinished and trial.params and trial.number not in replaced:
            study.enqueue_trial(trial.params, user_attrs={_INSTEAD_OF: trial.number})


def _was_interrupted(trial: FrozenTrial) -> bool:
    from optuna.trial import TrialState

    return trial.state == TrialState.FAIL and _PROBLEM not in trial.user_attrs


def _counts(trial: FrozenTrial) -> bool:
    """Tell whether a trial counts: it finished, was stopped, or failed with an error."""
    return trial.state.is_finished() and not _was_interrupted(trial)


def _best(study: Study) -> FrozenTrial:
    from optuna.trial import TrialState

    if not study.get_trials(states=(TrialState.COMPLETE,)):
        problems = [
            trial.user_attrs[_PROBLEM] for trial in study.get_trials() if _PROBLEM in trial.user_attrs
        ]
        last = f" The last error: {problems[-1]}" if problems else ""
        raise SweepError(f"No trial finished.{last}", "Begin anew with another --recipe and --output.")
    return study.best_trial


def _read_options(parsed: argparse.Namespace) -> SweepOptions:
    from training.bases import resolve_base

    if parsed.trials < 1 or parsed.minutes_per_trial <= 0:
        raise SweepError(
            f"{parsed.trials} trials of {parsed.minutes_per_trial:g} minutes are not a search.",
            "Give --trials and --minutes-per-trial above 0.",
        )
    seeds = {"data": {"seed": parsed.seed}, "train": {"seed": parsed.seed}}
    return SweepOptions(
        repositories=tuple(parsed.repo),
        base=resolve_base(parsed.base),
        output=parsed.output,
        trials=parsed.trials,
        minutes_per_trial=parsed.minutes_per_trial,
        recipe=make_recipe(file=parsed.recipe, flags={"stage": parsed.stage, **seeds}),
        own=parsed.own,
        cpu=parsed.cpu,
    )


def _deciding_options(options: SweepOptions, base: Base) -> dict[str, Any]:
    """Return the options that must be the same so that trials can be compared."""
    return {
        "repositories": ", ".join(str(path.resolve()) for path in options.repositories),
        "base": f"{options.base.name} (sha256 {base.sha256[:12]})",
        "minutes_per_trial": options.minutes_per_trial,
        "own": options.own,
        "recipe": options.recipe.as_dict(),
    }
