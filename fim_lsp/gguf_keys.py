"""The project's own metadata keys in GGUF files.

``fim_lsp.models.merge`` and ``training.export`` write them; the server reads them when it opens a model or an
adapter. Published files hold them, so a key may be added but not renamed.
"""

from __future__ import annotations

from typing import Final

BASE_SHA256: Final = "fim_lsp.base_sha256"
"""String: the sha256 of the file that an adapter was trained on."""

FIM_ORDER: Final = "fim_lsp.fim_order"
"""String: the order of prefix, suffix and middle in the prompt. llama.cpp has no key for it."""

REPOSITORY_CONTEXT: Final = "fim_lsp.repository_context"
"""Boolean: true if the model was trained on holes that see snippets of other files."""

ANCHORED_MIDDLES: Final = "fim_lsp.anchored_middles"
"""Boolean: true if the model was trained on middles whose beginning is typed text in the prompt."""

END_BIAS: Final = "fim_lsp.end_bias"
"""Float: nats to add to the end token's logit, because the model ends its middles too late."""

MEMORY_GATE: Final = "fim_lsp.memory_gate"
"""String: the weights of the repository memory's gate, as JSON by the names of their features."""
