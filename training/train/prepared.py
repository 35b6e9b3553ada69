"""Everything a training run stands on, put together once: data, base, adapter, optimiser, processes."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.files import lack_of_room, sha256_of
from training.config import Recipe
from training.train.options import TrainOptions, plan_adapter

if TYPE_CHECKING:
    from training.data.dataset import DataSet, StoredRows
    from training.train.base_model import BaseWeights, Precision
    from training.train.batches import PackedPass, Sampler
    from training.train.metrics import Display

_BETAS = (0.9, 0.99)
"""A run has hundreds of steps, not hundreds of thousands: 0.999 would still remember the first."""


RUN_FILE = "run.json"
"""In a run's folder: what it is, and what came of it."""
_HISTORY = ("data", "recipe", "reached", "begun_with")
"""Keys of an adapter's description that are kept in the description of an adapter trained on from it."""


class TrainError(FimLspError):
    """A run that can't begin, or that can't go on."""


@frozen
class PreparedRun:
    """What stays the same from step to step."""

    options: TrainOptions
    recipe: Recipe
    dataset: DataSet
    base: BaseWeights
    precision: Precision
    accelerator: Any = field(repr=False)
    module: Any = field(repr=False)
    """The loss, distributed where there are several processes."""
    model: Any = field(repr=False)
    """The peft model inside it."""
    parameters: Mapping[str, Any] = field(repr=False)
    optimizer: Any = field(repr=False)
    sampler: Sampler = field(repr=False)
    display: Display = field(repr=False)
    begun_with: Mapping[str, Any] = field(factory=dict, repr=False)
    """The history of the adapter that training began with."""

    @property
    def checkpoints(self) -> Path:
        """Where the run's checkpoints are."""
        return self.options.output / "checkpoints"

    @property
    def adapter(self) -> Path:
        """Where the best adapter is."""
        return self.options.output / "adapter"

    def loss(self, packed: PackedPass) -> Any:
        """Run a pass: the sum of weighted NLL, which carries the gradient."""
        return self.module(*self._decoded(packed), self._tensor(packed.targets), self._tensor(packed.weights))

    def judge(self, packed: PackedPass) -> tuple[Any, Any, Any]:
        """Run a pass without gradients.

        Returns:
            For each label its NLL, the lead of the token that ends a middle over all others there, and the
            likeliest of those.
        """
        end = int(self.dataset.manifest["base"]["end_id"])
        module = self.accelerator.unwrap_model(self.module)
        nll, leads, rivals = module.judge(*self._decoded(packed), self._tensor(packed.targets), end)
        return nll, leads, rivals

    def _decoded(self, packed: PackedPass) -> tuple[Any, ...]:
        ids, positions, places = map(self._tensor, (packed.ids, packed.positions, packed.places))
        return ids, positions, packed.row_lengths, places

    def _tensor(self, values: Any) -> Any:
        import torch

        return torch.from_numpy(values).to(self.accelerator.device)

    def seed(self, step: int) -> None:
        """Make every random number of a step follow from seed, step and process alone."""
        import torch

        number = np.random.SeedSequence(
            (self.recipe.train.seed, step, self.accelerator.process_index)
        ).generate_state(1)[0]
        torch.manual_seed(int(number))
        np.random.seed(int(number))
        random.seed(int(number))


def prepare_run(options: TrainOptions, recipe: Recipe) -> PreparedRun:
    """Open data and base, attach the adapter, make the optimiser, join the other processes.

    Raises:
        FimLspError: of whatever does not fit.
    """
    from accelerate import Accelerator

    from training.data.dataset import load_dataset
    from training.train.base_model import load_weights, prepare_weights
    from training.train.lora import attach, load_adapter, trainable
    from training.train.losses import labelled_loss
    from training.train.metrics import Display

    _set_threads(options)
    options.output.mkdir(parents=True, exist_ok=True)
    dataset = load_dataset(options.data)
    accelerator = _accelerator(Accelerator, options)
    display = Display(shown=accelerator.is_main_process)
    with accelerator.main_process_first():
        base = prepare_weights(options.base, on_step=display.say)
    _check_base(dataset, base)
    device = str(accelerator.device)
    precision = _precision(options, accelerator)
    model = load_weights(base, precision, device=device, four_bits=options.qlora)
    _seed_weights(recipe.train.seed)
    sentinels = tuple(sorted(_sentinels(dataset).values()))
    plan = plan_adapter(options, recipe, sentinels)
    model = attach(model, plan)
    history: dict[str, Any] = {}
    if options.init_adapter is not None:
        history = _read_history(options.init_adapter)
        load_adapter(model, options.init_adapter)
    module = accelerator.prepare(labelled_loss(model, sentinels))
    parameters = trainable(model)
    _check_room(options, parameters)
    return PreparedRun(
        options,
        recipe,
        dataset,
        base,
        precision,
        accelerator,
        module,
        model,
        parameters,
        _optimizer(list(parameters.values()), options, recipe),
        _sampler(dataset.train, options, recipe, accelerator),
        display,
        history,
    )


