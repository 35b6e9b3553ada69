"""An answer while it is sampled, over logits made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import define, field

from fim_lsp.engine.base import DecodeError
from fim_lsp.engine.token_stream import TokenStream
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.types import FinishReason, SamplingParams, StreamedToken, Timings

PIECES = [b"re", b"return", b"turn", b" x", b"", b"\xe2\x82", b"\xac", b"\n  "]
END, MARKER, EURO, LINE = 8, 4, (5, 6), 7


@define
class Heard:
    pieces: list[StreamedToken] = field(factory=list)
    most: int = 99

    def __call__(self, piece: StreamedToken) -> bool:
        self.pieces.append(piece)
        return len(self.pieces) < self.most


def stream(
    *,
    room: int = 9,
    healing: bytes = b"",
    heard: Heard | None = None,
    temperature: float = 0,
    end_bias: float = 0,
    excluded_prefix: str = "",
) -> TokenStream:
    vocabulary = Vocabulary([*PIECES, b""])
    sampling = SamplingParams(temperature=temperature, end_bias=end_bias, excluded_prefix=excluded_prefix)
    return TokenStream(vocabulary, frozenset({END}), sampling, room, heard or Heard(), healing)


def logits(*ranked: int) -> np.ndarray:
    """Logits that put these tokens first, in this order."""
    values = np.full(len(PIECES) + 1, -9.0, np.float32)
    for at, token in enumerate(ranked):
        values[token] = 5.0 - at
    return values


def test_it_says_the_likeliest_until_the_end_token():
    one = stream()
    assert [one.sample(logits(token)) for token in (1, 3, END)] == [1, 3, END]
    said = one.generation(Timings(decodes=2))
    assert (said.text, said.finish_reason) == ("return x", FinishReason.END)
    assert (said.timings.generated_tokens, said.timings.decodes) == (3, 2)


def test_the_end_is_lifted_above_another_line():
    one = stream(end_bias=1.5)
    behind = [
        logits(LINE, END),
        logits(3, END),
        logits(LINE, 1, END),
        logits(LINE, END),
    ]  # by 1, 1, 2 and 1 nats
    assert [one.sample(row) for row in behind] == [LINE, 3, LINE, END]
    assert one.generation(Timings()).finish_reason is FinishReason.END
    assert one.generation(Timings()).probabilities[-1] == pytest.approx(1 / (1 + np.e), abs=1e-3)


def test_nothing_is_said_only_where_that_is_more_likely_than_not():
    sure, unsure = logits(END, 3), logits(END, MARKER, 3, 1, 0, 2)
    unsure[[MARKER, 3, 1, 0, 2]] = 4.9
    said = [stream().sample(sure), stream().sample(unsure)]
    assert said[0] == END
    assert said[1] in (0, 1, 2, 3)
    assert stream(temperature=1e-3).sample(unsure) == END


def test_it_does_not_begin_like_what_it_must_not_say():
    one = stream(excluded_prefix="return x")
    ranked = logits(1, 0, 3)  # "return", and "re", which may become it
    assert [one.sample(ranked), one.sample(ranked)] == [3, 1]
    assert stream(excluded_prefix="return x", temperature=1e-3).sample(ranked) == 3
    assert stream(excluded_prefix="return x").sample(logits(END, 1)) == END


def test_nothing_is_added_to_a_healed_word_by_the_same_rule():
    one, unsure = stream(healing=b"re"), logits(END, 3, 1, 2)
    unsure[[3, 1, 2]] = 4.9
    assert one.sample(logits(0)) == 0
    assert one.silent
    assert one.sample(unsure) in (1, 2, 3)


def test_characters_arrive_whole():
    heard = Heard()
    one = stream(heard=heard)
    for token in EURO:
        one.sample(logits(token))
    assert [piece.text for piece in heard.pieces] == ["", "€"]


def test_a_listener_and_the_room_end_it():
    stopped, full = stream(heard=Heard(most=1)), stream(room=1)
    for one in (stopped, full):
        one.sample(logits(1))
    assert (stopped.reason, full.reason) == (FinishReason.STOPPED, FinishReason.LENGTH)
    assert full.left == 0


def test_one_that_nothing_ended_was_cancelled():
    one = stream()
    one.sample(logits(1))
    assert one.generation(Timings()).finish_reason is FinishReason.CANCELLED


def test_a_cut_word_is_healed_first():
    one = stream(healing=b"retu")
    assert one.sample(logits(3, 0)) == 0
    assert one.sample(logits(3, 2)) == 2
    assert one.sample(logits(3, 2)) == 3
    assert one.generation(Timings()).text == "rn x"


def test_the_next_best_is_another_one_that_spells_something():
    first, second = stream(), stream()
    taken = {first.sample(logits(1, END, MARKER, 3))}
    assert second.sample_next_best(logits(1, END, MARKER, 3), taken) == 3
    assert second.generation(Timings()).text == " x"


def test_another_spelling_of_the_healed_word_is_no_other_beginning():
    first, second = stream(healing=b"retu"), stream(healing=b"retu")
    ranked = logits(3, 1, 0)
    assert first.sample(ranked) == 1
    assert second.sample_next_best(ranked, {1}) is None
    assert second.count == 0


def test_one_branches_off_where_another_first_says_something():
    first, second = stream(healing=b"retu", room=5), stream(healing=b"retu", room=5)
    first.sample(logits(0))
    assert first.silent
    second.branch_off(first)
    assert (second.healing, second.left) == (b"tu", 4)
    ranked = logits(2, 3)
    assert first.sample(ranked) == 2
    assert not first.silent
    assert second.sample_next_best(ranked, {3}) == 2
    assert second.generation(Timings()).text == "rn"


def test_what_is_no_number_is_an_error():
    with pytest.raises(DecodeError, match="no number"):
        stream().sample(np.full(len(PIECES) + 1, np.nan, np.float32))
