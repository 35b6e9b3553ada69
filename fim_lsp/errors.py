"""The base class of all errors that users read.

The main ones::

    FimLspError
    ├── SettingsError      fim_lsp.settings    a setting of the wrong type, out of bounds or unknown
    ├── ModelError         fim_lsp.models      a model file or name that can't be used
    ├── TemplateError      fim_lsp.prompt      a FIM template that this model can't express
    ├── EngineError        fim_lsp.engine      a model that can't be loaded or run
    └── FeedbackError      fim_lsp.feedback    a feedback file that can't be used
"""

from __future__ import annotations

from typing import ClassVar, Literal

ErrorCode = Literal[
    "model_missing", "model_unknown", "model_failed", "template_failed", "completion_failed", "failed"
]
"""Codes by which editors tell errors apart. A code never changes its meaning."""


class FimLspError(Exception):
    """A problem, and its remedy for the user.

    ``str(error)`` is one or two sentences: the problem, then the remedy. Both are attributes, too, so that a
    terminal can colour them and an editor can show only the first. Programs read ``code``: an editor offers
    to fetch a missing model by its code, not by words.
    """

    code: ClassVar[ErrorCode] = "failed"

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem = problem
        self.remedy = remedy

    def to_json(self) -> dict[str, str]:
        """Return what ``--json`` prints for a failure."""
        return {"code": self.code, "problem": self.problem, "remedy": self.remedy}
