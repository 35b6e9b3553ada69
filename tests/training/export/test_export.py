from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from attrs import evolve

from fim_lsp.models import ModelError
from tests.training.tiny import Architecture, rows, save_gguf, save_rows, tiny_model
from training.config import Recipe
from training.export.export import ExportError, ExportOptions, add_arguments, export
from training.export.parity import TOLERANCES, Tolerance
from training.train.base_model import prepare_weights
from training.train.lora import Method
from training.train.options import TrainOptions
from training.train.train import train


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory):
    """Provide a store of its own, so that converted bases are not kept on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIM_LSP_MODELS", str(tmp_path_factory.mktemp("models")))
        yield


@pytest.fixture
def trained(tmp_path: Path, options: TrainOptions, recipe: Recipe):
    """Return a function that trains a tiny GGUF and returns the options of its export."""

    def make(
        architecture: Architecture = "llama",
        method: Method = "rslora",
        *,
        markers: bool,
        formats: tuple[str, ...],
    ) -> ExportOptions:
        base = save_gguf(tiny_model(architecture, spread=0.15), tmp_path / "tiny.gguf", architecture)
        data = save_rows(tmp_path / "rows", prepare_weights(str(base)).sha256, rows(16, 1), markers=markers)
        brief = evolve(recipe, train=evolve(recipe.train, max_steps=4))
        train(evolve(options, base=str(base), data=data, method=method), brief)
        return ExportOptions(options.output, base, tmp_path / "exported", formats)

    return make


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_every_merged_file_computes_what_was_trained(trained, architecture: Architecture) -> None:
    exported = export(trained(architecture, markers=True, formats=("f16", "q8_0", "q4_0", "q6_k", "delta")))
    assert set(exported.files) == {"f16", "q8_0", "q4_0", "q6_k", "delta"}
    assert [parity.passed for parity in exported.parities] == [True] * 4
    assert exported.parities[0].divergence < 1e-3
    record = json.loads((exported.files["f16"].parent / "export.json").read_text())
    assert len(record["files"]) == 5


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("method", ["lora", "rslora"])
def test_a_lora_on_its_base_computes_what_the_merged_model_does(
    trained, architecture: Architecture, method: Method
) -> None:
    exported = export(trained(architecture, method, markers=False, formats=("lora",)))
    lora = next(parity for parity in exported.parities if parity.against == "merged f16")
    assert lora.divergence < 1e-3
    assert [path.name for path in exported.files["lora"].parent.glob("*.gguf")] == ["tiny-fim-lora.gguf"]


@pytest.mark.parametrize("method", ["dora", "ia3"])
def test_dora_and_ia3_merge_and_are_no_lora_gguf(trained, method: Method) -> None:
    options = trained("qwen2", method, markers=False, formats=("f16",))
    assert export(options).parities[0].divergence < 1e-3
    with pytest.raises(ModelError, match="Export the merged model instead"):
        export(evolve(options, formats=("lora",)))


def test_trained_markers_are_no_lora_gguf(trained) -> None:
    options = trained(markers=True, formats=("lora",))
    with pytest.raises(ModelError, match=r"rows for 3 markers.*linear layers only"):
        export(options)


def test_a_file_beyond_its_tolerance_is_not_published(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    options = trained(markers=True, formats=("q4_0", "modelfile"))
    narrow = dict(TOLERANCES) | {"q4_0": Tolerance(1e-9, 1.0)}
    monkeypatch.setattr("training.export.export.TOLERANCES", narrow)
    with pytest.raises(ExportError, match=r"differs too much from what was trained: tiny-fim-q4_0\.gguf.*KL"):
        export(options)
    assert list(options.output.iterdir()) == []


def test_an_adapter_on_the_wrong_base_is_refused(trained, tmp_path: Path) -> None:
    options = trained(markers=True, formats=("q8_0",))
    other = save_gguf(tiny_model(seed=7), tmp_path / "other.gguf")
    with pytest.raises(ModelError, match=r"made for tiny\.gguf.*other\.gguf is another file"):
        export(evolve(options, base=other))


def test_a_modelfile_lays_out_the_hole(trained) -> None:
    exported = export(trained(markers=True, formats=("q8_0", "modelfile")))
    text = exported.files["modelfile"].read_text()
    assert text.startswith("FROM ./tiny-fim-q8_0.gguf\n")
    layout = "<|fim_prefix|><|fim_suffix|>{{ .Suffix }}<|fim_middle|>{{ .Prompt }}"
    assert "{{- if .Suffix }}" + layout + "{{ else }}{{ .Prompt }}{{ end }}" in text
    assert 'PARAMETER stop "<|endoftext|>"' in text


def test_an_adapter_of_a_folder_merges_into_the_converted_gguf(
    tmp_path: Path, base: Path, options: TrainOptions, recipe: Recipe
) -> None:
    gguf = save_gguf(tiny_model(), tmp_path / "converted.gguf")
    train(options, evolve(recipe, train=evolve(recipe.train, max_steps=2)))
    plan = ExportOptions(options.output, gguf, tmp_path / "exported", ("f16",), trained_on=str(base))
    assert export(plan).parities[0].passed
    with pytest.raises(ModelError, match="made for"):
        export(evolve(plan, trained_on=None))


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no format 'q9'.*one or more of f32"):
        export(ExportOptions(tmp_path, tmp_path, tmp_path, ("q9",)))


def test_the_format_is_q8_0_by_default() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parsed = parser.parse_args(["--adapter", "run", "--base", "x.gguf", "--output", "out"])
    assert parsed.formats == "q8_0"
