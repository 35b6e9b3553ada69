"""A token stream, over logits made by hand."""

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
class Recorder:
    """Records the tokens of a stream, and ends it after ``most``."""

    tokens: list[StreamedToken] = field(factory=list)
    most: int = 99

    def __call__(self, token: StreamedToken) -> bool:
        self.tokens.append(token)
        return len(self.tokens) < self.most


def make_stream(
    *,
    limit: int = 9,
    healing: bytes = b"",
    recorder: Recorder | None = None,
    temperature: float = 0,
    end_bias: float = 0,
    excluded_prefix: str = "",
    spelling: tuple[int, ...] = (),
) -> TokenStream:
    vocabulary = Vocabulary([*PIECES, b""])
    sampling = SamplingParams(temperature=temperature, end_bias=end_bias, excluded_prefix=excluded_prefix)
    return TokenStream(
        vocabulary, frozenset({END}), sampling, limit, recorder or Recorder(), healing, spelling=spelling
    )


def logits(*ranked: int) -> np.ndarray:
    """Return logits that rank these tokens first, in this order."""
    values = np.full(len(PIECES) + 1, -9.0, np.float32)
    for rank, token in enumerate(ranked):
        values[token] = 5.0 - rank
    return values


def test_it_emits_the_likeliest_tokens_until_the_end_token():
    stream = make_stream()
    assert [stream.sample(logits(token)) for token in (1, 3, END)] == [1, 3, END]
    generation = stream.generation(Timings(decodes=2))
    assert (generation.text, generation.finish_reason) == ("return x", FinishReason.END)
    assert (generation.timings.generated_tokens, generation.timings.decodes) == (3, 2)


def test_the_end_is_lifted_above_another_line():
    stream = make_stream(end_bias=1.5)
    behind = [
        logits(LINE, END),
        logits(3, END),
        logits(LINE, 1, END),
        logits(LINE, END),
    ]  # by 1, 1, 2 and 1 nats
    assert [stream.sample(row) for row in behind] == [LINE, 3, LINE, END]
    assert stream.generation(Timings()).finish_reason is FinishReason.END
    assert stream.generation(Timings()).probabilities[-1] == pytest.approx(1 / (1 + np.e), abs=1e-3)


def test_it_ends_without_text_only_if_that_is_more_likely_than_not():
    sure, unsure = logits(END, 3), logits(END, MARKER, 3, 1, 0, 2)
    unsure[[MARKER, 3, 1, 0, 2]] = 4.9
    sampled = [make_stream().sample(sure), make_stream().sample(unsure)]
    assert sampled[0] == END
    assert sampled[1] in (0, 1, 2, 3)
    assert make_stream(temperature=1e-3).sample(unsure) == END


def test_it_does_not_begin_like_the_excluded_prefix():
    stream = make_stream(excluded_prefix="return x")
    ranked = logits(1, 0, 3)  # "return", and "re", which may become it
    assert [stream.sample(ranked), stream.sample(ranked)] == [3, 1]
    assert make_stream(excluded_prefix="return x", temperature=1e-3).sample(ranked) == 3
    assert make_stream(excluded_prefix="return x").sample(logits(END, 1)) == END


def test_nothing_is_added_to_a_healed_word_by_the_same_rule():
    stream, unsure = make_stream(healing=b"re"), logits(END, 3, 1, 2)
    unsure[[3, 1, 2]] = 4.9
    assert stream.sample(logits(0)) == 0
    assert not stream.has_text
    assert stream.sample(unsure) in (1, 2, 3)


def test_characters_arrive_whole():
    recorder = Recorder()
    stream = make_stream(recorder=recorder)
    for token in EURO:
        stream.sample(logits(token))
    assert [token.text for token in recorder.tokens] == ["", "€"]


def test_a_listener_and_the_limit_end_it():
    stopped, full = make_stream(recorder=Recorder(most=1)), make_stream(limit=1)
    for stream in (stopped, full):
        stream.sample(logits(1))
    assert (stopped.reason, full.reason) == (FinishReason.STOPPED, FinishReason.LENGTH)
    assert full.remaining == 0


def test_a_stream_that_nothing_ended_was_cancelled():
    stream = make_stream()
    stream.sample(logits(1))
    assert stream.generation(Timings()).finish_reason is FinishReason.CANCELLED


def test_a_cut_word_is_healed_first():
    stream = make_stream(healing=b"retu")
    assert stream.sample(logits(3, 0)) == 0
    assert stream.sample(logits(3, 2)) == 2
    assert stream.sample(logits(3, 2)) == 3
    assert stream.generation(Timings()).text == "rn x"


def test_a_cut_word_is_spelled_in_the_tokenizers_own_tokens():
    stream = make_stream(healing=b"returnre", spelling=(1, 0))
    # "re", the likelier one, spells the beginning, too, but not as the tokenizer would.
    assert stream.sample(logits(0, 1)) == 1
    assert stream.sample(logits(3, 0, 1)) == 0
    assert stream.sample(logits(3, 0)) == 3
    assert stream.generation(Timings()).text == " x"


def test_a_longer_token_may_spell_the_rest_of_a_cut_word():
    stream = make_stream(healing=b"retu", spelling=(0, 2))
    assert stream.sample(logits(3, 1, 0)) == 1
    assert stream.generation(Timings()).text == "rn"


def test_the_next_best_token_is_another_one_that_adds_text():
    first, second = make_stream(), make_stream()
    taken = {first.sample(logits(1, END, MARKER, 3))}
    assert second.sample_next_best(logits(1, END, MARKER, 3), taken) == 3
    assert second.generation(Timings()).text == " x"


def test_another_spelling_of_the_healed_word_is_no_other_beginning():
    first, second = make_stream(healing=b"retu"), make_stream(healing=b"retu")
    ranked = logits(3, 1, 0)
    assert first.sample(ranked) == 1
    assert second.sample_next_best(ranked, {1}) is None
    assert second.count == 0


def test_a_stream_branches_off_where_another_first_has_text():
    first, second = make_stream(healing=b"retu", limit=5), make_stream(healing=b"retu", limit=5)
    first.sample(logits(0))
    assert not first.has_text
    second.branch_off(first)
    assert (second.healing, second.remaining) == (b"tu", 4)
    ranked = logits(2, 3)
    assert first.sample(ranked) == 2
    assert first.has_text
    assert second.sample_next_best(ranked, {3}) == 2
    assert second.generation(Timings()).text == "rn"


def test_logits_that_are_no_numbers_are_an_error():
    with pytest.raises(DecodeError, match="no number"):
        make_stream().sample(np.full(len(PIECES) + 1, np.nan, np.float32))
