"""GGUF files: the catalog and the store of models, and checks before llama.cpp loads a file."""

from __future__ import annotations

from typing import ClassVar

from fim_lsp.errors import ErrorCode, FimLspError


class ModelError(FimLspError):
    """A model file or name that can't be used."""

    code: ClassVar[ErrorCode] = "model_failed"


class ModelMissingError(ModelError):
    """A model of the catalog whose file is not on this machine yet."""

    code: ClassVar[ErrorCode] = "model_missing"


class ModelUnknownError(ModelError):
    """A name that the catalog does not have, or the path of a file that does not exist."""

    code: ClassVar[ErrorCode] = "model_unknown"
