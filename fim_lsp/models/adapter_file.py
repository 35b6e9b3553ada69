"""Read and write adapters: the peft folder that training writes, and the single file to publish (a *delta*).

A delta is a safetensors file with all numbers in float16 and one JSON value under ``fim_lsp`` in its
metadata: the base's sha256, the FIM format, and how to apply the numbers. Its tensors are named by the base's
modules.
Both forms are read as an :class:`Adapter`::

    model.layers.0.self_attn.q_proj.lora_A    (rank, in)
    model.layers.0.self_attn.q_proj.lora_B    (out, rank)
    model.layers.0.self_attn.q_proj.magnitude (out,)        DoRA
    model.layers.0.self_attn.k_proj.ia3       (out,)        IA3; (in,) for a feed-forward layer
    token_rows                                (tokens, width)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from fim_lsp.files import atomic_write
from fim_lsp.models import ModelError

Floats = NDArray[np.float32]

FORMAT = 1
_WEIGHTS, _PEFT, _OURS = "adapter_model.safetensors", "adapter_config.json", "fim_lsp.json"
_ROWS = "token_rows"
_PEFT_NAME = re.compile(
    r"base_model\.model\.(?P<module>.+?)\."
    r"(?P<part>lora_A|lora_B|lora_magnitude_vector|ia3_l|token_adapter\.trainable_tokens_delta)(\.weight)?"
)
_PARTS = {"lora_magnitude_vector": "magnitude", "ia3_l": "ia3"}
_TRAIN_AGAIN = "Export it again from the training run."


@frozen
class FimFormat:
    """The fill-in-the-middle format that the adapter was trained with."""

    template: str | None = None
    order: str | None = None
    end_id: int | None = None
    sentinels: Mapping[str, int] = field(factory=dict)
    """New texts of token ids that became markers; empty for a base that has markers."""
    marks: Mapping[str, str] = field(factory=dict)
    """Marker texts by llama.cpp's names: ``pre suf mid rep sep``."""
    sees_repository: bool = False
    """True if it was trained on holes that see snippets of other files."""
    anchored: bool = False
    """True if it was trained on middles whose beginning is in the prompt."""
    end_bias: float | None = None
    """Nats to add to the end token's logit, so that middles end too early as often as too late; None if that
    was not measured."""
    memory_gate: str | None = None
    """The weights of the repository memory's gate, as JSON; None if they were not fitted."""


@frozen
class LinearUpdate:
    """The change of a weight W (out, in): ``m (W + s B A) / |W + s B A|``. Absent parts are left out."""

    down: Floats | None = field(default=None, repr=False)
    """A, (rank, in)."""
    up: Floats | None = field(default=None, repr=False)
    """B, (out, rank)."""
    magnitude: Floats | None = field(default=None, repr=False)
    """m, (out,): DoRA."""
    gain: Floats | None = field(default=None, repr=False)
    """IA3's factors, (out,); (in,) if :attr:`of_input`."""
    of_input: bool = False


@frozen
class Adapter:
    """The difference between a base and the tuned model."""

    base_sha256: str
    base_name: str
    scale: float
    """s: alpha / rank, or alpha / sqrt(rank) for rsLoRA."""
    rank: int
    alpha: float
    rslora: bool
    updates: Mapping[str, LinearUpdate] = field(repr=False)
    """Updates by the module's name in transformers: ``model.layers.0.self_attn.q_proj``."""
    token_rows: Mapping[int, Floats] = field(factory=dict, repr=False)
    """New rows of the embedding, (width,), by token id."""
    fim: FimFormat = FimFormat()
    description: Mapping[str, Any] = field(factory=dict, repr=False)
    """What training recorded: recipe, data, figures."""


