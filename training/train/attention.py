"""Causal attention over rows that lie one after the other in one sequence, without padding between them.

A pass of the training loop is one long sequence of whole rows, and each row attends to itself alone.
transformers calls :func:`packed_attention` in every layer (it is registered as :data:`NAME`) and hands on the
rows' lengths.

On a GPU each row goes through torch's fused kernel. On a CPU that kernel is slow for training (torch 2.13,
bf16, 512 tokens of SmolLM2-135M: 10.7 ms forward and 28.5 ms backward). There the queries are taken in blocks
of 128 against the keys up to the block's end, with plain matrix products that oneDNN computes in bf16: 6.7
and 9.9 ms. The work above the diagonal, almost half of all, is skipped.

This module imports torch; import it only where a model is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

NAME = "fim_packed_rows"
_BLOCK = 128


def register() -> str:
    """Register the attention with transformers, and return the name for ``attn_implementation``."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    return NAME


def packed_attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    row_lengths: Sequence[int],
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Any, None]:
    """Compute causal attention within each row; transformers calls this in place of its own functions.

    Args:
        module: the attention layer; not used.
        query: (1, heads, tokens, head size).
        key: (1, shared heads, tokens, head size); as many heads as ``query`` has, or fewer that are shared.
        value: as ``key``.
        attention_mask: always None, because transformers builds no mask for an attention it does not know.
        row_lengths: tokens of each row, in order; their sum is ``tokens``.
        scaling: factor of the products; None for 1 / sqrt(head size).
        dropout: dropout of the attention weights; must be 0.
        sliding_window: tokens that a query sees; no row may be longer.
        softcap: soft cap of the scores (Gemma 2); must be None or 0.

    Returns:
        The result, (1, tokens, heads, head size), and None for the attention weights.
    """
    if softcap or dropout:
        raise NotImplementedError("attention with soft-capping or dropout")
    if sliding_window is not None and max(row_lengths) > sliding_window:
        raise NotImplementedError(f"rows longer than the model's sliding window of {sliding_window} tokens")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if query.device.type == "cpu":
        return _attend_blockwise(query[0], key[0], value[0], tuple(row_lengths), scale)[None], None
    return _attend_row_by_row(query, key, value, row_lengths, scale), None


def _attend_row_by_row(query: Any, key: Any, value: Any, row_lengths: Sequence[int], scale: float) -> Any:
    has_shared_heads = query.shape[1] != key.shape[1]
    rows = zip(*(part.split(list(row_lengths), dim=2) for part in (query, key, value)), strict=True)
    attended = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=has_shared_heads)
        for q, k, v in rows
    ]
    return torch.cat(attended, dim=2).transpose(1, 2)


def _blocks(row_lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield each block of queries as (start of its row, start, end), in tokens of the packed sequence."""
    start = 0
    for length in row_lengths:
        end = start + length
        yield from ((start, block, min(block + _BLOCK, end)) for block in range(start, end, _BLOCK))
        start = end


class _BlockwiseAttention(torch.autograd.Function):
    """``softmax(scale * Q K') V`` for one block of queries after the other.

    ``query`` is (heads, tokens, head size), ``key`` and ``value`` (shared heads, tokens, head size), the
    result (tokens, heads, head size). Query heads that share a key head are stacked into one matrix product:
    (shared heads, heads / shared heads * block, head size).
    """

    @staticmethod
    def forward(
        ctx: Any, query: Any, key: Any, value: Any, row_lengths: tuple[int, ...], scale: float
    ) -> Any:
        """Attend, and keep each block's probabilities for the backward pass."""
        heads, tokens, size = query.shape
        shared = key.shape[0]
        key, value = key.contiguous(), value.contiguous()
        attended = query.new_empty(tokens, heads, size)
        block_probabilities = []
        for row, start, end in _blocks(row_lengths):
            width = end - start
            scores = torch.bmm(
                (query[:, start:end] * scale).reshape(shared, -1, size), key[:, row:end].transpose(1, 2)
            )
            future = torch.ones(width, width, dtype=torch.bool).triu_(1)
            scores.view(heads, width, -1)[..., start - row :].masked_fill_(future, float("-inf"))
            probabilities = torch.softmax(scores, -1)
            block_probabilities.append(probabilities)
            block = torch.bmm(probabilities, value[:, row:end])
            attended[start:end] = block.view(heads, width, size).transpose(0, 1)
        ctx.save_for_backward(query, key, value, attended, *block_probabilities)
        ctx.row_lengths, ctx.scale = row_lengths, scale
        return attended

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Return the gradients of query, key and value."""
        query, key, value, attended, *block_probabilities = ctx.saved_tensors
        heads, _, size = query.shape
        shared = key.shape[0]
        # The softmax's gradient is P * (dP - sum(P * dP)); the sum equals dO . O, computed once for each
        # query.
        delta = (gradient * attended).sum(-1, dtype=torch.float32).to(query.dtype).t()
        query_gradient = torch.empty_like(query)
        key_gradient = torch.zeros_like(key, dtype=torch.float32)
        value_gradient = torch.zeros_like(value, dtype=torch.float32)
        blocks = zip(_blocks(ctx.row_lengths), block_probabilities, strict=True)
        for (row, start, end), probabilities in blocks:
            upstream = gradient[start:end].transpose(0, 1).reshape(shared, -1, size)
            value_gradient[:, row:end] += torch.bmm(probabilities.transpose(1, 2), upstream)
            scores = torch.bmm(upstream, value[:, row:end].transpose(1, 2))
            scores.sub_(delta[:, start:end].reshape(shared, -1, 1)).mul_(probabilities)
            query_gradient[:, start:end] = (torch.bmm(scores, key[:, row:end]) * ctx.scale).view(
                heads, -1, size
            )
            block = query[:, start:end].reshape(shared, -1, size)
            key_gradient[:, row:end].add_(torch.bmm(scores.transpose(1, 2), block), alpha=ctx.scale)
        return query_gradient, key_gradient.to(key.dtype), value_gradient.to(value.dtype), None, None


_attend_blockwise: Any = _BlockwiseAttention.apply
