"""Causal attention over rows that lie one after the other, without padding between them.

A pass of the training loop is one long sequence of whole rows; each row may only see itself. transformers
calls :func:`packed_attention` for every layer (registered under :data:`NAME`) with the rows' lengths.

On a GPU each row goes through torch's fused kernel. On a CPU that kernel is slow where training needs it
(torch 2.13, bf16, 512 tokens of SmolLM2-135M: 10.7 ms forward and 28.5 ms backward), so there queries are
taken in blocks of 128 against the keys up to the block's end, with plain matrix products that oneDNN runs in
bf16: 6.7 and 9.9 ms, and half the work above the diagonal is never done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

NAME = "fim_packed_rows"
_BLOCK = 128


def register() -> str:
    """Make transformers know the attention, and return the name for ``attn_implementation``."""
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
    """What transformers calls in place of its own attention functions.

    Args:
        module: the attention layer; not used.
        query: (1, heads, tokens, head size); ``key`` and ``value`` with as many or fewer heads.
        key: see ``query``.
        value: see ``query``.
        attention_mask: always None for an attention that transformers knows no mask for.
        row_lengths: tokens of each row, in order; their sum is ``tokens``.
        scaling: of the products; 1 / sqrt(head size) where None.
        dropout: of the attention; refused, because no model of today trains with it.
        sliding_window: tokens that a query sees; rows that are longer are refused.
        softcap: refused (Gemma 2).

    Returns:
        (1, tokens, heads, head size), and no attention weights.
    """
    if softcap or dropout:
        raise NotImplementedError("attention with soft-capping or dropout")
    if sliding_window is not None and max(row_lengths) > sliding_window:
        raise NotImplementedError(f"rows longer than the model's sliding window of {sliding_window} tokens")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if query.device.type == "cpu":
        return _blockwise().apply(query[0], key[0], value[0], tuple(row_lengths), scale)[None], None
    return _row_by_row(query, key, value, row_lengths, scale), None


def _row_by_row(query: Any, key: Any, value: Any, row_lengths: Sequence[int], scale: float) -> Any:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    shared = query.shape[1] != key.shape[1]
    rows = zip(*(part.split(list(row_lengths), dim=2) for part in (query, key, value)), strict=True)
    attended = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=shared)
        for q, k, v in rows
    ]
    return torch.cat(attended, dim=2).transpose(1, 2)


def _blocks(row_lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Each block of queries as (row's begin, block's begin, block's end) in the packed sequence."""
    begin = 0
    for length in row_lengths:
        end = begin + length
        yield from ((begin, block, min(block + _BLOCK, end)) for block in range(begin, end, _BLOCK))
        begin = end


@cache
def _blockwise() -> Any:
    """The autograd function; made on first use because torch is imported late."""
    import torch

    class BlockwiseCausalAttention(torch.autograd.Function):
        """Softmax(QK')V block by block; the probabilities are kept for the way back."""

        @staticmethod
        def forward(ctx: Any, query: Any, key: Any, value: Any, lengths: Any, scale: float) -> Any:
            heads, tokens, size = query.shape
            shared = key.shape[0]
            key, value = key.contiguous(), value.contiguous()
            attended = query.new_empty(tokens, heads, size)
            kept = []
            for row, begin, end in _blocks(lengths):
                width = end - begin
                scores = torch.bmm(
                    (query[:, begin:end] * scale).reshape(shared, -1, size), key[:, row:end].transpose(1, 2)
                )
                future = torch.ones(width, width, dtype=torch.bool).triu_(1)
                scores.view(heads, width, -1)[..., begin - row :].masked_fill_(future, float("-inf"))
                probabilities = torch.softmax(scores, -1)
                kept.append(probabilities)
                block = torch.bmm(probabilities, value[:, row:end])
                attended[begin:end] = block.view(heads, width, size).transpose(0, 1)
            ctx.save_for_backward(query, key, value, attended, *kept)
            ctx.lengths, ctx.scale = lengths, scale
            return attended

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            query, key, value, attended, *kept = ctx.saved_tensors
            heads, _, size = query.shape
            shared = key.shape[0]
            delta = (gradient * attended).sum(-1, dtype=torch.float32).to(query.dtype).t()
            to_query = torch.empty_like(query)
            to_key = torch.zeros_like(key, dtype=torch.float32)
            to_value = torch.zeros_like(value, dtype=torch.float32)
            for (row, begin, end), probabilities in zip(_blocks(ctx.lengths), kept, strict=True):
                upstream = gradient[begin:end].transpose(0, 1).reshape(shared, -1, size)
                to_value[:, row:end] += torch.bmm(probabilities.transpose(1, 2), upstream)
                scores = torch.bmm(upstream, value[:, row:end].transpose(1, 2))
                scores.sub_(delta[:, begin:end].reshape(shared, -1, 1)).mul_(probabilities)
                to_query[:, begin:end] = (torch.bmm(scores, key[:, row:end]) * ctx.scale).view(
                    heads, -1, size
                )
                block = query[:, begin:end].reshape(shared, -1, size)
                to_key[:, row:end].add_(torch.bmm(scores.transpose(1, 2), block), alpha=ctx.scale)
            return to_query, to_key.to(key.dtype), to_value.to(value.dtype), None, None

    return BlockwiseCausalAttention
