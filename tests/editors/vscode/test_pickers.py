"""The pickers: the next suggestion comes from the chosen model and adapters. The offer to fetch a model."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fim_lsp.models.store import ModelStore
from fim_lsp.paths import models_folder
from tests.lora_file import write_lora

from .code_server import CodeServer
from .conftest import PICTURES
from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)

WEEK = "days = [\n    'Monday',\n    'Tuesday',\n    █\n]\n"
OFFER = "Fetch fim-lsp 135M"
DEFAULT, OTHER = "fim-lsp 135M", "SmolLM2 135M"


@pytest.fixture
def own_window(open_editor: Callable[..., Workbench], tmp_path: Path) -> Workbench:
    """Provide a window for one test, because a pick changes the user's settings."""
    workbench = open_editor(tmp_path)
    workbench.wait_for_status(f"Ready: {DEFAULT}")
    workbench.type_until_requested()
    return workbench


def generation(workbench: Workbench, name: str) -> dict[str, Any]:
    """Get a suggestion in a new file, and return the record of its generation."""
    workbench.open(name, WEEK)
    before = len(workbench.server.record.entries("generation"))
    workbench.type("'Wed")
    workbench.wait_for_ghost()
    generations = workbench.server.record.entries("generation")
    assert len(generations) > before
    return generations[-1]


def why(workbench: Workbench) -> str:
    """Return the line of "Why this suggestion" that names the model and the adapters."""
    workbench.press("Control+Alt+Shift+y")
    workbench.page.wait_for_selector("[data-resource-name='Why this suggestion']")
    words = re.compile(r"It\scame\sfrom")
    lines = workbench.page.locator(".editor-instance .view-line", has_text=words)
    workbench.until(lambda: lines.count() == 1, "the line")
    line: str = lines.inner_text().replace("\u00a0", " ")
    workbench.press("Control+Alt+Shift+w")
    return line


def user_settings(server: CodeServer) -> dict[str, Any]:
    return read_settings(server.workspace.parent / "data/User/settings.json")


def read_settings(path: Path) -> dict[str, Any]:
    """Read settings that VS Code writes; empty while it writes, because it empties the file first."""
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return settings


def model_in_use(workbench: Workbench) -> str:
    """Wait for the list of models, and return the entry of the one in use.

    On a busy machine the entries of the menu before are still there for a moment.
    """

    def marked() -> list[str]:
        return [entry for entry in workbench.entries() if "in use" in entry]

    (entry,) = workbench.until(marked, "the model in use")
    return entry


def test_a_picked_model_is_loaded_and_used(own_window: Workbench) -> None:
    first = generation(own_window, "first.py")
    assert first["model"].startswith(DEFAULT)
    own_window.menu("Pick model")
    in_use = model_in_use(own_window)
    own_window.screenshot(PICTURES / "models.png")
    assert "default" in in_use
    own_window.pick("smollm2-135m")
    own_window.wait_for_status(f"Ready: {OTHER}")
    own_window.notified("not tuned for fill-in-the-middle")
    assert user_settings(own_window.server)["fimLsp.model.name"] == "smollm2-135m"
    second = generation(own_window, "second.py")
    assert second["model"].startswith(OTHER)
    assert second["pid"] == first["pid"], "the server must not have been restarted"
    assert why(own_window).startswith(f"It came from {OTHER}")
    own_window.menu("Pick model")
    assert "smollm2-135m" in model_in_use(own_window)
    own_window.press("Escape")


def test_an_adapter_is_added_and_turned_off_and_on(own_window: Workbench, tmp_path: Path) -> None:
    base = ModelStore(models_folder()).resolve("default").path
    lora = write_lora(tmp_path / "mine.gguf", base, strength=0.01)
    assert generation(own_window, "without.py")["adapters"] == []
    own_window.menu("Pick adapters")
    own_window.choose_file(lora)
    listed = {"path": str(lora), "scale": 1}
    own_window.until(lambda: adapters_of(own_window) == [listed], "the adapter in the workspace's settings")
    assert generation(own_window, "with.py")["adapters"] == [str(lora)]
    own_window.wait_for_status(f"Ready: {DEFAULT}")
    own_window.wait_for_status("+ mine")
    assert "with mine.gguf" in why(own_window)

    own_window.menu("Pick adapters")
    own_window.first_entry("mine.gguf")
    own_window.screenshot(PICTURES / "adapters.png")
    own_window.pick("mine.gguf")
    own_window.press("Enter")
    own_window.until(lambda: adapters_of(own_window) == [{**listed, "scale": 0}], "the adapter off")
    assert generation(own_window, "off.py")["adapters"] == []
    assert "mine" not in own_window.status()["about"]

    own_window.menu("Pick adapters")
    own_window.pick("mine.gguf")
    own_window.press("Enter")
    own_window.until(lambda: adapters_of(own_window) == [listed], "the adapter on")
    assert generation(own_window, "on.py")["adapters"] == [str(lora)]


def adapters_of(workbench: Workbench) -> object:
    return read_settings(workbench.server.workspace / ".vscode/settings.json").get("fimLsp.adapters")


@pytest.fixture
def empty_store(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def no_model(open_editor: Callable[..., Workbench], tmp_path: Path, empty_store: Path) -> Workbench:
    workbench = open_editor(tmp_path, env={"FIM_LSP_MODELS": str(empty_store)})
    workbench.wait_for_status("The model default is not here yet")
    return workbench


def test_a_missing_model_is_offered_and_not_fetched_without_consent(
    no_model: Workbench, empty_store: Path
) -> None:
    assert "145 MB" in no_model.notified(OFFER)
    no_model.screenshot(PICTURES / "first-run.png")
    no_model.press("Control+Alt+Shift+c")
    no_model.until(lambda: not no_model.notifications(), "the offer declined")
    no_model.open("first.py", WEEK)
    no_model.type("'Wed")
    no_model.page.wait_for_timeout(2000)
    assert not empty_store.exists()
    assert "no model" in no_model.status()["text"]
    no_model.press("Control+Alt+Shift+m")
    no_model.first_entry("Fetch the model default")
    no_model.press("Escape")
    assert not empty_store.exists()


def test_an_accepted_model_is_fetched_and_used(no_model: Workbench, empty_store: Path) -> None:
    # The model's base is in the store already, so fetching it needs no network.
    base = ModelStore(models_folder()).resolve("smollm2-135m").path
    empty_store.mkdir()
    for file in base.parent.glob(f"{base.name}*"):
        shutil.copy(file, empty_store)
    no_model.answer(OFFER, "Fetch")
    message = "Fetching the model default: joining: "
    no_model.until(lambda: message in no_model.notifications(), "progress")
    no_model.screenshot(PICTURES / "fetching.png")
    no_model.wait_for_status(f"Ready: {DEFAULT}")
    no_model.type_until_requested()
    assert generation(no_model, "fetched.py")["model"].startswith(DEFAULT)
