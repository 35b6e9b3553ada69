"""Measure the resident memory of each server over many requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import evolve

from benchmarks.keystrokes.measurement import BenchmarkPlan, open_peers, subject
from benchmarks.keystrokes.peers import Peer
from benchmarks.keystrokes.sources import TypedFile, source_pair

_SAMPLES = 50
_POSITIONS = 8
_TYPED = "value = read(path)\n"
_SETTLED = 0.2
"""Share of the requests after which bounded caches are full."""


async def measure_memory(plan: BenchmarkPlan, requests: int) -> dict[str, Any]:
    """Send ``requests`` requests to each peer, and return its memory over time.

    The user types a line at one position of a file after the other, without pauses. ``growth_mb`` is the
    growth after the first fifth of the requests, by which bounded caches are full.
    """
    with subject(plan, plan.models[0]) as prompted:
        files = source_pair(plan.lengths[0], plan.seed, lambda text: len(prompted.tokenizer.encode(text)))
        async with open_peers(evolve(plan, models=plan.models[:1]), prompted) as peers:
            return {
                "model": plan.models[0],
                "requests": requests,
                "context_tokens": prompted.workload.context_tokens,
                "peers": {name: await _drive(peer, files[0], requests) for name, peer in peers.items()},
            }


def write_memory(found: dict[str, Any], folder: Path) -> Path:
    """Write ``keystrokes-memory.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "keystrokes-memory.json"
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return path


async def _drive(peer: Peer, file: TypedFile, requests: int) -> dict[str, Any]:
    peer.open((file,))
    ends = [number for number, character in enumerate(file.text) if character == "\n"]
    positions = [ends[len(ends) * number // _POSITIONS] for number in range(_POSITIONS)]
    samples: list[tuple[int, float]] = []
    for number in range(requests):
        line, typed = divmod(number, len(_TYPED))
        # Another word each time, so that no cached suggestion fits.
        added = f"\n{_TYPED[: typed + 1].replace('value', f'value_{line}')}"
        position = positions[line % _POSITIONS]
        peer.move(0, file.text[:position] + added + file.text[position:], position + len(added))
        await peer.suggest()
        if number % max(1, requests // _SAMPLES) == 0 or number == requests - 1:
            samples.append((number + 1, round(peer.processes.rss_mb(), 2)))
    settled = next(rss for number, rss in samples if number >= requests * _SETTLED)
    return {"rss_mb": samples, "growth_mb": round(samples[-1][1] - settled, 2)}
