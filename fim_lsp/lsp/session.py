"""One client's session: its settings in layers, its model, its completer.

The handlers in ``server`` stay thin by leaving everything that has state here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from attrs import evolve
from lsprotocol import types
from pygls.lsp.server import LanguageServer

from fim_lsp import __version__
from fim_lsp.completion.completer import Completer
from fim_lsp.completion.enabled import is_enabled
from fim_lsp.completion.explain import Explanation
from fim_lsp.engine.base import AdapterError, EngineFactory, OvertakenError
from fim_lsp.engine.worker import InferenceWorker, WorkerState
from fim_lsp.errors import ErrorCode, FimLspError
from fim_lsp.feedback.events import SuggestionOrigin
from fim_lsp.feedback.recorder import FeedbackRecorder
from fim_lsp.feedback.writer import FeedbackWriter
from fim_lsp.lsp.idle_timer import IdleTimer
from fim_lsp.lsp.status import LoadProgress, ServerStatus, StatusLine
from fim_lsp.settings import ModelSettings, Settings, SettingsError, from_wire, merge
from fim_lsp.types import Completion, CompletionRequest, DocumentSnapshot, Trigger, path_of

logger = logging.getLogger(__name__)

SECTION = "fimLsp"
ReadLayer = Callable[[], Mapping[str, Any]]
"""Reads a layer of settings, or raises SettingsError."""
_WATCH_S = 2.0
"""How often the user's settings are looked at; it is a small file, so this costs next to nothing."""
_PATIENCE_S = 10.0
"""How long a request waits for a model that comes back; clients give up on much longer ones."""
_PARK_AFTER_S = 60.0
"""Pause after which evaluated states are saved; often enough for a crash, seldom enough for the disk."""


