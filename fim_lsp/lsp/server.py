"""The language server: thin handlers that translate a message, call the session, and translate back.

The answers are what clients need. Others would leave stale ghost text in Neovim, or show errors:

==========================  ================================
nothing to suggest          a list without items
superseded by a newer one   null
``$/cancelRequest``         error -32800 (pygls sends it)
document changed meanwhile  null; the suggestion is cached
a real error                a list without items, and a status
==========================  ================================
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, cast

import attrs
from lsprotocol import types
from pygls.lsp.server import LanguageServer

from fim_lsp import __version__
from fim_lsp.code.languages import find_language
from fim_lsp.completion.debounce import SupersededError
from fim_lsp.engine.base import EngineFactory
from fim_lsp.lsp import protocol
from fim_lsp.lsp.acceptance_messages import (
    accepted_chars,
    range_of_command,
    suggestion_of_command,
    suggestion_of_item,
)
from fim_lsp.lsp.client_log import ClientLogHandler
from fim_lsp.lsp.client_process import is_process_id, wait_until_gone
from fim_lsp.lsp.documents import LspDocument, LspWorkspace, canonical_uri
from fim_lsp.lsp.expected_command import record_range
from fim_lsp.lsp.notebooks import CellPlace, place_of
from fim_lsp.lsp.publisher import ClientPublisher
from fim_lsp.lsp.rpc import InlineParams, Protocol, make_converter
from fim_lsp.lsp.session import ReadLayer, Session
from fim_lsp.lsp.settings_layers import SECTION
from fim_lsp.lsp.workspace_messages import add_workspace_handlers, watch_files
from fim_lsp.settings import camel_case
from fim_lsp.types import path_of
from fim_lsp.workspace.child import indexing_command

logger = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S = 2.0
"""Seconds to write what is not written yet when the client is gone."""


_ALL_NOTEBOOKS = types.NotebookDocumentSyncOptions([types.NotebookDocumentFilterWithNotebook(notebook="*")])


class Server(LanguageServer):
    """pygls' server with a session. Errors go to the log instead of a message box."""

    protocol: Protocol

    def __init__(self, factory: EngineFactory, flags: Mapping[str, Any], read_user: ReadLayer) -> None:
        super().__init__(
            "fim-lsp",
            __version__,
            protocol_cls=Protocol,
            converter_factory=make_converter,
            notebook_document_sync=_ALL_NOTEBOOKS,
        )
        self.session = Session(
            ClientPublisher(self),
            factory,
            flags=flags,
            read_user=read_user,
            folders=self._folders,
            index_command=indexing_command(),
        )
        self.log_handler = ClientLogHandler(self.window_log_message)
        self.is_initialized = False
        """True once the client has sent ``initialized``."""
        self._client_watch: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log an error. pygls' default opens a message box for every malformed notification."""
        logger.warning("%s: %r", getattr(source, "__name__", source), error)

    def document(self, uri: str) -> LspDocument | None:
        """Return an open document; None for one that is not open."""
        return cast(LspWorkspace, self.workspace).find(uri)

    def place(self, document: LspDocument) -> CellPlace:
        """Return where an open document is: in its notebook, if it is a cell of one."""
        return place_of(cast(LspWorkspace, self.workspace), document)

    def uri_of(self, uri: str) -> str:
        """Return the URI by which the session knows a client's document: for a cell, its notebook's."""
        document = self.document(uri)
        return canonical_uri(uri) if document is None else self.place(document).snapshot.uri

    def cells_of(self, notebook_uri: str) -> tuple[LspDocument, ...]:
        """Return the open cells of a notebook."""
        return cast(LspWorkspace, self.workspace).cells_of(notebook_uri)

    def leave_with_client(self, process_id: int) -> None:
        """End the server when the client's process has ended."""
        self._client_watch = asyncio.create_task(self._leave_when_gone(process_id))

    def leave(self, reason: str) -> None:
        """End the server because its client is gone. Do nothing the second time, and off the event loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._leaving is None:
            logger.warning("%s, so the server ends.", reason)
            self._leaving = loop.create_task(self._close_and_exit())

    async def _leave_when_gone(self, process_id: int) -> None:
        await wait_until_gone(process_id)
        self.leave(f"The client's process {process_id} is gone")

    async def _close_and_exit(self) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.session.close(), _CLOSE_TIMEOUT_S)
        self.protocol.handle_message(types.ExitNotification())

    def _folders(self) -> Sequence[PurePath]:
        """Return the folders that the client names, as they are now."""
        if not self.is_initialized:
            return []
        uris = list(self.workspace.folders) or [self.workspace.root_uri]
        return [path_of(uri) for uri in uris if uri]


def create_server(
    factory: EngineFactory, flags: Mapping[str, Any] | None = None, read_user: ReadLayer = dict
) -> Server:
    """Return a server with every handler registered, not yet started.

    Args:
        factory: Opens the model that settings name; called on the inference thread.
        flags: Settings of the command line (camelCase). They win over the client's.
        read_user: Reads the user's own settings, again and again. The client's win over them.
    """
    server = Server(factory, flags or {}, read_user)
    server.feature(types.INITIALIZE)(_initialize)
    server.feature(types.INITIALIZED)(_initialized)
    server.feature(types.SHUTDOWN)(_shutdown)
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(_configuration_changed)
    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(_opened)
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(_changed)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(_closed)
    server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)(_notebook_opened)
    server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)(_notebook_changed)
    server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)(_notebook_closed)
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(_inline_completion)
    # Notifications of Copilot's protocol, which the specification does not have.
    server.feature("textDocument/didShowCompletion")(_shown)
    server.feature("textDocument/didPartiallyAcceptCompletion")(_partly_accepted)
    server.feature("fimLsp/ignored")(_ignored)
    server.feature("fimLsp/cursor")(_cursor_rested)
    server.feature("fimLsp/dismissed")(_dismissed)
    server.command(protocol.ACCEPTED)(_accepted)
    server.command("fimLsp.toggle")(_toggle)
    server.command("fimLsp.reload")(_reload)
    server.command("fimLsp.explain")(_explain)
    server.command("fimLsp.expected")(_expected)
    add_workspace_handlers(server)
    return server


def _initialize(server: Server, params: types.InitializeParams) -> None:
    server.protocol.use_own_documents()
    document = params.capabilities.text_document
    if document is None or document.inline_completion is None:
        # pygls builds the capabilities after this handler, so a client sees only those that it can use.
        options = types.CompletionOptions(trigger_characters=list(" .([{:=,"))
        server.feature(types.TEXT_DOCUMENT_COMPLETION, options)(_completion)
    server.session.take_layer("initialization", params.initialization_options)
    # Clients in containers, whose ids mean nothing here, send null.
    if params.process_id is not None and is_process_id(params.process_id):
        server.leave_with_client(params.process_id)


async def _initialized(server: Server, _: types.InitializedParams) -> None:
    if server.is_initialized:
        return
    server.is_initialized = True
    server.log_handler.client_ready()
    server.session.take_user_layer()
    await _pull_configuration(server)
    server.session.apply_settings()
    _register(server)
    server.session.reload()
    server.session.start_watching()


def _register(server: Server) -> None:
    """Ask the client to tell of changed settings and files, where it can be asked."""
    workspace = server.client_capabilities.workspace
    changes = workspace.did_change_configuration if workspace else None
    registrations = watch_files(server)
    if changes is not None and changes.dynamic_registration:
        method, options = types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"section": SECTION}
        registrations.append(types.Registration("fimLsp.configuration", method, options))
    if registrations:
        server.client_register_capability(types.RegistrationParams(registrations))


async def _pull_configuration(server: Server) -> None:
    workspace = server.client_capabilities.workspace
    if workspace is None or not workspace.configuration:
        return
    items = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
    try:
        answer = await asyncio.wait_for(server.workspace_configuration_async(items), timeout=5)
    except Exception as error:  # The other layers of settings are used all the same.
        logger.warning("The client did not answer workspace/configuration: %r", error)
        return
    server.session.take_layer("configuration", answer[0] if answer else None)


async def _configuration_changed(server: Server, params: types.DidChangeConfigurationParams) -> None:
    workspace = server.client_capabilities.workspace
    if workspace is not None and workspace.configuration:
        await _pull_configuration(server)
    else:
        server.session.take_layer("configuration", params.settings)
    server.session.apply_settings()


async def _shutdown(server: Server, _: None) -> None:
    server.protocol.end_requests()
    await server.session.close()


def _opened(server: Server, params: types.DidOpenTextDocumentParams) -> None:
    if (document := server.document(params.text_document.uri)) is not None:
        server.session.document_opened(server.place(document).snapshot)


def _changed(server: Server, params: types.DidChangeTextDocumentParams) -> None:
    document = server.document(params.text_document.uri)
    if document is not None:
        _note_edit(server, document, params.content_changes)


def _note_edit(
    server: Server, document: LspDocument, changes: Sequence[types.TextDocumentContentChangeEvent] = ()
) -> None:
    place = server.place(document)
    snapshot = place.snapshot
    edits = protocol.read_edits(changes, snapshot.text.count("\n", 0, place.start))
    server.session.document_edited(snapshot.uri, snapshot.version, snapshot.text, edits)


def _closed(server: Server, params: types.DidCloseTextDocumentParams) -> None:
    server.session.document_closed(canonical_uri(params.text_document.uri))


def _notebook_opened(server: Server, params: types.DidOpenNotebookDocumentParams) -> None:
    if (cell := _first_code_cell(server, params.notebook_document.uri)) is not None:
        server.session.document_opened(server.place(cell).snapshot)


def _notebook_changed(server: Server, params: types.DidChangeNotebookDocumentParams) -> None:
    texts = params.change.cells.text_content if params.change.cells else None
    edited = server.document(texts[0].document.uri) if texts else None
    cell = edited or _first_code_cell(server, params.notebook_document.uri)
    if cell is not None:
        _note_edit(server, cell, texts[0].changes if texts and cell is edited else ())


def _notebook_closed(server: Server, params: types.DidCloseNotebookDocumentParams) -> None:
    server.session.document_closed(canonical_uri(params.notebook_document.uri))


def _first_code_cell(server: Server, notebook_uri: str) -> LspDocument | None:
    """Return the cell whose language stands for a notebook's; None for a notebook without cells."""
    cells = server.cells_of(notebook_uri)
    code = (cell for cell in cells if not find_language(cell.language_id or "").prose)
    return next(code, cells[0] if cells else None)


