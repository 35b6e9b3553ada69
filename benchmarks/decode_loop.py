"""Measure what the engine's decode loop adds to llama.cpp: its time a token, beside two others.

    python -m benchmarks.decode_loop [--rounds 12] [--tokens 48]

Bare ``llama_decode`` evaluates tokens that are known beforehand, in a context of its own with the same
parameters, and neither samples nor decodes text: that is the floor. The engine samples greedily, decodes text
and computes each token's probability. llama-cpp-python's ``Llama.generate`` only samples greedily.

All three run the same weights, threads, context, batch sizes and prompt. They alternate within one process,
because machines are noisy: compare the ratios, not the milliseconds. Writes ``build/bench/decode_loop.json``.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.llama import LlamaEngine, open_llama
from fim_lsp.engine.llama.loading import context_params
from fim_lsp.models.store import ModelStore
from fim_lsp.paths import models_folder
from fim_lsp.settings import ModelSettings
from fim_lsp.types import Prompt, SamplingParams, StreamedToken

_PROMPT = "import json\nfrom pathlib import Path\n\n\ndef read_settings(path: Path) -> dict:\n    " * 8
_SETTINGS = ModelSettings(context_tokens=1024, threads=1)
_OUT = Path("build/bench/decode_loop.json")
Round = Callable[[], list[float]]
"""Milliseconds of each token after the first."""


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=48)
    options = parser.parse_args()
    path = ModelStore(models_folder()).resolve(options.model).path
    engine = open_llama(path, _SETTINGS)
    prompt = engine.tokenizer.encode(_PROMPT)
    loops: dict[str, Round] = {
        "bare llama_decode": _measure_bare(path, engine, prompt, options.tokens),
        "fim-lsp": _measure_engine(engine, prompt, options.tokens),
        "Llama.generate": _measure_llama_cpp_python(path, prompt, options.tokens),
    }
    for measure in loops.values():
        measure()
    rounds: dict[str, list[list[float]]] = {name: [] for name in loops}
    for _ in range(options.rounds):
        for name, measure in loops.items():
            rounds[name].append(measure())
    _report({name: _figures(name, rounds) for name in loops})


def _measure_bare(path: Path, engine: LlamaEngine, prompt: tuple[int, ...], tokens: int) -> Round:
    continuation = engine.tokenizer.encode("value = value + 1\n" * tokens)[:tokens]
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    context = llama_cpp.llama_init_from_model(model, context_params(_SETTINGS, _SETTINGS.sequences))

    def measure() -> list[float]:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        for start in range(0, len(prompt), _SETTINGS.batch_tokens):
            _decode(context, prompt[start : start + _SETTINGS.batch_tokens])
        return [_decode(context, (token,)) for token in continuation[1:]]

    return measure


def _decode(context: Any, tokens: tuple[int, ...]) -> float:
    """Evaluate tokens behind those that the context holds; return the milliseconds that it took."""
    array = (llama_cpp.llama_token * len(tokens))(*tokens)
    batch = llama_cpp.llama_batch_get_one(
        ctypes.cast(array, ctypes.POINTER(llama_cpp.llama_token)), len(tokens)
    )
    started = time.perf_counter()
    status = llama_cpp.llama_decode(context, batch)
    if status != 0:
        raise RuntimeError(f"llama.cpp refused a batch of {len(tokens)} tokens (status {status}).")
    return (time.perf_counter() - started) * 1000


def _measure_engine(engine: LlamaEngine, prompt: tuple[int, ...], tokens: int) -> Round:
    def measure() -> list[float]:
        _prefill(engine, prompt)
        arrived_ms: list[float] = []

        def on_token(token: StreamedToken) -> bool:
            arrived_ms.append(token.elapsed_ms)
            return True

        sampling = SamplingParams(max_tokens=tokens)
        engine.generate(Prompt(head=prompt, tail=""), sampling, CancelToken(), [on_token])
        return [later - earlier for earlier, later in itertools.pairwise(arrived_ms)]

    return measure


def _measure_llama_cpp_python(path: Path, prompt: tuple[int, ...], tokens: int) -> Round:
    llama = llama_cpp.Llama(
        str(path),
        n_ctx=_SETTINGS.context_tokens,
        n_batch=_SETTINGS.batch_tokens,
        n_ubatch=_SETTINGS.ubatch_tokens,
        n_threads=_SETTINGS.threads,
        n_threads_batch=_SETTINGS.threads,
        verbose=False,
    )

    def measure() -> list[float]:
        arrived_ms: list[float] = []
        for _ in llama.generate(prompt, temp=0.0, repeat_penalty=1.0):
            arrived_ms.append(time.perf_counter() * 1000)
            if len(arrived_ms) == tokens:
                break
        return [later - earlier for earlier, later in itertools.pairwise(arrived_ms)]

    return measure


def _prefill(engine: LlamaEngine, prompt: tuple[int, ...]) -> None:
    engine.generate(
        Prompt(head=prompt, tail=""), SamplingParams(max_tokens=1), CancelToken(), [lambda _: True]
    )


def _figures(name: str, rounds: dict[str, list[list[float]]]) -> dict[str, float]:
    every = sorted(ms for measured in rounds[name] for ms in measured)
    ratios = [
        statistics.median(measured) / statistics.median(bare)
        for measured, bare in zip(rounds[name], rounds["bare llama_decode"], strict=True)
    ]
    return {
        "median_ms": statistics.median(every),
        "p95_ms": every[int(len(every) * 0.95)],
        "ratio_to_bare": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "tokens": len(every),
    }


def _report(figures: dict[str, dict[str, float]]) -> None:
    _OUT.parent.mkdir(parents=True, exist_ok=True)
    _OUT.write_text(json.dumps(figures, indent=2) + "\n")
    print("| per token | median ms | p95 ms | ratio to bare (median of rounds, range) |\n|---|---|---|---|")
    for name, row in figures.items():
        print(
            f"| {name} | {row['median_ms']:.2f} | {row['p95_ms']:.2f} | "
            f"{row['ratio_to_bare']:.3f} ({row['ratio_low']:.3f} to {row['ratio_high']:.3f}) |"
        )


if __name__ == "__main__":
    main()
