"""The LoRA adapters that clients choose by name, and those that requests without a choice get."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import evolve, frozen

from fim_lsp.completion.document_adapters import as_on_disk
from fim_lsp.errors import FimLspError
from fim_lsp.serving.refusals import RefusedError
from fim_lsp.types import AppliedAdapter

_NAME = re.compile(r"[\w.:@/+-]{1,128}")
_MOST_SCALE = 4.0


class AdapterNameError(FimLspError):
    """An adapter that is not written as NAME=PATH[:SCALE]."""


@frozen
class NamedAdapter:
    """An adapter that is served."""

    id: int
    """Its number among the adapters, as llama-server counts them."""
    name: str
    path: Path
    scale: float = 1.0
    default_scale: float = 0.0
    """Scale for requests that choose nothing."""

    @property
    def applied(self) -> AppliedAdapter:
        """The adapter at its own scale."""
        return as_on_disk(AppliedAdapter(self.path, self.scale))


def parse_adapter(text: str) -> NamedAdapter:
    """Parse ``NAME=PATH[:SCALE]``; the number is not given yet.

    Raises:
        AdapterNameError: it is not written so.
    """
    name, equals, rest = text.partition("=")
    path, colon, scale_text = rest.rpartition(":")
    scale = 1.0
    if colon and re.fullmatch(r"\d*\.?\d+", scale_text):
        scale = float(scale_text)
    else:
        path = rest
    if not equals or not _NAME.fullmatch(name) or not path or not 0 < scale <= _MOST_SCALE:
        raise AdapterNameError(
            f"{text[:200]!r} names no adapter.",
            f"Write it as NAME=PATH or NAME=PATH:SCALE, with a scale up to {_MOST_SCALE:g}.",
        )
    return NamedAdapter(0, name, adapter_path(path), scale)


def adapter_path(text: str) -> Path:
    """Return the path of an adapter; ``~`` is the home folder."""
    return Path(text).expanduser().absolute()


def parse_adapters(listed: Iterable[str], environment: str) -> tuple[NamedAdapter, ...]:
    """Parse the adapters of the command line and of ``LORA_ADAPTERS``, which separates them by commas.

    Raises:
        AdapterNameError: one is not written as it must be, or two have one name.
    """
    texts = [*listed, *(part.strip() for part in environment.split(",") if part.strip())]
    adapters = tuple(evolve(parse_adapter(text), id=number) for number, text in enumerate(texts))
    names = [adapter.name for adapter in adapters]
    for name in names:
        if names.count(name) > 1:
            raise AdapterNameError(f"Two adapters have the name {name}.", "Give each a name of its own.")
    return adapters


class AdapterRegistry:
    """The adapters that are served now.

    Args:
        bases: names of the model without adapters; the first is the one that answers carry.
    """

    def __init__(self, bases: Sequence[str]) -> None:
        self.bases = tuple(dict.fromkeys(bases))
        self._adapters: dict[str, NamedAdapter] = {}
        self._next_id = 0

    @property
    def adapters(self) -> tuple[NamedAdapter, ...]:
        """All adapters, by their numbers."""
        return tuple(self._adapters.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a request may choose."""
        return (*self.bases[:1], *self._adapters)

    def add(self, name: str, path: Path, scale: float = 1.0, *, default: bool = False) -> NamedAdapter:
        """Serve an adapter from now on.

        Raises:
            RefusedError: the name is taken, or no name.
        """
        if not _NAME.fullmatch(name):
            raise RefusedError(400, f"{name[:80]!r} is no name for an adapter.", param="lora_name")
        if name in self._adapters or name in self.bases:
            raise RefusedError(400, f"The name {name} is taken.", "Unload it first.", param="lora_name")
        adapter = NamedAdapter(self._next_id, name, path, scale, scale if default else 0.0)
        self._next_id += 1
        self._adapters[name] = adapter
        return adapter

    def remove(self, name: str) -> None:
        """Serve an adapter no more. Requests that run keep it to their end."""
        self._find(name, "lora_name")
        del self._adapters[name]

    def default(self) -> tuple[AppliedAdapter, ...]:
        """Return the adapters of a request that chooses nothing."""
        return tuple(
            as_on_disk(AppliedAdapter(adapter.path, adapter.default_scale))
            for adapter in self._adapters.values()
            if adapter.default_scale
        )

    def by_name(self, name: str, param: str = "model") -> tuple[AppliedAdapter, ...]:
        """Return the adapters that a model's name stands for: none for the base, the defaults for no name."""
        if not name:
            return self.default()
        if name in self.bases:
            return ()
        return (self._find(name, param).applied,)

    def by_scales(self, scales: Iterable[tuple[int, float]]) -> tuple[AppliedAdapter, ...]:
        """Return adapters by their numbers and scales; a scale of 0 leaves one out."""
        numbered = {adapter.id: adapter for adapter in self._adapters.values()}
        chosen: dict[int, AppliedAdapter] = {}
        for number, scale in scales:
            if number not in numbered:
                raise RefusedError(400, f"There is no adapter with the id {number}.", param="lora")
            chosen.pop(number, None)
            if scale:
                chosen[number] = as_on_disk(AppliedAdapter(numbered[number].path, scale))
        return tuple(chosen.values())

    def set_defaults(self, scales: Iterable[tuple[int, float]]) -> None:
        """Change the adapters of requests that choose nothing; those left out count 0."""
        wanted = dict(scales)
        self.by_scales(wanted.items())
        for name, adapter in self._adapters.items():
            self._adapters[name] = evolve(adapter, default_scale=wanted.get(adapter.id, 0.0))

    def _find(self, name: str, param: str) -> NamedAdapter:
        adapter = self._adapters.get(name)
        if adapter is None:
            raise RefusedError(
                404,
                f"There is no model {name[:80]!r} here.",
                f"Served are {', '.join(self.names)}.",
                param=param,
                name="model_not_found",
            )
        return adapter
