"""The parts of a training run, put together once: data, base, adapter, optimiser, processes."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen

from fim_lsp.files import lack_of_room, sha256_of
from training.config import Recipe
from training.train import TrainError
from training.train.options import TrainOptions, plan_adapter

if TYPE_CHECKING:
    from training.data.dataset import DataSet, StoredRows
    from training.train.base_model import BaseWeights, Precision
    from training.train.batches import PackedPass, Sampler
    from training.train.display import Display

_BETAS = (0.9, 0.99)
"""AdamW's. A run has hundreds of steps, not hundreds of thousands: 0.999 would still remember the first."""
RUN_FILE = "run.json"
"""Name of the file in a run's folder with its options and its result."""
_HISTORY = ("data", "recipe", "reached", "begun_with")
"""Keys of an adapter's description that are kept in the description of an adapter trained on from it."""


@frozen
class PreparedRun:
    """The parts of a run that stay the same from step to step."""

    options: TrainOptions
    recipe: Recipe
    dataset: DataSet
    base: BaseWeights
    precision: Precision
    accelerator: Any = field(repr=False)
    module: Any = field(repr=False)
    """The :class:`~training.train.losses.LabelledLoss`, distributed if there are several processes."""
    model: Any = field(repr=False)
    """The peft model inside ``module``."""
    parameters: Mapping[str, Any] = field(repr=False)
    """The trained parameters by name."""
    optimizer: Any = field(repr=False)
    sampler: Sampler = field(repr=False)
    display: Display = field(repr=False)
    begun_with: Mapping[str, Any] = field(factory=dict, repr=False)
    """History of the adapter whose weights the run began with; empty for new weights."""

    @property
    def checkpoints(self) -> Path:
        """The folder of the run's checkpoints."""
        return self.options.output / "checkpoints"

    @property
    def adapter(self) -> Path:
        """The folder of the best adapter."""
        return self.options.output / "adapter"

    @property
    def is_main(self) -> bool:
        """True in the one process that writes files."""
        return bool(self.accelerator.is_main_process)

    def loss(self, packed: PackedPass) -> Any:
        """Run a pass, and return its weighted sum of NLL, through which gradients flow back."""
        return self.module(
            *self._decoder_inputs(packed), self._tensor(packed.targets), self._tensor(packed.weights)
        )

    def score(self, packed: PackedPass) -> tuple[Any, Any, Any]:
        """Run a pass without gradients, and score its labels (:meth:`.LabelledLoss.score`).

        Returns:
            Three tensors of (labels,): the NLL, the logit of the end token less the highest other logit, and
            the token of that other logit.
        """
        end = int(self.dataset.manifest["base"]["end_id"])
        module = self.accelerator.unwrap_model(self.module)
        nll, leads, rivals = module.score(*self._decoder_inputs(packed), self._tensor(packed.targets), end)
        return nll, leads, rivals

    def _decoder_inputs(self, packed: PackedPass) -> tuple[Any, ...]:
        ids, positions, places = map(self._tensor, (packed.ids, packed.positions, packed.places))
        return ids, positions, packed.row_lengths, places

    def _tensor(self, values: Any) -> Any:
        import torch

        return torch.from_numpy(values).to(self.accelerator.device)

    def seed(self, step: int) -> None:
        """Seed every random number of a step by the run's seed, the step and the process."""
        import torch

        number = np.random.SeedSequence(
            (self.recipe.train.seed, step, self.accelerator.process_index)
        ).generate_state(1)[0]
        torch.manual_seed(int(number))
        np.random.seed(int(number))
        random.seed(int(number))


def prepare_run(options: TrainOptions, recipe: Recipe) -> PreparedRun:
    """Open the data and the base, attach the adapter, make the optimiser, join the other processes.

    Raises:
        FimLspError: the data, the base, the adapter, the options and this machine don't fit together.
    """
    from training.data.dataset import load_dataset
    from training.train.base_model import load_weights, prepare_weights
    from training.train.display import Display
    from training.train.lora import attach, load_adapter, trainable
    from training.train.losses import LabelledLoss

    _set_threads(options)
    options.output.mkdir(parents=True, exist_ok=True)
    dataset = load_dataset(options.data)
    accelerator = _make_accelerator(options)
    display = Display(shown=accelerator.is_main_process)
    with accelerator.main_process_first():
        base = prepare_weights(options.base, on_step=display.print)
    _check_base(dataset, base)
    precision = _choose_precision(options, accelerator)
    model = load_weights(base, precision, device=str(accelerator.device), four_bits=options.qlora)
    _seed_weights(recipe.train.seed)
    sentinels = _sentinels(dataset)
    model = attach(model, plan_adapter(options, recipe, sentinels))
    history: dict[str, Any] = {}
    if options.init_adapter is not None:
        history = _read_history(options.init_adapter)
        load_adapter(model, options.init_adapter)
    module = accelerator.prepare(LabelledLoss(model, sentinels))
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
        _make_optimizer(list(parameters.values()), options, recipe),
        _make_sampler(dataset.train, options, recipe, accelerator),
        display,
        history,
    )