class Session:
    """Everything that lives as long as the client stays connected."""

    def __init__(
        self,
        server: LanguageServer,
        factory: EngineFactory,
        flags: Mapping[str, Any],
        read_user: ReadLayer,
    ) -> None:
        self._server = server
        self._layers: dict[str, Mapping[str, Any]] = {"user": {}, "initialization": {}, "configuration": {}}
        self._read_user = read_user
        self._watching: asyncio.Task[None] | None = None
        self._flags = flags
        self._toggles: dict[str, Any] = {}
        self._loading: asyncio.Task[None] | None = None
        self._waking: asyncio.Task[None] | None = None
        self._notified: set[str] = set()
        self._model_name = ""
        self.settings = Settings()
        self.status = StatusLine(server)
        self.worker = InferenceWorker(factory)
        self.completer = Completer(self.worker, on_refused=self._refused, folders=self._folders)
        self.feedback = FeedbackRecorder(FeedbackWriter())
        self._rest = IdleTimer(self._sleep, busy=lambda: not self.worker.idle)
        self._pause = IdleTimer(self._save, busy=lambda: not self.worker.idle)

    def _folders(self) -> Sequence[PurePath]:
        """The folders that the client names, as they are now."""
        workspace = self._server.workspace
        uris = list(workspace.folders) or [workspace.root_uri]
        return [path_of(uri) for uri in uris if uri]

    def take_layer(self, layer: str, raw: Any) -> None:
        """Replace one layer of settings (``initialization`` or ``configuration``).

        Clients send the section bare or wrapped in its own name, and null for "nothing set". Nothing is
        applied, or said, before :meth:`apply_settings`: LSP allows no notification before ``initialized``.
        """
        options = raw if isinstance(raw, Mapping) else {}
        self._layers[layer] = options.get(SECTION, options) or {}

    def apply_settings(self) -> None:
        """Merge the layers, lowest first; on a bad value say so and keep the last good settings."""
        merged = merge(*self._layers.values(), self._flags, self._toggles)
        before = self.settings
        try:
            self.settings = from_wire(merged)
        except SettingsError as error:
            logger.warning("%s", error)
            self._server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, str(error)))
            return
        self.status.enabled = self.settings.status
        self.completer.settings_changed(self.settings)
        self.feedback.enable(self.settings.feedback.enabled)
        self._rest.arm((self.settings.model.unload_after_minutes or 0) * 60)
        self._pause.arm(_PARK_AFTER_S if self.settings.model.parking_mb else None)
        changed = _as_opened(self.settings.model) != _as_opened(before.model)
        if changed and self.worker.state is not WorkerState.EMPTY:
            self.reload()
        self.show_state()

    def start_watching(self) -> None:
        """Follow the user's settings file from now on."""
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_S)
            if self.take_user_layer():
                self.apply_settings()

    def take_user_layer(self) -> bool:
        """Read the user's settings; whether they changed. A file that can't be read is reported once."""
        try:
            layer = self._read_user()
        except SettingsError as error:
            if self._is_news(str(error)):
                self._server.window_show_message(
                    types.ShowMessageParams(types.MessageType.Warning, str(error))
                )
            return False
        changed = layer != self._layers["user"]
        self._layers["user"] = layer
        return changed

    def toggle(self, enabled: bool | None = None, language: str | None = None) -> dict[str, Any]:
        """Turn completions on or off for this session, everywhere or for one language id."""
        completion = self.settings.completion
        if language is None:
            change: dict[str, Any] = {"enabled": not completion.enabled if enabled is None else enabled}
        else:
            off = set(completion.disabled_languages)
            wanted = language in off if enabled is None else enabled
            change = {"disabledLanguages": sorted(off - {language} if wanted else off | {language})}
        self._toggles = merge(self._toggles, {"completion": change})
        self.apply_settings()
        completion = self.settings.completion
        return {"enabled": completion.enabled, "disabledLanguages": list(completion.disabled_languages)}

    def reload(self) -> asyncio.Task[None]:
        """Load the model that the settings name, on the worker; a load that was overtaken stays silent."""
        self._loading = asyncio.create_task(self._load())
        return self._loading

    async def _sleep(self) -> None:
        """Free the model's memory until somebody needs it again."""
        self.completer.stop()
        await self.worker.unload()
        logger.info("Unloaded the model, which nobody needed")
        self.show_state()

    async def _save(self) -> None:
        """Save what was evaluated, one state after the other, and give way to whoever comes."""
        while self.worker.idle and await self.worker.save_one():
            pass

    async def _wake(self) -> None:
        """Wait for a model that was unloaded; a load that takes very long goes on without us."""
        self._begin_to_wake()
        if self._waking is not None and not self._waking.done():
            await asyncio.wait({self._waking}, timeout=_PATIENCE_S)

    def _begin_to_wake(self) -> None:
        waking = self._waking is not None and not self._waking.done()
        if self.worker.state is WorkerState.ASLEEP and not waking:
            self._waking = asyncio.create_task(self._load(returning=True))

    async def complete(self, request: CompletionRequest) -> Completion | None:
        """Ask the completer, once the model is back where it was unloaded.

        Raises:
            SupersededError, FimLspError: as :meth:`Completer.complete`.
        """
        with self._rest.used(), self._pause.used():
            if is_enabled(request, self.settings):
                await self._wake()
            return await self.completer.complete(request, self.settings)

    def opened(self, document: DocumentSnapshot) -> None:
        """Evaluate what is known of a document, and load the model that it will soon need."""
        self.completer.opened(document, self.settings)
        if is_enabled(CompletionRequest(document, 0, Trigger.INVOKED), self.settings):
            self._begin_to_wake()

    async def _load(self, *, returning: bool = False) -> None:
        with self._rest.used():
            await self._open(returning=returning)

    async def _open(self, *, returning: bool) -> None:
        model = self.settings.model
        self._model_name = model.name
        self.status.send(ServerStatus("Normal", "loading", model.name, f"Loading {model.name}", busy=True))
        try:
            async with LoadProgress(self._server, f"fim-lsp: loading {model.name}") as progress:
                engine = await self.worker.load(model, progress.report)
            if returning and self.completer.model_returned(engine, self.settings):
                self.show_state()
                return
            chosen = self.completer.model_changed(engine, self.settings)
        except OvertakenError as error:
            logger.debug("%s", error)
            return
        except FimLspError as error:
            self._failed(error)
            return
        except Exception:
            logger.exception("Loading %s failed", model.name)
            self.show_failure("model_failed", f"Loading {model.name} failed; see the log.")
            return
        template = chosen.template.name if chosen.template else "none"
        logger.info(
            "Loaded %s, template %s (%s): %s", engine.info.name, template, chosen.source, chosen.reason
        )
        self._remark(engine.info.notice)
        if chosen.template is None and chosen.source != "settings":
            self._remark(f"{engine.info.name}: {chosen.reason}")
        self.show_state()

    def _failed(self, error: FimLspError) -> None:
        logger.error("%s", error)
        # The status first: by its code, a client knows what the message is about.
        self.show_failure(error.code, error.problem)
        self._server.window_show_message(types.ShowMessageParams(types.MessageType.Error, str(error)))

    def show_failure(self, code: ErrorCode, problem: str) -> None:
        """Send the status of a failure."""
        self.status.send(ServerStatus("Error", code, self._model_name, problem))

    def _refused(self, error: AdapterError) -> None:
        logger.warning("%s", error)
        self._server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, str(error)))

    def _remark(self, notice: str | None) -> None:
        """Say something about a model that calls for no action, once.

        Everybody has it in the log. Only clients that asked for the status are shown a message: others may
        stop the typist for it, as Neovim does with "Press ENTER" (0.10 to 0.12).
        """
        if notice and self._is_news(notice):
            logger.info("%s", notice)
            if self.status.enabled:
                self._server.window_show_message(types.ShowMessageParams(types.MessageType.Info, notice))

    def _is_news(self, text: str) -> bool:
        known = text in self._notified
        self._notified.add(text)
        return not known

    def show_state(self) -> None:
        """Send the resting state: ready, asleep or off.

        While loading, or without a model, what was sent stands.
        """
        asleep = self.worker.state is WorkerState.ASLEEP
        if not asleep and (not self.completer.ready or self.worker.engine is None):
            return
        model = self._model_name
        if not self.settings.completion.enabled:
            self.status.send(ServerStatus("Inactive", "disabled", model, "Completions are off"))
        elif self.worker.engine is None:
            self.status.send(ServerStatus("Inactive", "asleep", model, "Asleep; loads again when you type"))
        else:
            adapters = (adapter.path.stem for adapter in self.completer.last.adapters)
            label = " + ".join((self.worker.engine.info.name, *adapters))
            self.status.send(ServerStatus("Normal", "ready", model, label))

    def answering(self, request: CompletionRequest, completion: Completion | None, latency_ms: float) -> None:
        """Note the answer that is about to be sent."""
        document, engine = request.document, self.worker.engine
        if completion is None or engine is None:
            self.feedback.empty_answer_sent(document.uri)
            return
        self.feedback.suggestion_sent(
            document.uri,
            document.text,
            request.offset,
            completion.text,
            completion.replace_suffix_chars,
            origin=SuggestionOrigin(
                __version__, engine.info.name, _label(self.completer.last), document.language_id
            ),
            latency_ms=latency_ms,
            alternatives=[(other.text, other.replace_suffix_chars) for other in completion.alternatives],
        )

    async def close(self) -> None:
        """Abort what runs, free the model and write the last feedback; a load is abandoned."""
        for task in (self._watching, self._loading, self._waking):
            if task is not None:
                task.cancel()
        self._rest.stop()
        self._pause.stop()
        self.completer.stop()
        await asyncio.gather(self.worker.close(), self.feedback.close())


def _as_opened(model: ModelSettings) -> ModelSettings:
    """Without what an open engine knows nothing of."""
    return evolve(model, unload_after_minutes=None)


def _label(explanation: Explanation) -> str:
    """The adapters that an answer was made under, by their names; their folders are nobody's business."""
    return " + ".join(
        adapter.path.stem if adapter.scale == 1 else f"{adapter.path.stem} x {adapter.scale:g}"
        for adapter in explanation.adapters
    )
