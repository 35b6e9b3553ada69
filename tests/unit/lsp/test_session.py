"""The session's states: settings, loads, sleep and requests, without a process."""

from __future__ import annotations

import asyncio
import logging

import pytest
from attrs import evolve
from lsprotocol.types import MessageType

from fim_lsp.completion.debounce import SupersededError
from fim_lsp.engine.base import EngineError, ModelLoadError
from fim_lsp.engine.worker import WorkerState
from fim_lsp.lsp.session import PATIENCE_S, SAVE_AFTER_S, WATCH_S
from fim_lsp.settings import SettingsError
from tests.unit.lsp.conftest import IDLE_S, OTHER_URI, SETTINGS, URI, a_request, until

# --- Load


async def test_a_model_is_loaded_with_its_settings_and_answers(make_connection):
    connection = make_connection()
    assert await connection.ask() is None
    await connection.session.reload()
    assert await connection.ask() == " b"
    assert [settings.name for settings in connection.models.opened] == ["tiny"]
    assert connection.publisher.codes == ["loading", "ready"]
    ready = connection.publisher.statuses[-1]
    assert (ready.kind, ready.model, ready.message, ready.busy) == ("Normal", "tiny", "tiny", False)


async def test_a_load_reports_its_progress(make_connection):
    connection = make_connection()
    connection.models.gate.clear()
    loading = connection.session.reload()
    await until(lambda: connection.publisher.loads and connection.publisher.loads[0][1])
    connection.models.gate.set()
    await loading
    ((title, fractions),) = connection.publisher.loads
    assert "tiny" in title
    assert (fractions[0], fractions[-1]) == (0.5, 1.0)


async def test_a_load_that_fails_is_reported_and_the_next_one_may_succeed(make_connection):
    connection = make_connection()
    connection.models.error = ModelLoadError("The file is damaged.", "Fetch it again.")
    await connection.session.reload()
    failed = connection.publisher.statuses[-1]
    assert (failed.kind, failed.code, failed.message) == ("Error", "model_failed", "The file is damaged.")
    assert connection.publisher.messages == [(MessageType.Error, "The file is damaged. Fetch it again.")]
    assert connection.state is WorkerState.FAILED
    assert await connection.ask() is None
    connection.models.error = None
    await connection.session.reload()
    assert connection.publisher.codes == ["loading", "model_failed", "loading", "ready"]
    assert await connection.ask() == " b"


async def test_a_load_that_fails_by_a_bug_is_logged_and_shown(make_connection, caplog):
    connection = make_connection()
    connection.models.error = ZeroDivisionError("a bug")
    await connection.session.reload()
    failed = connection.publisher.statuses[-1]
    assert (failed.kind, failed.code) == ("Error", "model_failed")
    assert connection.publisher.messages == []
    assert "a bug" in caplog.text


async def test_a_template_that_does_not_exist_fails_the_load(make_connection):
    connection = make_connection(model={**SETTINGS["model"], "template": "no-such-template"})
    await connection.session.reload()
    assert connection.publisher.codes == ["loading", "template_failed"]
    assert await connection.ask() is None


async def test_a_load_that_is_overtaken_publishes_nothing_more(make_connection):
    connection = make_connection()
    connection.models.gate.clear()
    overtaken = connection.session.reload()
    await until(lambda: connection.models.opened)
    connection.configure(model={"name": "other"})
    await overtaken
    connection.models.gate.set()
    await until(lambda: connection.state is WorkerState.READY)
    await until(lambda: connection.publisher.codes[-1] == "ready")
    assert [(status.code, status.model) for status in connection.publisher.statuses] == [
        ("loading", "tiny"),
        ("loading", "other"),
        ("ready", "other"),
    ]
    assert connection.publisher.messages == []


async def test_a_notice_of_a_model_is_shown_once_to_clients_with_a_status(connection):
    connection.models.notice = "This model is not tuned."
    for _ in range(2):
        await connection.session.reload()
    assert connection.publisher.messages == [(MessageType.Info, "This model is not tuned.")]


async def test_a_client_without_a_status_gets_a_notice_in_the_log_alone(make_connection, caplog):
    connection = make_connection(status=False)
    connection.models.notice = "This model is not tuned."
    with caplog.at_level(logging.INFO):
        await connection.session.reload()
    assert connection.publisher.messages == []
    assert connection.publisher.statuses == []
    assert caplog.text.count("This model is not tuned.") == 1


