"""``fim-lsp model``: list, fetch, choose, locate and verify the models that completion can use.

Results go to stdout (``path`` and ``pull`` print only the path, so that a script can use it). Everything else
goes to stderr. Editors use ``--json``, whose keys are camelCase and stay as they are:

- ``list``: an array with an object for each model of the catalog: ``name``, ``title``, ``sizeBytes``,
  ``memoryMb``, ``licence``, ``tuned``, ``suffixFirst``, ``here``;
- ``path``: ``{"path": ...}``;
- ``pull``: an object a line, first progress ``{"stage": ..., "done": ..., "total": ...}`` (the stages are
  ``fetch``, ``check`` and ``join``, the numbers bytes), then ``{"path": ...}``;
- a failure, in the place of the result: ``{"code": ..., "problem": ..., "remedy": ...}``, with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from fim_lsp.errors import FimLspError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.progress import TaskID
    from rich.table import Table

    from fim_lsp.models.catalog import CatalogModel
    from fim_lsp.models.speed_estimate import MeasuredSpeed
    from fim_lsp.models.store import ModelStore, OnProgress, Progress, VerifiedModel

_DOING = {"fetch": "fetching", "check": "checking", "join": "joining"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``list``, ``pull``, ``use``, ``path`` and ``verify``."""
    verbs = parser.add_subparsers(dest="model_verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="show the known models and which are here")
    pull = verbs.add_parser("pull", help="fetch a model into the store and print its path")
    pull.add_argument("name", metavar="NAME", help="a name from the list")
    use = verbs.add_parser("use", help="choose the model for every editor; running servers load it at once")
    use.add_argument("name", metavar="NAME|PATH", help="a name from the list, or a GGUF file")
    path = verbs.add_parser("path", help="print where a model's file is")
    path.add_argument("name", metavar="NAME", help="a name from the list, or a path")
    for verb, what in ((listing, "the catalog"), (pull, "progress and path"), (path, "the path")):
        verb.add_argument("--json", action="store_true", help=f"print {what} as JSON, for editors")
    verify = verbs.add_parser("verify", help="check that model files are whole and unaltered")
    verify.add_argument("names", metavar="NAME|PATH", nargs="*", help="default: every model in the store")


def run(args: argparse.Namespace) -> int:
    """Run the verb. Return 1 if something is wrong with a model."""
    from fim_lsp.models.store import ModelStore
    from fim_lsp.paths import models_folder

    store = ModelStore(models_folder())
    try:
        if args.model_verb == "list":
            return _list_json(store) if args.json else _list(store)
        if args.model_verb == "pull":
            return _pull_json(store, args.name) if args.json else _pull(store, args.name)
        if args.model_verb == "use":
            return _use(store, args.name)
        if args.model_verb == "path":
            path = store.resolve(args.name).path
            print(json.dumps({"path": str(path)}) if args.json else path)
            return 0
        return _verify(store, args.names)
    except FimLspError as error:
        if getattr(args, "json", False):
            _print_json(error.to_json())
        else:
            _complain(error)
        return 1


def _list(store: ModelStore) -> int:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    for heading in ("size", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold")
    for heading in ("template", "here"):
        table.add_column(heading, no_wrap=True)
    here = {entry.path for entry in store.installed()}
    for model in store.catalog.values():
        template = model.template if model.tuned else f"{model.template} (untuned)"
        template += " *" if _is_suffix_first(model) else ""
        mark = "yes" if store.path_of(model) in here else "-"
        table.add_row(
            model.name, _mb(model.size_bytes), f"{model.memory_mb:,} MB", model.licence, template, mark
        )
    for entry in store.installed():
        if entry.model is None:
            table.add_row(entry.path.name, _mb(entry.size_bytes), "", "", "", "yes (by path)")
    console = Console()
    console.print(table)
    print(
        "* The fast ones: the suffix comes first in their prompts, so that little stands behind typed text.",
        file=sys.stderr,
    )
    measured = _measure(store)
    if measured is not None:
        about = f"Estimates for this machine as it is now, from {measured.model.name}, which was measured:"
        print(about, file=sys.stderr)
        console.print(_speed_table(store, measured))
    print(f"Store: {store.root}. Fetch one with: fim-lsp model pull NAME", file=sys.stderr)
    return 0


def _speed_table(store: ModelStore, measured: MeasuredSpeed) -> Table:
    """Return the expected speed of each model here, with prompts as the default settings cut them."""
    from rich.table import Table

    from fim_lsp.models.speed_estimate import estimate
    from fim_lsp.settings import SHORTEST_PROMPT, PromptSettings

    prompt = PromptSettings()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    for heading in ("tokens a second", "first token after a key", "at a new place"):
        table.add_column(heading, justify="right")
    for model in store.catalog.values():
        speed = estimate(model, measured)
        first_ms = speed.first_prompt_ms(prompt.cold_ms or 0.0, SHORTEST_PROMPT, prompt.max_tokens)
        table.add_row(
            model.name, f"{speed.decode_tokens_per_s:.3g}", f"{speed.key_ms:,.0f} ms", f"{first_ms:,.0f} ms"
        )
    return table


def _measure(store: ModelStore) -> MeasuredSpeed | None:
    """Measure the smallest tuned model of the catalog that is here; None if there is none that runs."""
    from fim_lsp.models.speed_estimate import MeasuredSpeed

    here = [entry.model for entry in store.installed() if entry.model is not None]
    if not here:
        return None
    model = min(here, key=lambda model: (not model.tuned, model.size_bytes))
    try:
        from fim_lsp.commands.doctor import measure
        from fim_lsp.engine_factory import open_engine
        from fim_lsp.settings import ModelSettings

        settings = ModelSettings(name=model.name, context_tokens=512, sequences=1, speculation="off")
        engine = open_engine(settings, lambda _: True)
    except (FimLspError, ImportError):
        return None
    try:
        return MeasuredSpeed(model, *measure(engine))
    finally:
        engine.close()


def _is_suffix_first(model: CatalogModel) -> bool:
    from fim_lsp.prompt.templates import find_template

    return find_template(model.template).order != "psm"


def _list_json(store: ModelStore) -> int:
    """Print the catalog for editors."""
    here = {entry.path for entry in store.installed()}
    models = [
        {
            "name": model.name,
            "title": model.title,
            "sizeBytes": model.size_bytes,
            "memoryMb": model.memory_mb,
            "licence": model.licence,
            "tuned": model.tuned,
            "suffixFirst": _is_suffix_first(model),
            "here": store.path_of(model) in here,
        }
        for model in store.catalog.values()
    ]
    print(json.dumps(models, indent=1))
    return 0


def _pull_json(store: ModelStore, name: str) -> int:
    """Fetch a model, with a line of JSON for each percent of a stage."""
    from attrs import asdict

    path = store.pull(store.find(name), _each_step(100, lambda progress: _print_json(asdict(progress))))
    _print_json({"path": str(path)})
    return 0


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value), flush=True)


