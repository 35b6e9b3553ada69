"""One client's session: its settings, its model, its completer, its feedback.

The handlers in ``server`` keep no state. A session knows neither pygls nor a process: tests drive it with a
scripted engine, a recording publisher and timers of their own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from attrs import evolve
from lsprotocol.types import MessageType

from fim_lsp import __version__
from fim_lsp.completion.completer import Completer
from fim_lsp.completion.debounce import SupersededError
from fim_lsp.completion.document_adapters import adapter_label
from fim_lsp.completion.enabled import is_enabled
from fim_lsp.completion.explain import Answer, Explanation
from fim_lsp.completion.open_documents import Folders
from fim_lsp.engine.base import AdapterError, EngineFactory, OvertakenError
from fim_lsp.engine.worker import InferenceWorker, WorkerState
from fim_lsp.errors import ErrorCode, FimLspError
from fim_lsp.experiment import assign
from fim_lsp.feedback.events import SuggestionOrigin
from fim_lsp.feedback.recorder import FeedbackRecorder
from fim_lsp.feedback.writer import FeedbackWriter
from fim_lsp.lsp.idle_timer import IdleTimer
from fim_lsp.lsp.power import on_battery
from fim_lsp.lsp.publisher import Publisher
from fim_lsp.lsp.settings_layers import SettingsLayers, unwrap_section
from fim_lsp.lsp.status import ServerStatus, StatusLine
from fim_lsp.settings import ModelSettings, Settings, SettingsError
from fim_lsp.timers import CancelTimer, RunLater, run_later
from fim_lsp.types import Completion, CompletionRequest, DocumentSnapshot, LineEdit, Trigger
from fim_lsp.workspace.index import WorkspaceIndex

logger = logging.getLogger(__name__)

ReadLayer: TypeAlias = Callable[[], Mapping[str, Any]]
"""Reads a layer of settings, or raises SettingsError."""
WATCH_S = 2.0
"""Seconds between two looks at the user's settings. The file is small, so a look costs next to nothing."""
PATIENCE_S = 10.0
"""Seconds that a request waits for a model that is loaded again. Clients give up on much longer ones."""
SAVE_AFTER_S = 60.0
"""Idle seconds after which KV states are saved: often enough for a crash, seldom enough for the disk."""


