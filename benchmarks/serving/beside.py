"""llama.vim on ``fim-lsp serve`` beside llama.vim on llama-server: the same requests, weights and threads.

``benchmarks.keystrokes`` replays the typist and counts; here is the choice of what to compare, and one table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import asdict, evolve

from benchmarks.keystrokes.measurement import BenchmarkPlan, measure, subject
from benchmarks.keystrokes.measures import PeerRun, Spread
from benchmarks.keystrokes.peers import PeerName
from fim_lsp.errors import FimLspError

MEASURES: Mapping[str, Callable[[PeerRun], Spread]] = {
    "first token, ms": lambda run: run.ttft_ms,
    "first token at a new place, ms": lambda run: run.cold_ttft_ms,
    "first token while typing on, ms": lambda run: run.warm_ttft_ms,
    "hasty key to its first token, ms": lambda run: run.cancel_to_next_ms,
    "prompt tokens evaluated a keystroke": lambda run: run.evaluated_per_keystroke,
}
"""The rows of the table. A hasty key is one that cancels the request before it."""


_PEERS: Mapping[str, PeerName] = {"psm": "infill", "spm": "infill-spm"}
"""The way in which llama-server is started, by the order of the model's prompts."""


class BesideError(FimLspError):
    """The two servers can't be compared."""


async def beside(plan: BenchmarkPlan) -> dict[str, Any]:
    """Replay the typist to both servers in turn, and return their figures.

    llama-server's ``/infill`` builds prompts in the order prefix, suffix, middle; with ``--spm-infill``,
    suffix, prefix, middle.

    Raises:
        FimLspError: llama-server can't build the model's prompts, or a server failed.
    """
    theirs = _llama_server_for(plan)
    runs: Sequence[PeerRun] = ()
    async for results in measure(evolve(plan, peers=(theirs, "served"))):
        runs = results.runs
    by_peer = {run.peer: run for run in runs}
    return compared(by_peer[theirs], by_peer["served"])


def compared(theirs: PeerRun, ours: PeerRun) -> dict[str, Any]:
    """Return medians, 95th percentiles and their ratios: llama-server's to those of serve."""
    rows = {}
    for name, spread in MEASURES.items():
        their, our = spread(theirs), spread(ours)
        rows[name] = {
            "llama_server": asdict(their),
            "serve": asdict(our),
            "ratio": {"p50": _ratio(their.p50, our.p50), "p95": _ratio(their.p95, our.p95)},
        }
    return {
        "model": ours.model,
        "llama_server_peer": theirs.peer,
        "file_tokens": ours.file_tokens,
        "answers": {"llama_server": _asked(theirs), "serve": _asked(ours)},
        "cpu_s": {"llama_server": theirs.cpu_s, "serve": ours.cpu_s},
        "rows": rows,
    }


def table(found: Mapping[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        f"{found['model']}, {found['file_tokens']} tokens a file; peer: {found['llama_server_peer']}; "
        f"answers of the model: {found['answers']['llama_server']} and {found['answers']['serve']}; "
        f"CPU seconds: {found['cpu_s']['llama_server']} and {found['cpu_s']['serve']}",
        "",
        "| | llama-server, p50 (p95) | fim-lsp serve, p50 (p95) | ratio of p50 | ratio of p95 |",
        "|---|---|---|---|---|",
    ]
    for name, row in found["rows"].items():
        cells = (
            name,
            *(f"{_text(row[side]['p50'])} ({_text(row[side]['p95'])})" for side in ("llama_server", "serve")),
            *(_text(row["ratio"][part]) for part in ("p50", "p95")),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _llama_server_for(plan: BenchmarkPlan) -> PeerName:
    """Return the way in which llama-server has to be started for the plan's model."""
    with subject(plan, plan.models[0]) as prompted:
        order = prompted.template.order if prompted.template is not None else "none"
    if order not in _PEERS:
        raise BesideError(
            f"llama-server can't build the prompts of {plan.models[0]}, whose order is {order}.",
            "Choose another --model, for example a GGUF file of the order prefix, suffix, middle.",
        )
    return _PEERS[order]


def _asked(run: PeerRun) -> int:
    return run.answers - run.remembered


def _ratio(theirs: float | None, ours: float | None) -> float | None:
    return round(theirs / ours, 2) if theirs is not None and ours else None


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
