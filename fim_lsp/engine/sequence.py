"""Which sequence of the KV cache a prompt is evaluated in, and which of its tokens need evaluation.

Continue by text, not by tokens: what the user types rarely tokenises into an extension of the tokens
already evaluated (``def`` + ``ault`` is one token, ``default``). So the head of a prompt is compared token
by token, and its tail is compared as text: evaluated tokens are kept while their pieces spell the tail, and
only the rest is tokenised. An accepted suggestion therefore costs a token at most, and a keystroke those of a
word that it ends, and none within a word.

The cache holds several sequences, so that two documents, or two locations in one, do not evict each other.
Each prompt is evaluated in the sequence that shares most with it, or in a copy of that sequence.

Pure functions: the engines own the mirror of the cache and apply what is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import field, frozen

_SPACES = b" \t\r\n"
_LONGEST_REWIND = 32
"""Most tokens to step back in search of a word boundary. Text without any (minified, CJK) stops there."""

LONGEST_WORD = 4
"""Most tokens to heal. A longer word is healed in its last tokens only."""

_WORTH_A_COPY = 32
"""Tokens. A sequence is copied whole, which takes about as long as evaluating two or three tokens."""


@frozen
class ReusePlan:
    """Keep the first ``keep`` evaluated tokens, drop the others, then evaluate ``pending``.

    Nothing is pending where all tokens are evaluated and the logits behind them were kept.
    """

    keep: int
    pending: tuple[int, ...] = field(repr=False)
    healed: bytes = b""
    """Bytes of the prompt's last word, which ``pending`` leaves out: the generation must begin with them."""
    spelling: tuple[int, ...] = field(default=(), repr=False)
    """The tokenizer's own tokens for these bytes; empty for blanks, and where they are no whole text."""

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt once ``pending`` is evaluated."""
        return self.keep + len(self.pending)


@frozen
class SlotFit:
    """The fit of one sequence of the cache to a prompt."""

    held: int
    """Tokens that the sequence holds."""
    kept: int
    """About how many of them the prompt can reuse; 0 if they were evaluated under other adapters."""
    last_used: int
    """Number of the last request that used it; 0 if none did."""
    same_location: bool = False
    """True if the last prompt had the same location and adapters, so that only its own tokens are dropped."""


@frozen
class SequenceChoice:
    """Evaluate in ``sequence``. If ``source`` is given, copy that sequence into it first."""

    sequence: int
    source: int | None = None

    @property
    def reused(self) -> int:
        """The sequence whose tokens are reused."""
        return self.sequence if self.source is None else self.source


def choose_sequence(fits: Sequence[SlotFit], *, spare: int | None = None) -> SequenceChoice | None:
    """Choose the sequence that a prompt is evaluated in.

    The prompt continues the sequence of its location, or the one that it shares most with, unless more tokens
    would be lost there than kept. Otherwise it takes the least recently used sequence, which is a free one if
    there is any, and copies the shared tokens from a third one.

    Args:
        fits: One for each sequence of the cache.
        spare: For background work, the sequence of the last generation. It never loses more than one token;
            another location's sequence is only taken if it is the least recently used one.

    Returns:
        The choice; None if background work has no sequence to take.
    """
    sequences = range(len(fits))

    def continues(sequence: int) -> bool:
        fit = fits[sequence]
        lost = fit.held - fit.kept
        if fit.same_location and sequence != spare:
            return True
        return fit.kept > 0 and lost <= (1 if spare is not None else fit.kept)

    def worth(sequence: int) -> tuple[int, int]:
        return fits[sequence].kept, fits[sequence].last_used

    best = max(sequences, key=worth)
    continued = max(filter(continues, sequences), key=worth, default=None)
    if continued is not None and fits[best].kept - fits[continued].kept < _WORTH_A_COPY:
        return SequenceChoice(continued)
    source = best if fits[best].kept >= _WORTH_A_COPY else None
    victims = [sequence for sequence in sequences if sequence not in (source, spare)]
    if not victims:
        return SequenceChoice(best) if spare is None else None
    return SequenceChoice(min(victims, key=lambda sequence: fits[sequence].last_used), source)


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Return the number of leading tokens that two sequences share."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))


def count_shared(evaluated: Sequence[int], head: Sequence[int], tail: str, pieces: Sequence[bytes]) -> int:
    """Estimate how many evaluated tokens the prompt ``head`` + ``tail`` can reuse, without tokenising it."""
    shared = common_prefix(evaluated, head)
    if shared < len(head):
        return shared
    return shared + len(_spelled(evaluated[shared:], tail.encode("utf-8", "replace"), pieces))


def plan_reuse(
    evaluated: Sequence[int],
    head: Sequence[int],
    tail: str,
    pieces: Sequence[bytes],
    encode: Callable[[str], tuple[int, ...]],
    *,
    heal: bool = False,
    has_logits: Callable[[Sequence[int]], bool] = lambda tokens: False,
) -> ReusePlan:
    """Decide which evaluated tokens the prompt ``head`` + ``tail`` reuses, and which it still needs.

    Args:
        evaluated: Tokens that a sequence of the KV cache holds, from position 0.
        head: Tokens that the prompt begins with.
        tail: Text that follows the head.
        pieces: Bytes of every token id; empty for special tokens, which never spell user text.
        encode: Tokenises plain text.
        heal: Leave the tail's last word out, so that the model may choose longer tokens that begin alike
            (token healing: a prefix that ends inside a word or in spaces otherwise forces a split that the
            model never saw in training).
        has_logits: Tells whether the logits behind these tokens were kept. If not, the last token is
            evaluated again for them.
    """
    if common_prefix(evaluated, head) == len(head):
        target = (*head, *_continue_by_text(evaluated[len(head) :], tail, pieces, encode))
    else:
        target = (*head, *encode(tail))
    cut = _last_word(target, max(1, len(head)), pieces) if heal else len(target)
    healed = b"".join(pieces[token] for token in target[cut:])
    spelling = _spelling(healed, pieces, encode)
    target = target[:cut]
    keep = common_prefix(evaluated, target)
    if keep and keep == len(target) and not has_logits(target):
        keep -= 1
    return ReusePlan(keep, target[keep:], healed, spelling)


def _continue_by_text(
    evaluated: Sequence[int], tail: str, pieces: Sequence[bytes], encode: Callable[[str], tuple[int, ...]]
) -> tuple[int, ...]:
    """Return tokens that spell ``tail``, with those already evaluated where they fit.

    If text is left over, step back to the last boundary between a word and a space before tokenising it:
    tokenisers always split there, so that the tokens are those of the whole text.
    """
    text = tail.encode("utf-8", "replace")
    ends = _spelled(evaluated, text, pieces)
    if ends and ends[-1] == len(text):
        return tuple(evaluated[: len(ends)])
    kept = len(ends)
    while kept > max(0, len(ends) - _LONGEST_REWIND) and not _splits_words(text, ends[kept - 1]):
        kept -= 1
    while kept and not _starts_character(text, ends[kept - 1]):
        kept -= 1
    start = ends[kept - 1] if kept else 0
    return (*evaluated[:kept], *encode(text[start:].decode("utf-8")))


def _spelled(evaluated: Sequence[int], text: bytes, pieces: Sequence[bytes]) -> list[int]:
    """Return the byte offset behind each leading token, as long as their pieces spell ``text``."""
    ends: list[int] = []
    position = 0
    for token in evaluated:
        piece = pieces[token]
        if not piece or not text.startswith(piece, position):
            break
        position += len(piece)
        ends.append(position)
    return ends


def _last_word(tokens: Sequence[int], start: int, pieces: Sequence[bytes]) -> int:
    """Return the index, at least ``start``, of the token that the text's last word begins with."""
    cut = max(len(tokens) - 1, start)
    while (
        cut > max(start, len(tokens) - LONGEST_WORD)
        and _in_word(pieces[tokens[cut]][:1])
        and _in_word(pieces[tokens[cut - 1]][-1:])
    ):
        cut -= 1
    return min(cut, len(tokens))


def _spelling(
    text: bytes, pieces: Sequence[bytes], encode: Callable[[str], tuple[int, ...]]
) -> tuple[int, ...]:
    """Return the tokenizer's own tokens for a text; none for blanks, and where they do not spell it."""
    if not text.strip():
        return ()
    tokens = encode(text.decode("utf-8", "ignore"))
    return tokens if b"".join(pieces[token] for token in tokens) == text else ()


def _in_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_" or byte >= b"\x80"


def _splits_words(text: bytes, offset: int) -> bool:
    return text[offset] in _SPACES and text[offset - 1] not in _SPACES


def _starts_character(text: bytes, offset: int) -> bool:
    return text[offset] & 0xC0 != 0x80
