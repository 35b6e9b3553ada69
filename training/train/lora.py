"""Adapters: attached by peft, computed faster where the plain formula allows, saved in peft's own format.

:func:`attach` puts LoRA (or DoRA, rsLoRA, IA3) on every linear layer. Layers that are plain LoRA on a plain
``nn.Linear`` run through one autograd function of four matrix products that knows the base to be frozen,
writes into the base's own output, and keeps nothing but its input and the narrow middle; peft's chain of
modules takes six and four more passes over the activations (bf16, SmolLM2-135M, one core: 194 against 148
tokens a second).

A base that lacks the markers learns them as ``trainable_token_indices``: only their rows of the embedding
are trained. peft would copy the whole matrix for each pass, so :mod:`.losses` reads the rows itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from attrs import frozen

from fim_lsp.errors import FimLspError

Method = Literal["lora", "rslora", "dora", "ia3"]
METHODS: tuple[Method, ...] = get_args(Method)

_NAME = "default"


class AdapterError(FimLspError):
    """An adapter that this base or this machine can't have, or whose files are damaged."""


@frozen
class AdapterPlan:
    """What is attached to a base."""

    method: Method = "rslora"
    rank: int = 32
    alpha: int = 32
    dropout: float = 0.0
    sentinels: tuple[int, ...] = ()
    """Token ids whose rows of the embedding are trained too."""
    gradient_checkpointing: bool = False
    """Whether activations are computed anew on the way back: a third more time for most of the memory."""


def attach(model: Any, plan: AdapterPlan) -> Any:
    """Wrap a ``transformers`` causal model with fresh adapters; its own weights are frozen in place.

    Returns:
        The ``peft`` model; its only trainable parameters are the adapter's, in float32.

    Raises:
        AdapterError: the method does not know the architecture.
    """
    from peft import get_peft_model

    try:
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5.23 by a name that is to go.
            warnings.simplefilter("ignore", FutureWarning)
            wrapped = get_peft_model(model, _config(model, plan), adapter_name=_NAME)
    except ValueError as error:
        raise AdapterError(
            f"peft can't put {plan.method} on this base: {error}", "Choose another --method."
        ) from error
    for parameter in trainable(wrapped).values():
        parameter.data = parameter.data.float()
    if plan.gradient_checkpointing:
        causal = wrapped.get_base_model()
        # transformers 5.2x renames it; the one before is to go in version 6.
        enable = (
            getattr(causal, "activation_checkpointing_enable", None) or causal.gradient_checkpointing_enable
        )
        enable({"use_reentrant": False})
    return wrapped


def _config(model: Any, plan: AdapterPlan) -> Any:
    from peft import IA3Config, LoraConfig
    from torch import nn

    if plan.method == "ia3":
        if plan.sentinels:
            raise AdapterError("IA3 can't train new markers.", "Choose --method rslora.")
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
        config._register_custom_module({nn.Linear: _fused_linear()})
    return config


def _embedding_name(model: Any) -> str:
    embedding = model.get_input_embeddings()
    name: str = next(name for name, module in model.named_modules() if module is embedding)
    return name.rpartition(".")[2]


def trainable(model: Any) -> dict[str, Any]:
    """The adapter's parameters by name, in a fixed order."""
    return {name: value for name, value in sorted(model.named_parameters()) if value.requires_grad}


def sentinel_rows(model: Any) -> Any | None:
    """The parameter that holds the markers' rows, (markers, width), or None without any."""
    for name, value in model.named_parameters():
        if value.requires_grad and "trainable_tokens_delta" in name:
            return value
    return None


