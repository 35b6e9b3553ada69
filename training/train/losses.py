"""The loss: negative log-likelihood at labels alone, each with its weight.

Few tokens of a row are labels (about 6% where only the middle counts), and with 49,152 words the output
layer costs as much as half the decoder. So the decoder's body runs over everything, and the output layer
over labels only, a few hundred at a time; its gradient is taken in the same pass (as in Liger's fused linear
cross entropy), so that no logits are kept: 1,024 labels of a 150,000-word vocabulary would be 0.6 GB twice.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fim_lsp.errors import FimLspError
from training.train.lora import sentinel_rows

_LABELS_AT_ONCE = 256
_UNSUPPORTED = ("final_logit_softcapping",)


class LossError(FimLspError):
    """A base whose output layer does something that this loss does not know."""


@cache
def _module() -> Any:
    from torch import nn

    class LabelledLoss(nn.Module):
        """A peft model and the ids of its trained markers, as one module that can be distributed."""

        def __init__(self, model: Any, sentinels: tuple[int, ...]) -> None:
            import torch

            super().__init__()
            self.model = model
            causal = model.get_base_model()
            self._check(causal.config)
            self._logit_scale = _logit_scale(causal.config)
            # In four bits the matrices are bytes; norms tell in what the layers compute.
            kinds = (value for value in causal.get_decoder().layers.parameters() if not value.requires_grad)
            self._dtype = next(value.dtype for value in kinds if value.is_floating_point())
            self.register_buffer("sentinels", torch.tensor(sentinels, dtype=torch.long), persistent=False)

        @staticmethod
        def _check(config: Any) -> None:
            for name in _UNSUPPORTED:
                if getattr(config, name, None):
                    raise LossError(
                        f"This base has {name}, which training does not support.", "Choose another base."
                    )

        def forward(
            self, ids: Any, positions: Any, row_lengths: Any, places: Any, targets: Any, weights: Any
        ) -> Any:
            """Sum of the labels' weighted NLL; ``places`` are the positions before the labels."""
            hidden, output = self._run(ids, positions, row_lengths, places)
            return _label_loss().apply(hidden, *output, targets, weights, self._logit_scale)

        def judge(
            self, ids: Any, positions: Any, row_lengths: Any, places: Any, targets: Any, end: int
        ) -> Any:
            """Each label's NLL, how far ``end``'s logit is above all others, and the likeliest of those."""
            hidden, output = self._run(ids, positions, row_lengths, places)
            return _judged(hidden, output, targets, end, self._logit_scale)

        def _run(self, ids: Any, positions: Any, row_lengths: Any, places: Any) -> Any:
            """The decoder's states at ``places``, and what the output layer consists of."""
            causal = self.model.get_base_model()
            rows = sentinel_rows(self.model)
            decoder = causal.get_decoder()
            output = decoder(
                inputs_embeds=self._embed(causal, ids, rows).to(self._dtype)[None],
                position_ids=positions[None],
                row_lengths=row_lengths,
                use_cache=False,
            )
            hidden = output.last_hidden_state[0].index_select(0, places)
            head = _inner(causal.get_output_embeddings())
            tied = rows if _is_tied(causal) else None
            return hidden, (head.weight, head.bias, tied, self.sentinels)

        def _embed(self, causal: Any, ids: Any, rows: Any | None) -> Any:
            import torch

            embedding = _inner(causal.get_input_embeddings())
            vectors = embedding(ids)
            if rows is None:
                return vectors
            found = ids[:, None] == self.sentinels
            scale = getattr(embedding, "embed_scale", 1.0)
            trained = rows.index_select(0, found.int().argmax(1)) * scale
            return torch.where(found.any(1, keepdim=True), trained.to(vectors.dtype), vectors)

    return LabelledLoss


def labelled_loss(model: Any, sentinels: tuple[int, ...] = ()) -> Any:
    """The module that turns a pass of rows into its loss.

    Args:
        model: what :func:`training.train.lora.attach` returned.
        sentinels: the ids that were attached as trained markers, in the same order.

    Raises:
        LossError: the base changes its logits in a way that isn't known here.
    """
    return _module()(model, sentinels)


