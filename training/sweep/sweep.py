"""``python -m training sweep``: search for the recipe that suits a repository and a base.

::

    python -m training sweep --repo PATH --own --base NAME|PATH --output DIR --trials N --minutes-per-trial M

    DIR/best.toml      the best recipe, for prepare, train and run (--recipe)
    DIR/*.png          how the search went, and what mattered
    DIR/study.sqlite   all trials, in optuna's format; run again, the search goes on
    DIR/data/          a data set for each span mix; all have the same held-out rows
    DIR/trials/        losses of each trial

A trial trains for its minutes with a rank, an alpha, a learning rate and a span mix, and is judged by
held-out NLL. One that is worse than the median of those before it at the same point is given up. The first
trial is the recipe as it is, so that the best is never worse than where the search began.
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
from training.sweep.report import SweepError
from training.sweep.search_space import as_it_is, recipe_of, suggest
from training.train.prepared import TrainError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial
    from rich.console import Console

    from training.bases import Base

STUDY, BEST = "study.sqlite", "best.toml"
_RECORD = "sweep.json"
_EVALUATIONS = 6
_BEFORE_PRUNING = 2
"""Trials that come to their end in any case, and evaluations of each."""
_PROBLEM, _INSTEAD_OF = "problem", "instead_of"
"""Notes on trials: why one failed by itself, and which one it takes the place of."""
_PRECISION = "precision"
"""Note on the study: measured once, or trials would differ in it where the two are about as fast."""
_BEFORE_MODELLING = 6
"""Trials drawn at random before the search learns from them."""


@frozen
class SweepOptions:
    """What to search on, and for how long."""

    repositories: tuple[Path, ...]
    base: Path
    output: Path
    trials: int
    """In all, those of earlier runs included."""
    minutes_per_trial: float
    recipe: Recipe
    """Where the search begins."""
    own: bool = False
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
    parser.add_argument("--own", action="store_true", help="the repositories are yours: ask for no licence")
    parser.add_argument("--base", required=True, metavar="NAME|PATH", help="as for prepare and train")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="a rerun goes on here")
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="in all, with earlier ones (20)")
    parser.add_argument("--minutes-per-trial", type=float, default=5.0, metavar="N", help="about (5)")
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="where to begin")
    parser.add_argument("--stage", choices=("a", "b"), help="whose preset to begin with")
    parser.add_argument("--seed", type=int, help="of the data, of training and of the search")
    parser.add_argument("--cpu", action="store_true", help="leave the GPU alone")


def run(parsed: argparse.Namespace) -> int:
    """Search, and print the trials and where the best recipe is."""
    from rich.console import Console

    from training.sweep.report import trials_table

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    options = _options(parsed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optuna calls half of itself experimental
        study = sweep(options, console)
    console.print(trials_table(study))
    console.print(
        f"The best recipe is in {options.output / BEST}: prepare, train and run take it (--recipe)."
    )
    return 0


def sweep(options: SweepOptions, console: Console) -> Study:
    """Run the trials that are missing and write down the best.

    Args:
        options: all but ``trials`` must stay the same when a search is continued.
        console: where it says what it does.

    Raises:
        FimLspError: nothing to train on or to judge by, another search's folder, or no trial succeeded.
    """
    from training.bases import open_base
    from training.record import lock_folder, open_record
    from training.sweep.report import draw_plots, write_best

    base = open_base(options.base)
    with lock_folder(options.output):
        open_record(options.output / _RECORD, _decisive(options, base))
        study = _open_study(options)
        missing = options.trials - sum(map(_is_over, study.get_trials()))
        if missing > 0:
            study.optimize(
                lambda trial: _try(trial, options, base, console),
                n_trials=missing,
                catch=(TrainError,),
                gc_after_trial=True,
            )
        best = _best(study)
        write_best(options.output / BEST, recipe_of(best.params, options.recipe), best, study)
        draw_plots(study, options.output)
    return study


def _try(trial: Trial, options: SweepOptions, base: Base, console: Console) -> float:
    """Train with a trial's recipe; returns the best held-out NLL."""
    params = suggest(trial, options.recipe)
    recipe = recipe_of(params, options.recipe)
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in params.items())
    console.print(f"Trial {trial.number + 1}: {told}")
    data = _data(params["spans"], recipe, options, base, console)
    folder = options.output / "trials" / f"{trial.number:03}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return _trained_nll(trial, data, folder, recipe, options)
    except TrainError as error:
        trial.set_user_attr(_PROBLEM, str(error))
        raise
    finally:
        for large in ("checkpoints", "adapter"):
            shutil.rmtree(folder / large, ignore_errors=True)


