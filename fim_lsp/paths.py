"""Where fim-lsp keeps its files on this machine, and the environment variables that move them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

from attrs import frozen


@frozen
class StoragePath:
    """One file or folder that fim-lsp writes to."""

    variable: str
    """Environment variable with the path to use instead of the default."""
    holds: str
    """What is in it, for people."""
    kind: Literal["config", "state", "cache"]
    """Which of the user's folders it is in by default."""
    name: str
    """Its name in that folder; empty for the folder itself."""

    def path(self) -> Path:
        """Return its path. It need not exist."""
        chosen = os.environ.get(self.variable)
        if chosen:
            return Path(chosen).expanduser()
        import platformdirs

        folders = {
            "config": platformdirs.user_config_path,
            "state": platformdirs.user_state_path,
            "cache": platformdirs.user_cache_path,
        }
        return folders[self.kind]("fim-lsp") / self.name


SETTINGS: Final = StoragePath("FIM_LSP_CONFIG", "settings for every editor", "config", "settings.json")
STATE: Final = StoragePath("FIM_LSP_STATE", "what became of suggestions", "state", "")
MODELS: Final = StoragePath("FIM_LSP_MODELS", "model files", "cache", "models")
KV_STATES: Final = StoragePath("FIM_LSP_KV_STATES", "saved KV states", "cache", "kv-states")
INDEX: Final = StoragePath("FIM_LSP_INDEX", "saved indexes of workspaces", "cache", "index")

STORAGE_PATHS: Final = (SETTINGS, STATE, MODELS, KV_STATES, INDEX)
"""All of them."""
USER_PATHS: Final = (SETTINGS, STATE, KV_STATES, INDEX)
"""Those with what a user chose and wrote. Models are the same for every user, and large."""


def settings_file() -> Path:
    """Return the path of the settings that hold for every editor."""
    return SETTINGS.path()


def state_folder() -> Path:
    """Return the folder of the record of what became of suggestions."""
    return STATE.path()


def models_folder() -> Path:
    """Return the folder of the model store."""
    return MODELS.path()


def kv_states_folder() -> Path:
    """Return the folder of saved KV states."""
    return KV_STATES.path()


def index_folder() -> Path:
    """Return the folder of saved indexes of workspaces."""
    return INDEX.path()


def variables_for(folder: Path, paths: Iterable[StoragePath] = STORAGE_PATHS) -> Mapping[str, str]:
    """Return the environment variables that keep files of fim-lsp in one folder, for tests and trials."""
    return {each.variable: str(folder / (each.name or each.kind)) for each in paths}