class Session:
    """Everything that lives as long as one client stays connected. Lives on one asyncio loop.

    Args:
        publisher: Sends the client what it did not ask for.
        factory: Opens the model that settings name; called on the inference thread.
        flags: Settings of the command line, in camelCase. They win over the client's.
        read_user: Reads the user's own settings, again and again. The client's win over them.
        folders: Returns the folders of the workspace, as they are now.
        index_command: Starts the process that indexes the workspace; None for no index.
        feedback: Records what becomes of suggestions.
        run_later: Starts a timer.
        clock: Seconds of a clock that never goes back.
        on_battery: Tells whether the machine runs on battery now.
    """

    def __init__(
        self,
        publisher: Publisher,
        factory: EngineFactory,
        *,
        flags: Mapping[str, Any] | None = None,
        read_user: ReadLayer = dict,
        folders: Folders = tuple,
        feedback: FeedbackRecorder | None = None,
        index_command: Sequence[str] | None = None,
        run_later: RunLater = run_later,
        clock: Callable[[], float] = time.perf_counter,
        on_battery: Callable[[], bool] = on_battery,
    ) -> None:
        self._publisher = publisher
        self._layers = SettingsLayers(flags=flags or {})
        self._read_user = read_user
        self._run_later = run_later
        self._clock = clock
        self._on_battery = on_battery
        self._versions: dict[str, int] = {}
        self._cancel_watch: CancelTimer | None = None
        self._loading: asyncio.Task[None] | None = None
        self._waking: asyncio.Task[None] | None = None
        self._reported: set[str] = set()
        self._status = StatusLine(publisher.send_status)
        self._model_name = ""
        self._failure = ""
        self.settings = Settings()
        self.worker = InferenceWorker(factory)
        self.index = WorkspaceIndex(index_command, folders, self.show_state, self._remark, self._forget_files)
        self.completer = Completer(
            self.worker,
            clock,
            on_refused=self._warn_of_adapter,
            folders=folders,
            corpora=self.index.corpora,
            knows_name=lambda name: name in self.index.names,
            related=self.index.related,
        )
        self.explanation = Explanation()
        """Of the last answer."""
        self.feedback = feedback or FeedbackRecorder(FeedbackWriter())
        self._sleep_timer = IdleTimer(self._sleep, lambda: not self.worker.idle, run_later)
        self._save_timer = IdleTimer(self._save, lambda: not self.worker.idle, run_later)

    def _forget_files(self, paths: Sequence[str]) -> None:
        self.explanation = Explanation(adapters=self.explanation.adapters)
        self.completer.forget_files(paths)

    # --- Settings

    def take_layer(self, layer: Literal["initialization", "configuration"], raw: Any) -> None:
        """Replace one layer of settings by what the client sent.

        Nothing is applied or published before :meth:`apply_settings`, because LSP allows no notification
        before ``initialized``.
        """
        self._layers = evolve(self._layers, **{layer: unwrap_section(raw)})

    def take_user_layer(self) -> bool:
        """Read the user's settings, and return whether they changed. Report an unreadable file once."""
        try:
            layer = self._read_user()
        except SettingsError as error:
            if self._is_new(str(error)):
                self._publisher.show_message(MessageType.Warning, str(error))
            return False
        changed = layer != self._layers.user
        self._layers = evolve(self._layers, user=layer)
        return changed

    def apply_settings(self) -> None:
        """Merge the layers and apply them. Keep the last good settings if a value is bad, and say so."""
        before = self.settings
        try:
            self.settings = self._layers.merged()
        except SettingsError as error:
            logger.warning("%s", error)
            self._publisher.show_message(MessageType.Warning, str(error))
            # A client that waits for the state would wait for ever for the sake of another key.
            self._status.enabled = self._status.enabled or self._layers.wants_status
            return
        for remark in self._layers.remarks():
            if self._is_new(remark):
                self._publisher.show_message(MessageType.Warning, remark)
        model = self.settings.model
        self._status.enabled = self.settings.status
        self.completer.settings_changed(self.settings)
        if self.settings.adapters != before.adapters:
            self.explanation = evolve(self.explanation, adapters=())
        self.index.settings_changed(self.settings)
        self.feedback.enable(self.settings.feedback.enabled)
        self._sleep_timer.arm((model.unload_after_minutes or 0) * 60)
        self._save_timer.arm(SAVE_AFTER_S if model.kv_state_mb else None)
        if (
            _load_settings(model) != _load_settings(before.model)
            and self.worker.state is not WorkerState.EMPTY
        ):
            self.reload()
        self.show_state()

    def start_watching(self) -> None:
        """Follow the user's settings file from now on."""
        self._cancel_watch = self._run_later(WATCH_S, self._look_at_user_layer)

    def _look_at_user_layer(self) -> None:
        if self.take_user_layer():
            self.apply_settings()
        self.start_watching()

    def toggle(self, enabled: bool | None = None, language: str | None = None) -> dict[str, Any]:
        """Turn completions on or off for this session, everywhere or for one language id."""
        self._layers = self._layers.toggled(self.settings.completion, enabled, language)
        self.apply_settings()
        completion = self.settings.completion
        return {"enabled": completion.enabled, "disabledLanguages": list(completion.disabled_languages)}

    # --- The model: loaded, asleep, loaded again

    def reload(self) -> asyncio.Task[None]:
        """Start to load the model that the settings name. A load that is overtaken publishes nothing more."""
        self._loading = asyncio.create_task(self._load())
        return self._loading

    async def _load(self, *, returning: bool = False) -> None:
        with self._sleep_timer.used():
            await self._open(returning=returning)

    async def _open(self, *, returning: bool) -> None:
        model = self.settings.model
        self._model_name = model.name
        self._status.send(ServerStatus("Normal", "loading", model.name, f"Loading {model.name}", busy=True))
        try:
            async with self._publisher.load_progress(f"fim-lsp: loading {model.name}") as on_progress:
                engine = await self.worker.load(model, on_progress)
            if returning and self.completer.model_returned(engine, self.settings):
                self.show_state()
                return
            chosen = self.completer.model_changed(engine, self.settings)
        except OvertakenError as error:
            logger.debug("%s", error)
            return
        except FimLspError as error:
            logger.error("%s", error)
            # The status comes first: its code tells the client what the message is about.
            self._show_failure(error.code, error.problem)
            self._publisher.show_message(MessageType.Error, str(error))
            return
        except Exception:
            logger.exception("Loading %s failed", model.name)
            self._show_failure("model_failed", f"Loading {model.name} failed; see the log.")
            return
        self.index.model_changed(engine.info.path)
        template = chosen.template.name if chosen.template else "none"
        logger.info(
            "Loaded %s, template %s (%s): %s", engine.info.name, template, chosen.source, chosen.reason
        )
        self._remark(engine.info.notice)
        if chosen.template is None and chosen.source != "settings":
            self._remark(f"{engine.info.name}: {chosen.reason}")
        self.show_state()

    async def _sleep(self) -> None:
        """Free the model's memory until the next request."""
        self.completer.stop()
        await self.worker.unload()
        logger.info("Unloaded the model, which was not used for a while")
        self.show_state()

    async def _save(self) -> None:
        """Save KV states one after the other, until a request comes."""
        while self.worker.idle and await self.worker.save_one():
            pass

    def _start_to_wake(self, request: CompletionRequest) -> asyncio.Task[None] | None:
        """Start to load a model that sleeps, and return the load; None if the request needs no load."""
        waking = self._waking if self._waking is not None and not self._waking.done() else None
        if waking is None and self.worker.state is not WorkerState.ASLEEP:
            return None
        if not is_enabled(request, self.settings):
            return None
        if waking is None:
            self._waking = waking = asyncio.create_task(self._load(returning=True))
        return waking

    async def _wake(self, request: CompletionRequest) -> None:
        """Load a model that sleeps, and wait for it, but not for long. The load goes on after that."""
        waking = self._start_to_wake(request)
        if waking is None:
            return
        out_of_patience: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        cancel_timer = self._run_later(PATIENCE_S, out_of_patience.cancel)
        try:
            await asyncio.wait({waking, out_of_patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancel_timer()

    # --- Documents and requests

    def document_opened(self, document: DocumentSnapshot) -> None:
        """Prefill what is known of a document's first prompt, and load the model that it will soon need."""
        self._versions[document.uri] = document.version
        self.completer.opened(document, self.settings)
        self.index.document_opened(document)
        self._start_to_wake(CompletionRequest(document, 0, Trigger.INVOKED))

    def document_edited(
        self, uri: str, version: int, text: str | None, edits: Sequence[LineEdit] = ()
    ) -> None:
        """Note that a document changed; ``text`` is None if it is not open."""
        self.completer.edited(uri, version, text, edits)
        if text is not None:
            self._versions[uri] = version
            self.feedback.document_edited(uri, text)

    def cursor_rested(self, request: CompletionRequest) -> None:
        """Evaluate the prompt where the client's cursor rests, unless that would drain a battery.

        A model that sleeps stays asleep: reading code needs none.
        """
        if self.settings.prompt.cursor_cpu_seconds and not self._on_battery():
            self.completer.cursor_rested(request, self.settings)

    def document_closed(self, uri: str) -> None:
        """Forget a document."""
        self._versions.pop(uri, None)
        self.completer.closed(uri)
        self.index.document_closed(uri)
        self.feedback.document_closed(uri)

    async def complete(self, request: CompletionRequest) -> Completion | None:
        """Complete at the cursor, and record the answer. Show a failure as the status; it has no answer.

        Raises:
            SupersededError: a newer request came, or the document changed. The suggestion is cached then.
        """
        began = self._clock()
        try:
            answer = await self._complete(request)
        except SupersededError:
            raise
        except FimLspError as error:
            # A server that is away fails every request alike, until it is back.
            logger.log(logging.DEBUG if str(error) == self._failure else logging.ERROR, "%s", error)
            self._failure = str(error)
            self._show_failure(error.code, error.problem)
            return None
        except Exception as error:
            logger.exception("Completion failed")
            self._show_failure("completion_failed", f"{type(error).__name__}; see the log.")
            return None
        self._failure = ""
        if answer.explanation.uri:
            self.explanation = answer.explanation
        if answer.explanation.notice:
            self._publisher.show_message(MessageType.Warning, answer.explanation.notice)
        self.show_state()
        if self._versions.get(request.document.uri) != request.document.version:
            raise SupersededError
        self._record(request, answer, (self._clock() - began) * 1000)
        return answer.completion

    async def _complete(self, request: CompletionRequest) -> Answer:
        with self._sleep_timer.used(), self._save_timer.used():
            await self._wake(request)
            answer = await self.completer.complete(request, self.settings)
        engine = self.worker.engine
        if engine is not None and self.completer.reads_snippets(self.settings):
            self.index.look_around(request, engine.tokenizer.encode)
        return answer

    def _record(self, request: CompletionRequest, answer: Answer, latency_ms: float) -> None:
        """Record an answer that is sent to the client now."""
        document, engine, completion = request.document, self.worker.engine, answer.completion
        if completion is None or engine is None:
            self.feedback.empty_answer_sent(document.uri)
            return
        adapters, model = adapter_label(answer.explanation.adapters), answer.explanation.model
        assigned = assign(self.settings.experiment, document.uri)
        arm = (assigned.label, assigned.bucket) if assigned is not None else ("", 0)
        self.feedback.suggestion_sent(
            document.uri,
            document.text,
            request.offset,
            completion.text,
            completion.replace_suffix_chars,
            origin=SuggestionOrigin(
                __version__, model or engine.info.name, adapters, document.language_id, *arm
            ),
            latency_ms=latency_ms,
            alternatives=[(other.text, other.replace_suffix_chars) for other in completion.alternatives],
        )

    def suggestion_accepted(self, uri: str | None, chars: int | None, candidate: int) -> None:
        """Note that the command of a suggestion ran, and generate what follows it."""
        self.feedback.suggestion_accepted(uri, chars)
        self.completer.accepted(uri, candidate)

    def suggestion_dismissed(self, uri: str | None) -> None:
        """Note that the user dismissed the suggestion of a document, or the last of all."""
        self.feedback.suggestion_dismissed(uri)
        self.completer.dismissed(uri)

    async def close(self) -> None:
        """Abort what runs, free the model and write the last feedback. A load is abandoned."""
        if self._cancel_watch is not None:
            self._cancel_watch()
        for task in (self._loading, self._waking):
            if task is not None:
                task.cancel()
        self._sleep_timer.stop()
        self._save_timer.stop()
        self.completer.stop()
        await asyncio.gather(self.worker.close(), self.feedback.close(), self.index.close())

    # --- What the user sees besides suggestions

    def show_state(self) -> None:
        """Send the status: ready, asleep or off. While loading, or without a model, the last one stands."""
        asleep = self.worker.state is WorkerState.ASLEEP
        if not asleep and (not self.completer.ready or self.worker.engine is None):
            return
        model = self._model_name
        if not self.settings.completion.enabled:
            self._status.send(ServerStatus("Inactive", "disabled", model, "Completions are off"))
        elif self.worker.engine is None:
            self._status.send(ServerStatus("Inactive", "asleep", model, "Asleep; loads again when you type"))
        else:
            adapters = (adapter.label for adapter in self.explanation.adapters)
            info = self.worker.engine.info
            label = " + ".join((info.name, *adapters)) + (f" on {info.host}" if info.host else "")
            index = self.index.status if self.index.is_running else None
            self._status.send(ServerStatus("Normal", "ready", model, label, index=index))

    def _show_failure(self, code: ErrorCode, problem: str) -> None:
        self._status.send(ServerStatus("Error", code, self._model_name, problem))

    def _warn_of_adapter(self, error: AdapterError) -> None:
        logger.warning("%s", error)
        self._publisher.show_message(MessageType.Warning, str(error))

    def _remark(self, notice: str | None) -> None:
        """Log a remark about a model that calls for no action, once, and show it to some clients.

        Only clients that asked for the status show it. For others a message may stop the typist, as Neovim
        does with "Press ENTER" (0.10 to 0.12).
        """
        if notice and self._is_new(notice):
            logger.info("%s", notice)
            if self._status.enabled:
                self._publisher.show_message(MessageType.Info, notice)

    def _is_new(self, text: str) -> bool:
        known = text in self._reported
        self._reported.add(text)
        return not known


def _load_settings(model: ModelSettings) -> ModelSettings:
    """Return the settings without those that do not need a reload when they change."""
    return evolve(model, unload_after_minutes=None)
