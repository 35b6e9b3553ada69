"""Judge models through the server's own path: ``python -m training evaluate``.

Holes (``infilling``, ``cuts``) are filled by arms (``arms``, ``weights``, ``witness``, ``run``), the answers
kept as records (``records``), scored (``metrics``, ``nll``, ``sandbox``), compared (``scores``, ``report``)
and shown (``tables``, ``plots``, ``pages``). ``command`` is the verb.
"""

from __future__ import annotations

from fim_lsp.errors import FimLspError


class EvaluationError(FimLspError):
    """Holes, arms or earlier results that can't be used."""
