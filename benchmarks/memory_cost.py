"""Measure what the repository memory costs: building a corpus, indexing the document, and each token.

    python -m benchmarks.memory_cost FOLDER [--tokens 6000000] [--model default]

Tokenises the code below the folders until there are enough tokens, and follows texts that are in it, as a
generation would: from places drawn by chance, some tokens each. The model's logits are drawn by chance too,
so that nothing waits for a model. A token's cost holds everything that the memory adds: to find the votes,
count them, mix them with the logits, and take up the token. Vocabularies: the model's own, and one of 152,000
tokens as Qwen's models have. All times but the first are CPU time of the thread, so that other work on
the machine does not count. Writes ``build/bench/memory_cost.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fim_lsp.code.languages import is_code
from fim_lsp.engine.memory import ChunkEncoder, MemoryPart, RepositoryMemory, TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.corpus import boundary_of
from fim_lsp.engine.memory.gate import Gate
from fim_lsp.engine.memory.stream import MemoryIndex
from fim_lsp.models.store import ModelStore
from fim_lsp.paths import models_folder
from fim_lsp.prompt.window import visible
from fim_lsp.settings import ModelSettings

_OUT = Path("build/bench/memory_cost.json")
_LARGE_VOCABULARY = 152_000
_PLACES, _FOLLOWED = 200, 16
_ROWS = 8
"""Rows of logits that are used in turn; each would fit into the processor's cache alone."""


def main() -> None:
    """Measure, print the figures, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--tokens", type=int, default=6_000_000)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    from fim_lsp.engine.llama import open_llama

    path = ModelStore(models_folder()).resolve(options.model).path
    engine = open_llama(path, ModelSettings(context_tokens=256, threads=1, speculation="off"))
    chunks = ChunkEncoder(engine.tokenizer.encode)
    started = time.perf_counter()
    files = list(_tokenized(options.folders, chunks, options.tokens))
    tokenise_s = time.perf_counter() - started
    started = time.thread_time()
    corpus = TokenCorpus.build(files, options.tokens)
    build_s = time.thread_time() - started
    figures: dict[str, object] = {
        "files": len(corpus.files),
        "tokens": corpus.token_count,
        "tokenise_s": round(tokenise_s, 2),
        "build_s": round(build_s, 2),
        "corpus_mb": round(corpus.memory_bytes / 1e6, 1),
        "document_ms": _document_cost(corpus, chunks, engine.tokenizer.decode),
    }
    for vocabulary in (len(engine.tokenizer.vocabulary().pieces), _LARGE_VOCABULARY):
        figures[f"token_ms_{vocabulary}"] = _token_cost(corpus, vocabulary)
    engine.close()
    print(json.dumps(figures, indent=2))
    _OUT.parent.mkdir(parents=True, exist_ok=True)
    _OUT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _tokenized(folders: list[Path], chunks: ChunkEncoder, room: int) -> Iterator[TokenizedFile]:
    count = 0
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if count >= room or not (
                is_code(path.name) and path.is_file() and path.stat().st_size < 1_000_000
            ):
                continue
            text = visible(path.read_text(encoding="utf-8", errors="replace"))
            tokens = chunks.encode(text)
            count += len(tokens)
            yield TokenizedFile(path.as_posix(), tokens)


def _document_cost(
    corpus: TokenCorpus, chunks: ChunkEncoder, decode: Callable[[tuple[int, ...]], str]
) -> dict[str, float]:
    """Measure the index of the document at a keystroke, in documents of three sizes, in milliseconds."""
    costs = {}
    for size in (3_000, 10_000, 30_000):
        tokens = corpus.tokens[: 2 * size]
        text = decode(tuple(tokens[tokens != boundary_of(tokens)][:size].tolist()))
        cut = len(text) // 2
        times = []
        for key in range(40):
            memory = RepositoryMemory(text[:cut] + "x" * key, text[cut:], "here.py", (MemoryPart(corpus),))
            started = time.thread_time()
            MemoryIndex.of(memory, chunks, Gate()).begin()
            times.append((time.thread_time() - started) * 1000)
        costs[f"{size} tokens, first"] = round(times[0], 2)
        costs[f"{size} tokens, each key"] = round(statistics.median(times[1:]), 2)
    return costs


def _token_cost(corpus: TokenCorpus, vocabulary: int) -> dict[str, float]:
    """Measure the cost of a token, in milliseconds."""
    rng = np.random.default_rng(0)
    rows = [rng.normal(0, 3, vocabulary).astype(np.float32) for _ in range(_ROWS)]
    memory = RepositoryMemory("", "", "", (MemoryPart(corpus, frozenset({corpus.files[0].path})),))
    chunks = ChunkEncoder(lambda text: ())
    times, starts = [], []
    for place in rng.integers(100, len(corpus.tokens) - 100, _PLACES).tolist():
        index = MemoryIndex.of(memory, chunks, Gate())
        context = tuple(corpus.tokens[place - 16 : place].tolist())
        started = time.thread_time()
        stream = MemoryIndex(index.parts, context).begin()
        starts.append((time.thread_time() - started) * 1000)
        for number, token in enumerate(corpus.tokens[place : place + _FOLLOWED].tolist()):
            if token == boundary_of(corpus.tokens):
                break
            started = time.thread_time()
            stream.mix(rows[number % _ROWS])
            stream.advance(token)
            times.append((time.thread_time() - started) * 1000)
    cuts = statistics.quantiles(times, n=100)
    return {
        "mean": round(statistics.mean(times), 3),
        "median": round(cuts[49], 3),
        "p95": round(cuts[94], 3),
        "p99": round(cuts[98], 3),
        "first match, mean": round(statistics.mean(starts), 3),
    }


if __name__ == "__main__":
    main()
