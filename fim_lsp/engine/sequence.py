"""Our mirror of the KV cache, and the plan of what a prompt still needs evaluated.

Continue by text, not by tokens: what the user types rarely tokenises into an extension of the tokens
already evaluated (``def`` + ``ault`` is one token, ``default``). So the head of a prompt is compared token
by token, and its tail is walked as text: evaluated tokens are kept while their pieces spell the tail, and
only the rest is tokenised. An accepted suggestion therefore costs nothing, and a keystroke about one token.

The cache holds several sequences, so that two documents, or two places in one, do not cost each other
anything: each prompt is given the sequence that serves it best, and what it needs of another is copied.

Pure: the engines own the mirror; this module only says what to do with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import field, frozen

_SPACES = b" \t\r\n"
_LONGEST_REWIND = 32
"""Tokens to step back at most in search of a word boundary; text without any (minified, CJK) stops there."""

_LONGEST_WORD = 4
"""Tokens to heal at most; a longer word is healed in its last tokens only."""

_WORTH_A_COPY = 32
"""Tokens: a sequence is copied whole, which takes about as long as evaluating two or three of them."""


@frozen
class ReusePlan:
    """Keep ``keep`` mirrored tokens, drop the others, then evaluate ``pending`` (never empty)."""

    keep: int
    pending: tuple[int, ...] = field(repr=False)
    healed: bytes = b""
    """Bytes of the prompt's last word, left out of ``pending``: generation must begin with them."""

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt once ``pending`` is evaluated."""
        return self.keep + len(self.pending)


@frozen
class SlotFit:
    """One sequence of the cache, seen by a prompt."""

    held: int
    """Tokens that it holds."""
    kept: int
    """Of those, about how many serve the prompt; 0 where they were evaluated under other adapters."""
    last_used: int
    """Counts requests; 0 for a sequence that was never used."""
    same_location: bool = False
    """Whether it was last used for the same place, under the same adapters: what is dropped was its own."""


@frozen
class SequenceChoice:
    """Evaluate in ``sequence``, once it is a copy of ``source``, where one is named."""

    sequence: int
    source: int | None = None


def choose_sequence(candidates: Sequence[SlotFit], *, spare: int | None = None) -> SequenceChoice | None:
    """Decide where a prompt is evaluated.

    It goes on where it was, or in the sequence that it shares most with, unless more would be lost there than
    kept. Else it takes the least recently used one, which is a free one where there is any, and copies
    what a third one holds of it.

    Args:
        candidates: All sequences of the cache.
        spare: For work in the background: the sequence that the user is in. It never loses anything that
            would cost more than a token; another place does only where it is the least recently used one.

    Returns:
        The choice; None if there is no sequence to spare.
    """
    indices = range(len(candidates))

    def goes_on(at: int) -> bool:
        candidate = candidates[at]
        lost = candidate.held - candidate.kept
        if candidate.same_location and at != spare:
            return True
        return candidate.kept > 0 and lost <= (1 if spare is not None else candidate.kept)

    def worth(at: int) -> tuple[int, int]:
        return candidates[at].kept, candidates[at].last_used

    best = max(indices, key=worth)
    chosen = max(filter(goes_on, indices), key=worth, default=None)
    if chosen is not None and candidates[best].kept - candidates[chosen].kept < _WORTH_A_COPY:
        return SequenceChoice(chosen)
    source = best if candidates[best].kept >= _WORTH_A_COPY else None
    victims = [at for at in indices if at not in (source, spare)]
    if not victims:
        return SequenceChoice(best) if spare is None else None
    return SequenceChoice(min(victims, key=lambda at: candidates[at].last_used), source)


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of leading tokens that two sequences share."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))


def count_shared(mirror: Sequence[int], head: Sequence[int], tail: str, pieces: Sequence[bytes]) -> int:
    """About how many evaluated tokens serve the prompt ``head`` + ``tail``, without tokenising anything."""
    shared = common_prefix(mirror, head)
    if shared < len(head):
        return shared
    return shared + len(_spelled(mirror[shared:], tail.encode("utf-8", "replace"), pieces))


def plan_reuse(
    mirror: Sequence[int],
    head: Sequence[int],
    tail: str,
    pieces: Sequence[bytes],
    encode: Callable[[str], tuple[int, ...]],
    *,
    heal: bool = False,
) -> ReusePlan:
    """Decide which evaluated tokens serve the prompt ``head`` + ``tail`` and what is left to evaluate.

    Args:
        mirror: Tokens that the KV cache holds, from position 0.
        head: Tokens that the prompt begins with.
        tail: Text that follows the head.
        pieces: Bytes of every token id; empty for special tokens, which never spell user text.
        encode: Tokenises plain text.
        heal: Leave the tail's last word out, so that the model may choose longer tokens that begin alike
            (token healing: a prefix that ends in the middle of a word or in spaces otherwise forces a split
            that the model never saw).

    Returns:
        The plan. At least one token is always pending, because logits are not kept between requests.
    """
    target = (
        (*head, *_continue_by_text(mirror[len(head) :], tail, pieces, encode))
        if (common_prefix(mirror, head) == len(head))
        else (*head, *encode(tail))
    )
    cut = _last_word(target, max(1, len(head)), pieces) if heal else len(target)
    healed = b"".join(pieces[token] for token in target[cut:])
    target = target[:cut]
    keep = min(common_prefix(mirror, target), len(target) - 1)
    return ReusePlan(max(keep, 0), target[max(keep, 0) :], healed)


def _continue_by_text(
    evaluated: Sequence[int], tail: str, pieces: Sequence[bytes], encode: Callable[[str], tuple[int, ...]]
) -> tuple[int, ...]:
    """Tokens that spell ``tail``, taking those already evaluated where they fit.

    Where text is left over, step back to the last boundary between a word and a space before tokenising:
    tokenisers split there in any case, so that the tokens are those of the whole text.
    """
    wanted = tail.encode("utf-8", "replace")
    ends = _spelled(evaluated, wanted, pieces)
    if ends and ends[-1] == len(wanted):
        return tuple(evaluated[: len(ends)])
    kept = len(ends)
    while kept > max(0, len(ends) - _LONGEST_REWIND) and not _splits_words(wanted, ends[kept - 1]):
        kept -= 1
    while kept and not _starts_character(wanted, ends[kept - 1]):
        kept -= 1
    start = ends[kept - 1] if kept else 0
    return (*evaluated[:kept], *encode(wanted[start:].decode("utf-8")))


def _spelled(evaluated: Sequence[int], wanted: bytes, pieces: Sequence[bytes]) -> list[int]:
    """Byte offsets after each leading token whose pieces spell ``wanted``."""
    ends: list[int] = []
    position = 0
    for token in evaluated:
        piece = pieces[token]
        if not piece or not wanted.startswith(piece, position):
            break
        position += len(piece)
        ends.append(position)
    return ends


def _last_word(tokens: Sequence[int], start: int, pieces: Sequence[bytes]) -> int:
    """Index of the token, from ``start`` on, where the word begins that the text ends in."""
    cut = max(len(tokens) - 1, start)
    while (
        cut > max(start, len(tokens) - _LONGEST_WORD)
        and _in_word(pieces[tokens[cut]][:1])
        and _in_word(pieces[tokens[cut - 1]][-1:])
    ):
        cut -= 1
    return min(cut, len(tokens))


def _in_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_" or byte >= b"\x80"


def _splits_words(text: bytes, at: int) -> bool:
    return text[at] in _SPACES and text[at - 1] not in _SPACES


def _starts_character(text: bytes, at: int) -> bool:
    return text[at] & 0xC0 != 0x80
