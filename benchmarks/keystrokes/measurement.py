"""Run the benchmark: for each model, file length and load, every peer in turn."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from attrs import evolve, field, frozen

from benchmarks.keystrokes.language_server import open_language_server
from benchmarks.keystrokes.llama_server import PeerError, fim_lsp_serve, llama_server
from benchmarks.keystrokes.measures import RunConditions, condense
from benchmarks.keystrokes.own_layout import OwnLayout, RenderedContext
from benchmarks.keystrokes.peers import OpenPeer, Peer, PeerName, Workload
from benchmarks.keystrokes.processes import busy
from benchmarks.keystrokes.random_model import SHAPES, write_random_model
from benchmarks.keystrokes.replay import Replay, replay
from benchmarks.keystrokes.report import BenchmarkResults
from benchmarks.keystrokes.sources import TypedFile, source_pair
from benchmarks.keystrokes.traces import Event, Trace, record_trace
from fim_lsp.engine_factory import open_engine
from fim_lsp.models.store import ModelStore
from fim_lsp.paths import models_folder
from fim_lsp.prompt.anchor import resolve_layout
from fim_lsp.prompt.markers import marker_id
from fim_lsp.prompt.templates import choose_template
from fim_lsp.settings import ModelSettings, PromptSettings
from fim_lsp.types import FimTemplate, Tokenizer

PEERS: tuple[PeerName, ...] = ("fim-lsp", "infill", "infill-spm", "completion", "served")
BASE = "default"
"""The model whose tokenizer the random models have."""
_PREFIX_SHARE = 0.75
"""Share of a prompt that ``/infill`` keeps for the prefix."""
_LINE = "def warm_up():\n    return "
_WARM_UP = Trace((TypedFile("warm_up.py", _LINE),), (Event("open", 0, _LINE, len(_LINE), after_ms=0.0),))


@frozen
class BenchmarkPlan:
    """The models, peers, lengths and sizes to measure."""

    models: tuple[str, ...] = (BASE, *SHAPES)
    peers: tuple[PeerName, ...] = PEERS
    lengths: tuple[int, ...] = (1024, 2048, 4096, 8192, 16384)
    """Lengths of the file that is typed in, in tokens; 4096 are about 16 kB."""
    random_lengths: tuple[int, ...] = (4096,)
    """The same for models with random weights, which differ from the others in their size alone."""
    keys: int = 32
    random_keys: int = 12
    rounds: int = 1
    seed: int = 1
    predict: int = 32
    threads: int = 1
    prompt_tokens: int = 1024
    layout: str = "auto"
    notices: bool = True
    cold_ms: float | None = 400.0
    busy: tuple[int, ...] = (0, 1)
    """Numbers of other processes that keep the machine busy."""
    pace: float = 1.0
    binary: Path | None = field(default=None)
    """Path of llama-server; None if no peer needs it."""
    folder: Path = Path("build/bench")

    def sizes(self, model: str) -> tuple[tuple[int, ...], int]:
        """Return a model's file lengths, and the number of keys in a trace."""
        return (self.random_lengths, self.random_keys) if model in SHAPES else (self.lengths, self.keys)


@frozen
class PromptedModel:
    """A model, with its template and tokenizer."""

    workload: Workload
    template: FimTemplate | None
    tokenizer: Tokenizer
    prompt: PromptSettings
    """Prompt settings with the layout that the server chooses for the model."""


async def measure(plan: BenchmarkPlan) -> AsyncIterator[BenchmarkResults]:
    """Measure everything; yield the results so far after each trace of each peer.

    Raises:
        FimLspError: a model, a source file or llama-server is missing, or a peer failed.
    """
    found: dict[RunConditions, list[Replay]] = {}
    for model in plan.models:
        lengths, keys = plan.sizes(model)
        label = Path(model).stem if model.endswith(".gguf") else model
        with subject(plan, model) as prompted:
            for length, spinning in itertools.product(lengths, plan.busy):
                traces = _traces(plan, prompted.tokenizer, length, keys)
                # Each time with new processes, so that no server has evaluated the same trace before.
                async with open_peers(plan, prompted) as peers:
                    with busy(spinning):
                        async for name, replayed in _rounds(peers, traces, plan.pace):
                            conditions = RunConditions(name, label, length, spinning > 0)
                            found.setdefault(conditions, []).append(replayed)
                            yield BenchmarkResults({}, [condense(*run) for run in found.items()], found)


