"""Untrusted workspaces cannot name a program; a command that does not start the server is an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)


def test_an_untrusted_workspace_cannot_name_a_program(
    open_editor: Callable[..., Workbench], tmp_path: Path
) -> None:
    trust = {
        "security.workspace.trust.enabled": True,
        "security.workspace.trust.startupPrompt": "never",
        "security.workspace.trust.emptyWindow": False,
    }
    bait = tmp_path / "bait"
    files = {
        ".vscode/settings.json": json.dumps({"fimLsp.server.command": ["sh", "-c", f"touch {bait}"]}),
        # Python would run this module instead of the server if it were started in the workspace.
        "fim_lsp.py": f"open({str(bait)!r}, 'w')",
    }
    workbench = open_editor(tmp_path, settings=trust, files=files)
    workbench.wait_for_status("Ready")
    assert "Restricted Mode" in workbench.page.locator(".statusbar").inner_text()
    assert not bait.exists()


def test_a_command_that_is_not_the_server_is_an_error(
    open_editor: Callable[..., Workbench], tmp_path: Path
) -> None:
    workbench = open_editor(tmp_path, command=["/bin/echo", "hello"])
    status = workbench.wait_for_status("does not start fim-lsp")
    assert "codicon-error" in status["icons"]
