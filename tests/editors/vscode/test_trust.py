"""A workspace that nobody trusted may name no program; a command that is not the server's is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)


def test_an_untrusted_workspace_names_no_program(opened: Callable[..., Workbench], tmp_path: Path):
    trust = {
        "security.workspace.trust.enabled": True,
        "security.workspace.trust.startupPrompt": "never",
        "security.workspace.trust.emptyWindow": False,
    }
    bait = tmp_path / "bait"
    files = {
        ".vscode/settings.json": json.dumps({"fimLsp.server.command": ["sh", "-c", f"touch {bait}"]}),
        # Python would run a module of the server's name if it were started here.
        "fim_lsp.py": f"open({str(bait)!r}, 'w')",
    }
    workbench = opened(tmp_path, settings=trust, files=files)
    workbench.wait_for_status("Ready")
    assert "Restricted Mode" in workbench.page.locator(".statusbar").inner_text()
    assert not bait.exists()


def test_a_command_that_is_not_the_server_is_an_error(opened: Callable[..., Workbench], tmp_path: Path):
    workbench = opened(tmp_path, command=["/bin/echo", "hello"])
    status = workbench.wait_for_status("does not start fim-lsp")
    assert "codicon-error" in status["icons"]
