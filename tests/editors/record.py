"""Read what recording_proxy.py wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import frozen


@frozen
class Record:
    """A record that grows while an editor runs; each call reads the whole file."""

    path: Path

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Return the entries of one kind, in order; a line that is being written is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [entry for entry in entries if entry["kind"] == kind]

    def sent(self) -> list[dict[str, Any]]:
        """Return every message that went to a server."""
        return [entry["message"] for entry in self.entries("to_server")]

    def sent_of(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of the requests or notifications with one method."""
        return [message["params"] for message in self.sent() if message.get("method") == method]

    def answers(self, method: str) -> list[Any]:
        """Return the results of the editor's requests with one method; errors are left out."""
        return self._results(method, asked="to_server", answered="to_editor")

    def settings_fetched(self) -> int:
        """Return how often a server has fetched its settings from the editor."""
        return len(self._results("workspace/configuration", asked="to_editor", answered="to_server"))

    def _results(self, method: str, *, asked: str, answered: str) -> list[Any]:
        ids = {
            (entry["pid"], entry["message"]["id"])
            for entry in self.entries(asked)
            if entry["message"].get("method") == method
        }
        return [
            entry["message"]["result"]
            for entry in self.entries(answered)
            if "result" in entry["message"] and (entry["pid"], entry["message"]["id"]) in ids
        ]

    def server_pids(self) -> list[int]:
        """Return the process ids of the servers that were initialized, in order."""
        return [
            entry["pid"]
            for entry in self.entries("to_server")
            if entry["message"].get("method") == "initialized"
        ]