def read_adapter(path: Path) -> Adapter:
    """Read a folder that training wrote, or a delta.

    Raises:
        ModelError: it is neither, it is damaged, or it can't be merged into a base.
    """
    try:
        return _read_folder(path) if path.is_dir() else _read_delta(path)
    except FileNotFoundError as error:
        raise ModelError(
            f"{path} is no adapter: there is no {Path(str(error.filename)).name}.",
            "Name the folder 'adapter' of a training run, or a delta.",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The adapter {path} is damaged: {error}.", _TRAIN_AGAIN) from error


def write_delta(adapter: Adapter, output: Path) -> None:
    """Write an adapter as one file, in float16.

    Raises:
        ModelError: a number does not fit into float16, or the file can't be written.
    """
    from safetensors.numpy import save_file

    from fim_lsp.models.disk import disk_errors

    tensors = {name: _half(name, values) for name, values in sorted(_named(adapter).items())}
    about = dict(adapter.description) | {
        "format": FORMAT,
        "base": {"name": adapter.base_name, "sha256": adapter.base_sha256},
        "rank": adapter.rank,
        "alpha": adapter.alpha,
        "rslora": adapter.rslora,
        "token_ids": list(adapter.token_rows),
        "fim": {
            "template": adapter.fim.template,
            "order": adapter.fim.order,
            "end_id": adapter.fim.end_id,
            "sentinels": dict(adapter.fim.sentinels),
            "marks": dict(adapter.fim.marks),
            "sees_repository": adapter.fim.sees_repository,
            "anchored": adapter.fim.anchored,
            "end_bias": adapter.fim.end_bias,
            "memory_gate": adapter.fim.memory_gate,
        },
    }
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(output) as partial:
            save_file(tensors, str(partial), metadata={"fim_lsp": json.dumps(about, sort_keys=True)})


def _read_folder(folder: Path) -> Adapter:
    config = json.loads((folder / _PEFT).read_text(encoding="utf-8"))
    about = json.loads((folder / _OURS).read_text(encoding="utf-8"))
    _refuse_what_cannot_be_merged(folder, config)
    tensors, _ = _open(folder / _WEIGHTS)
    named: dict[str, Floats] = {}
    for name, values in tensors.items():
        match = _PEFT_NAME.fullmatch(name)
        if match is None:
            raise ModelError(f"The adapter {folder} trains {name}, which can't be merged.", _TRAIN_AGAIN)
        part = match["part"]
        rows = part.startswith("token_adapter")
        named[_ROWS if rows else f"{match['module']}.{_PARTS.get(part, part)}"] = values
    ids = [int(token) for ids in (config.get("trainable_token_indices") or {}).values() for token in ids]
    rslora, rank = bool(config.get("use_rslora")), int(config.get("r", 0))
    about |= {"rank": rank, "alpha": config.get("lora_alpha", 0), "rslora": rslora, "token_ids": ids}
    return _assemble(named, about, of_input=_feed_forward(config))


def _read_delta(path: Path) -> Adapter:
    tensors, metadata = _open(path)
    if "fim_lsp" not in metadata:
        raise ModelError(f"{path} is no delta.", "Name a file that 'python -m training export' wrote.")
    about = json.loads(metadata["fim_lsp"])
    if about["format"] != FORMAT:
        raise ModelError(f"The delta {path} has format {about['format']}, not {FORMAT}.", "Update fim-lsp.")
    return _assemble(tensors, about, of_input=tuple(about.get("feed_forward", ())))


def _assemble(named: Mapping[str, Floats], about: Mapping[str, Any], of_input: tuple[str, ...]) -> Adapter:
    parts: dict[str, dict[str, Floats]] = {}
    for name, values in named.items():
        if name != _ROWS:
            module, _, part = name.rpartition(".")
            parts.setdefault(module, {})[part] = values
    updates = {
        module: LinearUpdate(
            down=own.get("lora_A"),
            up=own.get("lora_B"),
            magnitude=_flat(own.get("magnitude")),
            gain=_flat(own.get("ia3")),
            of_input=module.rpartition(".")[2] in of_input,
        )
        for module, own in sorted(parts.items())
    }
    rank, alpha, rslora = int(about["rank"]), float(about["alpha"]), bool(about["rslora"])
    fim = about["fim"]
    return Adapter(
        base_sha256=str(about["base"]["sha256"]),
        base_name=str(about["base"]["name"]),
        scale=alpha / (rank**0.5 if rslora else rank) if rank else 0.0,
        rank=rank,
        alpha=alpha,
        rslora=rslora,
        updates=updates,
        token_rows=dict(zip(about["token_ids"], named.get(_ROWS, ()), strict=True)),
        fim=FimFormat(
            fim.get("template"),
            fim.get("order"),
            fim.get("end_id"),
            {str(text): int(token) for text, token in fim.get("sentinels", {}).items()},
            {str(key): str(text) for key, text in fim.get("marks", {}).items()},
            bool(fim.get("sees_repository")),
            bool(fim.get("anchored")),
            None if fim.get("end_bias") is None else float(fim["end_bias"]),
            None if fim.get("memory_gate") is None else str(fim["memory_gate"]),
        ),
        description=dict(about) | ({"feed_forward": list(of_input)} if of_input else {}),
    )


def _refuse_what_cannot_be_merged(folder: Path, config: Mapping[str, Any]) -> None:
    kind = str(config.get("peft_type"))
    if kind not in ("LORA", "IA3"):
        raise ModelError(
            f"{folder} is a {kind} adapter; what it adds to a prompt or between layers can't be merged.",
            "Train with --method rslora.",
        )
    for name in ("modules_to_save", "alpha_pattern", "rank_pattern", "layer_replication"):
        if config.get(name):
            raise ModelError(f"{folder} uses {name}, which merging does not support.", "Train without it.")


def _feed_forward(config: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(str(name) for name in config.get("feedforward_modules") or ()))


def _named(adapter: Adapter) -> dict[str, Floats]:
    named: dict[str, Floats] = {}
    for module, update in adapter.updates.items():
        parts = {
            "lora_A": update.down,
            "lora_B": update.up,
            "magnitude": update.magnitude,
            "ia3": update.gain,
        }
        named |= {f"{module}.{part}": values for part, values in parts.items() if values is not None}
    if adapter.token_rows:
        named[_ROWS] = np.stack(list(adapter.token_rows.values()))
    return named


def _half(name: str, values: Floats) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise ModelError(f"{name} holds numbers that are not finite in float16.", "Train with a lower rate.")
    return half


def _flat(values: Floats | None) -> Floats | None:
    return None if values is None else values.reshape(-1)


def _open(path: Path) -> tuple[dict[str, Floats], Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(str(error)) from error
