"""The pipeline over a scripted engine: what costs a generation, what does not, and who is answered how."""

from __future__ import annotations

import asyncio
import time

import pytest
from attrs import evolve

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion import completer
from fim_lsp.completion.debounce import Rhythm, SupersededError
from fim_lsp.completion.generation import Hold
from fim_lsp.engine.base import CancelToken, DecodeError
from fim_lsp.types import Trigger
from tests.unit.completion.conftest import request

CODE = "def f():\n    █\n\nprint(f())\n"


def _before_cursor(prompt: str) -> str:
    """Return the prefix up to the anchor, and the text since, which stands behind the middle marker."""
    return prompt.split("<|fim_suffix|>")[0] + prompt.split("<|fim_middle|>")[1]


async def _started(desk) -> None:
    """Wait until the engine is held inside a generation."""
    while desk.worker.pending == 0:
        await asyncio.sleep(0.001)


async def test_a_completion_comes_out(make_desk):
    desk = await make_desk("return 1")
    completion = await desk.complete(request(CODE))
    assert completion is not None
    assert completion.text == "return 1"
    assert "print(f())" in desk.prompts[0]


async def test_asking_again_costs_nothing(make_desk):
    desk = await make_desk()
    first = await desk.complete(request(CODE))
    spent = len(desk.evaluated)
    assert await desk.complete(request(CODE, version=2)) == first
    assert len(desk.evaluated) == spent
    assert desk.explanation.source == "cache"


async def test_typing_through_a_suggestion_costs_nothing(make_desk):
    desk = await make_desk("return value")
    await desk.complete(request(CODE))
    spent = len(desk.evaluated)
    for version, typed in enumerate(("r", "re", "ret", "return", "return v"), start=2):
        marked = CODE.replace("█", typed + "█")
        completion = await desk.complete(request(marked, version=version))
        assert completion is not None
        assert typed + completion.text == "return value"
    assert len(desk.evaluated) == spent


async def test_backspacing_into_a_suggestion_costs_nothing(make_desk):
    desk = await make_desk("return value")
    await desk.complete(request(CODE))
    await desk.complete(request(CODE.replace("█", "retu█"), version=2))
    spent = len(desk.evaluated)
    completion = await desk.complete(request(CODE.replace("█", "re█"), version=3))
    assert completion is not None
    assert completion.text == "turn value"
    assert len(desk.evaluated) == spent


async def test_typing_something_else_asks_again(make_desk):
    desk = await make_desk(lambda prompt: "1" if _before_cursor(prompt).endswith("x = ") else "return value")
    await desk.complete(request(CODE))
    completion = await desk.complete(request(CODE.replace("█", "x = █"), version=2))
    assert completion is not None
    assert completion.text == "1"
    assert desk.generations == 2


async def test_an_invoked_request_is_not_answered_by_an_automatic_suggestion(make_desk):
    desk = await make_desk()
    await desk.complete(request(CODE))
    await desk.complete(request(CODE, trigger=Trigger.INVOKED))
    assert desk.generations == 2
    await desk.complete(request(CODE))
    assert desk.generations == 2


async def test_a_newer_request_supersedes_the_older(make_desk):
    desk = await make_desk(lambda prompt: "1" if "x = " in _before_cursor(prompt) else "return value")
    desk.gate.clear()
    older = asyncio.create_task(desk.complete(request(CODE)))
    await _started(desk)
    typed = request(CODE.replace("█", "x = █"), version=2)
    newer = asyncio.create_task(desk.complete(typed))
    with pytest.raises(SupersededError):
        await older
    desk.gate.set()
    completion = await newer
    assert completion is not None
    assert completion.text == "1"


async def test_typing_what_is_being_generated_joins_it(make_desk):
    desk = await make_desk("return value")
    desk.gate.clear()
    older = asyncio.create_task(desk.complete(request(CODE)))
    await _started(desk)
    newer = asyncio.create_task(desk.complete(request(CODE.replace("█", "ret█"), version=2)))
    with pytest.raises(SupersededError):
        await older
    desk.gate.set()
    completion = await newer
    assert completion is not None
    assert completion.text == "urn value"
    assert desk.generations == 1
    assert desk.explanation.source == "joined"


async def test_a_joined_generation_that_turns_out_different_is_replaced(make_desk):
    desk = await make_desk(
        lambda prompt: "s_by(3)" if _before_cursor(prompt).endswith("pas") else "return value"
    )
    desk.gate.clear()
    older = asyncio.create_task(desk.complete(request(CODE)))
    await _started(desk)
    # Nothing is said yet, so "pas" may still be what comes.
    newer = asyncio.create_task(desk.complete(request(CODE.replace("█", "pas█"), version=2)))
    with pytest.raises(SupersededError):
        await older
    desk.gate.set()
    completion = await newer
    assert completion is not None
    assert completion.text == "s_by(3)"
    assert desk.generations == 2


