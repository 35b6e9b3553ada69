"""``python -m benchmarks.remote``: the same text as in process, a replay, or a killed server."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import asdict

from benchmarks.keystrokes.server import find_server
from benchmarks.remote.killing import KillResult, Phase, kill, summary
from benchmarks.remote.replay import replay
from benchmarks.remote.same_text import compare, holes, rounding_of
from fim_lsp.engine.llama import open_model_vocabulary
from fim_lsp.engine.remote import open_remote
from fim_lsp.engine_factory import open_engine
from fim_lsp.errors import FimLspError
from fim_lsp.models.store import ModelStore
from fim_lsp.paths import models_folder
from fim_lsp.remote_settings import RemoteSettings
from fim_lsp.settings import ModelSettings, PromptSettings

SOURCES = Path(__file__).parents[2] / "fim_lsp"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remote", description=__doc__)
    parser.add_argument("--url", default="", help="a server on this machine, with the model of --model")
    doing = parser.add_subparsers(dest="doing", required=True)
    same = doing.add_parser("same-text", help="fill holes in process and on the server, and compare")
    same.add_argument("--model", default="default")
    same.add_argument("--holes", type=int, default=50)
    same.add_argument("--heal", action="store_true", help="let both write a cut word anew")
    many = doing.add_parser("replay", help="let many editors type against the server")
    many.add_argument("--editors", type=int, nargs="+", default=[1, 2, 4, 8])
    many.add_argument("--seconds", type=float, default=30, help="of typing, for each number of editors")
    for sub in (same, many):
        sub.add_argument(
            "--prompt-tokens", type=int, default=PromptSettings().max_tokens, help="most of a prompt"
        )
    killing = doing.add_parser("kill", help="kill a llama-server while it answers an editor with a fallback")
    killing.add_argument("--model", default="default", help="of both")
    killing.add_argument("--rounds", type=int, default=5, help="of each kind")
    killing.add_argument("--threads", type=int, default=1)
    killing.add_argument("--llama-server", type=Path, help="default: built when it is missing")
    killing.add_argument("--output", type=Path, default=Path("build/bench/remote"))
    chosen = parser.parse_args(arguments)
    if chosen.doing != "kill" and not chosen.url:
        parser.error(f"{chosen.doing} needs --url")
    try:
        if chosen.doing == "kill":
            return _kill(chosen)
        if chosen.doing == "replay":
            for editors in chosen.editors:
                result = replay(chosen.url, editors, chosen.seconds, chosen.prompt_tokens)
                print(json.dumps(asdict(result)), flush=True)
            return 0
        prompts = PromptSettings(heal_tokens=chosen.heal, max_tokens=chosen.prompt_tokens)
        return _same_text(chosen.url, chosen.model, chosen.holes, prompts)
    except FimLspError as error:
        print(f"remote: {error}", file=sys.stderr)
        return 1


def _kill(chosen: argparse.Namespace) -> int:
    """Print each round, then a summary of each kind; write both as JSON."""
    binary = find_server(chosen.llama_server)
    results: list[KillResult] = []
    phases: tuple[Phase, ...] = ("prompt", "answer")
    for number in range(2 * chosen.rounds):
        results.append(kill(binary, chosen.model, phases[number % 2], chosen.threads))
        print(json.dumps(asdict(results[-1])), flush=True)
    found = {"rounds": [asdict(result) for result in results], "summary": summary(results)}
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "kill.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found["summary"], indent=1))
    return 0


def _same_text(url: str, model: str, count: int, prompts: PromptSettings) -> int:
    """Print each difference and its reason, then a summary. Return 1 if one has no reason."""
    path = ModelStore(models_folder()).resolve(model).path
    settings = ModelSettings(name=model, threads=1, remote=RemoteSettings(url=url, timeout_ms=120_000))
    remote = open_remote(settings, open_model_vocabulary(path))
    local = open_engine(settings, lambda _: True)
    try:
        remote.connect()
        requests = list(holes(sorted(SOURCES.rglob("*.py")), count))
        found = list(compare(local, remote, requests, prompts))
    finally:
        remote.close()
        local.close()
    rounding = rounding_of(found)
    reasons = [comparison.reason(rounding) for comparison in found if not comparison.same]
    for comparison in found:
        if not comparison.same:
            line = {
                "place": comparison.place,
                "reason": comparison.reason(rounding),
                "agreed": comparison.agreed,
                "gap": round(comparison.gap_nats, 3),
                "local": comparison.local.text,
                "remote": comparison.remote.text,
            }
            print(json.dumps(line))
    noise = [value for comparison in found for value in comparison.noise]
    same, known = len(found) - len(reasons), sum(map(bool, reasons))
    mean = sum(noise) / max(len(noise), 1)
    print(f"{len(found)} holes: {same} the same, {known} differ for a known reason")
    print(
        f"{len(noise)} tokens that both wrote: log probabilities differ by {mean:.3f} in the mean, "
        f"by at most {max(noise, default=0):.3f}; up to {rounding:.3f} counts as rounding"
    )
    return int(not all(reasons))


if __name__ == "__main__":
    sys.exit(main())
