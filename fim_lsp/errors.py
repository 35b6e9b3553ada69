"""The root of every error that a user may read.

The tree::

    FimLspError
    ├── SettingsError      fim_lsp.settings    a setting of the wrong type or an unknown key
    ├── ModelError         fim_lsp.models      a model file or name that can't be used
    ├── TemplateError      fim_lsp.prompt      a FIM template that this model can't express
    └── EngineError        fim_lsp.engine      loading or running a model went wrong
"""

from __future__ import annotations

from typing import ClassVar, Literal

ErrorCode = Literal[
    "model_missing", "model_unknown", "model_failed", "template_failed", "completion_failed", "failed"
]
"""Errors that editors tell apart, as they are sent and printed. A code never changes its meaning."""


class FimLspError(Exception):
    """What went wrong, and what the user can do about it.

    ``str(error)`` is one or two full sentences: the problem, then the remedy. The two stay apart as
    attributes so that a terminal can colour them and an editor can show only the first. ``code`` is for
    programs: an editor that offers to fetch a missing model must not read that out of a sentence.
    """

    code: ClassVar[ErrorCode] = "failed"

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem = problem
        self.remedy = remedy

    def to_json(self) -> dict[str, str]:
        """Return what ``--json`` prints for a failure."""
        return {"code": self.code, "problem": self.problem, "remedy": self.remedy}