async def test_a_cancelled_request_ends_its_generation(make_desk):
    desk = await make_desk()
    desk.gate.clear()
    task = asyncio.create_task(desk.complete(request(CODE)))
    await _started(desk)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    desk.gate.set()
    while not desk.worker.idle:
        await asyncio.sleep(0.001)
    # The one token that waited at the gate, at most.
    assert len(desk.evaluated) <= 1


async def test_a_request_cancelled_by_typing_on_can_still_be_joined(make_desk):
    desk = await make_desk("return value")
    desk.gate.clear()
    older = asyncio.create_task(desk.complete(request(CODE)))
    await _started(desk)
    # What VS Code does: didChange, $/cancelRequest, and only then the next request.
    desk.completer.edited(request(CODE).document.uri, 2)
    older.cancel()
    with pytest.raises(asyncio.CancelledError):
        await older
    newer = asyncio.create_task(desk.complete(request(CODE.replace("█", "r█"), version=2)))
    await asyncio.sleep(0)
    desk.gate.set()
    completion = await newer
    assert completion is not None
    assert completion.text == "eturn value"
    assert desk.generations == 1


async def test_documents_do_not_supersede_each_other(make_desk):
    desk = await make_desk("return 1")
    other = request(CODE, uri="file:///project/b.py")
    both = await asyncio.gather(desk.complete(request(CODE)), desk.complete(other))
    assert [one.text for one in both if one] == ["return 1", "return 1"]


async def test_debounce_lets_a_burst_of_keystrokes_pass(make_desk):
    desk = await make_desk("return value", completion={"debounceMinMs": 40, "debounceMaxMs": 40})
    tasks = []
    for version, typed in enumerate(("x", "x ", "x =", "x = "), start=1):
        typed_request = request(CODE.replace("█", typed + "█"), version=version)
        tasks.append(asyncio.create_task(desk.complete(typed_request)))
        await asyncio.sleep(0)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, SupersededError) for one in results] == [True, True, True, False]
    assert desk.generations == 1


async def test_the_prompt_is_evaluated_while_a_request_is_debounced(make_desk):
    desk = await make_desk("return value", completion={"debounceMaxMs": 5000})
    desk.completer._rhythm = Rhythm(interval_ms=5000.0, cost_ms=5000.0)
    held = asyncio.create_task(desk.complete(request(CODE)))
    while not desk.generations:
        await asyncio.sleep(0.001)
    desk.completer._rhythm = Rhythm()
    # Another key than the first token ends it at once, and what was evaluated is kept.
    typed = desk.complete(request(CODE.replace("█", "x█"), version=2))
    assert await asyncio.wait_for(typed, 2) is not None
    assert desk.explanation.timings.evaluated_tokens <= 2 < desk.explanation.timings.reused_tokens
    assert isinstance((await asyncio.gather(held, return_exceptions=True))[0], SupersededError)


async def test_a_held_token_counts_as_delay_and_not_as_decoding(make_desk):
    desk = await make_desk("return value")
    generate = desk.worker.generate

    async def generate_slowly(*arguments):
        """Charge a second of decoding, in which the hold is."""
        (generation,) = await generate(*arguments)
        return (evolve(generation, timings=evolve(generation.timings, decode_ms=1000.0)),)

    desk.worker.generate = generate_slowly
    desk.completer._rhythm = Rhythm(cost_ms=100.0)
    assert (await desk.complete(request(CODE))).text == "return value"
    held_ms, decode_ms = desk.explanation.delay_ms, desk.explanation.timings.decode_ms
    assert held_ms > 0
    assert held_ms + decode_ms == pytest.approx(1000.0)


@pytest.mark.parametrize("ended", ["cancelled", "useless", "due"])
def test_a_hold_ends_with_its_use(ended):
    cancel = CancelToken()
    if ended == "cancelled":
        cancel.cancel()
    until_s = time.perf_counter() + (0 if ended == "due" else 5)
    assert Hold(until_s, cancel).wait(lambda: ended != "useless") < 4000


async def test_the_code_around_the_cursor_is_looked_at_while_the_model_computes(make_desk, monkeypatch):
    desk = await make_desk("return 1")
    prepared = asyncio.Event()
    monkeypatch.setattr(CursorContext, "prepare", lambda context: prepared.set())
    desk.gate.clear()
    waiting = asyncio.create_task(desk.complete(request(CODE)))
    await prepared.wait()
    assert not waiting.done()
    desk.gate.set()
    assert (await waiting).text == "return 1"


