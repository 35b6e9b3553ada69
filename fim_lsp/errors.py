"""The root of every error that a user may read.

The tree::

    FimLspError
    ├── SettingsError      fim_lsp.settings    a setting of the wrong type or an unknown key
    ├── ModelError         fim_lsp.models      a model file or name that can't be used
    ├── TemplateError      fim_lsp.prompt      a FIM template that this model can't express
    └── EngineError        fim_lsp.engine      loading or running a model went wrong
"""

from __future__ import annotations


class FimLspError(Exception):
    """What went wrong, and what the user can do about it.

    ``str(error)`` is one or two full sentences: the problem, then the remedy. The two stay apart as
    attributes so that a terminal can colour them and an editor can show only the first.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem = problem
        self.remedy = remedy
