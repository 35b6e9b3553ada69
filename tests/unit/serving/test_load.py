from __future__ import annotations

import asyncio
import threading

import httpx2 as httpx
import pytest

from fim_lsp.serving.fair_queue import FairQueue
from fim_lsp.serving.refusals import RefusedError
from tests.unit.serving.conftest import HOST, RunningServer, until


async def test_waiting_clients_take_turns():
    queue, order = FairQueue(100, 100), []
    running = await queue.enter("busy")

    async def ask(client: str) -> None:
        turn = await queue.enter(client)
        order.append(client)
        turn.release()

    # One client asks five times before the other two ask once.
    tasks = [asyncio.create_task(ask(client)) for client in ["busy"] * 5 + ["a", "b"]]
    await until(lambda: queue.waiting == 7)
    running.release()
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "busy", "busy", "busy", "busy", "busy"]


async def test_beyond_the_limit_requests_are_refused_with_a_time():
    queue = FairQueue(limit=2, client_limit=1)
    running = await queue.enter("a")
    tasks = [asyncio.create_task(queue.enter(client)) for client in "bc"]
    await until(lambda: queue.waiting == 2)
    with pytest.raises(RefusedError) as refused:
        await queue.enter("d")
    assert (refused.value.status, refused.value.retry_after_s) == (429, 1)
    tasks[0].cancel()
    await until(lambda: queue.waiting == 1)
    with pytest.raises(RefusedError, match="of this client"):
        await queue.enter("c")
    running.release()
    (await tasks[1]).release()
    assert not queue.running


async def test_turn_of_one_that_left_goes_to_the_next():
    queue = FairQueue(9, 9)
    running = await queue.enter("a")
    leaving, next_one = (asyncio.create_task(queue.enter(client)) for client in "bc")
    await until(lambda: queue.waiting == 2)
    running.release()  # b's turn is given, but b does not run before it is cancelled
    leaving.cancel()
    (await next_one).release()
    running.release()  # a second release does nothing
    assert not queue.running
    assert queue.waiting == 0


async def test_server_answers_429_with_retry_after(serve):
    server: RunningServer = await serve(most_waiting=1)
    server.gate.clear()
    first = asyncio.create_task(server.text(prompt="x"))
    await until(lambda: server.service.model.queue.running)
    second = asyncio.create_task(server.text(prompt="x"))
    await until(lambda: server.service.model.queue.waiting == 1)
    for path, fields in (
        ("/v1/completions", {"prompt": "x"}),
        ("/v1/completions", {"prompt": "x", "stream": True}),
        ("/infill", {"input_prefix": "x"}),
        ("/generate", {"inputs": "x"}),
        ("/api/generate", {"prompt": "x"}),
    ):
        answer = await server.post(path, fields)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
    server.gate.set()
    assert await first == await second == "return 1"