async def test_a_request_that_was_superseded_prepares_nothing(make_desk, monkeypatch):
    desk = await make_desk(lambda prompt: "1" if "x = " in _before_cursor(prompt) else "return value")
    offsets = []
    # Longer than any stall of the machine before the older request is superseded.
    monkeypatch.setattr(completer, "_COMPUTING_S", 0.2)
    monkeypatch.setattr(CursorContext, "prepare", lambda context: offsets.append(context.line_prefix))
    await desk.complete_after(request(CODE), request(CODE.replace("█", "x = █"), version=2))
    await asyncio.sleep(0.3)
    assert "    " not in offsets


async def test_an_invoked_request_is_not_debounced(make_desk):
    desk = await make_desk(completion={"debounceMinMs": 5000, "debounceMaxMs": 5000})
    invoked = desk.complete(request(CODE, trigger=Trigger.INVOKED))
    assert await asyncio.wait_for(invoked, 2) is not None


@pytest.mark.parametrize(
    ("completion", "trigger", "offered"),
    [
        ({"enabled": False}, Trigger.INVOKED, False),
        ({"disabledLanguages": ["python"]}, Trigger.INVOKED, False),
        ({"automatic": False}, Trigger.AUTOMATIC, False),
        ({"automatic": False}, Trigger.INVOKED, True),
    ],
)
async def test_what_is_turned_off_is_not_asked(make_desk, completion, trigger, offered):
    desk = await make_desk(completion=completion)
    answer = await desk.complete(request(CODE, trigger=trigger))
    assert (answer is not None) is offered
    assert desk.generations == int(offered)


@pytest.mark.parametrize("name", [".env", ".env.local", "server.pem", "id_rsa", "credentials.json"])
async def test_files_that_keep_secrets_are_left_alone(make_desk, name):
    desk = await make_desk()
    secret = request(CODE, uri=f"file:///project/{name}", trigger=Trigger.INVOKED)
    assert await desk.complete(secret) is None
    assert desk.generations == 0


async def test_low_confidence_is_dropped_and_explained(make_desk):
    desk = await make_desk("return 1", completion={"minConfidence": 0.9})
    desk.engine.script.probability = 0.5
    assert await desk.complete(request(CODE)) is None
    assert "minConfidence" in desk.explanation.dropped_because
    assert desk.explanation.model == "scripted"


async def test_the_selected_entry_begins_the_suggestion(make_desk):
    desk = await make_desk(
        lambda prompt: "(text)" if _before_cursor(prompt).endswith("print") else "nonsense"
    )
    completion = await desk.complete(request("pri█\n", selected="nt"))
    assert completion is not None
    assert completion.text == "nt(text)"


async def test_an_engine_failure_is_raised_and_the_next_request_is_answered(make_desk):
    desk = await make_desk()
    failures = iter([True])

    def fail_once() -> None:
        if next(failures, False):
            raise DecodeError("llama.cpp refused a batch.")

    desk.engine.script.before_token = fail_once
    with pytest.raises(DecodeError):
        await desk.complete(request(CODE))
    assert await desk.complete(request(CODE)) is not None


async def test_the_explanation_adds_up(make_desk):
    desk = await make_desk("return 1")
    await desk.complete(request(CODE))
    last = desk.explanation
    assert last.source == "generated"
    assert last.line == 1
    assert last.shown == "return 1"
    assert sum(part.tokens for part in last.parts) == last.timings.evaluated_tokens
    assert "".join(part.text for part in last.parts) == desk.prompts[0]


async def test_a_new_model_forgets_what_the_old_one_said(make_desk):
    desk = await make_desk("return 1")
    await desk.complete(request(CODE))
    engine = await desk.worker.load(desk.settings.model, lambda _: None)
    desk.completer.model_changed(engine, desk.settings)
    await desk.complete(request(CODE))
    assert desk.generations == 2


async def test_two_documents_at_once_are_explained_each_by_its_own(make_desk):
    desk = await make_desk(lambda prompt: "return 2" if "def g" in prompt else "return 1")
    other = request(CODE.replace("f()", "g()"), uri="file:///project/b.py")
    desk.gate.clear()
    asked = [
        asyncio.create_task(desk.completer.complete(each, desk.settings)) for each in (request(CODE), other)
    ]
    await _started(desk)
    desk.gate.set()
    first, second = [answer.explanation for answer in await asyncio.gather(*asked)]
    assert (first.uri, first.shown, second.uri, second.shown) == (
        request(CODE).document.uri,
        "return 1",
        "file:///project/b.py",
        "return 2",
    )
    assert "def f" in "".join(part.text for part in first.parts)
    assert "def g" in "".join(part.text for part in second.parts)


async def test_the_cache_answers_with_the_explanation_of_its_own_suggestion(make_desk):
    desk = await make_desk()
    await desk.complete(request(CODE))
    parts = desk.explanation.parts
    await desk.complete(request("x = 1\ny = █\n", uri="file:///project/b.py"))
    await desk.complete(request(CODE, version=2))
    assert (desk.explanation.source, desk.explanation.parts) == ("cache", parts)
    assert desk.explanation.timings.evaluated_tokens == 0