def _set_threads(options: TrainOptions) -> None:
    import torch

    if options.threads is not None:
        torch.set_num_threads(options.threads)


def _make_accelerator(options: TrainOptions) -> Any:
    from accelerate import Accelerator

    trackers = list(options.trackers)
    try:
        with warnings.catch_warnings():
            # accelerate warns of trackers that are not installed; the error below names them.
            warnings.simplefilter("ignore", UserWarning)
            accelerator = Accelerator(
                cpu=options.cpu, log_with=trackers or None, project_dir=str(options.output)
            )
    except ValueError as error:
        raise TrainError(
            f"The trackers {', '.join(trackers)} can't be used: {error}",
            "Name trackers that accelerate supports.",
        ) from error
    missing = set(trackers) - {str(tracker) for tracker in accelerator.log_with}
    if missing:
        raise TrainError(
            f"The tracker {', '.join(sorted(missing))} is not installed.",
            "Install it, or leave it out of --trackers.",
        )
    return accelerator


def _check_base(dataset: DataSet, base: BaseWeights) -> None:
    """Refuse a base other than the one the data was made for: its token ids would mean other text."""
    expected = dataset.manifest.get("base", {}).get("sha256")
    vocabulary = base.path / "tokenizer.json"
    if base.gguf is None and not vocabulary.is_file():
        return
    found = base.sha256 if base.gguf is not None else sha256_of(vocabulary)
    if expected not in (None, found):
        raise TrainError(
            f"The data set in {dataset.path} was made for another base than {base.name}.",
            "Name that base, or prepare the data again for this one.",
        )


def _check_room(options: TrainOptions, parameters: Mapping[str, Any]) -> None:
    """Refuse to begin if the disk can't hold the checkpoints: the adapter and AdamW's two moments."""
    adapter = sum(value.numel() * value.element_size() for value in parameters.values())
    needed = adapter * (3 * (options.keep + 1) + 2)
    problem = lack_of_room(options.output, needed, "checkpoints")
    if problem is not None:
        raise TrainError(problem, "Free some room, lower --rank or --keep, or choose another --output.")


def _choose_precision(options: TrainOptions, accelerator: Any) -> Precision:
    """Return the precision that is given, or of the resumed run, or else the faster one.

    All processes get the choice of the first.
    """
    from accelerate.utils import broadcast_object_list

    from training.train.base_model import faster_precision

    if options.precision != "auto":
        return options.precision
    chosen = [_resumed_precision(options) or faster_precision(str(accelerator.device))]
    broadcast_object_list(chosen)
    return chosen[0]


def _resumed_precision(options: TrainOptions) -> Precision | None:
    """Return the precision of the run that is resumed, or None if there is none."""
    if not options.resume:
        return None
    try:
        record = json.loads((options.output / RUN_FILE).read_text(encoding="utf-8"))
        return "bf16" if record["precision"] == "bf16" else "fp32"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_history(adapter: Path) -> dict[str, Any]:
    """Return how an adapter was made, for the description of the adapter that is trained on from it."""
    from fim_lsp.models.adapter_file import read_adapter

    description = read_adapter(adapter).description
    return {key: description[key] for key in _HISTORY if key in description}


def _sentinels(dataset: DataSet) -> tuple[int, ...]:
    """Return the ids of the FIM markers that the base has to learn, in ascending order."""
    markers: Mapping[str, int] = dataset.manifest.get("base", {}).get("sentinels", {})
    return tuple(sorted(int(token) for token in markers.values()))


def _seed_weights(seed: int) -> None:
    """Seed torch, so that new adapters begin with the same weights in every process and every run."""
    import torch

    torch.manual_seed(seed)


def _make_optimizer(parameters: list[Any], options: TrainOptions, recipe: Recipe) -> Any:
    import torch

    return torch.optim.AdamW(
        parameters,
        lr=recipe.train.learning_rate,
        betas=_BETAS,
        weight_decay=options.weight_decay,
        fused=all(parameter.device.type in ("cpu", "cuda") for parameter in parameters),
    )


def _make_sampler(rows: StoredRows, options: TrainOptions, recipe: Recipe, accelerator: Any) -> Sampler:
    from training.train.batches import make_sampler

    settings = recipe.train
    return make_sampler(
        np.asarray(rows.lengths, dtype=np.int64),
        np.asarray([bool(np.any(row.weights[1:])) for row in rows], dtype=np.bool_),
        batch_rows=settings.batch_rows,
        pass_tokens=options.pass_tokens,
        max_tokens=settings.max_tokens,
        seed=settings.seed,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
    )
