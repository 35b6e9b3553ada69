from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from fim_lsp.models import ModelError
from tests.training.tiny import Architecture, save_gguf, tiny_model
from training.train.base_model import BaseModelError, faster_precision, load_weights, prepare_weights


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "converted"


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_a_gguf_loads_as_the_model_it_was_made_from(
    tmp_path: Path, cache: Path, architecture: Architecture
) -> None:
    model = tiny_model(architecture)
    gguf = save_gguf(model, tmp_path / "tiny.gguf", architecture)
    loaded = load_weights(prepare_weights(str(gguf), cache), "fp32")
    tokens = torch.arange(16, 80)[None]
    with torch.no_grad():
        expected = model(tokens).logits
        found = loaded(tokens, row_lengths=(64,)).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_a_gguf_is_converted_once(tmp_path: Path, cache: Path) -> None:
    gguf = save_gguf(tiny_model(), tmp_path / "tiny.gguf")
    steps: list[str] = []
    first = prepare_weights(str(gguf), cache, steps.append)
    again = prepare_weights(str(shutil.copy(gguf, tmp_path / "renamed.gguf")), cache, steps.append)
    assert steps == ["converting tiny.gguf, once"]
    assert first.path == again.path
    assert [path.name for path in cache.iterdir()] == [first.sha256[:16]]


def test_two_processes_may_convert_a_gguf_at_the_same_time(tmp_path: Path, cache: Path) -> None:
    gguf = save_gguf(tiny_model(), tmp_path / "tiny.gguf")
    other = prepare_weights(str(gguf), tmp_path / "other")

    def end_first(_: str) -> None:
        shutil.copytree(other.path, cache / other.path.name)

    assert prepare_weights(str(gguf), cache, end_first).sha256 == other.sha256
    assert [path.name for path in cache.iterdir()] == [other.path.name]


def test_bf16_keeps_the_output_layer_exact_on_a_cpu(tmp_path: Path, cache: Path) -> None:
    base = prepare_weights(str(save_gguf(tiny_model(), tmp_path / "tiny.gguf")), cache)
    model = load_weights(base, "bf16")
    assert model.get_output_embeddings().weight.dtype == torch.float32
    assert model.model.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16


def test_a_base_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match=r"There is no base nowhere\.gguf"):
        prepare_weights("nowhere.gguf")
    with pytest.raises(BaseModelError, match="holds no safetensors"):
        prepare_weights(str(tmp_path))


def test_a_catalog_model_that_was_not_downloaded_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIM_LSP_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="fim-lsp model pull smollm2-135m"):
        prepare_weights("smollm2-135m")


def test_an_architecture_that_transformers_cannot_read_is_named(tmp_path: Path, cache: Path) -> None:
    gguf = save_gguf(tiny_model(), tmp_path / "tiny.gguf")
    altered = gguf.read_bytes().replace(
        b"\x05\x00\x00\x00\x00\x00\x00\x00llama", b"\x05\x00\x00\x00\x00\x00\x00\x00plamo", 1
    )
    gguf.write_bytes(altered.replace(b"llama.", b"plamo."))
    with pytest.raises(BaseModelError, match="GGUF of architecture plamo"):
        prepare_weights(str(gguf), cache)
    assert not list(cache.iterdir())


def test_a_damaged_gguf_is_refused_before_it_is_converted(tmp_path: Path, cache: Path) -> None:
    gguf = save_gguf(tiny_model(), tmp_path / "tiny.gguf")
    gguf.write_bytes(gguf.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cut off"):
        prepare_weights(str(gguf), cache)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_four_bits_need_a_gpu(tmp_path: Path, cache: Path) -> None:
    base = prepare_weights(str(save_gguf(tiny_model(), tmp_path / "tiny.gguf")), cache)
    with pytest.raises(BaseModelError, match=r"QLoRA needs a CUDA GPU.*--qlora"):
        load_weights(base, "bf16", four_bits=True)


def test_the_faster_precision_is_measured() -> None:
    threads = torch.get_num_threads()
    assert faster_precision("cpu") in ("fp32", "bf16")
    assert torch.get_num_threads() == threads
    assert faster_precision("mps") == "fp32"
