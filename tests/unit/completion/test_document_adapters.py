"""Which adapters a document gets, and that nothing made under others answers for them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path, PurePosixPath

import pytest
from attrs import evolve

from fim_lsp.completion.debounce import SupersededError
from fim_lsp.completion.document_adapters import adapters_for, as_on_disk
from fim_lsp.engine.base import NotANumberError
from fim_lsp.settings import AdapterSettings, Settings, from_wire
from fim_lsp.types import AppliedAdapter
from tests.unit.completion.conftest import request

CODE = "def f():\n    █\n\nprint(f())\n"
DOCUMENT = PurePosixPath("/code/project/src/a.py")


@pytest.mark.parametrize(
    ("entry", "applies"),
    [
        ({}, True),
        ({"languages": ("python", "go")}, True),
        ({"languages": ("go",)}, False),
        ({"workspaces": ("/code/project",)}, True),
        ({"workspaces": ("/code/project/",)}, True),
        ({"workspaces": ("/other", "/code")}, True),
        ({"workspaces": ("/code/proj",)}, False),
        ({"workspaces": ("/code/project",), "languages": ("go",)}, False),
        ({"scale": 0.0}, False),
    ],
)
def test_an_adapter_applies_by_language_and_folder(entry, applies):
    chosen = adapters_for([AdapterSettings("/a.gguf", **entry)], "python", DOCUMENT)
    assert chosen == ((AppliedAdapter(Path("/a.gguf")),) if applies else ())


def test_all_that_fit_come_in_the_order_of_the_settings():
    entries = [AdapterSettings("/b", 0.5), AdapterSettings("/x", languages=("go",)), AdapterSettings("/a")]
    chosen = adapters_for(entries, "python", DOCUMENT)
    assert chosen == (AppliedAdapter(Path("/b"), 0.5), AppliedAdapter(Path("/a"), 1.0))


def test_the_last_entry_for_a_file_sets_its_scale():
    everywhere, here = AdapterSettings("/a"), AdapterSettings("/a", 0.0, workspaces=("/code",))
    assert adapters_for([everywhere, here], "python", DOCUMENT) == ()
    assert adapters_for([everywhere, here], "python", PurePosixPath("/else/a.py")) != ()


def test_the_home_folder_is_spelled_out(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    entry = AdapterSettings("~/a.gguf", workspaces=("~/code",))
    assert adapters_for([entry], "python", PurePosixPath("/home/me/code/a.py")) == (
        AppliedAdapter(Path("/home/me/a.gguf")),
    )


def test_a_document_without_a_folder_gets_what_is_for_all():
    entries = [AdapterSettings("/a", workspaces=("/code",)), AdapterSettings("/b")]
    assert [one.path.name for one in adapters_for(entries, "python", PurePosixPath("Untitled-1"))] == ["b"]


def test_a_file_that_was_written_anew_is_another_version(tmp_path):
    adapter = AppliedAdapter(tmp_path / "a.gguf")
    assert as_on_disk(adapter).version == 0
    adapter.path.write_text("1")
    first = as_on_disk(adapter)
    assert first == as_on_disk(adapter)
    (tmp_path / "new").write_text("2")
    os.utime(tmp_path / "new", ns=(first.version + 10**9, first.version + 10**9))
    (tmp_path / "new").replace(adapter.path)
    assert as_on_disk(adapter) != first


def _with(settings: Settings, *paths: str, **entry: object) -> Settings:
    wire = [{"path": path, **entry} for path in paths]
    return evolve(settings, adapters=from_wire({"adapters": wire}).adapters)


@pytest.fixture
async def desk(make_desk):
    """Its engine knows two adapters, which say something else."""
    desk = await make_desk("return 1")
    desk.engine.script.adapters.update(
        {Path("/two"): lambda said: "return 2", Path("/three"): lambda said: said + "3"}
    )
    return desk


async def _said(desk, settings: Settings, version: int = 1, **options: str) -> str:
    desk.completer.settings_changed(settings)
    completion = await desk.complete(request(CODE, version=version, **options), settings)
    assert completion is not None
    return completion.text


async def test_a_changed_setting_takes_effect_with_the_next_request(desk):
    plain = desk.settings
    assert await _said(desk, plain) == "return 1"
    assert await _said(desk, _with(plain, "/two")) == "return 2"
    assert [adapter.path for adapter in desk.explanation.adapters] == [Path("/two")]
    assert await _said(desk, _with(plain, "/two", "/three")) == "return 23"
    assert await _said(desk, plain) == "return 1"
    assert desk.explanation.adapters == ()
    assert desk.generations == 4


async def test_each_language_has_its_own(desk):
    settings = _with(desk.settings, "/two", languages=["go"])
    assert await _said(desk, settings) == "return 1"
    assert await _said(desk, settings, language="go") == "return 2"


async def test_a_suggestion_made_under_other_adapters_is_not_remembered(desk):
    # The same document, opened again as another language: settings and text are the same.
    settings = _with(desk.settings, "/two", languages=["go"])
    await _said(desk, settings)
    again = await desk.complete(request(CODE, version=2, language="go"), settings)
    assert again is not None
    assert again.text == "return 2"
    assert desk.explanation.source == "generated"
    back = await desk.complete(request(CODE, version=3), settings)
    assert back is not None
    assert back.text == "return 1"


async def test_a_generation_under_other_adapters_is_not_joined(desk):
    desk.gate.clear()
    first = asyncio.create_task(desk.complete(request(CODE)))
    while desk.worker.pending == 0:
        await asyncio.sleep(0.001)
    changed = _with(desk.settings, "/two")
    desk.completer.settings_changed(changed)
    second = asyncio.create_task(desk.complete(request(CODE, version=2), changed))
    await asyncio.sleep(0)
    desk.gate.set()
    completion = await second
    with pytest.raises(SupersededError):
        await first
    assert completion is not None
    assert completion.text == "return 2"
    assert desk.explanation.source == "generated"


async def test_an_adapter_that_is_refused_is_told_once_and_left_out(desk):
    settings = _with(desk.settings, "/bad", "/two", "/worse")
    desk.completer.settings_changed(settings)
    for version, line in enumerate(("", "x = 1\n    ", "x = 1\n    y = 2\n    "), start=1):
        marked = CODE.replace("█", line + "█")
        completion = await desk.complete(request(marked, version=version), settings)
        assert completion is not None
        assert completion.text.endswith("2")
        assert [adapter.path for adapter in desk.explanation.adapters] == [Path("/two")]
    assert [error.adapter.path for error in desk.refused] == [Path("/bad"), Path("/worse")]


async def test_a_refused_adapter_is_tried_again_once_its_file_or_the_settings_change(desk, tmp_path):
    path = tmp_path / "late.gguf"
    settings = _with(desk.settings, str(path))
    assert await _said(desk, settings) == "return 1"
    path.write_text("now it is there, and still wrong")
    assert await _said(desk, settings, version=2) == "return 1"
    assert len(desk.refused) == 2
    assert await _said(desk, settings, version=3) == "return 1"
    assert len(desk.refused) == 2
    assert await _said(desk, _with(settings, str(path), scale=0.5), version=4) == "return 1"
    assert len(desk.refused) == 3
    desk.engine.script.adapters[path] = lambda said: "return 2"
    os.utime(path, ns=(1, 1))
    assert await _said(desk, settings, version=5) == "return 2"
    assert len(desk.refused) == 3


async def test_an_adapter_under_which_nothing_is_a_number_is_named_and_left_out(desk):
    def fail_under_the_second() -> None:
        if any(adapter.path == Path("/two") for adapter in desk.worker.asked[-1][0].adapters):
            raise NotANumberError("no number")

    desk.engine.script.before_token = fail_under_the_second
    assert await _said(desk, _with(desk.settings, "/two", "/three")) == "return 13"
    (refused,) = desk.refused
    assert "With the adapter /two the model computes what is no number" in refused.problem
    assert [adapter.path for adapter in desk.explanation.adapters] == [Path("/three")]