# --- Sleep and wake


async def test_a_model_sleeps_after_its_idle_time_and_a_request_wakes_it(connection):
    assert await connection.ask() == " b"
    await connection.fall_asleep()
    asleep = connection.publisher.statuses[-1]
    assert (asleep.kind, asleep.code, asleep.model) == ("Inactive", "asleep", "tiny")
    assert await connection.ask(a_request("x = 1\ny =█\n")) == " b"
    assert connection.publisher.codes == ["loading", "ready", "asleep", "loading", "ready"]


async def test_the_idle_time_begins_again_after_each_request(connection):
    assert connection.timers.delays_s.count(IDLE_S) == 1
    connection.models.answer_gate.clear()
    asked = asyncio.create_task(connection.ask())
    await until(lambda: IDLE_S not in connection.timers.delays_s)
    connection.models.answer_gate.set()
    assert await asked == " b"
    assert connection.timers.delays_s.count(IDLE_S) == 1


async def test_without_an_idle_time_a_model_stays_loaded(make_connection):
    connection = make_connection(model={"name": "tiny", "unloadAfterMinutes": 0, "kvStateMb": 0})
    await connection.session.reload()
    assert connection.timers.delays_s == []


async def test_all_requests_that_find_it_asleep_wait_for_one_load(connection):
    await connection.fall_asleep()
    connection.models.gate.clear()
    asked = [asyncio.create_task(connection.ask(a_request(uri=uri))) for uri in (URI, OTHER_URI)]
    await until(lambda: connection.timers.delays_s.count(PATIENCE_S) == 2)
    connection.models.gate.set()
    assert await asyncio.gather(*asked) == [" b", " b"]
    assert len(connection.models.opened) == 2
    assert PATIENCE_S not in connection.timers.delays_s


async def test_a_request_waits_ten_seconds_for_it_and_the_load_goes_on(connection):
    assert PATIENCE_S == 10
    await connection.fall_asleep()
    connection.models.gate.clear()
    asked = asyncio.create_task(connection.ask())
    await connection.lose_patience()
    assert await asked is None
    connection.models.gate.set()
    await until(lambda: connection.publisher.codes[-1] == "ready")
    assert len(connection.models.opened) == 2
    assert await connection.ask() == " b"


async def test_a_request_that_is_cancelled_while_it_waits_leaves_the_load_to_the_next(connection):
    await connection.fall_asleep()
    connection.models.gate.clear()
    asked = asyncio.create_task(connection.ask())
    await until(lambda: PATIENCE_S in connection.timers.delays_s)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert PATIENCE_S not in connection.timers.delays_s
    connection.models.gate.set()
    assert await connection.ask() == " b"
    assert len(connection.models.opened) == 2


async def test_suggestions_of_before_are_kept_for_the_same_model(connection):
    assert await connection.ask() == " b"
    await connection.fall_asleep()
    connection.models.text = " changed"
    assert await connection.ask() == " b"
    assert connection.models.generations == 1


async def test_suggestions_of_before_are_dropped_where_another_file_is_there(connection):
    assert await connection.ask() == " b"
    await connection.fall_asleep()
    connection.models.text, connection.models.size_bytes = " changed", 2
    assert await connection.ask() == " changed"
    assert connection.models.generations == 2


async def test_a_model_that_is_gone_when_a_request_wakes_it_is_reported(connection):
    await connection.fall_asleep()
    connection.models.error = ModelLoadError("The file is gone.")
    assert await connection.ask() is None
    assert connection.publisher.codes[-1] == "model_failed"
    assert await connection.ask() is None
    assert len(connection.models.opened) == 2


async def test_an_opened_document_wakes_it_but_not_one_without_completions(connection):
    await connection.fall_asleep()
    secret = evolve(a_request().document, uri="file:///project/.env", language_id="plaintext")
    connection.session.document_opened(secret)
    assert await connection.ask(evolve(a_request(), document=secret)) is None
    assert connection.state is WorkerState.ASLEEP
    connection.session.document_opened(a_request().document)
    await until(lambda: connection.publisher.codes[-1] == "ready")


async def test_kv_states_are_saved_after_an_idle_minute_unless_they_are_off(make_connection):
    saved = make_connection(model={**SETTINGS["model"], "kvStateMb": 64})
    assert saved.timers.delays_s.count(SAVE_AFTER_S) == 1
    assert SAVE_AFTER_S not in make_connection().timers.delays_s


