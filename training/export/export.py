"""``python -m training export``: turn an adapter into files that the server, llama.cpp and Ollama load.

::

    python -m training export --adapter RUN --base PATH|NAME --output DIR [--formats q8_0,delta,modelfile]

    f32 f16 q8_0 q4_0           the merged model, written by changing tensors of the base GGUF
    q4_k_m q5_k_m q6_k …        the merged model, through llama.cpp's quantiser
    lora                        a LoRA-GGUF for the base, if only linear layers were trained
    delta                       the adapter and its description in one file, to ship
    modelfile                   for Ollama

No file appears in DIR before all files have passed the parity check (:mod:`.parity`), which compares them
with the trained adapter evaluated by transformers. ``export.json`` holds hashes and figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import attrs
from attrs import field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.files import sha256_of
from fim_lsp.models.adapter_file import Adapter, read_adapter, write_delta
from fim_lsp.models.merge import FILE_TYPES, FileType, merge
from training.export.llama_cpp import QUANTISERS, Logits, logits, quantise
from training.export.lora_gguf import find_problem, write_lora_gguf
from training.export.parity import TOLERANCES, Parity, compare, parity_prompts, trained_logits

FORMATS = (*FILE_TYPES, *QUANTISERS, "lora", "delta", "modelfile")
_MANIFEST = "export.json"

OnStep = Callable[[str], None]
"""Called with a description of each step."""


class ExportError(FimLspError):
    """An adapter that can't be exported, or files that failed the parity check."""


@frozen
class ExportOptions:
    """The adapter, the files to write, and their folder."""

    adapter: Path
    base: Path
    """The GGUF to merge into."""
    output: Path
    formats: tuple[str, ...] = ("q8_0",)
    name: str | None = None
    """Name of the model and of its files; None for the base's name with ``-fim``."""
    trained_on: str | None = None
    """The folder that was trained on, if ``base`` is a GGUF converted from it."""


@frozen
class Exported:
    """The files written."""

    files: Mapping[str, Path]
    """By format."""
    parities: tuple[Parity, ...] = field(repr=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's flags."""
    parser.add_argument(
        "--adapter",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder of a training run, or of its adapter",
    )
    parser.add_argument(
        "--base", required=True, metavar="PATH|NAME", help="the GGUF that the adapter was trained on"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the files")
    parser.add_argument(
        "--formats",
        default="q8_0",
        metavar="LIST",
        help=f"formats, separated by commas: {', '.join(FORMATS)} (default: q8_0)",
    )
    parser.add_argument("--name", help="name of the model and of its files (default: the base's, with -fim)")
    parser.add_argument(
        "--trained-on",
        metavar="DIR",
        help="the folder of safetensors that was trained on, if --base is a GGUF converted from it",
    )


def run(parsed: argparse.Namespace) -> int:
    """Export, print the files, and return the exit code."""
    from rich.console import Console

    from training.bases import resolve_base

    console = Console(stderr=True)
    options = ExportOptions(
        adapter=parsed.adapter,
        base=resolve_base(parsed.base),
        output=parsed.output,
        formats=tuple(name.strip() for name in parsed.formats.split(",") if name.strip()),
        name=parsed.name,
        trained_on=parsed.trained_on,
    )
    exported = export(options, lambda step: console.print(step, highlight=False, soft_wrap=True))
    for path in exported.files.values():
        console.print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)", highlight=False, soft_wrap=True)
    return 0


def export(options: ExportOptions, on_step: OnStep = lambda _: None) -> Exported:
    """Write every format asked for, and publish the files only if they compute what was trained.

    Args:
        options: the adapter, the formats and the folder.
        on_step: called with a description of each step.

    Raises:
        FimLspError: the adapter was made for another base or doesn't fit into a format, the disk is full, or
            a file exceeds its tolerance. The output folder then holds no new file.
    """
    _check_formats(options.formats)
    folder = _adapter_folder(options.adapter)
    adapter = _bind_to_base(read_adapter(folder), options)
    if "lora" in options.formats and (problem := find_problem(adapter)) is not None:
        raise problem
    options.output.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".export-", dir=options.output))
    try:
        job = _ExportJob(options, adapter, folder, partial, on_step)
        files = job.write()
        parities = job.check_parity(files)
        _refuse_failures(parities)
        return Exported(_publish(files, parities, options, adapter), parities)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@frozen