def save_adapter(model: Any, folder: Path, described: Mapping[str, Any]) -> None:
    """Write the adapter as peft does, and beside it what it belongs to (``fim_lsp.json``)."""
    import json
    from dataclasses import replace

    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    # Not save_pretrained: it asks the hub whether the vocabulary has changed.
    state = get_peft_model_state_dict(model, adapter_name=_NAME, save_embedding_layers=False)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    # A machine's path has no place in an adapter.
    config = replace(
        model.peft_config[_NAME], inference_mode=True, base_model_name_or_path=described["base"]["name"]
    )
    config.save_pretrained(str(folder))
    (folder / "fim_lsp.json").write_text(
        json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


def plan_of(folder: Path) -> AdapterPlan:
    """What must be attached for a saved adapter's weights to fit.

    Raises:
        AdapterError: there is no adapter, or none of ours.
    """
    import json

    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        method = json.loads((folder / "fim_lsp.json").read_text(encoding="utf-8"))["adapter"]["method"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"{folder} is no adapter of ours: {error}.", "Name a training run.") from error
    trained = (config.get("trainable_token_indices") or {}).values()
    return AdapterPlan(
        method=method,
        rank=int(config.get("r", 1)),
        alpha=int(config.get("lora_alpha", 1)),
        sentinels=tuple(int(token) for ids in trained for token in ids),
    )


def load_adapter(model: Any, source: Path) -> None:
    """Fill an attached adapter with the weights of one that was saved.

    Args:
        model: what :func:`attach` returned.
        source: a folder that training wrote, or a delta.

    Raises:
        AdapterError: it is damaged, or of another shape than the one attached.
    """
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        whole = source.is_dir()
        state = load_file(source / "adapter_model.safetensors" if whole else source)
        state = state if whole else {_peft_name(model, name): value.float() for name, value in state.items()}
        result = set_peft_model_state_dict(model, state, adapter_name=_NAME)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise AdapterError(
            f"The adapter {source} does not fit: {error}",
            "Give the method and rank that it was made with.",
        ) from error
    found: Any = result
    strangers: Sequence[str] = found.unexpected_keys
    missing = [name for name in found.missing_keys if name in trainable(model)]
    if strangers or missing:
        raise AdapterError(
            f"The adapter {source} has other layers than the one attached: "
            f"{', '.join((*strangers, *missing)[:3])} …",
            "Give the method that it was made with.",
        )


def _peft_name(model: Any, name: str) -> str:
    """What peft calls a tensor of a delta (:mod:`fim_lsp.models.adapter_file`)."""
    if name != "token_rows":
        return f"base_model.model.{name}.weight"
    causal = model.get_base_model()
    adapted = causal.get_input_embeddings()
    embedding = next(place for place, module in causal.named_modules() if module is adapted)
    return f"base_model.model.{embedding}.token_adapter.trainable_tokens_delta"


@cache
def _fused_linear() -> Any:
    """A ``peft`` layer with a faster forward; made on first use because torch is imported late."""
    from peft.tuners.lora import Linear

    class FusedLoraLinear(Linear):
        """One trained adapter on a frozen ``nn.Linear``, without dropout."""

        def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            if self.disable_adapters or self.merged or self.active_adapters != [_NAME]:
                return super().forward(x, *args, **kwargs)
            base = self.base_layer
            down, up = self.lora_A[_NAME].weight, self.lora_B[_NAME].weight
            return _lora_product().apply(x, base.weight, base.bias, down, up, self.scaling[_NAME])

    return FusedLoraLinear


@cache
def _lora_product() -> Any:
    import torch

    class LoraProduct(torch.autograd.Function):
        """``x W' + b + s (x A') B'`` with W and b frozen, in the dtype of W."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, bias: Any, down: Any, up: Any, scale: float) -> Any:
            rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)
            down, up = down.to(weight.dtype), up.to(weight.dtype)
            narrow = rows @ down.t()
            out = rows @ weight.t() if bias is None else torch.addmm(bias, rows, weight.t())
            out.addmm_(narrow, up.t(), alpha=scale)
            ctx.save_for_backward(rows, weight, down, up, narrow)
            ctx.scale, ctx.shape = scale, x.shape
            return out.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            rows, weight, down, up, narrow = ctx.saved_tensors
            gradient = gradient.reshape(-1, gradient.shape[-1])
            upstream = gradient @ up
            to_x = None
            if ctx.needs_input_grad[0]:
                to_x = (gradient @ weight).addmm_(upstream, down, alpha=ctx.scale).view(ctx.shape)
            to_down = (upstream.t() @ rows).float().mul_(ctx.scale)
            to_up = (gradient.t() @ narrow).float().mul_(ctx.scale)
            return to_x, None, None, to_down, to_up, None

    return LoraProduct
