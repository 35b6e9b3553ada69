"""From the logits behind a prompt to answers: one token by token or draft by draft, or several side by side.

Candidates are decoded in the neighbours of the prompt's own sequence. llama.cpp computes sequences together
only where their ids follow each other (0.3.36), so a pool of spare ones would need one for each candidate,
the first included: three of 47 MB (2,048 tokens of SmolLM2), held by all for the few who ask for several. A
second context, opened when first wanted, can't take over a sequence unless it has as many streams, and so as
much memory. The neighbours cost none: what they hold waits in memory meanwhile and is put back, as bytes of
what is used and not of whole windows. There are then no more candidates than sequences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from attrs import evolve

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.llama.cache import KvCache
from fim_lsp.engine.speculation import Drafter
from fim_lsp.engine.token_stream import TokenStream
from fim_lsp.types import Timings


def decode_stream(
    cache: KvCache,
    stream: TokenStream,
    cancel: CancelToken,
    drafter: Drafter | None = None,
    on_decoded: Callable[[float], None] = lambda ms: None,
) -> Timings:
    """Sample token by token, or several that a draft foresaw; what that cost.

    The last token sampled is not evaluated; the next request does if it must. Whatever of a draft was not
    said is dropped. ``on_decoded`` is told how many milliseconds each token took that was decoded alone.
    """
    known, cost = len(cache.mirror.tokens), Timings()
    draft: tuple[int, ...] = ()
    while True:
        said = _hear(cache, stream, draft, cancel)
        if drafter is not None and draft:
            accepted = cost.accepted_tokens + drafter.judged(draft, said)
            drafted = cost.drafted_tokens + len(draft)
            cost = evolve(cost, drafted_tokens=drafted, accepted_tokens=accepted)
        cache.drop_beyond(known + stream.count - 1)
        if stream.reason is not None or cancel.cancelled:
            return cost
        draft = drafter.draft(said, stream.left - 1) if drafter is not None and not stream.healing else ()
        started = time.perf_counter()
        if not cache.decode((said[-1], *draft), logits=1 + len(draft)):
            cache.drop_beyond(known + stream.count - 1)
            return cost
        if not draft:
            on_decoded((time.perf_counter() - started) * 1000)
        cost = evolve(cost, decodes=cost.decodes + 1)


def _hear(cache: KvCache, stream: TokenStream, draft: Sequence[int], cancel: CancelToken) -> list[int]:
    """Sample behind a token and its draft for as long as the draft is right and the stream goes on."""
    said: list[int] = []
    for row, foreseen in enumerate((*draft, None), -1 - len(draft)):
        said.append(stream.sample(cache.logits(row)))
        if said[-1] != foreseen or stream.reason is not None or cancel.cancelled:
            break
    return said


def decode_streams(cache: KvCache, streams: Sequence[TokenStream], cancel: CancelToken) -> Timings:
    """Sample several answers, a token of each in one batch; what that cost.

    The first goes on in the current sequence and begins as it would alone. The others branch off where it
    first says something: a healed word can be spelled in several ways, which all say the same. A stream that
    found no token of its own to begin with samples nothing, and one without a sequence ends there.
    """
    first, *others = streams
    begun, alone = _begin(cache, first, others, cancel)
    if begun is None:
        return Timings(decodes=alone)
    tokens = [(first, begun)]
    for other in others:
        token = other.sample_next_best(cache.logits(), {taken for _, taken in tokens})
        if token is not None:
            tokens.append((other, token))
    with cache.forked(cache.mirror.window(len(tokens))) as copies:
        slots = (cache.mirror.current, *copies)
        running = [(at, *one) for at, one in zip(slots, tokens, strict=False) if one[0].reason is None]
        running.sort(key=lambda slot: slot[0])
        return Timings(decodes=alone + _go_on(cache, running, cancel))


def _begin(
    cache: KvCache, first: TokenStream, others: Sequence[TokenStream], cancel: CancelToken
) -> tuple[int | None, int]:
    """Sample until ``first`` says something, with ``others`` just before that.

    Returns:
        The last token, None if cancelled, and how many decodes that took.
    """
    decodes = 0
    while True:
        for other in others:
            other.branch_off(first)
        token = first.sample(cache.logits())
        if cancel.cancelled:
            return None, decodes
        if not first.silent or first.reason is not None:
            return token, decodes
        if not cache.decode((token,), logits=1):
            return None, decodes
        decodes += 1


def _go_on(cache: KvCache, running: list[tuple[int, TokenStream, int]], cancel: CancelToken) -> int:
    """Decode a token of each stream that goes on, by ascending sequence, until none does."""
    decodes = 0
    while running and not cancel.cancelled:
        if not cache.decode_side_by_side([(sequence, token) for sequence, _, token in running]):
            break
        decodes += 1
        spoken = [
            (sequence, stream, stream.sample(cache.logits(row)))
            for row, (sequence, stream, _) in enumerate(running)
        ]
        running = [one for one in spoken if one[1].reason is None]
    return decodes