class _ExportJob:
    """One export, in a temporary folder."""

    options: ExportOptions
    adapter: Adapter
    adapter_folder: Path
    folder: Path
    on_step: OnStep

    @property
    def name(self) -> str:
        return self.options.name or f"{self.options.base.stem}-fim"

    def path(self, file_type: str) -> Path:
        """Return the file of a format in the temporary folder."""
        stem = "-".join(self.name.split())
        if file_type == "delta":
            return self.folder / f"{stem}.safetensors"
        return self.folder / ("Modelfile" if file_type == "modelfile" else f"{stem}-{file_type}.gguf")

    def write(self) -> dict[str, Path]:
        """Write every format, and always the merged f16: others are made from it or compared with it."""
        file_types = dict.fromkeys(("f16", *self.options.formats))
        for file_type in file_types:
            self.on_step(f"writing {self.path(file_type).name}")
            self._write(file_type)
        return {file_type: self.path(file_type) for file_type in file_types}

    def _write(self, file_type: str) -> None:
        target = self.path(file_type)
        if file_type in QUANTISERS:
            quantise(self.path("f16"), target, file_type)
        elif file_type == "lora":
            write_lora_gguf(self.options.base, self.adapter, target)
        elif file_type == "delta":
            write_delta(self.adapter, target)
        elif file_type == "modelfile":
            target.write_text(self._modelfile(), encoding="utf-8")
        else:
            merge(self.options.base, self.adapter, target, _as_file_type(file_type), name=self.name)

    def _modelfile(self) -> str:
        from training.bases import open_base
        from training.export.modelfile import modelfile

        models = (name for name in self.options.formats if name in QUANTISERS or name in FILE_TYPES)
        return modelfile(self.path(next(models, "f16")).name, open_base(self.path("f16")).template)

    def check_parity(self, files: Mapping[str, Path]) -> tuple[Parity, ...]:
        """Compare each model with the trained adapter, and a LoRA on its base with the merged model."""
        prompts = self._prompts()
        self.on_step("evaluating the trained adapter")
        base = self.options.trained_on or str(self.options.base)
        trained = trained_logits(base, self.adapter_folder, prompts)
        parities = []
        for file_type, path in files.items():
            if path.suffix != ".gguf":
                continue
            self.on_step(f"comparing {path.name} with it")
            parities.append(self._compare(file_type, path, prompts, trained))
            self.on_step(f"  {parities[-1]}")
        return tuple(parities)

    def _compare(
        self, file_type: str, path: Path, prompts: Sequence[Sequence[int]], trained: Sequence[Logits]
    ) -> Parity:
        tolerance = TOLERANCES[file_type]
        if file_type == "lora":
            merged = logits(self.path("f16"), prompts)
            on_base = logits(self.options.base, prompts, path)
            return compare(path.name, on_base, "merged f16", merged, tolerance)
        return compare(path.name, logits(path, prompts), "what was trained", trained, tolerance)

    def _prompts(self) -> list[tuple[int, ...]]:
        from fim_lsp.models.gguf_header import read_header
        from training.bases import open_vocabulary

        header = read_header(self.path("f16"))
        ids = {
            key: header.metadata.get(f"tokenizer.ggml.fim_{key}_token_id") for key in ("pre", "suf", "mid")
        }
        marks = {key: token for key, token in ids.items() if isinstance(token, int)}
        return parity_prompts(open_vocabulary(self.options.base), marks, self.adapter.fim.end_id)


def _check_formats(formats: Sequence[str]) -> None:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ExportError(
            f"There is no format {', '.join(unknown)!r}." if unknown else "No format was asked for.",
            f"Give --formats one or more of {', '.join(FORMATS)}.",
        )


def _adapter_folder(path: Path) -> Path:
    """Return the adapter's folder, given that folder or the folder of its run."""
    inside = path / "adapter"
    return inside if inside.is_dir() else path


def _bind_to_base(adapter: Adapter, options: ExportOptions) -> Adapter:
    """Return the adapter with the GGUF as its base, if it was trained on the folder that became the GGUF."""
    if options.trained_on is None:
        return adapter
    from training.train.base_model import prepare_weights

    found = prepare_weights(options.trained_on)
    if found.sha256 != adapter.base_sha256:
        raise ExportError(
            f"The adapter was not trained on {options.trained_on}.", "Name the folder that it was trained on."
        )
    return attrs.evolve(adapter, base_sha256=sha256_of(options.base), base_name=options.base.name)


def _refuse_failures(parities: Sequence[Parity]) -> None:
    failed = [parity for parity in parities if not parity.passed]
    if failed:
        raise ExportError(
            "The export differs too much from what was trained: " + "; ".join(map(str, failed)) + ".",
            "Choose a format with more bits, or check that base and adapter belong together.",
        )


def _publish(
    files: Mapping[str, Path], parities: Sequence[Parity], options: ExportOptions, adapter: Adapter
) -> dict[str, Path]:
    """Move the files to the output folder, and write the manifest beside them."""
    published = {}
    for file_type in options.formats:
        published[file_type] = files[file_type].replace(options.output / files[file_type].name)
    manifest: dict[str, Any] = {
        "base": {"name": adapter.base_name, "sha256": adapter.base_sha256},
        "files": {
            path.name: {
                "format": file_type,
                "bytes": path.stat().st_size,
                "sha256": sha256_of(path),
            }
            for file_type, path in published.items()
        },
        "parity": [attrs.asdict(parity) for parity in parities],
    }
    (options.output / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return published


def _as_file_type(name: str) -> FileType:
    return next(file_type for file_type in get_args(FileType) if file_type == name)
