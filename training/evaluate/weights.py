"""Open the weights of arms: from the model store, from the file system, or from a test's scripts."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from training.evaluate.arms import Arm

if TYPE_CHECKING:
    from fim_lsp.engine.base import Engine


class Models(Protocol):
    """A source of weights."""

    def digest(self, arm: Arm) -> str:
        """Return a hash of an arm's weights, without loading them."""

    def open(self, arm: Arm) -> Engine:
        """Load an arm's model."""


@frozen
class StoredModels:
    """Models of the store and of the file system, opened as the server opens them."""

    def digest(self, arm: Arm) -> str:
        """Return the sha256 of the file; for a folder, that of its weight files' hashes."""
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