# --- Toggle and settings


async def test_completions_are_turned_off_and_on(connection):
    assert connection.session.toggle() == {"enabled": False, "disabledLanguages": []}
    assert connection.publisher.codes[-1] == "disabled"
    assert await connection.ask() is None
    assert connection.session.toggle() == {"enabled": True, "disabledLanguages": []}
    assert connection.publisher.codes[-1] == "ready"
    assert await connection.ask() == " b"
    assert len(connection.models.opened) == 1


async def test_a_language_is_turned_off_and_on(connection):
    assert connection.session.toggle(language="python")["disabledLanguages"] == ["python"]
    assert await connection.ask() is None
    assert connection.session.toggle(enabled=False, language="go")["disabledLanguages"] == ["go", "python"]
    assert connection.session.toggle(language="python")["disabledLanguages"] == ["go"]
    assert await connection.ask() == " b"


async def test_a_toggle_wins_over_settings_that_come_later(connection):
    connection.session.toggle(enabled=False)
    connection.configure(completion={"enabled": True})
    assert connection.publisher.codes[-1] == "disabled"


async def test_turned_off_asleep_it_is_not_woken(connection):
    await connection.fall_asleep()
    connection.session.toggle(enabled=False)
    assert await connection.ask() is None
    assert connection.state is WorkerState.ASLEEP
    connection.session.toggle(enabled=True)
    assert connection.publisher.codes[-1] == "asleep"
    assert await connection.ask() == " b"


async def test_only_settings_of_the_model_reload_it(connection):
    connection.configure(completion={"maxLines": 3}, model={"unloadAfterMinutes": 2 * IDLE_S / 60})
    assert len(connection.models.opened) == 1
    assert connection.timers.delays_s == [2 * IDLE_S]
    connection.configure(model={"contextTokens": 512})
    await until(lambda: connection.publisher.codes == ["loading", "ready", "loading", "ready"])
    assert connection.models.opened[-1].context_tokens == 512


async def test_settings_before_the_first_load_start_none(make_connection):
    connection = make_connection()
    connection.configure(model={"contextTokens": 512})
    assert connection.state is WorkerState.EMPTY
    assert connection.publisher.statuses == []


async def test_a_bad_setting_is_shown_and_the_last_good_ones_stay(connection):
    connection.configure(completion={"maxLines": "many"})
    ((kind, text),) = connection.publisher.messages
    assert kind is MessageType.Warning
    assert "fimLsp.completion.maxLines" in text
    assert await connection.ask() == " b"
    assert len(connection.models.opened) == 1


@pytest.mark.parametrize("bad", [{"prompt": {"cursorCpuSecond": 3}}, {"model": "tiny"}, {"completion": None}])
async def test_a_client_with_a_bad_setting_from_the_start_is_told_of_the_state(make_connection, bad):
    connection = make_connection(**bad)
    assert len(connection.publisher.messages) == 1
    await connection.session.reload()
    assert connection.publisher.codes[-1] == "ready"
    assert await connection.ask() == " b"


async def test_the_users_settings_are_read_again_and_lose_to_the_clients(make_connection):
    connection = make_connection(model={"kvStateMb": 0})
    connection.user["model"] = {"name": "mine"}
    connection.session.take_user_layer()
    connection.session.apply_settings()
    await connection.session.reload()
    connection.session.start_watching()
    connection.timers.run(WATCH_S)
    assert len(connection.models.opened) == 1
    connection.user["model"] = {"name": "better", "kvStateMb": 64}
    connection.timers.run(WATCH_S)
    await until(lambda: connection.publisher.codes[-2:] == ["loading", "ready"])
    assert [(model.name, model.kv_state_mb) for model in connection.models.opened] == [
        ("mine", 0),
        ("better", 0),
    ]
    assert WATCH_S in connection.timers.delays_s


async def test_a_settings_file_that_can_not_be_read_is_reported_once(make_connection):
    connection = make_connection()
    connection.user.update({"model": {"name": "mine"}})
    connection.session.take_user_layer()
    connection.unreadable.append(SettingsError("Can't read settings.json."))
    connection.session.start_watching()
    for _ in range(3):
        connection.timers.run(WATCH_S)
    assert connection.publisher.messages == [(MessageType.Warning, "Can't read settings.json.")]
    connection.unreadable.clear()
    assert not connection.session.take_user_layer()


# --- Requests


