"""Evaluate models with the server's own pipeline: ``python -m training evaluate``.

Arms (``arms``, ``weights``) fill holes (``infilling``, ``cuts``, ``hole_file``) by ``fill`` and ``overrun``;
the answers are stored as records (``records``), measured (``metrics``, ``nll``, ``sandbox``), compared
(``scores``, ``report``) and shown (``tables``, ``plots``, ``pages``). ``command`` is the command line.
"""

from __future__ import annotations

from fim_lsp.errors import FimLspError


class EvaluationError(FimLspError):
    """Holes, arms or earlier results that can't be used."""
