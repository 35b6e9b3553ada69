"""The loss: negative log-likelihood (NLL) at the labels alone, each with its weight.

Few tokens of a row are labels (about 6% where only the middle counts), and with 49,152 words the output layer
costs as much as half of the decoder. So the decoder runs over every token, and the output layer over the
labels only, 256 of them at a time. Its gradient is computed in the same pass as the loss (as Liger's fused
linear cross entropy does), so that no logits are kept: those of 1,024 labels with a vocabulary of 150,000
would take 0.6 GB, twice.

This module imports torch; import it only where a model is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy, linear

from fim_lsp.errors import FimLspError
from training.train.lora import sentinel_rows

_LABELS_AT_ONCE = 256
_UNSUPPORTED = ("final_logit_softcapping",)


class LossError(FimLspError):
    """A base whose output layer computes something that this loss does not implement."""


class _OutputLayer(NamedTuple):
    """The tensors that turn hidden states into logits."""

    weight: Any
    """(vocabulary, width), frozen."""
    bias: Any | None
    """(vocabulary,), frozen."""
    rows: Any | None
    """(markers, width): trained rows that replace those of ``weight``; None if it has no trained rows."""
    row_ids: Any
    """(markers,): the token ids of ``rows``."""
    scale: float
    """Factor of the logits."""

    def logits(self, states: Any) -> Any:
        """Return the logits in float32, (labels, vocabulary), of states (labels, width)."""
        logits = linear(states, self.weight, self.bias)
        if self.rows is not None:
            logits[:, self.row_ids] = states @ self.rows.to(self.weight.dtype).t()
        return logits.float().mul_(self.scale)


class LabelledLoss(torch.nn.Module):
    """Turns packed rows into their loss; one module, so that accelerate can distribute it."""

    def __init__(self, model: Any, sentinels: Sequence[int] = ()) -> None:
        """Wrap a model.

        Args:
            model: what :func:`training.train.lora.attach` returned.
            sentinels: ids of the trained markers, in the order in which they were attached.

        Raises:
            LossError: the base changes its logits in a way that is not implemented here.
        """
        super().__init__()
        self.model = model
        causal = model.get_base_model()
        _check_supported(causal.config)
        self._logit_scale = _logit_scale(causal.config)
        # Weights in four bits are stored as bytes; the norms have the dtype in which the layers compute.
        frozen = (value for value in causal.get_decoder().layers.parameters() if not value.requires_grad)
        self._dtype = next(value.dtype for value in frozen if value.is_floating_point())
        self.register_buffer("sentinels", torch.tensor(sentinels, dtype=torch.long), persistent=False)

    def forward(
        self,
        ids: Any,
        positions: Any,
        row_lengths: Sequence[int],
        places: Any,
        targets: Any,
        weights: Any,
    ) -> Any:
        """Return the sum of the labels' weighted NLL, in nats.

        Args:
            ids: (tokens,), the rows of a pass one after the other.
            positions: (tokens,), each token's position in its row.
            row_lengths: tokens of each row.
            places: (labels,), the indices of the tokens before the labels.
            targets: (labels,), the labels' token ids.
            weights: (labels,), their loss weights.
        """
        states, layer = self._run(ids, positions, row_lengths, places)
        return _label_loss(states, *layer, targets, weights)

    def score(
        self, ids: Any, positions: Any, row_lengths: Sequence[int], places: Any, targets: Any, end: int
    ) -> tuple[Any, Any, Any]:
        """Score each label, without gradients; the arguments are those of :meth:`forward`.

        Args:
            ids: token ids.
            positions: positions in the rows.
            row_lengths: tokens of each row.
            places: the tokens before the labels.
            targets: the labels.
            end: id of the token that ends a middle.

        Returns:
            Three tensors of (labels,): the NLL in nats, the logit of ``end`` less the highest other logit,
            and the token of that other logit.
        """
        states, layer = self._run(ids, positions, row_lengths, places)
        chunks = zip(states.split(_LABELS_AT_ONCE), targets.split(_LABELS_AT_ONCE), strict=True)
        scores = [_score_labels(layer, chunk, target, end) for chunk, target in chunks]
        nll, leads, rivals = (torch.cat(parts) for parts in zip(*scores, strict=True))
        return nll, leads, rivals

    def _run(
        self, ids: Any, positions: Any, row_lengths: Sequence[int], places: Any
    ) -> tuple[Any, _OutputLayer]:
        """Return the decoder's states at ``places``, (labels, width), and the output layer."""
        causal = self.model.get_base_model()
        rows = sentinel_rows(self.model)
        output = causal.get_decoder()(
            inputs_embeds=self._embed(causal, ids, rows).to(self._dtype)[None],
            position_ids=positions[None],
            row_lengths=row_lengths,
            use_cache=False,
        )
        states = output.last_hidden_state[0].index_select(0, places)
        head = _unwrapped(causal.get_output_embeddings())
        tied_rows = rows if _is_tied(causal) else None
        return states, _OutputLayer(head.weight, head.bias, tied_rows, self.sentinels, self._logit_scale)

    def _embed(self, causal: Any, ids: Any, rows: Any | None) -> Any:
        """Return the embeddings of ``ids``, (tokens, width), with the trained rows for the markers."""
        embedding = _unwrapped(causal.get_input_embeddings())
        vectors = embedding(ids)
        if rows is None:
            return vectors
        found = ids[:, None] == self.sentinels
        scale = getattr(embedding, "embed_scale", 1.0)
        trained = rows.index_select(0, found.int().argmax(1)) * scale
        return torch.where(found.any(1, keepdim=True), trained.to(vectors.dtype), vectors)


