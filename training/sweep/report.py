"""The results of a search: a table of its trials, plots, and the best recipe as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fim_lsp.files import write_text_atomically
from training.config import Recipe
from training.sweep import SweepError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial
    from rich.table import Table

_NLL = "held-out NLL (nats per token)"
_FEWEST_FOR_IMPORTANCE = 4


def trials_table(study: Study) -> Table:
    """Return a table of the trials: the best first, trials without a score last."""
    from rich.table import Table

    table = Table(title="Trials by held-out NLL")
    for heading in ("trial", "ended", "NLL", "rank", "alpha / rank", "learning rate", "spans"):
        table.add_column(heading, justify="right" if heading not in ("ended", "spans") else "left")
    for trial in sorted(study.get_trials(), key=_order):
        params = trial.params
        last = trial.value if trial.value is not None else _last_nll(trial)
        table.add_row(
            str(trial.number + 1),
            trial.state.name.lower(),
            "-" if last is None else f"{last:.4f}",
            str(params.get("rank", "-")),
            str(params.get("alpha_by_rank", "-")),
            f"{params['learning_rate']:.2e}" if "learning_rate" in params else "-",
            str(params.get("spans", "-")),
        )
    return table


def _order(trial: FrozenTrial) -> tuple[bool, float, int]:
    """Return the key to sort a trial by: finished trials first, then by NLL, then by number."""
    last = _last_nll(trial)
    value = trial.value if trial.value is not None else last
    return trial.value is None, value if value is not None else float("inf"), trial.number


def _last_nll(trial: FrozenTrial) -> float | None:
    """Return the NLL of a trial's last evaluation, or None if it had none."""
    nll_by_evaluation: Mapping[int, float] = trial.intermediate_values
    return nll_by_evaluation[max(nll_by_evaluation)] if nll_by_evaluation else None


def write_best(path: Path, recipe: Recipe, best: FrozenTrial, study: Study) -> None:
    """Write the complete recipe as TOML, so that no other file is needed.

    Raises:
        SweepError: it can't be written.
    """
    import tomli_w

    text = (
        f"# Trial {best.number + 1} of {len(study.get_trials())} of python -m training sweep: "
        f"held-out NLL {best.value:.4f}.\n\n{tomli_w.dumps(_without_none(recipe.as_dict()))}"
    )
    try:
        write_text_atomically(path, text)
    except OSError as error:
        raise SweepError(
            f"{path} can't be written: {error.strerror or error}.", "Free some room and run it again."
        ) from error


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is None: TOML has no null, and a missing value keeps its default."""
    return {
        name: _without_none(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if value is not None
    }


def draw_plots(study: Study, folder: Path) -> tuple[Path, ...]:
    """Plot the scores over time, each trial's evaluations, each parameter, and the parameters' importance.

    The importance is plotted only with a few finished trials.

    Returns:
        The PNG files.
    """
    import matplotlib as mpl
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.trial import TrialState
    from optuna.visualization import matplotlib as plots

    mpl.use("agg")
    drawings: dict[str, Callable[[], Any]] = {
        "history": lambda: plots.plot_optimization_history(study, target_name=_NLL),
        "evaluations": lambda: plots.plot_intermediate_values(study),
        "parameters": lambda: plots.plot_slice(study, target_name=_NLL),
    }
    if len(study.get_trials(states=(TrialState.COMPLETE,))) >= _FEWEST_FOR_IMPORTANCE:
        # optuna's default evaluator needs scikit-learn (seen in version 4).
        evaluator = PedAnovaImportanceEvaluator()
        drawings["importances"] = lambda: plots.plot_param_importances(study, evaluator=evaluator)
    return tuple(_save_plot(draw, folder / f"{name}.png") for name, draw in drawings.items())


def _save_plot(draw: Callable[[], Any], path: Path) -> Path:
    from matplotlib import pyplot, ticker

    draw()
    figure = pyplot.gcf()
    for axes in figure.axes:
        if axes.get_xscale() == "log":  # labels between the decades would overlap
            axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
    return path
