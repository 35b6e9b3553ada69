"""A workspace that nobody trusted may name no program; without a server there is an offer, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from .code_server import CodeServer, start
from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)


def opened(browser: Browser, server: CodeServer) -> Workbench:
    page = browser.new_page(viewport={"width": 1100, "height": 600})
    page.route(lambda url: server.address not in url, lambda route: route.abort())
    workbench = Workbench(page, server)
    workbench.load()
    return workbench


def test_an_untrusted_workspace_names_no_program(browser: Browser, tmp_path: Path):
    trust = {
        "security.workspace.trust.enabled": True,
        "security.workspace.trust.startupPrompt": "never",
        "security.workspace.trust.emptyWindow": False,
    }
    with start(tmp_path, settings=trust) as server:
        bait = server.workspace / "bait"
        server.settings({"fimLsp.server.command": ["sh", "-c", f"touch {bait}"]})
        # Python would run a module of the server's name if it were started here.
        (server.workspace / "fim_lsp.py").write_text(f"open({str(bait)!r}, 'w')", encoding="utf-8")
        workbench = opened(browser, server)
        workbench.wait_for_status("Ready")
        assert "Restricted Mode" in workbench.page.locator(".statusbar").inner_text()
        assert not bait.exists()
        workbench.page.close()


def test_without_a_server_installing_is_offered_and_nothing_done(browser: Browser, tmp_path: Path):
    with start(tmp_path, command=[], env={"PATH": "/usr/bin:/bin"}) as server:
        workbench = opened(browser, server)
        status = workbench.wait_for_status("not installed")
        assert "no server" in status["text"]
        offer = workbench.until(workbench.notifications, "an offer")
        assert "Install the Python package fim-lsp" in offer
        assert not list(tmp_path.rglob("pyvenv.cfg"))
        workbench.page.close()


def test_a_command_that_is_not_the_server_is_an_error(browser: Browser, tmp_path: Path):
    with start(tmp_path, command=["/bin/echo", "hello"]) as server:
        workbench = opened(browser, server)
        status = workbench.wait_for_status("does not start fim-lsp")
        assert "codicon-error" in status["icons"]
        workbench.page.close()