def _read_history(adapter: Path) -> dict[str, Any]:
    """Return how an adapter was made, for the description of the one that is trained on from it."""
    from fim_lsp.models.adapter_file import read_adapter

    description = read_adapter(adapter).description
    return {key: description[key] for key in _HISTORY if key in description}


def _set_threads(options: TrainOptions) -> None:
    import torch

    if options.threads is not None:
        torch.set_num_threads(options.threads)


def _accelerator(make: Any, options: TrainOptions) -> Any:
    trackers = list(options.trackers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of what is said below
            accelerator = make(cpu=options.cpu, log_with=trackers or None, project_dir=str(options.output))
    except ValueError as error:
        raise TrainError(
            f"The trackers {', '.join(trackers)} can't be used: {error}", "Name ones that accelerate knows."
        ) from error
    # accelerate leaves out what is not installed, and says so at level DEBUG only.
    lacking = set(trackers) - {str(tracker) for tracker in accelerator.log_with}
    if lacking:
        raise TrainError(
            f"The tracker {', '.join(sorted(lacking))} is not installed.", "Install it, or leave it out."
        )
    return accelerator


def _check_room(options: TrainOptions, parameters: Mapping[str, Any]) -> None:
    """Refuse to begin what the disk can't hold: checkpoints of adapter and AdamW's two moments."""
    adapter = sum(value.numel() * value.element_size() for value in parameters.values())
    needed = adapter * (3 * (options.keep + 1) + 2)
    problem = lack_of_room(options.output, needed, "checkpoints")
    if problem is not None:
        raise TrainError(problem, "Free some room, lower --rank or --keep, or choose another --output.")


def _precision(options: TrainOptions, accelerator: Any) -> Precision:
    """As told, else as the run began, else measured; alike in every process."""
    from accelerate.utils import broadcast_object_list

    from training.train.base_model import faster_precision

    if options.precision != "auto":
        return options.precision
    chosen = [_precision_before(options) or faster_precision(str(accelerator.device))]
    broadcast_object_list(chosen)
    return chosen[0]


def _precision_before(options: TrainOptions) -> Precision | None:
    """That of the run that is to be resumed."""
    if not options.resume:
        return None
    try:
        record = json.loads((options.output / RUN_FILE).read_text(encoding="utf-8"))
        return "bf16" if record["precision"] == "bf16" else "fp32"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sentinels(dataset: DataSet) -> dict[str, int]:
    found = dataset.manifest.get("base", {}).get("sentinels", {})
    return {str(marker): int(token) for marker, token in found.items()}


def _check_base(dataset: DataSet, base: BaseWeights) -> None:
    """A data set holds the ids of one vocabulary; with another base they would be noise."""
    wanted = dataset.manifest.get("base", {}).get("sha256")
    vocabulary = base.path / "tokenizer.json"
    if base.gguf is None and not vocabulary.is_file():
        return
    found = base.sha256 if base.gguf is not None else sha256_of(vocabulary)
    if wanted not in (None, found):
        raise TrainError(
            f"The data set in {dataset.path} was made for another base than {base.name}.",
            "Name that base, or prepare the data anew for this one.",
        )


def _seed_weights(seed: int) -> None:
    """Fresh adapters begin alike in every process and every run."""
    import torch

    torch.manual_seed(seed)


def _optimizer(parameters: list[Any], options: TrainOptions, recipe: Recipe) -> Any:
    import torch

    return torch.optim.AdamW(
        parameters,
        lr=recipe.train.learning_rate,
        betas=_BETAS,
        weight_decay=options.weight_decay,
        fused=all(parameter.device.type in ("cpu", "cuda") for parameter in parameters),
    )


def _sampler(rows: StoredRows, options: TrainOptions, recipe: Recipe, accelerator: Any) -> Sampler:
    from training.train.batches import make_sampler

    settings = recipe.train
    lengths = np.asarray(rows.lengths, dtype=np.int64)
    return make_sampler(
        lengths,
        np.asarray([bool(np.any(row.weights[1:])) for row in rows], dtype=np.bool_),
        batch_rows=settings.batch_rows,
        pass_tokens=options.pass_tokens,
        max_tokens=settings.max_tokens,
        seed=settings.seed,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
    )
