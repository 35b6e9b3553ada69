"""llama.cpp in this process, through llama-cpp-python's low-level API. No other package imports llama_cpp.

The high-level ``Llama`` is not used: it hard-codes the FIM ids, drops long pieces, detokenises all text again
for each token, can't stop inside a prefill, and points file descriptor 1 at /dev/null while it loads, which
swallows LSP messages (seen in 0.3.36). Here one batch is filled through numpy arrays, logits are computed for
the last row only, and a native abort callback reads the request's own cancel flag.

``loading`` opens weights and context, ``tokenizer`` reads the vocabulary, ``adapters`` applies LoRAs,
``engine`` runs requests on ``cache`` and ``decoding``, ``draft_cost`` measures whether drafts pay,
``vocabulary_file`` opens a vocabulary alone, ``threads`` adapts to the machine's load, ``log`` forwards
llama.cpp's log.
"""

from fim_lsp.engine.llama.adapters import CheckAdapter
from fim_lsp.engine.llama.engine import LlamaEngine
from fim_lsp.engine.llama.loading import library_features, open_llama
from fim_lsp.engine.llama.model_vocabulary import ModelVocabulary, open_model_vocabulary
from fim_lsp.engine.llama.threads import default_threads
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer
from fim_lsp.engine.llama.vocabulary_file import open_vocabulary

__all__ = [
    "CheckAdapter",
    "LlamaEngine",
    "LlamaTokenizer",
    "ModelVocabulary",
    "default_threads",
    "library_features",
    "open_llama",
    "open_model_vocabulary",
    "open_vocabulary",
]
