"""The repository memory: an n-gram model of unbounded order, interpolated with the language model.

Code repeats itself, above all within one repository. For each next token the memory looks up where the last
tokens stand in the corpus, and lets what follows there vote (a cache language model). A gate decides how much
the votes count. Nothing here knows files, threads or llama.cpp: values in, values out, numpy alone.

Modules: ``chunks`` turns text into tokens, ``pieces`` cuts unfinished lines off, ``corpus`` finds pairs of
tokens in many files, ``request`` is what a request carries.

How an index hands its files in::

    chunks = ChunkEncoder(engine.tokenizer.encode)      # any thread; one for each loaded vocabulary
    file = TokenizedFile(real_path(path), chunks.encode(visible(text)))
    corpus = TokenCorpus.build(files, max_tokens)       # the nearest first; in a thread of its own
    parts = (MemoryPart(corpus),)

- The path comes from :func:`fim_lsp.files.real_path`, which resolves symbolic links: a document's copy on the
  disk is left out by its path. Each real file comes once.
- The text comes from :func:`fim_lsp.prompt.window.visible`, as in prompts: no CR.
- ``build`` takes about 0.1 s for a million tokens, most of it in numpy's sort, which holds no lock. Call it
  in a thread (``asyncio.to_thread``), never on the event loop or the inference thread. A request may carry
  several corpora, which count as one: a large one that is seldom built, and a small one of the files that
  changed since. The large one then comes as ``MemoryPart(corpus, excluded=changed paths)``, or those files
  vote with their former text too. A deleted file is excluded in the same way.
- Corpora are immutable. The completer is given a function from a document's path to the parts that are
  ready (:data:`CorpusSource`). It is called on the event loop at each request, and never waits.
- Open documents need not be in it: the completer adds them itself, as they are in the editor, and excludes
  their paths from these parts.
"""

from fim_lsp.engine.memory.chunks import ChunkEncoder
from fim_lsp.engine.memory.corpus import DEFAULT_MAX_TOKENS, TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.pieces import cut_unfinished
from fim_lsp.engine.memory.request import CorpusSource, MemoryPart, RepositoryMemory, no_corpora

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "ChunkEncoder",
    "CorpusSource",
    "MemoryPart",
    "RepositoryMemory",
    "TokenCorpus",
    "TokenizedFile",
    "cut_unfinished",
    "no_corpora",
]
