"""The adapters of a document: the settings' list, narrowed by language and by folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from attrs import evolve

from fim_lsp.experiment import ExperimentSettings, assign
from fim_lsp.settings import AdapterSettings
from fim_lsp.types import AppliedAdapter


def adapters_for(
    adapters: Iterable[AdapterSettings], language_id: str, document: PurePath, *, remote: bool = False
) -> tuple[AppliedAdapter, ...]:
    """Return the adapters for one document, in the order of the settings.

    Where several entries that fit name the same file, the last one's scale counts, so that an entry for a
    folder can change or switch off what another one sets for all. Paths are compared as they are written;
    only ``~`` is expanded.

    Args:
        adapters: The settings' list.
        language_id: Of the document.
        document: The path of the document.
        remote: True if the model is on a server: adapters count that only have a name there.
    """
    scales: dict[tuple[Path, str], float] = {}
    for adapter in adapters:
        if _fits(adapter, language_id, document) and (adapter.path or remote):
            path = _expanded(adapter.path) if adapter.path else Path()
            scales[path, adapter.name if remote else ""] = adapter.scale
    return tuple(AppliedAdapter(path, scale, name=name) for (path, name), scale in scales.items() if scale)


def adapters_of_arm(experiment: ExperimentSettings, uri: str, *, remote: bool) -> tuple[AdapterSettings, ...]:
    """Return the adapter of a document's arm, if it has one."""
    assigned = assign(experiment, uri)
    if assigned is None or not assigned.arm.adapter:
        return ()
    adapter, scale = assigned.arm.adapter, assigned.arm.scale
    return (AdapterSettings(scale=scale, name=adapter) if remote else AdapterSettings(adapter, scale),)


def adapter_label(adapters: Iterable[AppliedAdapter]) -> str:
    """Return the names of adapters, without their folders, which are private.

    Example: ``style + tests x 0.5``.
    """
    return " + ".join(
        adapter.label if adapter.scale == 1 else f"{adapter.label} x {adapter.scale:g}"
        for adapter in adapters
    )


def as_on_disk(adapter: AppliedAdapter) -> AppliedAdapter:
    """Return the adapter with the version of its file: one that was trained again is another adapter."""
    if not adapter.has_file:
        return adapter
    try:
        state = adapter.path.stat()
    except (OSError, ValueError):
        return evolve(adapter, version=0)
    # Permissions and a file moved into place change the second time only.
    return evolve(adapter, version=max(state.st_mtime_ns, state.st_ctime_ns))


def _fits(adapter: AdapterSettings, language_id: str, document: PurePath) -> bool:
    here = not adapter.workspaces or any(
        document.is_relative_to(_expanded(folder)) for folder in adapter.workspaces
    )
    return here and (not adapter.languages or language_id in adapter.languages)


def _expanded(path: str) -> Path:
    """Put the home folder for ``~``; unlike ``Path.expanduser`` this keeps it where there is no home."""
    return Path(os.path.expanduser(path))