async def _inline_completion(server: Server, params: InlineParams) -> types.InlineCompletionList | None:
    document = server.document(params.text_document.uri)
    if document is None:
        return types.InlineCompletionList(items=[])
    request = protocol.to_request(params, document, server.place(document))
    try:
        completion = await server.session.complete(request)
    except SupersededError:
        return None
    return protocol.to_inline_items(completion, params, request, _encoding(server))


async def _completion(server: Server, params: types.CompletionParams) -> types.CompletionList | None:
    document = server.document(params.text_document.uri)
    if document is None:
        return types.CompletionList(is_incomplete=True, items=[])
    request = protocol.to_completion_request(params.position, document, server.place(document))
    try:
        completion = await server.session.complete(request)
    except SupersededError:
        return None
    return protocol.to_completion_list(
        completion, params.position, request, _encoding(server), mode=_insert_text_mode(server)
    )


def _insert_text_mode(server: Server) -> types.InsertTextMode | None:
    """Return the mode that keeps an editor from indenting an entry again, where the client knows it."""
    document = server.client_capabilities.text_document
    completion = document.completion if document else None
    item = completion.completion_item if completion else None
    known = item.insert_text_mode_support.value_set if item and item.insert_text_mode_support else ()
    return types.InsertTextMode.AsIs if types.InsertTextMode.AsIs in known else None


