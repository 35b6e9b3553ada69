"""Settings for all editors: one JSON file, the lowest layer above the defaults.

``fim-lsp model use`` writes it. Running servers watch it, so that a model that was just trained is loaded
without a restart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fim_lsp.files import write_text_atomically
from fim_lsp.settings import SettingsError
from fim_lsp.strict import merge


def read_user_settings(path: Path) -> dict[str, Any]:
    """Read the file's settings, camelCase as on the wire; empty if there is no file.

    Raises:
        SettingsError: the file can't be read or holds no JSON object.
    """
    try:
        layer = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"Can't read the settings in {path}: {error}.", "Mend the file or delete it."
        ) from error
    if not isinstance(layer, dict):
        raise SettingsError(f"{path} holds no JSON object.", 'Write settings as {"model": {"name": "…"}}.')
    return layer


def choose_model(path: Path, name: str) -> None:
    """Set ``model.name`` and keep the other settings. The file is replaced as a whole.

    Raises:
        SettingsError: the file can't be read, so it is not overwritten.
        OSError: the file can't be written.
    """
    layer = merge(read_user_settings(path), {"model": {"name": name}})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, json.dumps(layer, indent=2) + "\n", shared=True)
