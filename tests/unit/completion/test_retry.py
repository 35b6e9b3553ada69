"""Another answer, where the first only said what stands around the cursor already."""

from __future__ import annotations

import pytest

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.repetition import is_echo
from fim_lsp.completion.retry import Retry
from fim_lsp.types import Prompt, SamplingParams, StreamedToken, Timings
from tests.unit.completion.conftest import Desk, request

CODE = "import os\n█\nimport sys\n\nprint(os, sys)\n"


def tokens(*texts: tuple[str, float]) -> list[StreamedToken]:
    return [StreamedToken(text, probability, 0.0) for text, probability in texts]


@pytest.mark.parametrize(
    ("texts", "kept", "excluded"),
    [
        ([("import", 0.9), (" sys", 0.3), ("\n", 0.8)], "import", " sys\n"),
        ([("import", 0.2), (" sys", 0.3)], "", "import sys"),
        ([("import", 0.9), (" sys", 0.8), ("\n", 0.7), ("x", 0.1)], "import", " sys\nx"),
        ([("\n", 0.9), ("    ", 0.9), ("x", 0.4), ("\n", 0.1)], "\n    ", "x\n"),
        ([("", 0.1), ("€", 0.6), (" = 1", 0.5)], "€", " = 1"),
        ([("a", 0.5), ("b", 0.5)], "", "ab"),
        ([], "", ""),
    ],
    ids=["unsure", "at once", "its first line", "blank lines", "half a character", "a tie", "nothing"],
)
def test_the_second_answer_leaves_the_first_where_the_model_was_least_sure(texts, kept, excluded):
    retry = Retry.of(tokens(*texts))
    assert (retry.kept, retry.excluded) == (kept, excluded)


def test_it_goes_on_behind_what_is_kept():
    retry = Retry("import", " sys")
    prompt = Prompt((1, 2), "import os\n", heal=True)
    assert (retry.prompt(prompt).tail, retry.prompt(prompt).heal) == ("import os\nimport", False)
    assert retry.sampling(SamplingParams(7)) == SamplingParams(7, excluded_prefix=" sys")
    assert Retry("", "x").prompt(prompt).heal


@pytest.mark.parametrize(
    ("marked", "text", "echo"),
    [
        (CODE, "import sys", True),
        (CODE, "\nimport sys\n", True),
        (CODE, "", True),
        (CODE, "import re", False),
        ("x = 1█\ny = 2\n", "\ny = 2", False),
        ("x = █ + 1\n", "", False),
        ("█x = 1\n", "x = 1", True),
        ("if x:\n    y()\n█\n", "if x:\n    y()", True),
    ],
    ids=[
        "next line",
        "blanks",
        "nothing",
        "new",
        "line end",
        "inside a line",
        "before a line",
        "lines above",
    ],
)
def test_an_echo_is_what_stands_there_where_something_new_could(marked, text, echo):
    assert is_echo(text, CursorContext.of(request(marked))) is echo


def test_costs_add_up():
    first = Timings(1, 2, 3, evaluated_tokens=9, reused_tokens=4, generated_tokens=5, decodes=4, threads=2)
    second = Timings(1, 1, 1, evaluated_tokens=1, reused_tokens=12, generated_tokens=3, decodes=2, threads=2)
    assert first.then(second) == Timings(
        2, 3, 4, evaluated_tokens=10, reused_tokens=4, generated_tokens=8, decodes=6, threads=2
    )


async def asked_twice(make_desk, first: str, *others: str) -> Desk:
    desk = await make_desk(first)
    desk.knows(*others)
    return desk


async def test_an_echo_is_not_offered_but_what_else_there_is_to_say(make_desk):
    desk = await asked_twice(make_desk, "import sys\nprint", "re = 1\n")
    offered = await desk.complete(request(CODE))
    assert offered is not None
    assert offered.text == "re = 1"
    assert desk.generations == 2
    assert (desk.explanation.echo, desk.explanation.generated) == ("import sys\n", "re = 1")


async def test_the_second_try_evaluates_no_token_of_the_prompt_again(make_desk):
    alone = await asked_twice(make_desk, "re = 1\n")
    await alone.complete(request(CODE))
    desk = await asked_twice(make_desk, "import sys\nprint", "re = 1\n")
    await desk.complete(request(CODE))
    once, twice = alone.explanation.timings, desk.explanation.timings
    assert twice.evaluated_tokens <= once.evaluated_tokens + 1
    assert twice.generated_tokens == len("import sys\n") + len("re = 1\n")


async def test_where_the_model_knows_nothing_else_nothing_is_offered(make_desk):
    desk = await asked_twice(make_desk, "import sys\nprint")
    assert await desk.complete(request(CODE)) is None
    assert desk.generations == 2
    assert desk.explanation.ended_by == "suffix_repeat"


@pytest.mark.parametrize("said", ["<|end|>", "\n<|end|>", "re = 1\n"])
async def test_a_model_that_ends_or_says_something_new_is_asked_once(make_desk, said):
    desk = await asked_twice(make_desk, said, "print()\n")
    await desk.complete(request(CODE))
    assert (desk.generations, desk.explanation.echo) == (1, "")


async def test_there_is_no_second_try_once_the_user_typed_on(make_desk):
    desk = await make_desk(lambda prompt: "age" if prompt.endswith("im") else "import sys\nprint")
    desk.knows("re = 1\n")
    typed = request(CODE.replace("█", "im█"), version=2)
    offered = await desk.complete_after(request(CODE), typed)
    assert offered is not None
    assert offered.text == "age"
    assert desk.generations == 2