@contextmanager
def subject(plan: BenchmarkPlan, name: str) -> Iterator[PromptedModel]:
    """Find or write a model, and open its tokenizer and template as the server does."""
    store = ModelStore(models_folder())
    if name in SHAPES:
        path = write_random_model(SHAPES[name], store.resolve(BASE).path, plan.folder)
        name = str(path.resolve())
    resolved = store.resolve(name)
    # This also sets OMP_WAIT_POLICY=passive in the environment, which all peers inherit.
    engine = open_engine(ModelSettings(name=name, context_tokens=256, threads=1), lambda _: True)
    try:
        workload = Workload(
            model=name,
            path=resolved.path.resolve(),
            threads=plan.threads,
            prompt_tokens=plan.prompt_tokens,
            context_tokens=2 * plan.prompt_tokens,
            predict=plan.predict,
            layout=plan.layout,
            notices=plan.notices,
            cold_ms=plan.cold_ms,
        )
        template = choose_template(engine.info, engine.tokenizer, None).template
        asked = PromptSettings(max_tokens=plan.prompt_tokens, layout=plan.layout)  # type: ignore[arg-type]
        yield PromptedModel(
            workload, template, engine.tokenizer, resolve_layout(asked, engine.info, template)
        )
    finally:
        engine.close()


@asynccontextmanager
async def open_peers(plan: BenchmarkPlan, prompted: PromptedModel) -> AsyncIterator[dict[PeerName, Peer]]:
    """Start every peer and let each answer once, so that its weights are in memory."""
    async with AsyncExitStack() as stack:
        peers: dict[PeerName, Peer] = {}
        for name in plan.peers:
            print(f"Starting {name} with {prompted.workload.path.name}", file=sys.stderr)
            peers[name] = await stack.enter_async_context(_opener(plan, name, prompted)(prompted.workload))
            await replay(peers[name], _WARM_UP, pace=0)
        yield peers


def _opener(plan: BenchmarkPlan, name: PeerName, prompted: PromptedModel) -> OpenPeer:
    if name == "fim-lsp":
        return open_language_server
    if name == "served":
        return fim_lsp_serve(plan.folder)
    if plan.binary is None or prompted.template is None:
        raise PeerError(
            f"{name} needs llama-server and a model with FIM markers.", "Leave it out: --peers fim-lsp."
        )
    layout = OwnLayout(prompted.template, prompted.tokenizer, prompted.prompt)
    settings = evolve(prompted.prompt, prefix_share=_PREFIX_SHARE)
    rendered = RenderedContext(prompted.template, prompted.tokenizer, settings)
    return llama_server(plan.binary, name, _markers(prompted), layout, rendered, plan.folder)


def _markers(prompted: PromptedModel) -> dict[str, int]:
    """Return the ids of the FIM tokens, for GGUF files that do not name them."""
    template = prompted.template or FimTemplate("none")
    texts = {"pre": template.prefix, "suf": template.suffix, "mid": template.middle}
    ids = {key: marker_id(text, prompted.tokenizer) for key, text in texts.items()}
    return {key: token for key, token in ids.items() if token is not None}


def _traces(plan: BenchmarkPlan, tokenizer: Tokenizer, length: int, keys: int) -> list[Trace]:
    seeds = range(plan.seed, plan.seed + plan.rounds)
    return [
        record_trace(source_pair(length, seed, lambda text: len(tokenizer.encode(text))), keys, seed)
        for seed in seeds
    ]


async def _rounds(
    peers: dict[PeerName, Peer], traces: Sequence[Trace], pace: float
) -> AsyncIterator[tuple[PeerName, Replay]]:
    """Replay each trace to all peers, beginning with another one each time."""
    names = list(peers)
    for number, trace in enumerate(traces):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            replayed = await replay(peers[name], trace, pace=pace)
            print(f"  {name}: {len(replayed.records)} answers, {replayed.cpu_s:.1f} CPU s", file=sys.stderr)
            yield name, replayed
