"""Adapters: attach them to a base with peft, save them in peft's format, and load them.

:func:`attach` puts LoRA (or rsLoRA, DoRA, IA3) on every linear layer. Layers with plain LoRA on a plain
``nn.Linear`` are computed by :mod:`.fused_lora`.

A base that lacks the FIM markers learns them as ``trainable_token_indices``: only their rows of the embedding
are trained. peft would copy the whole embedding matrix in each pass, so :mod:`.losses` reads the rows itself.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from attrs import frozen

from fim_lsp.errors import FimLspError

Method = Literal["lora", "rslora", "dora", "ia3"]
METHODS: tuple[Method, ...] = get_args(Method)

_NAME = "default"
"""Name under which peft keeps the adapter."""
_WEIGHTS, _CONFIG, _DESCRIPTION = "adapter_model.safetensors", "adapter_config.json", "fim_lsp.json"


class PeftAdapterError(FimLspError):
    """An adapter that peft can't attach to this base, or whose files are damaged."""


@frozen
class AdapterPlan:
    """The adapter to attach to a base."""

    method: Method = "rslora"
    rank: int = 32
    alpha: int = 32
    dropout: float = 0.0
    sentinels: tuple[int, ...] = ()
    """Token ids of FIM markers whose rows of the embedding are trained too."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: a third more time for most of the memory."""


def attach(model: Any, plan: AdapterPlan) -> Any:
    """Wrap a ``transformers`` causal model with new adapters, and freeze its own weights.

    Returns:
        The ``peft`` model. Its only trainable parameters are the adapter's, in float32.

    Raises:
        PeftAdapterError: the method does not support the architecture.
    """
    from peft import get_peft_model

    try:
        with warnings.catch_warnings():
            # peft 0.21 calls a function that transformers 5.23 has deprecated.
            warnings.simplefilter("ignore", FutureWarning)
            wrapped = get_peft_model(model, _peft_config(model, plan), adapter_name=_NAME)
    except ValueError as error:
        raise PeftAdapterError(
            f"peft can't put {plan.method} on this base: {error}", "Choose another --method."
        ) from error
    for parameter in trainable(wrapped).values():
        parameter.data = parameter.data.float()
    if plan.gradient_checkpointing:
        causal = wrapped.get_base_model()
        # The second name is the one before transformers 5.2x; version 6 will remove it.
        enable = (
            getattr(causal, "activation_checkpointing_enable", None) or causal.gradient_checkpointing_enable
        )
        enable({"use_reentrant": False})
    return wrapped


def _peft_config(model: Any, plan: AdapterPlan) -> Any:
    from peft import IA3Config, LoraConfig
    from torch import nn

    from training.train.fused_lora import FusedLoraLinear

    if plan.method == "ia3":
        if plan.sentinels:
            raise PeftAdapterError("IA3 can't train new markers.", "Choose --method rslora.")
        return IA3Config(task_type="CAUSAL_LM")
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        use_rslora=plan.method == "rslora",
        use_dora=plan.method == "dora",
        target_modules="all-linear",
        trainable_token_indices={_embedding_name(model): list(plan.sentinels)} if plan.sentinels else None,
    )
    if plan.method != "dora" and not plan.dropout:
        # peft 0.21 documents this method for layers of one's own, as experimental.
        config._register_custom_module({nn.Linear: FusedLoraLinear})
    return config


def _embedding_name(model: Any) -> str:
    embedding = model.get_input_embeddings()
    name: str = next(name for name, module in model.named_modules() if module is embedding)
    return name.rpartition(".")[2]


def trainable(model: Any) -> dict[str, Any]:
    """Return the adapter's parameters by name, in a fixed order."""
    return {name: value for name, value in sorted(model.named_parameters()) if value.requires_grad}


def sentinel_rows(model: Any) -> Any | None:
    """Return the parameter with the markers' rows, (markers, width), or None if there are none."""
    for name, value in model.named_parameters():
        if value.requires_grad and "trainable_tokens_delta" in name:
            return value
    return None


def save_adapter(model: Any, folder: Path, description: Mapping[str, Any]) -> None:
    """Write the adapter in peft's format.

    Args:
        model: what :func:`attach` returned.
        folder: an existing folder.
        description: base, format and history of the adapter; written beside it as ``fim_lsp.json``.
    """
    from dataclasses import replace

    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    # Not save_pretrained: it asks the hub whether the vocabulary has changed.
    state = get_peft_model_state_dict(model, adapter_name=_NAME, save_embedding_layers=False)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    save_file(tensors, folder / _WEIGHTS, metadata={"format": "pt"})
    # peft would write the base's path on this machine.
    config = replace(
        model.peft_config[_NAME], inference_mode=True, base_model_name_or_path=description["base"]["name"]
    )
    config.save_pretrained(str(folder))
    (folder / _DESCRIPTION).write_text(
        json.dumps(description, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


def read_plan(folder: Path) -> AdapterPlan:
    """Return what must be attached so that the weights of a saved adapter fit.

    Raises:
        PeftAdapterError: the folder holds no adapter, or one that fim-lsp did not train.
    """
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        method = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))["adapter"]["method"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PeftAdapterError(
            f"{folder} holds no adapter that fim-lsp trained: {error}.",
            "Give the folder of a training run, or the folder adapter in it.",
        ) from error
    markers = (config.get("trainable_token_indices") or {}).values()
    return AdapterPlan(
        method=method,
        rank=int(config.get("r", 1)),
        alpha=int(config.get("lora_alpha", 1)),
        sentinels=tuple(int(token) for ids in markers for token in ids),
    )


def load_adapter(model: Any, source: Path) -> None:
    """Fill an attached adapter with saved weights.

    Args:
        model: what :func:`attach` returned.
        source: a folder that training wrote, or a delta file.

    Raises:
        PeftAdapterError: the files are damaged, or the adapter has another shape than the one attached.
    """
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError

    try:
        state = _read_weights(model, source)
        result: Any = set_peft_model_state_dict(model, state, adapter_name=_NAME)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise PeftAdapterError(
            f"The adapter {source} does not fit: {error}",
            "Give the method and rank that it was made with.",
        ) from error
    unexpected: Sequence[str] = result.unexpected_keys
    missing = [name for name in result.missing_keys if name in trainable(model)]
    if unexpected or missing:
        raise PeftAdapterError(
            f"The adapter {source} has other layers than the one attached: "
            f"{', '.join((*unexpected, *missing)[:3])} …",
            "Give the method that it was made with.",
        )


def _read_weights(model: Any, source: Path) -> dict[str, Any]:
    """Return the tensors of an adapter folder or of a delta file, by peft's names."""
    from safetensors.torch import load_file

    if source.is_dir():
        return load_file(source / _WEIGHTS)
    return {_peft_name(model, name): value.float() for name, value in load_file(source).items()}


def _peft_name(model: Any, name: str) -> str:
    """Return peft's name for a tensor of a delta file (:mod:`fim_lsp.models.adapter_file`)."""
    if name != "token_rows":
        return f"base_model.model.{name}.weight"
    causal = model.get_base_model()
    embedding = causal.get_input_embeddings()
    path = next(path for path, module in causal.named_modules() if module is embedding)
    return f"base_model.model.{path}.token_adapter.trainable_tokens_delta"
