"""Large documents cost a large answer or many generations no more than small ones do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.large_files import URI, LargeFileTypist, open_document
from fim_lsp.engine.scripted import ScriptedEngine

LINE = "    value = compute(first, second)\n"
KEYS = 51


async def _type_at_once(text: str, line: int) -> tuple[int, list[Any]]:
    """Send all keys before the server runs again; return how many generations began, and the answers."""
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return "x + 1"

    typist = await open_document(text, line, 4, ScriptedEngine(answer))
    await asyncio.sleep(0.05)
    prompts.clear()
    for number in range(KEYS):
        typist.type_key(number)
    answers = [(await asyncio.wait_for(typist.answered(number), 20))["result"] for number in range(KEYS)]
    generations = len(prompts)
    await typist.server.session.close()
    return generations, answers


async def test_keys_sent_at_once_are_answered_as_in_a_small_file() -> None:
    small, large = await _type_at_once(LINE * 20, 10), await _type_at_once(LINE * 150_000, 75_000)
    assert large[0] == small[0] <= 2
    assert [answer is None for answer in large[1]] == [True] * (KEYS - 1) + [False]
    assert [answer is None for answer in small[1]] == [True] * (KEYS - 1) + [False]
    assert large[1][-1]["items"][0]["insertText"] == small[1][-1]["items"][0]["insertText"]


async def _last_answer(text: str, column: int) -> tuple[LargeFileTypist, dict[str, Any]]:
    typist = await open_document(text, 0, column)
    typist.type_key(0)
    answer = await asyncio.wait_for(typist.answered(0), 20)
    await typist.server.session.close()
    return typist, answer["result"]


@pytest.mark.parametrize("text", ["value = compute(a, b); " * 52_000, "\N{GRINNING FACE}\u00e9 " * 300_000])
async def test_a_line_of_a_megabyte_gets_a_small_answer(text: str) -> None:
    units = len(text.encode("utf-16-le")) // 2
    typist, answer = await _last_answer(text, units)
    (item,) = answer["items"]
    assert typist.answers.sizes[100] < 1000
    assert item["range"]["start"] == item["range"]["end"] == {"line": 0, "character": units + 1}
    assert item["command"]["arguments"][0]["uri"] == URI


async def test_a_line_of_some_length_is_still_replaced_from_its_start() -> None:
    _, answer = await _last_answer("x = 1; " * 100, 700)
    assert answer["items"][0]["range"]["start"]["character"] == 0