def _encoding(server: Server) -> str | None:
    return server.workspace.position_encoding


def _accepted(server: Server, *arguments: Any) -> None:
    suggestion = suggestion_of_command(arguments)
    server.session.suggestion_accepted(suggestion.uri, suggestion.chars, suggestion.candidate)


def _shown(server: Server, params: Any) -> None:
    server.session.feedback.suggestion_shown(suggestion_of_item(params).uri)


def _partly_accepted(server: Server, params: Any) -> None:
    if (chars := accepted_chars(params)) is not None:
        suggestion = suggestion_of_item(params)
        server.session.feedback.suggestion_partly_accepted(suggestion.uri, chars, suggestion.chars)


def _dismissed(server: Server, params: Any) -> None:
    """Note that the suggestion shown last in a document (``uri``), or last of all, was dismissed."""
    uri = getattr(params, "uri", None)
    document = server.document(uri) if isinstance(uri, str) else None
    if document is not None or uri is None:
        server.session.suggestion_dismissed(server.place(document).snapshot.uri if document else None)


def _ignored(server: Server, params: Any) -> None:
    """Keep the open documents out of prompts that the client reports as ignored (``uris``)."""
    uris = getattr(params, "uris", None)
    if isinstance(uris, (list, tuple)):
        server.session.completer.keep_out(server.uri_of(uri) for uri in uris if isinstance(uri, str))


def _cursor_rested(server: Server, params: Any) -> None:
    """Evaluate the prompt where the cursor rests (``textDocument.uri``, ``position``), if that is a place."""
    cursor = protocol.read_place(params)
    document = server.document(cursor[0]) if cursor is not None else None
    if cursor is not None and document is not None:
        request = protocol.to_completion_request(cursor[1], document, server.place(document))
        server.session.cursor_rested(request)


def _toggle(server: Server, *arguments: Any) -> dict[str, Any]:
    """Turn completions on or off.

    ``[]`` changes what is in force; ``[true]`` and ``[{"enabled": true, "language": "python"}]`` say what to
    set.
    """
    choice = arguments[0] if arguments else None
    if isinstance(choice, Mapping):
        return server.session.toggle(choice.get("enabled"), choice.get("language"))
    return server.session.toggle(choice if isinstance(choice, bool) else None)


async def _reload(server: Server, *_: Any) -> dict[str, Any]:
    # A client that cancels its request must not leave the model half loaded.
    await asyncio.shield(server.session.reload())
    return {"state": server.session.worker.state.value}


async def _expected(server: Server, *arguments: Any) -> dict[str, Any]:
    """Record the text of a range (``uri``, ``range``) as the suggestion that was expected there."""
    place = range_of_command(arguments)
    document = server.document(place[0]) if place is not None else None
    if place is None or document is None:
        return {"recorded": 0, "problem": "The command needs the URI of an open document, and a range."}
    completion = server.session.settings.completion
    return await record_range(document, place[1], place[2], completion, server.place(document))


def _explain(server: Server, *_: Any) -> dict[str, Any]:
    last = attrs.asdict(server.session.explanation)
    index = attrs.asdict(server.session.index.status)
    return _camel_cased({**last, "index": index, "feedback": server.session.feedback.counts})  # type: ignore[no-any-return]


def _camel_cased(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {camel_case(key): _camel_cased(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_camel_cased(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    return value