async def test_two_documents_are_answered_and_closed_apart(connection):
    assert await connection.ask(a_request(uri=URI)) == " b"
    assert await connection.ask(a_request("x = 1\ny =█\n", uri=OTHER_URI)) == " b"
    connection.session.document_closed(URI)
    with pytest.raises(SupersededError):
        await connection.ask(a_request(uri=URI))
    assert await connection.ask(a_request("x = 1\ny = 2\nz =█\n", uri=OTHER_URI)) == " b"


async def test_a_document_that_changed_meanwhile_has_no_answer_and_its_suggestion_is_kept(connection):
    request = a_request()
    connection.models.answer_gate.clear()
    asked = asyncio.create_task(connection.ask(request))
    await until(lambda: connection.models.generations)
    connection.session.document_edited(URI, 2, request.document.text + "\n")
    connection.models.answer_gate.set()
    with pytest.raises(SupersededError):
        await asked
    connection.session.document_edited(URI, 3, request.document.text)
    assert await connection.ask(a_request(version=3)) == " b"
    assert connection.models.generations == 1


async def test_a_failure_of_the_engine_is_shown_and_the_next_request_may_succeed(connection):
    connection.models.failure = EngineError("The batch was refused.")
    assert await connection.ask() is None
    failed = connection.publisher.statuses[-1]
    assert (failed.kind, failed.code, failed.message) == (
        "Error",
        "completion_failed",
        "The batch was refused.",
    )
    connection.models.failure = None
    assert await connection.ask() == " b"
    assert connection.publisher.codes[-1] == "ready"


async def test_a_bug_in_a_completion_is_logged_and_shown(connection, caplog):
    connection.models.failure = ZeroDivisionError("a bug")
    assert await connection.ask() is None
    assert connection.publisher.codes[-1] == "completion_failed"
    assert "a bug" in caplog.text


async def test_what_becomes_of_suggestions_is_recorded(connection):
    text = a_request().document.text
    assert await connection.ask() == " b"
    connection.session.document_edited(URI, 2, text.replace("a +", "a + b"))
    connection.session.suggestion_accepted(URI, len(" b"), 0)
    assert connection.session.feedback.counts == {"accepted": 1}


# --- The end


async def test_closing_during_a_load_gives_it_up(make_connection):
    connection = make_connection()
    connection.models.gate.clear()
    loading = connection.session.reload()
    await until(lambda: connection.models.opened)
    await asyncio.wait_for(connection.session.close(), 5)
    await asyncio.gather(loading, return_exceptions=True)
    assert connection.publisher.codes == ["loading"]
    assert connection.publisher.messages == []
    assert connection.state is WorkerState.CLOSED


async def test_closing_while_a_request_waits_for_the_model_answers_it(connection):
    await connection.fall_asleep()
    connection.models.gate.clear()
    asked = asyncio.create_task(connection.ask())
    await until(lambda: PATIENCE_S in connection.timers.delays_s)
    await asyncio.wait_for(connection.session.close(), 5)
    assert await asked is None


async def test_nothing_is_left_to_do_after_the_end(connection):
    connection.session.start_watching()
    await connection.ask()
    await connection.session.close()
    assert connection.timers.delays_s == []
    await connection.session.reload()
    assert connection.state is WorkerState.CLOSED


@pytest.mark.parametrize(("batteries", "evaluates"), [([], True), (["BAT0"], False)])
async def test_a_resting_cursor_costs_nothing_on_battery(
    make_connection, batteries: list[str], evaluates: bool
):
    connection = make_connection()
    await connection.session.reload()
    connection.session.completer.stop()
    await until(lambda: not connection.session.completer.preparing)
    connection.battery[:] = batteries
    connection.session.cursor_rested(a_request())
    assert connection.session.completer.preparing is evaluates


async def test_a_dismissed_suggestion_is_counted_and_not_shown_again(make_connection):
    connection = make_connection(completion={"cooldownMs": 0})
    await connection.session.reload()
    assert await connection.ask() == " b"
    connection.session.suggestion_dismissed(URI)
    assert connection.session.feedback.counts["rejected"] == 1
    assert await connection.ask() is None
    assert connection.session.explanation.dropped_because == "the user refused it here"


async def test_a_dismissal_where_nothing_is_shown_changes_nothing(connection):
    connection.session.suggestion_dismissed(None)
    connection.session.suggestion_dismissed("file:///nowhere.py")
    assert await connection.ask() == " b"
