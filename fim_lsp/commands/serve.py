"""``fim-lsp serve``: serve the model over HTTP, to editors and scripts that speak no LSP."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fim_lsp.commands import language_server
from fim_lsp.engine_factory import open_engine
from fim_lsp.errors import FimLspError
from fim_lsp.paths import settings_file
from fim_lsp.settings import Settings, from_wire
from fim_lsp.strict import merge
from fim_lsp.user_settings import read_user_settings

if TYPE_CHECKING:
    from fim_lsp.engine.base import EngineFactory
    from fim_lsp.serving.http_server import ServerPlan

TOKEN_VARIABLE = "FIM_LSP_SERVE_TOKEN"
ADAPTERS_VARIABLE = "LORA_ADAPTERS"
_PORT = 8012
"""llama.vim's own default."""


class ServeError(FimLspError):
    """The command line or the machine does not allow to serve."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``serve``."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; others than loopback need a token"
    )
    parser.add_argument("--port", type=int, default=_PORT, help=f"default: {_PORT}; 0 for any free one")
    parser.add_argument(
        "--adapter",
        metavar="NAME=PATH[:SCALE]",
        action="append",
        default=[],
        dest="adapters",
        help=f"serve a LoRA adapter by name; several times for several. {ADAPTERS_VARIABLE} names more",
    )
    parser.add_argument(
        "--default-adapter", metavar="NAME", default="", help="for requests that name no model"
    )
    parser.add_argument("--runtime-adapters", action="store_true", help="let clients add and remove adapters")
    parser.add_argument(
        "--alias",
        metavar="NAME",
        action="append",
        default=[],
        dest="aliases",
        help="another name of the model",
    )
    parser.add_argument(
        "--filters",
        action="store_true",
        help="complete holes as in an editor, with stop rules and filters, unless a request says otherwise",
    )
    parser.add_argument(
        "--workspace",
        metavar="FOLDER",
        action="append",
        default=[],
        type=Path,
        dest="workspaces",
        help="a folder whose code votes on filtered completions; several times for several",
    )
    parser.add_argument("--token-file", metavar="FILE", type=Path, help=f"or the variable {TOKEN_VARIABLE}")
    parser.add_argument("--allow-host", metavar="NAME", action="append", default=[], dest="hosts")
    parser.add_argument("--allow-origin", metavar="ORIGIN", action="append", default=[], dest="origins")
    parser.add_argument(
        "--tls-cert", metavar="FILE", type=Path, help="certificate, with its chain, for https"
    )
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its private key")
    parser.add_argument("--queue", type=int, default=64, metavar="N", help="most requests that wait (64)")
    parser.add_argument(
        "--deadline", type=float, default=60.0, metavar="S", help="seconds a request may take (60)"
    )
    parser.add_argument("--log-file", metavar="FILE", help="log there rather than to stderr")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log more")
    language_server.add_setting_arguments(parser)


def run(parsed: argparse.Namespace, factory: EngineFactory | None = None) -> int:
    """Serve until the process is told to end."""
    try:
        from fim_lsp.serving.http_server import run_server
    except ImportError as error:
        raise ServeError(
            f"fim-lsp serve needs {error.name}, which is not installed.",
            'Install it: pip install "fim-lsp[serve]"',
        ) from error
    plan = make_plan(parsed, os.environ)
    # Code is logged at no level: -vv is that of -v.
    language_server.log_to(parsed.log_file, min(parsed.verbose, 1))
    return run_server(plan, factory or open_engine)


def make_plan(parsed: argparse.Namespace, environment: os._Environ[str] | dict[str, str]) -> ServerPlan:
    """Return what the command line and the environment say about the server.

    Raises:
        FimLspError: they contradict each other, or allow too much.
    """
    from fim_lsp.serving.adapter_registry import parse_adapters
    from fim_lsp.serving.guard import Access
    from fim_lsp.serving.http_server import ServerPlan

    adapters = parse_adapters(parsed.adapters, environment.get(ADAPTERS_VARIABLE, ""))
    if parsed.default_adapter and parsed.default_adapter not in {adapter.name for adapter in adapters}:
        raise ServeError(
            f"--default-adapter {parsed.default_adapter} names no adapter.", "Give it with --adapter."
        )
    if (parsed.tls_cert is None) != (parsed.tls_key is None):
        raise ServeError("A certificate needs its key.", "Give both --tls-cert and --tls-key.")
    if not 0 <= parsed.port <= 65535 or parsed.queue < 0 or not 0 < parsed.deadline <= 3600:
        raise ServeError("--port, --queue or --deadline is out of bounds.")
    token = _read_token(parsed.token_file) or environment.get(TOKEN_VARIABLE) or None
    return ServerPlan(
        host=parsed.host,
        port=parsed.port,
        access=Access.of(parsed.host, tuple(parsed.hosts), tuple(parsed.origins), token),
        settings=_settings(parsed),
        adapters=adapters,
        default_adapter=parsed.default_adapter,
        aliases=tuple(parsed.aliases),
        filters=parsed.filters,
        runtime_adapters=parsed.runtime_adapters,
        workspaces=tuple(map(_folder, parsed.workspaces)),
        most_waiting=parsed.queue,
        deadline_s=parsed.deadline,
        certificate=parsed.tls_cert,
        key=parsed.tls_key,
    )


def _settings(parsed: argparse.Namespace) -> Settings:
    return from_wire(merge(read_user_settings(settings_file()), language_server.flags(parsed)))


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ServeError(f"--workspace {path} is no folder.")
    return path.absolute()


def _read_token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServeError(f"The token in {path} can't be read: {error}.") from error
    if not token:
        raise ServeError(f"{path} holds no token.", "Write one line into it.")
    return token
