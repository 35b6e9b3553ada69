"""Real VS Code without a screen: code-server with the packed extension and its own profile."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.editors.record import Record

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
VSIX = REPOSITORY / "editors/vscode/fim-lsp.vsix"

# Popups and tips would take keys and room. Most tests need a suggestion at every place: eager.
# The other settings keep the editor from using the network.
_QUIET: dict[str, Any] = {
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.wordBasedSuggestions": "off",
    "editor.suggestOnTriggerCharacters": False,
    "editor.parameterHints.enabled": False,
    "editor.minimap.enabled": False,
    "fimLsp.completion.eagerness": "eager",
    "editor.autoClosingBrackets": "never",
    "editor.autoClosingQuotes": "never",
    "files.autoSave": "off",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "chat.disableAIFeatures": True,
    "chat.commandCenter.enabled": False,
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoUpdate": False,
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "git.openRepositoryInParentFolders": "never",
}
_KEYS = [
    {"key": "ctrl+alt+shift+w", "command": "workbench.action.revertAndCloseActiveEditor"},
    {"key": "ctrl+alt+shift+c", "command": "notifications.clearAll"},
    {"key": "ctrl+alt+shift+r", "command": "fimLsp.restart"},
    {"key": "ctrl+alt+shift+y", "command": "fimLsp.why"},
    {"key": "ctrl+alt+shift+e", "command": "fimLsp.recordExpected"},
    {"key": "ctrl+alt+shift+m", "command": "fimLsp.menu"},
]


@frozen
class CodeServer:
    """A running code-server, its workspace, and the record of its language server."""

    address: str
    workspace: Path
    record: Record

    def settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the workspace's settings on disk, where an open window notices the change.

        code-server does not notice a change of the user's settings on disk.
        """
        _write_json(self.workspace / ".vscode/settings.json", settings)


@contextmanager
def start(
    root: Path,
    *,
    command: list[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    machine: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[CodeServer]:
    """Install the extension into a new profile in ``root`` and serve its workspace.

    Args:
        root: An empty folder.
        command: ``fimLsp.server.command``; None for the recorded server.
        settings: The user's settings, in addition to those that keep the editor quiet. None removes one of
            those, so that VS Code's default is in force.
        machine: Settings that VS Code reads from the machine only, such as ``fimLsp.server.package``.
        files: The workspace's files: texts by their relative paths.
        env: Variables in addition to this process's environment.
    """
    record, workspace, data = Record(root / "record.jsonl"), root / "workspace", root / "data"
    workspace.mkdir()
    for name, text in (files or {}).items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text, encoding="utf-8")
    if command is None:
        proxy = [sys.executable, str(HERE.parent / "recording_proxy.py"), str(record.path)]
        command = [*proxy, sys.executable, str(HERE / "recording_server.py"), str(record.path)]
    # A window of code-server is a remote one, and reads settings of the machine's scope from here.
    _write_json(data / "Machine" / "settings.json", {"fimLsp.server.command": command, **(machine or {})})
    _write_json(data / "User" / "keybindings.json", _KEYS)
    (root / "config.yaml").write_text("auth: none\n", encoding="utf-8")
    chosen = {**_QUIET, **(settings or {})}
    kept = {key: value for key, value in chosen.items() if value is not None}
    _write_json(data / "User" / "settings.json", kept)
    home = root / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "FIM_LSP_MODELS": str(_models()),
        **(env or {}),
    }
    program = profile(root)
    subprocess.run(
        [*program, "--install-extension", VSIX], env=outside(environment), check=True, capture_output=True
    )
    with serve(program, environment, root / "code-server.log") as address:
        yield CodeServer(address, workspace, record)


def profile(root: Path) -> list[str | Path]:
    """Return the command line of VS Code with settings, extensions and data in ``root``."""
    entry = Path(os.environ["FIM_LSP_CODE_SERVER"]) / "node_modules/code-server/out/node/entry.js"
    folders: list[str | Path] = [
        "--user-data-dir",
        root / "data",
        "--extensions-dir",
        root / "ext",
        "--config",
        root / "config.yaml",
    ]
    return [Path(os.environ["FIM_LSP_CODE_SERVER"]) / "node", entry, *folders]


def outside(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment as outside VS Code's terminal, and without an extension gallery."""
    others = {name: value for name, value in environment.items() if name != "VSCODE_IPC_HOOK_CLI"}
    return {**others, "EXTENSIONS_GALLERY": "{}"}


@contextmanager
def serve(program: Sequence[str | Path], environment: Mapping[str, str], log_file: Path) -> Iterator[str]:
    """Run code-server until the end of the block; yield its address once it answers.

    Args:
        program: The command line from :func:`profile`.
        environment: The whole environment.
        log_file: The file for its output.
    """
    address = f"127.0.0.1:{_free_port()}"
    flags = ("--disable-telemetry", "--disable-update-check", "--disable-getting-started-override")
    with log_file.open("wb") as log:
        command = [*program, "--auth", "none", "--bind-addr", address, *flags]
        process = subprocess.Popen(
            command, env=outside(environment), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait_until_up(address, process)
            yield address
        finally:
            process.terminate()
            process.wait(60)


def _models() -> Path:
    """Return the model store of this process; inside, HOME is another folder."""
    from fim_lsp.paths import models_folder

    return models_folder()


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{address}/healthz", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"code-server did not start: exit code {process.poll()}")
