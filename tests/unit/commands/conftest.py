"""Fixtures of the model store, for the commands that read it."""

from tests.unit.models.conftest import hub_model, store, tiny_bytes

__all__ = ["hub_model", "store", "tiny_bytes"]
