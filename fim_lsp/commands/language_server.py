"""``fim-lsp --stdio`` and ``--tcp``: start the server, and keep stdout for the protocol."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from fim_lsp.engine_factory import open_any_engine as open_engine
from fim_lsp.paths import settings_file
from fim_lsp.settings import ModelSettings, SettingsError, from_wire
from fim_lsp.strict import merge
from fim_lsp.user_settings import read_user_settings

if TYPE_CHECKING:
    from fim_lsp.engine.base import Engine, EngineFactory, OnLoading

_LOOPBACK = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the server, and those for settings."""
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--stdio", action="store_true", help="serve over stdin and stdout")
    transport.add_argument(
        "--tcp", metavar="[HOST:]PORT", help="serve one client over TCP, on loopback by default"
    )
    parser.add_argument("--log-file", metavar="FILE", help="log there rather than to stderr")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log more; -vv logs code too")
    # vscode-languageclient passes its process id to every server that speaks over stdio.
    parser.add_argument("--clientProcessId", help=argparse.SUPPRESS)
    add_setting_arguments(parser)


def add_setting_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--model`` and ``--set``, which win over all other layers of settings."""
    parser.add_argument("--model", metavar="NAME|PATH", help="model to use, by name in the catalog or file")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="any setting, for example --set model.threads=2",
    )


def flags(parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the command line as a camelCase layer.

    Raises:
        SettingsError: a flag is not KEY=VALUE, or its value does not fit.
    """
    layers = [_layer(text) for text in parsed.settings]
    if parsed.model:
        layers.append({"model": {"name": parsed.model}})
    merged = merge(*layers)
    from_wire(merged)
    return merged


def _layer(text: str) -> dict[str, Any]:
    path, equals, raw = text.partition("=")
    if not equals:
        raise SettingsError(f"--set {text} has no value.", "Write it as --set model.threads=2.")
    try:
        value = json.loads(raw)
    except ValueError:
        value = raw
    for key in reversed(path.split(".")):
        value = {key: value}
    layer: dict[str, Any] = value
    return layer


def forwarded(parsed: argparse.Namespace) -> list[str]:
    """Return the same settings as arguments for a server process that this command starts.

    It saves no KV states and indexes no workspace unless told to: one answer must not depend on the one
    before, or on how far an index is.
    """
    model = ["--model", parsed.model] if parsed.model else []
    chosen = ("model.kvStateMb=0", "memory.workspace=false", *parsed.settings)
    return [*model, *(part for text in chosen for part in ("--set", text))]


def open_engine_for_editor(settings: ModelSettings, on_loading: OnLoading) -> Engine:
    """Open the engine that the settings name, with the folder of saved KV states."""
    from fim_lsp.paths import kv_states_folder

    engine = open_engine(settings, on_loading, kv_states_folder())
    if not gc.get_freeze_count():
        # Modules and classes stay to the end. A full collection would go through all their objects, for some
        # 50 ms in which no other thread runs, the event loop's neither.
        gc.freeze()
    return engine


def run(parsed: argparse.Namespace, factory: EngineFactory = open_engine_for_editor) -> NoReturn:
    """Serve one client until it disconnects, and end the process with LSP's exit code."""
    stdout = claim_stdout()
    log_to(parsed.log_file, parsed.verbose)
    from fim_lsp.lsp.server import create_server
    from fim_lsp.lsp.transport import serve_stdio, serve_tcp

    server = create_server(factory, flags(parsed), lambda: read_user_settings(settings_file()))
    logging.getLogger("fim_lsp").addHandler(server.log_handler)
    if parsed.tcp:
        serve_tcp(server, *parse_address(parsed.tcp))
    serve_stdio(server, stdout)


def claim_stdout() -> BinaryIO:
    """Keep the real stdout for the protocol and send all other writes to stderr.

    File descriptor 1 itself is redirected to stderr, so that a ``print`` in a library or a ``printf`` in
    native code can't corrupt a message. Child processes do not inherit the returned descriptor.
    """
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(private, "wb")


def log_to(path: str | None, verbose: int) -> None:
    """Log to a file or stderr: warnings; with -v progress; with -vv everything, including buffer text."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler = logging.FileHandler(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
    handler.setLevel(level)
    logging.basicConfig(
        level=logging.WARNING, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # The editor gets INFO through window/logMessage, whatever the level of the file is.
    logging.getLogger("fim_lsp").setLevel(min(level, logging.INFO))
    # pygls logs whole messages, with the user's code, at INFO. It warns of each cancel that arrives after
    # the answer (2.1.1).
    logging.getLogger("pygls").setLevel(logging.DEBUG if verbose >= 2 else logging.ERROR)


def parse_address(text: str) -> tuple[str, int]:
    """Parse ``HOST:PORT``, ``[IPV6]:PORT`` or ``PORT``.

    Raises:
        SettingsError: the port is not a number from 0 to 65535.
    """
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"--tcp {text} has no valid port.", "Write it as --tcp 127.0.0.1:2087.")
    return host.strip("[]") or _LOOPBACK, int(port)


def command_line(extra: Sequence[str]) -> list[str]:
    """Return the command that starts this server as a child process."""
    return [sys.executable, "-m", "fim_lsp", "--stdio", *extra]
