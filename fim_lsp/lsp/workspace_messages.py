"""The messages about files and folders of the workspace: handlers, and what the client is asked to send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from fim_lsp.lsp.rpc import ChangedFiles
    from fim_lsp.lsp.server import Server

_EVERYTHING = "**/*"
"""Folders too: whether a file is indexed is decided by its name and by ignore files, which may change."""


def add_workspace_handlers(server: Server) -> None:
    """Register the handlers."""
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(_saved)
    server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(_files_changed)
    server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(_folders_changed)


def watch_files(server: Server) -> list[types.Registration]:
    """Return what asks the client to tell of changes on the disk; nothing where it can't be asked."""
    workspace = server.client_capabilities.workspace
    files = workspace.did_change_watched_files if workspace else None
    if files is None or not files.dynamic_registration:
        return []
    server.session.index.is_watched = True
    watched = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(_EVERYTHING)])
    return [types.Registration("fimLsp.files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, watched)]


# pygls hands the server to a parameter of this name; it can't see the annotation's type here (2.1.1).
def _saved(ls: Server, params: types.DidSaveTextDocumentParams) -> None:
    ls.session.index.document_saved(params.text_document.uri)


def _files_changed(ls: Server, params: ChangedFiles) -> None:
    ls.session.index.files_changed(params.uris)


def _folders_changed(ls: Server, params: types.DidChangeWorkspaceFoldersParams) -> None:
    ls.session.index.settings_changed(ls.session.settings)
