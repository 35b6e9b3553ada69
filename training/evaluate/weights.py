"""Where arms get their weights: the model store, the file system, or a test's scripts."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from training.evaluate.arms import Arm

if TYPE_CHECKING:
    from fim_lsp.engine.base import Engine


class Models(Protocol):
    """Where arms get their weights."""

    def digest(self, arm: Arm) -> str:
        """Names the weights by their content, without loading them."""

    def open(self, arm: Arm) -> Engine:
        """Load an arm's model."""


@frozen
class StoredModels:
    """Models of the store and of the file system, opened as the server opens them."""

    def digest(self, arm: Arm) -> str:
        """The sha256 of the file; of a folder, of its weight files."""
        from fim_lsp.files import sha256_of

        if not arm.is_folder:
            return sha256_of(_resolved(arm))
        weights = sorted(Path(arm.model).expanduser().glob("*.safetensors"))
        return sha256("".join(map(sha256_of, weights)).encode()).hexdigest()

    def open(self, arm: Arm) -> Engine:
        """Check and load the file."""
        from fim_lsp.engine_factory import open_engine

        return open_engine(arm.settings(1).model, lambda _: True)


def _resolved(arm: Arm) -> Path:
    from fim_lsp.models.store import ModelStore
    from fim_lsp.paths import models_folder

    return ModelStore(models_folder()).resolve(arm.model).path
