"""From the logits behind a prompt to generations: token by token or draft by draft, or several side by side.

Candidates are decoded in the neighbours of the prompt's own sequence. llama.cpp computes sequences together
only if their ids follow each other (0.3.36), so a pool of spare ones would need one for each candidate, the
first included: three of 47 MB (2,048 tokens of SmolLM2), allocated for all users, of whom few ask for several
candidates. A second context, opened on demand, can't take over a sequence unless it has as many streams, and
so as much memory. The neighbours cost no memory: what they hold is copied to bytes meanwhile and restored
afterwards, for the tokens in use and not for whole windows. So there are no more candidates than sequences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from attrs import evolve

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.llama.cache import KvCache
from fim_lsp.engine.sampling import Logits
from fim_lsp.engine.speculation import Drafter
from fim_lsp.engine.token_stream import TokenStream
from fim_lsp.types import Timings

_MOST_KEPT = 24
"""Tokens of an answer before which the logits are kept: the user types on as far as a suggestion is right,
and seldom beyond its first line."""


def decode_stream(
    cache: KvCache,
    logits: Logits,
    stream: TokenStream,
    cancel: CancelToken,
    drafter: Drafter | None = None,
    on_decoded: Callable[[float], None] = lambda ms: None,
) -> Timings:
    """Sample one stream until it ends, token by token, or several at once where a draft is right.

    The last sampled token is not evaluated; the next request does so if it needs it. Rejected tokens of a
    draft are dropped from the cache.

    Args:
        cache: Holds the prompt. Its mirror keeps the logits behind the first sampled tokens.
        logits: Those behind the prompt, shape (vocabulary,).
        stream: Sampled until it has a reason to end.
        cancel: Checked after each token.
        drafter: Guesses tokens; None for no drafts.
        on_decoded: Called with the milliseconds of each decode of one token.

    Returns:
        What decoding cost: decodes, drafted and accepted tokens.
    """
    prompt_tokens, cost = len(cache.mirror.tokens), Timings()
    draft: tuple[int, ...] = ()
    rows = [logits]
    while True:
        sampled = _sample_rows(rows, stream, draft, cancel)
        if drafter is not None and draft:
            accepted = cost.accepted_tokens + drafter.record(draft, sampled)
            drafted = cost.drafted_tokens + len(draft)
            cost = evolve(cost, drafted_tokens=drafted, accepted_tokens=accepted)
        cache.drop_beyond(prompt_tokens + stream.count - 1)
        if 1 < stream.count <= _MOST_KEPT:
            cache.mirror.keep_logits(rows[: len(sampled)])
        if stream.reason is not None or cancel.cancelled:
            return cost
        draft = ()
        if drafter is not None and not stream.healing:
            remembered = stream.memory.draft if stream.memory is not None else _nothing
            draft = drafter.draft(sampled, stream.remaining - 1, remembered)
        started = time.perf_counter()
        if not cache.decode((sampled[-1], *draft), logits=1 + len(draft)):
            cache.drop_beyond(prompt_tokens + stream.count - 1)
            return cost
        if not draft:
            on_decoded((time.perf_counter() - started) * 1000)
        rows = cache.last_logits(1 + len(draft))
        cost = evolve(cost, decodes=cost.decodes + 1)


def _nothing(count: int) -> tuple[int, ...]:
    """Return no tokens: without a repository memory, none are remembered."""
    return ()


def _sample_rows(
    rows: Sequence[Logits], stream: TokenStream, draft: Sequence[int], cancel: CancelToken
) -> list[int]:
    """Sample behind the last token and each token of its draft, as long as the draft is right."""
    sampled: list[int] = []
    for row, drafted in zip(rows, (*draft, None), strict=True):
        sampled.append(stream.sample(row))
        if sampled[-1] != drafted or stream.reason is not None or cancel.cancelled:
            break
    return sampled


def decode_streams(
    cache: KvCache, logits: Logits, streams: Sequence[TokenStream], cancel: CancelToken
) -> Timings:
    """Sample several streams until all end, with one token of each in every batch.

    The first stream continues in the current sequence and begins as it would alone. The others branch off
    where it first adds text: a healed word can be spelled in several ways, which all give the same text. A
    stream for which no token of its own is left samples nothing, and one without a sequence ends there.

    Args:
        cache: Holds the prompt.
        logits: Those behind the prompt, shape (vocabulary,).
        streams: Sampled until each has a reason to end.
        cancel: Checked after each token.

    Returns:
        What decoding cost: decodes.
    """
    first, *others = streams
    token, logits, decodes = _sample_first(cache, logits, first, others, cancel)
    if token is None:
        return Timings(decodes=decodes)
    begun = [(first, token)]
    for other in others:
        next_best = other.sample_next_best(logits, {taken for _, taken in begun})
        if next_best is not None:
            begun.append((other, next_best))
    with cache.forked(cache.mirror.window(len(begun))) as copies:
        sequences = (cache.mirror.current, *copies)
        running = [
            (sequence, stream, token)
            for sequence, (stream, token) in zip(sequences, begun, strict=False)
            if stream.reason is None
        ]
        running.sort(key=lambda entry: entry[0])
        return Timings(decodes=decodes + _decode_side_by_side(cache, running, cancel))


def _sample_first(
    cache: KvCache,
    logits: Logits,
    first: TokenStream,
    others: Sequence[TokenStream],
    cancel: CancelToken,
) -> tuple[int | None, Logits, int]:
    """Sample until ``first`` has text, with ``others`` branched off just before that.

    Returns:
        The last token, None if cancelled; the logits that it was sampled from; and the number of decodes.
    """
    decodes = 0
    while True:
        for other in others:
            other.branch_off(first)
        token = first.sample(logits)
        if cancel.cancelled:
            return None, logits, decodes
        if first.has_text or first.reason is not None:
            return token, logits, decodes
        if not cache.decode((token,), logits=1):
            return None, logits, decodes
        logits = cache.logits()
        decodes += 1


def _decode_side_by_side(
    cache: KvCache, running: list[tuple[int, TokenStream, int]], cancel: CancelToken
) -> int:
    """Decode a token of each running stream at once until all end.

    Args:
        cache: Holds the text of each stream in the sequence of its entry.
        running: Sequence, stream and last token of each, by ascending sequence.
        cancel: Checked before each decode.

    Returns:
        The number of decodes.
    """
    decodes = 0
    while running and not cancel.cancelled:
        if not cache.decode_side_by_side([(sequence, token) for sequence, _, token in running]):
            break
        decodes += 1
        sampled = [
            (sequence, stream, stream.sample(cache.logits(row)))
            for row, (sequence, stream, _) in enumerate(running)
        ]
        running = [entry for entry in sampled if entry[1].reason is None]
    return decodes