async def test_deadline_ends_requests_that_run_and_that_wait(serve):
    server = await serve(deadline_s=0.3)
    server.gate.clear()
    answers = await asyncio.gather(*(server.post("/v1/completions", prompt="x") for _ in range(2)))
    assert [answer.status_code for answer in answers] == [429, 429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert {answer.json()["error"]["code"] for answer in answers} == {"too_many_requests"}
    server.gate.set()
    assert await server.text(prompt="x") == "return 1"


@pytest.mark.parametrize("filters", [False, True])
async def test_only_a_client_that_does_not_want_to_wait_gets_a_504(serve, filters):
    server = await serve()
    server.gate.clear()
    fields = {"prompt": "x", "suffix": "y", "filters": filters}
    headers = {"Prefer": "respond-async, wait=1; foo"}
    answer = await server.client.post("/v1/completions", json=fields, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    server.gate.set()
    answer = await server.client.post("/v1/completions", json=fields, headers={"Prefer": "wait=soon"})
    assert answer.status_code == 200


@pytest.mark.parametrize("streamed", [False, True])
async def test_text_that_is_there_at_the_deadline_is_the_answer(serve, streamed):
    server = await serve("y" * 2000, deadline_s=0.5)

    def hold_in_the_answer() -> None:
        server.evaluated.append(1)
        if len(server.evaluated) == 4:
            server.gate.clear()
        server.gate.wait(10)

    server.script.before_token = hold_in_the_answer
    asked = asyncio.create_task(server.post("/v1/completions", prompt="x", max_tokens=1500, stream=streamed))
    await until(lambda: len(server.evaluated) >= 4)
    await asyncio.sleep(0.6)  # the engine, which is held, sees the end of the time at its next token
    server.gate.set()
    answer = await asked
    assert answer.status_code == 200
    assert '"finish_reason":"length"' in answer.text
    assert 1 <= answer.text.count("y") < 1000


class _Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def _measured(clock: _Clock, turn_s: float, limit: int = 100, client_limit: int = 100) -> FairQueue:
    """Return a queue whose turns took so many seconds."""
    queue = FairQueue(limit, client_limit, clock)
    turn = await queue.enter("before")
    clock.now_s += turn_s
    turn.release()
    return queue


async def test_what_can_not_be_answered_in_time_is_refused_at_once_with_an_honest_time():
    clock = _Clock()
    queue = await _measured(clock, turn_s=2.0)
    running = await queue.enter("a", deadline_s=clock.now_s + 1)  # alone: admitted, whatever was measured
    tasks = [
        asyncio.create_task(queue.enter(client, deadline_s=clock.now_s + 9)) for client in ("b", "c", "d")
    ]
    await until(lambda: queue.waiting == 3)
    # One runs, three wait, and its own turn: 10 s.
    with pytest.raises(RefusedError, match="about 10 s, and the request has 7 s") as refused:
        await queue.enter("e", deadline_s=clock.now_s + 7)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 3)
    assert queue.waiting == 3
    # After these 3 s there would be room: the turns in front of it were shorter by that.
    clock.now_s += 2
    running.release()
    (await tasks[0]).release()
    await until(lambda: queue.waiting == 1)
    last = asyncio.create_task(queue.enter("e", deadline_s=clock.now_s + 7))
    await until(lambda: queue.waiting == 2)
    for task in (*tasks[1:], last):
        (await task).release()
    assert not queue.running


async def test_estimate_counts_the_turns_that_fairness_puts_in_front():
    clock = _Clock()
    queue = await _measured(clock, turn_s=1.0)
    running = await queue.enter("busy")
    tasks = [asyncio.create_task(queue.enter("busy")) for _ in range(10)]
    await until(lambda: queue.waiting == 10)
    # A newcomer waits for the running turn alone, as it goes in front of the ten.
    newcomer = asyncio.create_task(queue.enter("new", deadline_s=clock.now_s + 2.5))
    await until(lambda: queue.waiting == 11)
    with pytest.raises(RefusedError, match="about 13 s"):
        await queue.enter("busy", deadline_s=clock.now_s + 2.5)
    running.release()
    (await newcomer).release()
    for task in tasks:
        (await task).release()


async def test_mean_follows_the_turns():
    clock = _Clock()
    queue = await _measured(clock, turn_s=4.0)
    assert queue.mean_turn_s == 4.0
    for _ in range(60):
        turn = await queue.enter("a")
        clock.now_s += 1.0
        turn.release()
    assert queue.mean_turn_s == pytest.approx(1.0, abs=0.02)


async def test_requests_that_were_overtaken_are_dropped_first():
    clock = _Clock()
    queue = await _measured(clock, turn_s=1.0, limit=3)
    running = await queue.enter("a")
    older = asyncio.create_task(queue.enter("b", place=1))
    await until(lambda: queue.waiting == 1)
    newer = asyncio.create_task(queue.enter("b", place=1))
    await until(lambda: queue.waiting == 2)
    other = asyncio.create_task(queue.enter("b", place=2))
    await until(lambda: queue.waiting == 3)
    assert not older.done()  # there was room for all three
    newest = asyncio.create_task(queue.enter("c", place=1))
    with pytest.raises(RefusedError, match="overtaken") as refused:
        await older
    assert refused.value.retry_after_s is not None
    # The same place of another client overtakes nothing.
    with pytest.raises(RefusedError, match="Too many requests are waiting"):
        await queue.enter("d", place=1)
    # A client's newest request takes the room of its own older one.
    typed_on = asyncio.create_task(queue.enter("b", place=2))
    with pytest.raises(RefusedError, match="overtaken"):
        await other
    running.release()
    for task in (newer, newest, typed_on):
        (await task).release()
    assert (queue.running, queue.waiting) == (False, 0)


async def test_requests_without_a_place_overtake_nothing():
    clock = _Clock()
    queue = await _measured(clock, turn_s=1.0, limit=1)
    running = await queue.enter("a")
    waiting = asyncio.create_task(queue.enter("b"))
    await until(lambda: queue.waiting == 1)
    with pytest.raises(RefusedError, match="Too many"):
        await queue.enter("b")
    running.release()
    (await waiting).release()


async def test_where_the_estimate_was_wrong_the_answer_is_429_and_the_next_one_has_its_turn():
    clock = _Clock()
    queue = await _measured(clock, turn_s=1.0)
    running = await queue.enter("a")
    late = asyncio.create_task(queue.enter("b", deadline_s=clock.now_s + 60))
    patient = asyncio.create_task(queue.enter("c", deadline_s=clock.now_s + 900))
    await until(lambda: queue.waiting == 2)
    clock.now_s += 100  # a turn of a hundred seconds
    running.release()
    with pytest.raises(RefusedError, match="longer than expected") as refused:
        await late
    assert (refused.value.status, refused.value.name) == (429, "too_many_requests")
    (await patient).release()
    # Long turns do not lock anyone out: where nothing runs, one is admitted.
    (await queue.enter("b", deadline_s=clock.now_s + 1)).release()
    assert (queue.running, queue.waiting) == (False, 0)


async def test_typing_on_takes_the_room_of_the_older_request(serve):
    server = await serve(most_waiting=1)
    server.gate.clear()
    first = asyncio.create_task(server.text(prompt="x"))
    await until(lambda: server.service.model.queue.running)
    code = "def area(width, height):\n    return wid"
    older = asyncio.create_task(server.post("/infill", input_prefix=code, input_suffix="\n"))
    await until(lambda: server.service.model.queue.waiting == 1)
    newer = asyncio.create_task(server.post("/infill", input_prefix=code + "th", input_suffix="\n"))
    assert (await older).status_code == 429
    refused = await server.post("/infill", input_prefix="import os\n", input_suffix="\n")
    assert (refused.status_code, newer.done()) == (429, False)
    server.gate.set()
    await first
    assert (await newer).status_code == 200


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("at_token", [3, 150])
async def test_client_that_vanishes_ends_its_generation(serve, streamed, at_token):
    """``at_token`` is in the prompt or, beyond its 100 tokens, in the answer."""
    server: RunningServer = await serve("y" * 2000)
    reached = threading.Event()

    def hold() -> None:
        server.evaluated.append(1)
        if len(server.evaluated) == at_token:
            reached.set()
            server.gate.wait(10)

    server.script.before_token = hold
    server.gate.clear()
    fields = {"prompt": "x" * 100, "max_tokens": 1500, "stream": streamed}
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{server.port}") as leaving:
        asked = asyncio.create_task(leaving.post("/v1/completions", json=fields))
        await until(reached.is_set)
        asked.cancel()
        await asyncio.wait({asked})
    await until(lambda: not server.service.model.queue.running)
    server.gate.set()
    assert await server.text(prompt="z", max_tokens=1) == "y"
    # The engine noticed at its next token.
    assert len(server.evaluated) <= at_token + 4


async def test_one_that_vanishes_while_it_waits_leaves_the_queue(serve):
    server = await serve()
    server.gate.clear()
    first = asyncio.create_task(server.text(prompt="x"))
    await until(lambda: server.service.model.queue.running)
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{server.port}") as leaving:
        asked = asyncio.create_task(leaving.post("/v1/completions", json={"prompt": "second"}))
        await until(lambda: server.service.model.queue.waiting == 1)
        asked.cancel()
        await asyncio.wait({asked})
    await until(lambda: server.service.model.queue.waiting == 0)
    server.gate.set()
    await first
    assert server.prompts == ["x"]


async def test_client_that_reads_slowly_holds_up_nobody(serve):
    server = await serve("y" * 3000, wire={"sampling": {"maxTokens": 3000}})
    body = b'{"prompt": "x", "max_tokens": 3000, "stream": true}'
    reader, writer = await asyncio.open_connection(HOST, server.port, limit=256)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await reader.read(1)
    await until(lambda: not server.service.model.queue.running)
    assert await server.text(prompt="z", max_tokens=1) == "y"
    writer.close()


async def test_loading_is_503_and_then_200(serve):
    loading = threading.Event()
    server = await serve(loading=loading, wait=False)
    for path in ("/health", "/v1/models", "/props", "/slots", "/api/tags"):
        answer = await server.client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), path
    asked = await server.post("/v1/completions", prompt="x")
    assert (asked.status_code, asked.json()["error"]["message"]) == (503, "Loading model Try again later.")
    loading.set()
    await server.ready()
    assert (await server.client.get("/health")).status_code == 200
    assert await server.text(prompt="x") == "return 1"


