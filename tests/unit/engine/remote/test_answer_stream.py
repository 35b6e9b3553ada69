from __future__ import annotations

import pytest

from fim_lsp.engine.remote.answer_stream import AnswerStream, HealingFailedError
from fim_lsp.engine.remote.dialects import AnswerChunk, AnswerPiece
from fim_lsp.types import FinishReason


def stream(**options) -> tuple[AnswerStream, list[str]]:
    heard: list[str] = []
    made = AnswerStream(lambda token: heard.append(token.text) or True, options.pop("limit", 20), **options)
    return made, heard


def feed(answer: AnswerStream, *texts: str, end: FinishReason | None = None) -> None:
    for text in texts:
        if answer.reason is None:
            answer.add(AnswerChunk((AnswerPiece(text, 0.5),)))
    if end is not None:
        answer.add(AnswerChunk(end=end))


def test_pieces_are_handed_on_and_joined():
    answer, heard = stream()
    feed(answer, "a", " + ", "b", end=FinishReason.END)
    assert heard == ["a", " + ", "b"]
    assert (answer.generation().text, answer.generation().finish_reason) == ("a + b", FinishReason.END)


def test_a_marker_in_the_text_ends_it_even_in_pieces():
    answer, heard = stream(markers=("<|fim_middle|>",))
    feed(answer, "a ", "<|fim", "_middle", "|> b")
    assert answer.generation().text == "a "
    assert "".join(heard) == "a "
    assert answer.reason is FinishReason.END


def test_text_that_only_begins_like_a_marker_comes_late_but_whole():
    answer, heard = stream(markers=("<|fim_middle|>",))
    feed(answer, "a <", "| b", end=FinishReason.END)
    assert "".join(heard) == answer.generation().text == "a <| b"
    answer, heard = stream(markers=("<|fim_middle|>",))
    feed(answer, "a <", end=FinishReason.END)
    assert "".join(heard) == answer.generation().text == "a <"


def test_the_healed_word_is_not_part_of_the_answer():
    answer, heard = stream(healing=" to")
    feed(answer, " ", "total", " + 1", end=FinishReason.END)
    assert answer.generation().text == "tal + 1"
    assert "".join(heard) == "tal + 1"


@pytest.mark.parametrize("texts", [(" x",), (" t", "x")])
def test_an_answer_that_does_not_continue_the_word_is_no_use(texts):
    answer, _ = stream(healing=" to")
    with pytest.raises(HealingFailedError):
        feed(answer, *texts)


def test_an_answer_that_ends_within_the_word_is_no_use():
    answer, _ = stream(healing=" to")
    with pytest.raises(HealingFailedError):
        feed(answer, " t", end=FinishReason.END)


def test_a_listener_and_a_limit_end_it():
    answer = AnswerStream(lambda _: False, 20)
    feed(answer, "a", "b")
    assert (answer.generation().text, answer.reason) == ("a", FinishReason.STOPPED)
    answer, _ = stream(limit=2)
    feed(answer, "a", "b", "c")
    assert (answer.generation().text, answer.reason) == ("ab", FinishReason.LENGTH)