def _inner(layer: Any) -> Any:
    """The base's own layer inside peft's wrappers."""
    return layer.token_adapter.base_layer if hasattr(layer, "token_adapter") else layer


def _is_tied(causal: Any) -> bool:
    head, embedding = _inner(causal.get_output_embeddings()), _inner(causal.get_input_embeddings())
    return head.weight is embedding.weight or head.weight.data_ptr() == embedding.weight.data_ptr()


def _logit_scale(config: Any) -> float:
    """Granite divides its logits, Cohere multiplies them."""
    return float(getattr(config, "logit_scale", None) or 1.0) / float(
        getattr(config, "logits_scaling", None) or 1.0
    )


@cache
def _label_loss() -> Any:
    import torch

    class LabelLoss(torch.autograd.Function):
        """Output layer and cross entropy in one, with the gradient taken on the way."""

        @staticmethod
        def forward(
            ctx: Any,
            hidden: Any,
            head: Any,
            bias: Any,
            rows: Any,
            row_ids: Any,
            targets: Any,
            weights: Any,
            scale: float,
        ) -> Any:
            loss = torch.zeros((), device=hidden.device)
            to_hidden = torch.empty_like(hidden)
            to_rows = None if rows is None else torch.zeros_like(rows, dtype=torch.float32)
            parts = zip(*(_parts(values) for values in (hidden, targets, weights, to_hidden)), strict=True)
            for states, wanted, weight, gradient in parts:
                states = states.to(head.dtype)
                logits = _logits(states, head, bias, rows, row_ids, scale)
                nll = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
                loss += (nll * weight).sum()
                slope = _slope(logits, wanted, weight * scale).to(head.dtype)
                if to_rows is not None:
                    own = slope[:, row_ids]
                    to_rows += own.t().float() @ states.float()
                    slope[:, row_ids] = 0
                    gradient.copy_(slope @ head + own @ rows.to(head.dtype))
                else:
                    gradient.copy_(slope @ head)
            ctx.gradients = to_hidden, to_rows
            return loss

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            to_hidden, to_rows = ctx.gradients
            del ctx.gradients
            of_rows = None if to_rows is None else to_rows * upstream
            return to_hidden * upstream, None, None, of_rows, None, None, None, None

    return LabelLoss


def _judged(hidden: Any, output: tuple[Any, Any, Any, Any], targets: Any, end: int, scale: float) -> Any:
    """See ``LabelledLoss.judge``: three tensors of (labels,), the last one of token ids."""
    import torch

    judged = []
    for states, wanted in zip(_parts(hidden), _parts(targets), strict=True):
        logits = _logits(states.to(output[0].dtype), *output, scale)
        nll = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        ends = logits[:, end].clone()
        logits[:, end] = -torch.inf
        rivals = logits.max(-1)
        judged.append((nll, ends - rivals.values, rivals.indices))
    return tuple(torch.cat(parts) for parts in zip(*judged, strict=True))


def _parts(values: Any) -> Any:
    """A few labels at a time: views into ``values``."""
    return values.split(_LABELS_AT_ONCE)


def _logits(states: Any, head: Any, bias: Any, rows: Any, row_ids: Any, scale: float) -> Any:
    """The output layer in float32, (labels, vocabulary), with the trained markers' rows in their places."""
    import torch

    logits = torch.nn.functional.linear(states, head, bias)
    if rows is not None:
        logits[:, row_ids] = states @ rows.to(head.dtype).t()
    return logits.float().mul_(scale)


def _slope(logits: Any, targets: Any, weights: Any) -> Any:
    """The gradient of weighted cross entropy by its logits: probabilities, less 1 at the target."""
    import torch

    slope = torch.softmax(logits, -1)
    slope[torch.arange(len(slope), device=slope.device), targets] -= 1
    return slope.mul_(weights[:, None])