def _pull(store: ModelStore, name: str) -> int:
    model = store.find(name)
    size, source = _mb(model.size_bytes), model.source
    print(f"{model.title}: about {size} from {source}; licence {model.licence}.", file=sys.stderr)
    if model.notice:
        print(model.notice, file=sys.stderr)
    with _Bar() if sys.stderr.isatty() else nullcontext(_each_step(10, _print_progress)) as on_progress:
        path = store.pull(model, on_progress)
    print(path)
    return 0


def _use(store: ModelStore, name: str) -> int:
    from fim_lsp.models.gguf_header import check_model
    from fim_lsp.paths import settings_file
    from fim_lsp.user_settings import choose_model

    resolved = store.resolve(name)
    check_model(resolved.path)
    chosen = resolved.model.name if resolved.model else str(resolved.path.absolute())
    choose_model(settings_file(), chosen)
    print(
        f"{chosen} is chosen in {settings_file()}. Running servers load it within seconds,",
        file=sys.stderr,
    )
    print("unless the editor's own settings name another model.", file=sys.stderr)
    return 0


def _verify(store: ModelStore, names: list[str]) -> int:
    names = names or [
        str(entry.path) if entry.model is None else entry.model.name for entry in store.installed()
    ]
    if not names:
        print(f"There is no model in {store.root} yet. Run: fim-lsp model pull default", file=sys.stderr)
    failed = 0
    for name in names:
        try:
            print(f"{name}: {_passed(store.verify(name))}")
        except FimLspError as error:
            _complain(error, name)
            failed += 1
    return 1 if failed else 0


def _passed(verified: VerifiedModel) -> str:
    return "ok" if verified.expected else "ok (no published sha256 is known to compare with)"


def _complain(error: FimLspError, about: str = "fim-lsp") -> None:
    print(f"{about}: {error.problem}", *([error.remedy] if error.remedy else []), sep="\n  ", file=sys.stderr)


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _print_progress(progress: Progress) -> None:
    percent = 100 * _steps_done(progress, 10) // 10
    print(f"{_DOING[progress.stage]}: {percent}% of {_mb(progress.total)}", file=sys.stderr, flush=True)


def _each_step(count: int, show: OnProgress) -> OnProgress:
    """Pass progress on at most ``count`` times a stage, so that its reader is not flooded."""
    shown: set[tuple[str, int]] = set()

    def on_progress(progress: Progress) -> None:
        step = (progress.stage, _steps_done(progress, count))
        if step not in shown:
            shown.add(step)
            show(progress)

    return on_progress


def _steps_done(progress: Progress, count: int) -> int:
    return min(count * progress.done // max(progress.total, 1), count)


class _Bar:
    """A progress bar on stderr for a ``with`` block. It draws nothing if stderr is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True)
        self._bar = Bar(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> OnProgress:
        def show(progress: Progress) -> None:
            if progress.stage not in self._tasks:
                doing = _DOING[progress.stage]
                self._tasks[progress.stage] = self._bar.add_task(doing, total=progress.total)
            self._bar.update(self._tasks[progress.stage], completed=progress.done, total=progress.total)

        self._bar.start()
        return show

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