@pytest.mark.parametrize("filters", [False, True])
async def test_model_unloaded_under_way_is_an_error_and_not_silence(serve, filters):
    server = await serve()
    server.gate.clear()
    asked = asyncio.create_task(server.post("/v1/completions", prompt="x", suffix="y", filters=filters))
    await until(lambda: server.service.model.queue.running)
    waiting = asyncio.create_task(server.post("/v1/completions", prompt="z"))
    await until(lambda: server.service.model.queue.waiting)
    unloading = asyncio.create_task(server.service.model.unload())
    await asyncio.sleep(0)
    server.gate.set()
    await unloading
    # The one that ran ends on the model that it began with; the one that waited has none.
    assert (await asked).status_code == 200
    answer = await waiting
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (await server.client.get("/health")).status_code == 503


async def test_many_that_abort_leave_nothing_behind(serve):
    server = await serve("y" * 500, most_waiting=1000, most_waiting_of_client=1000)
    tasks_before = len(asyncio.all_tasks())

    async def abort(number: int) -> None:
        asked = asyncio.create_task(
            server.post("/v1/completions", prompt="x" * 50, max_tokens=400, stream=bool(number % 2))
        )
        await asyncio.sleep(0.001 * (number % 20))
        asked.cancel()
        await asyncio.wait({asked})

    for start in range(0, 300, 30):
        await asyncio.gather(*(abort(start + number) for number in range(30)))
    await until(lambda: not server.service.model.queue.running and not server.service.model.queue.waiting)
    await until(lambda: len(asyncio.all_tasks()) <= tasks_before + 3)
    assert await server.text(prompt="z", max_tokens=1) == "y"
