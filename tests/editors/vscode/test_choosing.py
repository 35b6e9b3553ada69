"""Models and adapters chosen in the real pickers are what the next suggestion comes from."""

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
def fresh(opened: Callable[..., Workbench], tmp_path: Path) -> Workbench:
    """A window of the test's own, for what a pick writes into the user's settings."""
    workbench = opened(tmp_path)
    workbench.wait_for_status(f"Ready: {DEFAULT}")
    workbench.wake()
    return workbench


def suggestion(workbench: Workbench, name: str) -> dict[str, Any]:
    """What a suggestion in a new file was generated with."""
    workbench.open(name, WEEK)
    before = len(workbench.server.records("generation"))
    workbench.type("'Wed")
    workbench.wait_for_ghost()
    generations = workbench.server.records("generation")
    assert len(generations) > before
    return generations[-1]


def why(workbench: Workbench) -> str:
    """The line of the page of the same name that says what the last suggestion came from."""
    workbench.press("Control+Alt+Shift+y")
    workbench.page.wait_for_selector("[data-resource-name='Why this suggestion']")
    said = re.compile(r"It\scame\sfrom")
    lines = workbench.page.locator(".editor-instance .view-line", has_text=said)
    workbench.until(lambda: lines.count() == 1, "what it came from")
    line = lines.inner_text().replace("\u00a0", " ")
    workbench.press("Control+Alt+Shift+w")
    return line


def user_settings(server: CodeServer) -> dict[str, Any]:
    return written(server.workspace.parent / "data/User/settings.json")


def written(path: Path) -> dict[str, Any]:
    """Settings as VS Code has written them; none while it is at it, as it empties the file first."""
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return settings


def test_another_model_is_picked_loaded_and_asked(fresh: Workbench):
    first = suggestion(fresh, "first.py")
    assert first["model"].startswith(DEFAULT)
    fresh.menu("Pick model")
    entries = fresh.entries()
    fresh.screenshot(PICTURES / "models.png")
    (in_use,) = [entry for entry in entries if "in use" in entry]
    assert "default" in in_use
    fresh.pick("smollm2-135m")
    fresh.wait_for_status(f"Ready: {OTHER}")
    assert "not tuned for fill-in-the-middle" in fresh.notifications()
    assert user_settings(fresh.server)["fimLsp.model.name"] == "smollm2-135m"
    second = suggestion(fresh, "second.py")
    assert second["model"].startswith(OTHER)
    assert second["pid"] == first["pid"], "the server must not have been restarted"
    assert why(fresh).startswith(f"It came from {OTHER}")
    fresh.menu("Pick model")
    (in_use,) = [entry for entry in fresh.entries() if "in use" in entry]
    assert "smollm2-135m" in in_use
    fresh.press("Escape")


def test_a_lora_is_added_applied_switched_off_and_on_again(fresh: Workbench, tmp_path: Path):
    base = ModelStore(models_folder()).resolve("default").path
    lora = write_lora(tmp_path / "mine.gguf", base, strength=0.01)
    assert suggestion(fresh, "without.py")["adapters"] == []
    fresh.menu("Pick adapters")
    fresh.choose_file(lora)
    listed = {"path": str(lora), "scale": 1}
    fresh.until(lambda: adapters_of(fresh) == [listed], "the adapter in the workspace's settings")
    assert suggestion(fresh, "with.py")["adapters"] == [str(lora)]
    fresh.wait_for_status(f"Ready: {DEFAULT}")
    fresh.wait_for_status("+ mine")
    assert "with mine.gguf" in why(fresh)

    fresh.menu("Pick adapters")
    assert "mine.gguf" in fresh.entries()[0]
    fresh.screenshot(PICTURES / "adapters.png")
    fresh.pick("mine.gguf")
    fresh.press("Enter")
    fresh.until(lambda: adapters_of(fresh) == [{**listed, "scale": 0}], "the adapter off")
    assert suggestion(fresh, "off.py")["adapters"] == []
    assert "mine" not in fresh.status()["about"]

    fresh.menu("Pick adapters")
    fresh.pick("mine.gguf")
    fresh.press("Enter")
    fresh.until(lambda: adapters_of(fresh) == [listed], "the adapter on")
    assert suggestion(fresh, "on.py")["adapters"] == [str(lora)]


def adapters_of(workbench: Workbench) -> object:
    return written(workbench.server.workspace / ".vscode/settings.json").get("fimLsp.adapters")


@pytest.fixture
def empty_store(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def without_a_model(opened: Callable[..., Workbench], tmp_path: Path, empty_store: Path) -> Workbench:
    workbench = opened(tmp_path, env={"FIM_LSP_MODELS": str(empty_store)})
    workbench.wait_for_status("The model default is not here yet")
    return workbench


def test_a_first_run_offers_a_model_and_fetches_none_unasked(without_a_model: Workbench, empty_store: Path):
    assert "145 MB" in without_a_model.notified(OFFER)
    without_a_model.screenshot(PICTURES / "first-run.png")
    without_a_model.press("Control+Alt+Shift+c")
    without_a_model.until(lambda: not without_a_model.notifications(), "the offer declined")
    without_a_model.open("first.py", WEEK)
    without_a_model.type("'Wed")
    without_a_model.page.wait_for_timeout(2000)
    assert not empty_store.exists()
    assert "no model" in without_a_model.status()["text"]
    without_a_model.press("Control+Alt+Shift+m")
    assert "Fetch the model default" in without_a_model.entries()[0]
    without_a_model.press("Escape")
    assert not empty_store.exists()


def test_accepted_the_model_is_fetched_and_used(without_a_model: Workbench, empty_store: Path):
    # Its base is here already: what is left to do needs no network.
    base = ModelStore(models_folder()).resolve("smollm2-135m").path
    empty_store.mkdir()
    for file in base.parent.glob(f"{base.name}*"):
        shutil.copy(file, empty_store)
    without_a_model.answer(OFFER, "Fetch")
    said = "Fetching the model default: joining: "
    without_a_model.until(lambda: said in without_a_model.notifications(), "how far it is")
    without_a_model.screenshot(PICTURES / "fetching.png")
    without_a_model.wait_for_status(f"Ready: {DEFAULT}")
    without_a_model.wake()
    assert suggestion(without_a_model, "fetched.py")["model"].startswith(DEFAULT)
