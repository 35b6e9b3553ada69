"""One real VS Code for all tests in this folder; run them with ``tests/editors/run-vscode.sh``.

They need code-server, Chromium and a browser driver, which that script installs. Without it no test here is
collected.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

if "FIM_LSP_CODE_SERVER" not in os.environ:
    collect_ignore_glob = ["test_*.py"]
else:
    from playwright.sync_api import Browser

    from .browser import chromium
    from .code_server import CodeServer, start
    from .workbench import Workbench

PICTURES = Path(__file__).parents[3] / "build/editors/vscode/pictures"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def code_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodeServer]:
    with start(tmp_path_factory.mktemp("vscode")) as server:
        subprocess.run(["git", "init", "--quiet", server.workspace], check=True)
        (server.workspace / ".gitignore").write_text("secret*\n", encoding="utf-8")
        (server.workspace / ".fimignore").write_text("private/\n", encoding="utf-8")
        (server.workspace / "private").mkdir()
        yield server


@pytest.fixture(scope="session")
def window(browser: Browser, code_server: CodeServer) -> Workbench:
    """Provide a window whose model is loaded, for all tests."""
    workbench = _open_window(browser, code_server)
    workbench.wait_for_status("Ready")
    workbench.type_until_requested()
    return workbench


def _open_window(browser: Browser, server: CodeServer) -> Workbench:
    """Open a window on the server's workspace that can reach no other address."""
    page = browser.new_page(viewport={"width": 1100, "height": 600})
    page.route(lambda url: server.address not in url, lambda route: route.abort())
    workbench = Workbench(page, server)
    workbench.load()
    return workbench


@contextmanager
def _pictured(window: Workbench, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """Take a screenshot if the test fails."""
    before = request.session.testsfailed
    yield window
    if request.session.testsfailed > before:
        window.screenshot(PICTURES / f"failed-{request.node.name}.png")


@pytest.fixture
def workbench(window: Workbench, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """Provide the window, whose settings are reset after the test."""
    with _pictured(window, request):
        yield window
    window.close()
    window.settings()
    window.wait_for_status("Ready")


@pytest.fixture
def open_editor(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Workbench]]:
    """Provide a function that opens an editor for one test; its arguments are those of :func:`start`."""
    with ExitStack() as stack:

        def open_window(root: Path, **options: Any) -> Workbench:
            server = stack.enter_context(start(root, **options))
            window = _open_window(browser, server)
            stack.callback(window.page.close)
            return stack.enter_context(_pictured(window, request))

        yield open_window
