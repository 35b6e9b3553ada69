from __future__ import annotations

import re
from hashlib import sha256

import pytest

from fim_lsp.models.catalog import CATALOG, CatalogModel, HubSource, WheelSource
from fim_lsp.prompt.templates import template_names
from fim_lsp.settings import ModelSettings

MODELS = pytest.mark.parametrize("model", CATALOG.values(), ids=CATALOG)


def test_the_default_setting_names_a_model() -> None:
    assert ModelSettings().name in CATALOG


def test_no_two_models_share_a_file() -> None:
    assert len({model.file_name for model in CATALOG.values()}) == len(CATALOG)


@MODELS
def test_templates_are_ones_that_exist(model: CatalogModel) -> None:
    assert model.template in template_names()


@MODELS
def test_entries_can_be_fetched_and_checked(model: CatalogModel) -> None:
    assert model.file_name.endswith(".gguf")
    assert model.memory_mb * 1_000_000 > model.size_bytes > 50_000_000
    assert model.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", model.sha256)
    if isinstance(model.source, HubSource):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", model.source.repo_id)
        assert model.source.revision == "main" or re.fullmatch(r"[0-9a-f]{40}", model.source.revision)
    elif isinstance(model.source, WheelSource):
        assert model.source.sha256 == model.sha256
    else:
        assert CATALOG[model.source.base].source != model.source
        assert sha256(model.source.path.read_bytes()).hexdigest() == model.source.sha256
        assert model.source.path.stat().st_size <= 20_000_000


@MODELS
def test_what_a_user_should_know_is_said(model: CatalogModel) -> None:
    assert model.tuned or model.notice
    assert "research" not in model.licence.lower() or (model.notice and "commercial" in model.notice)