def _trained_nll(trial: Trial, data: Path, folder: Path, recipe: Recipe, options: SweepOptions) -> float:
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
        raise SweepError("No held-out row has a hole to judge by.", "Raise data.fim_rate in the recipe.")
    return result.held_out_nll


def _data(mix: str, recipe: Recipe, options: SweepOptions, base: Base, console: Console) -> Path:
    """The data set of a span mix, made when it is first asked for; held-out rows are the same in all."""
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
                "There is too little code to hold some back, so trials could not be compared.",
                "Add another repository with --repo.",
            )
    return folder


def _open_study(options: SweepOptions) -> Study:
    """The study in the folder or a new one, with trials queued for those that were cut off."""
    import optuna

    from training.train.base_model import faster_precision
    from training.train.processes import training_device

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = f"sqlite:///{(options.output / STUDY).resolve()}"
    study = optuna.create_study(
        study_name="sweep", storage=storage, direction="minimize", load_if_exists=True
    )
    trials = study.get_trials()
    # Another seed each time, or a continued search would draw again what it has drawn.
    study.sampler = optuna.samplers.TPESampler(
        seed=options.recipe.train.seed + len(trials), n_startup_trials=_BEFORE_MODELLING
    )
    study.pruner = optuna.pruners.MedianPruner(
        n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=_BEFORE_PRUNING
    )
    if not trials:
        study.enqueue_trial(as_it_is(options.recipe))
    if _PRECISION not in study.user_attrs:
        study.set_user_attr(_PRECISION, faster_precision(training_device(cpu=options.cpu)))
    _queue_again(study, trials)
    return study


def _queue_again(study: Study, trials: list[FrozenTrial]) -> None:
    """Have what a killed or interrupted process left be tried again."""
    from optuna.trial import TrialState

    replaced = {trial.user_attrs.get(_INSTEAD_OF) for trial in trials}
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        cut_off = trial.state == TrialState.RUNNING or _was_interrupted(trial)
        if cut_off and trial.params and trial.number not in replaced:
            study.enqueue_trial(trial.params, user_attrs={_INSTEAD_OF: trial.number})


def _was_interrupted(trial: FrozenTrial) -> bool:
    from optuna.trial import TrialState

    return trial.state == TrialState.FAIL and _PROBLEM not in trial.user_attrs


def _is_over(trial: FrozenTrial) -> bool:
    """Whether a trial counts: it came to its end, was given up, or failed by itself."""
    return trial.state.is_finished() and not _was_interrupted(trial)


def _best(study: Study) -> FrozenTrial:
    from optuna.trial import TrialState

    if not study.get_trials(states=(TrialState.COMPLETE,)):
        problems = [
            trial.user_attrs[_PROBLEM] for trial in study.get_trials() if _PROBLEM in trial.user_attrs
        ]
        last = f" The last one: {problems[-1]}" if problems else ""
        raise SweepError(f"No trial came to its end.{last}", "Begin anew with another --recipe and --output.")
    return study.best_trial


def _options(parsed: argparse.Namespace) -> SweepOptions:
    from training.bases import resolve_base

    if parsed.trials < 1 or parsed.minutes_per_trial <= 0:
        raise SweepError(
            f"{parsed.trials} trials of {parsed.minutes_per_trial:g} minutes are no search.",
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


def _decisive(options: SweepOptions, base: Base) -> dict[str, Any]:
    """What trials depend on, and so must be the same for them to be compared."""
    return {
        "repositories": ", ".join(str(path.resolve()) for path in options.repositories),
        "base": f"{options.base.name} (sha256 {base.sha256[:12]})",
        "minutes_per_trial": options.minutes_per_trial,
        "own": options.own,
        "recipe": options.recipe.as_dict(),
    }
