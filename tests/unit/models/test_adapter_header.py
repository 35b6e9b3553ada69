"""Which adapters are let through to llama.cpp, and why others are refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from fim_lsp.gguf_keys import BASE_SHA256
from fim_lsp.models import ModelError
from fim_lsp.models.adapter_header import check_adapter
from fim_lsp.models.gguf_header import read_header
from tests.unit.models.tiny_gguf import Raw, Tensor, TinyGguf, tiny_llama

DIGEST = "ab" * 32
Q = "blk.0.attn_q.weight"


def tiny_lora() -> TinyGguf:
    metadata = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 8.0,
        "general.base_model.0.name": "tiny.gguf",
        BASE_SHA256: DIGEST,
    }
    tensors = [Tensor(f"{Q}.lora_a", [32, 4], type=1), Tensor(f"{Q}.lora_b", [4, 32], type=1)]
    return TinyGguf(metadata, tensors)


@pytest.fixture
def check(tmp_path: Path) -> Callable[[TinyGguf | Path], str | None]:
    base = tiny_llama().write(tmp_path / "base.gguf")

    def checked(adapter: TinyGguf | Path) -> str | None:
        path = adapter if isinstance(adapter, Path) else adapter.write(tmp_path / "style.gguf")
        return check_adapter(path, base, read_header(base), lambda: DIGEST)

    return checked


def test_an_adapter_of_this_base_passes_without_a_word(check):
    assert check(tiny_lora()) is None


def test_an_adapter_of_another_base_is_refused_and_both_are_named(check):
    lora = tiny_lora()
    lora.metadata[BASE_SHA256] = "cd" * 32
    with pytest.raises(ModelError, match=r"made for tiny\.gguf \(sha256 cdcdcdcdcdcd…\)") as caught:
        check(lora)
    assert "loaded model is base.gguf (sha256 abababababab…)" in caught.value.problem


def test_an_adapter_from_elsewhere_passes_with_a_notice(tmp_path):
    base = tiny_llama().write(tmp_path / "base.gguf")
    lora = tiny_lora()
    del lora.metadata[BASE_SHA256]

    def never() -> str:
        raise AssertionError("hashing a model takes seconds, and no digest is needed")

    notice = check_adapter(lora.write(tmp_path / "style.gguf"), base, read_header(base), never)
    assert notice is not None
    assert "does not name the model" in notice


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"general.type": "model"}, "whole model, not an adapter"),
        ({"general.type": None}, "whole model, not an adapter"),
        ({"general.type": "imatrix"}, "no LoRA adapter"),
        ({"adapter.type": None}, "no LoRA adapter"),
        ({"adapter.type": 3}, "no LoRA adapter"),
        ({"adapter.alora.invocation_tokens": [1]}, "activated LoRA"),
        ({"general.architecture": "qwen2"}, r"architecture qwen2, and base\.gguf is of llama"),
        ({"general.architecture": None}, r"architecture \(none\)"),
        ({BASE_SHA256: 5}, "made for"),
        ({"adapter.lora.alpha": Raw("float32", float("nan"))}, r"impossible adapter\.lora\.alpha nan"),
        ({"adapter.lora.alpha": "8"}, r"impossible adapter\.lora\.alpha '8'"),
        ({"adapter.lora.alpha": Raw("float64", 8.0)}, "no float32"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(check, change, problem):
    lora = tiny_lora()
    for key, value in change.items():
        if value is None:
            del lora.metadata[key]
        else:
            lora.metadata[key] = value
    with pytest.raises(ModelError, match=problem):
        check(lora)


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ([], "holds no weights"),
        ([Tensor(f"{Q}.lora_a", [32, 4])], "half of no pair"),
        ([Tensor(Q, [32, 32])], "half of no pair"),
        ([Tensor(f"{Q}.lora_a", [32, 4], 26), Tensor(f"{Q}.lora_b", [4, 32])], "type i32"),
        ([Tensor(f"{Q}.lora_a", [32, 4]), Tensor(f"{Q}.lora_b", [5, 32])], "don't fit"),
        ([Tensor(f"{Q}.lora_a", [4, 32]), Tensor(f"{Q}.lora_b", [32, 4])], "don't fit"),
        ([Tensor(f"{Q}.lora_a", [32, 4, 2]), Tensor(f"{Q}.lora_b", [4, 32, 2])], "don't fit"),
        ([Tensor(f"{Q}.lora_a", [32, 0]), Tensor(f"{Q}.lora_b", [0, 32])], "don't fit"),
        ([Tensor("blk.9.x.weight.lora_a", [32, 4]), Tensor("blk.9.x.weight.lora_b", [4, 32])], "don't fit"),
        (
            [Tensor("token_embd.weight.lora_a", [32, 4]), Tensor("token_embd.weight.lora_b", [4, 64])],
            "token embedding",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused(check, tensors, problem):
    lora = tiny_lora()
    lora.tensors = tensors
    with pytest.raises(ModelError, match=problem):
        check(lora)


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (0, struct.pack("<f", float("inf"))),
        (1, b"\x00\x7e"),  # NaN as float16
        (8, b"\x00\x7c"),  # infinity as a block's scale
        (30, b"\xc0\x7f"),  # NaN as bfloat16
    ],
)
def test_weights_that_are_no_numbers_are_refused(check, tmp_path, kind, bad):
    lora = tiny_lora()
    lora.tensors = [Tensor(f"{Q}.lora_a", [32, 32], kind), Tensor(f"{Q}.lora_b", [32, 32], kind)]
    assert check(lora) is None
    path = tmp_path / "damaged.gguf"
    path.write_bytes(lora.header() + bad + lora.data()[len(bad) :])
    with pytest.raises(ModelError, match=r"attn_q\.weight\.lora_a holds what is no number"):
        check(path)


@pytest.mark.parametrize("kind", [0, 1, 8, 30])
def test_a_lora_whose_numbers_explode_is_named(check, tmp_path, kind):
    one, large = {
        0: (struct.pack("<f", 1.0), struct.pack("<f", 1e6)),
        1: (b"\x00\x3c", b"\xff\x7b"),  # 1 and 65504 as float16
        8: (b"\x00\x3c", b"\xff\x7b"),
        30: (b"\x80\x3f", b"\x80\x50"),  # 1 and about 1.7e10 as bfloat16
    }[kind]
    lora = tiny_lora()
    lora.tensors = [Tensor(f"{Q}.lora_a", [32, 32], kind), Tensor(f"{Q}.lora_b", [32, 32], kind)]
    data = bytearray(lora.data())
    second = len(data) // 2
    data[: len(one)], data[second : second + len(large)] = one, large
    path = tmp_path / "exploding.gguf"
    path.write_bytes(lora.header() + bytes(data))
    with pytest.raises(
        ModelError, match=r"The numbers of .*exploding\.gguf explode: at blk\.0\.attn_q\.weight"
    ):
        check(path)


@pytest.mark.parametrize("name", ["", "adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_of_peft_gets_the_way_to_a_gguf(check, tmp_path, name):
    folder = tmp_path / "peft"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"")
    (folder / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="as peft saves it") as caught:
        check(folder / name)
    assert f"--adapter {folder} " in caught.value.remedy
    assert "convert_lora_to_gguf.py" in caught.value.remedy


def test_a_file_that_is_cut_off_is_refused(check, tmp_path):
    path = tmp_path / "short.gguf"
    path.write_bytes(tiny_lora().header() + bytes(16))
    with pytest.raises(ModelError, match="cut off"):
        check(path)


def test_what_is_no_adapter_at_all_is_refused(check, tmp_path):
    with pytest.raises(ModelError, match="There is no file"):
        check(tmp_path / "missing.gguf")
    path = tmp_path / "page.gguf"
    path.write_text("<html>")
    with pytest.raises(ModelError, match="not a GGUF file"):
        check(path)


def test_a_split_base_takes_no_adapters(tmp_path):
    base = tiny_llama()
    base.metadata["split.count"] = 2
    path = base.write(tmp_path / "base.gguf")
    with pytest.raises(ModelError, match="split over several files"):
        check_adapter(tiny_lora().write(tmp_path / "a.gguf"), path, read_header(path), lambda: DIGEST)