class _LabelLoss(torch.autograd.Function):
    """Output layer and cross entropy in one; computes the gradient together with the loss."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Any,
        weight: Any,
        bias: Any,
        rows: Any,
        row_ids: Any,
        scale: float,
        targets: Any,
        label_weights: Any,
    ) -> Any:
        """Return the weighted sum; ``states`` is (labels, width), for the rest see :class:`_OutputLayer`."""
        layer = _OutputLayer(weight, bias, rows, row_ids, scale)
        loss = torch.zeros((), device=states.device)
        states_gradient = torch.empty_like(states)
        rows_gradient = None if rows is None else torch.zeros_like(rows, dtype=torch.float32)
        labels = (states, targets, label_weights, states_gradient)
        for chunk in zip(*(values.split(_LABELS_AT_ONCE) for values in labels), strict=True):
            chunk_states, target, label_weight, gradient = chunk
            chunk_states = chunk_states.to(weight.dtype)
            logits = layer.logits(chunk_states)
            loss += (cross_entropy(logits, target, reduction="none") * label_weight).sum()
            slope = _slope(logits, target, label_weight * scale).to(weight.dtype)
            if rows_gradient is None:
                gradient.copy_(slope @ weight)
                continue
            # A marker's logit came from its trained row, not from its row of the frozen matrix.
            marker_slope = slope[:, row_ids]
            rows_gradient += marker_slope.t().float() @ chunk_states.float()
            slope[:, row_ids] = 0
            gradient.copy_(slope @ weight + marker_slope @ rows.to(weight.dtype))
        ctx.gradients = states_gradient, rows_gradient
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> Any:
        """Return the gradients of the states and of the trained rows; the rest is frozen."""
        states_gradient, rows_gradient = ctx.gradients
        del ctx.gradients
        scaled_rows = None if rows_gradient is None else rows_gradient * upstream
        return states_gradient * upstream, None, None, scaled_rows, None, None, None, None


_label_loss: Any = _LabelLoss.apply


def _score_labels(layer: _OutputLayer, states: Any, targets: Any, end: int) -> tuple[Any, Any, Any]:
    """Score a few labels; see :meth:`LabelledLoss.score`."""
    logits = layer.logits(states.to(layer.weight.dtype))
    nll = cross_entropy(logits, targets, reduction="none")
    end_logits = logits[:, end].clone()
    logits[:, end] = -torch.inf
    rivals = logits.max(-1)
    return nll, end_logits - rivals.values, rivals.indices


def _slope(logits: Any, targets: Any, weights: Any) -> Any:
    """Return the gradient of weighted cross entropy by the logits: softmax, less 1 at the target."""
    slope = torch.softmax(logits, -1)
    slope[torch.arange(len(slope), device=slope.device), targets] -= 1
    return slope.mul_(weights[:, None])


def _check_supported(config: Any) -> None:
    for name in _UNSUPPORTED:
        if getattr(config, name, None):
            raise LossError(f"This base has {name}, which training does not support.", "Choose another base.")


def _logit_scale(config: Any) -> float:
    """Return the factor of the logits: Granite divides them by a constant, Cohere multiplies them."""
    return float(getattr(config, "logit_scale", None) or 1.0) / float(
        getattr(config, "logits_scaling", None) or 1.0
    )


def _unwrapped(layer: Any) -> Any:
    """Return the base's own layer from inside peft's wrapper."""
    return layer.token_adapter.base_layer if hasattr(layer, "token_adapter") else layer


def _is_tied(causal: Any) -> bool:
    """Tell whether the output layer uses the embedding's matrix."""
    head, embedding = _unwrapped(causal.get_output_embeddings()), _unwrapped(causal.get_input_embeddings())
    return head.weight is embedding.weight or head.weight.data_ptr() == embedding.weight.data_ptr()
