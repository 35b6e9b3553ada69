"""llama.cpp in process, through llama-cpp-python's low-level API; the only room that imports llama_cpp.

Why not its high-level ``Llama``: it hard-codes the FIM ids, drops long pieces, re-detokenises all text for
each token, can't stop inside a prefill, and points file descriptor 1 at /dev/null while it loads, which
swallows LSP messages (seen in 0.3.36). Here one batch is filled through numpy arrays, logits are asked for
on the last row only, and a native abort callback watches the request's own cancel flag.

``loading`` opens weights and context, ``tokenizer`` reads the vocabulary, ``adapters`` puts LoRAs on the
weights, ``threads`` follows the machine's load, ``engine`` decodes, ``log`` listens to llama.cpp.
"""

from fim_lsp.engine.llama.adapters import CheckAdapter
from fim_lsp.engine.llama.engine import LlamaEngine
from fim_lsp.engine.llama.loading import library_features, open_llama
from fim_lsp.engine.llama.threads import default_threads
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer

__all__ = [
    "CheckAdapter",
    "LlamaEngine",
    "LlamaTokenizer",
    "default_threads",
    "library_features",
    "open_llama",
]
