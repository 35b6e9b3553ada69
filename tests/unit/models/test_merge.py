"""Surgery on a GGUF: numpy in, numpy out; nothing here knows torch."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from attrs import evolve
from safetensors.numpy import save_file

from fim_lsp.files import sha256_of
from fim_lsp.models import ModelError
from fim_lsp.models.adapter_file import Adapter, LinearUpdate, read_adapter, write_delta
from fim_lsp.models.gguf_header import check_model
from fim_lsp.models.merge import merge, merge_files, merged_weight, permute_rows
from tests.unit.models.tiny_adapter import FORMAT, RANK, SHAPES, TOKENS, noise, tiny_adapter, write_base


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a llama with random weights, its matrices in Q8_0."""
    return write_base(tmp_path_factory.mktemp("base") / "base.gguf")


@pytest.fixture
def adapter(base: Path) -> Adapter:
    return tiny_adapter(base)


def tensors(path: Path) -> dict[str, Any]:
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        for tensor in gguf.GGUFReader(path).tensors
    }


def halves_to_pairs(values: Any, heads: int) -> Any:
    """Row 2i of a head is row i of its first half, row 2i + 1 row i of its second; computed in a slow way."""
    size = len(values) // heads
    order = [
        head * size + half * (size // 2) + i
        for head in range(heads)
        for i in range(size // 2)
        for half in (0, 1)
    ]
    return values[order]


def test_every_weight_is_the_base_s_and_the_product(base: Path, adapter: Adapter, tmp_path: Path) -> None:
    merge(base, adapter, tmp_path / "merged.gguf", "f32")
    before, after = tensors(base), tensors(tmp_path / "merged.gguf")
    changed = set()
    for module, update in adapter.updates.items():
        layer, name = module.split(".")[2], SHAPES[module.split(".", 3)[3]][0]
        product = adapter.scale * (update.up @ update.down)
        if name in ("attn_q", "attn_k"):
            product = halves_to_pairs(product, 2 if name == "attn_q" else 1)
        tensor = f"blk.{layer}.{name}.weight"
        np.testing.assert_allclose(after[tensor], before[tensor] + product, rtol=1e-5, atol=1e-6)
        changed.add(tensor)
    for token, row in adapter.token_rows.items():
        np.testing.assert_array_equal(after["token_embd.weight"][token], row)
    others = [token for token in range(TOKENS) if token not in adapter.token_rows]
    np.testing.assert_array_equal(after["token_embd.weight"][others], before["token_embd.weight"][others])
    for tensor in before.keys() - changed - {"token_embd.weight"}:
        np.testing.assert_array_equal(after[tensor], before[tensor])


def test_the_format_is_written_down_and_the_rest_copied(base: Path, adapter: Adapter, tmp_path: Path) -> None:
    merge(base, adapter, tmp_path / "merged.gguf", "q8_0", name="tuned")
    before, after = (gguf.GGUFReader(path).fields for path in (base, tmp_path / "merged.gguf"))
    header = check_model(tmp_path / "merged.gguf")
    found = {key: header.metadata.get(f"tokenizer.ggml.fim_{key}_token_id") for key in ("pre", "suf", "mid")}
    assert found == {"pre": 5, "suf": 6, "mid": 7}
    assert header.metadata["tokenizer.ggml.fim_rep_token_id"] == 3
    assert "tokenizer.ggml.fim_sep_token_id" not in header.metadata
    assert header.metadata["fim_lsp.fim_order"] == "suffix_first"
    assert header.metadata["fim_lsp.repository_context"] is True
    assert header.metadata["fim_lsp.anchored_middles"] is True
    assert header.metadata["fim_lsp.end_bias"] == 1.75
    assert header.metadata["fim_lsp.memory_gate"] == '{"bias": -2.0}'
    assert header.metadata["general.name"] == "tuned"
    assert header.metadata["general.file_type"] == 7
    tokens = before["tokenizer.ggml.tokens"].contents()
    tokens[5:8] = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]
    assert after["tokenizer.ggml.tokens"].contents() == tokens
    assert after["tokenizer.ggml.token_type"].contents()[4:9] == [1, 3, 3, 3, 1]
    for key in ("llama.block_count", "llama.attention.layer_norm_rms_epsilon", "tokenizer.ggml.merges"):
        assert after[key].contents() == before[key].contents()
        assert after[key].types == before[key].types


def test_a_base_with_its_own_markers_keeps_its_metadata(base: Path, adapter: Adapter, tmp_path: Path) -> None:
    fim = evolve(FORMAT, sentinels={})
    merge(base, evolve(adapter, token_rows={}, fim=fim), tmp_path / "merged.gguf")
    header = check_model(tmp_path / "merged.gguf")
    assert not [key for key in header.metadata if "_token_id" in key and "fim" in key]


def test_how_much_too_late_a_base_ends_stays_unless_it_was_measured_anew(
    base: Path, adapter: Adapter, tmp_path: Path
) -> None:
    merge(base, adapter, tmp_path / "first.gguf")
    onto_first = evolve(adapter, base_sha256=sha256_of(tmp_path / "first.gguf"))
    for nats, written in ((None, 1.75), (0.0, 0.0)):
        again = evolve(onto_first, fim=evolve(FORMAT, end_bias=nats))
        merge(tmp_path / "first.gguf", again, tmp_path / "second.gguf")
        assert check_model(tmp_path / "second.gguf").metadata["fim_lsp.end_bias"] == written


@pytest.mark.parametrize(
    ("file_type", "matrix", "embedding"),
    [("f32", "F32", "F32"), ("f16", "F16", "F16"), ("q8_0", "Q8_0", "Q8_0"), ("q4_0", "Q4_0", "Q8_0")],
)
def test_a_file_type_is_one_of_matrices(
    base: Path, adapter: Adapter, tmp_path: Path, file_type: Any, matrix: str, embedding: str
) -> None:
    merge(base, adapter, tmp_path / "merged.gguf", file_type)
    kinds = {
        tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "merged.gguf").tensors
    }
    assert kinds["blk.0.ffn_down.weight"] == matrix
    assert kinds["token_embd.weight"] == embedding
    assert kinds["blk.0.attn_norm.weight"] == "F32"


def test_another_base_is_refused(base: Path, adapter: Adapter, tmp_path: Path) -> None:
    other = write_base(tmp_path / "other.gguf")
    with pytest.raises(ModelError, match=r"made for base\.gguf.*other\.gguf is another file"):
        merge(other, adapter, tmp_path / "merged.gguf")
    assert not (tmp_path / "merged.gguf").exists()


def test_an_unknown_architecture_is_refused(adapter: Adapter, tmp_path: Path) -> None:
    strange = write_base(tmp_path / "strange.gguf", "mpt")
    own = evolve(adapter, base_sha256=sha256(strange.read_bytes()).hexdigest())
    with pytest.raises(ModelError, match="architecture mpt is not supported"):
        merge(strange, own, tmp_path / "merged.gguf")


@pytest.mark.parametrize(
    ("module", "update", "message"),
    [
        ("model.layers.9.mlp.down_proj", LinearUpdate(noise(4, 64), noise(32, 4)), "has no such tensor"),
        ("model.layers.0.mlp.down_proj", LinearUpdate(noise(4, 8), noise(32, 4)), "32 x 8.*(32, 64)"),
    ],
)
def test_an_update_that_does_not_fit_is_refused(
    base: Path, adapter: Adapter, tmp_path: Path, module: str, update: LinearUpdate, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        merge(base, evolve(adapter, updates={module: update}), tmp_path / "merged.gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_delta_merges_like_the_adapter(base: Path, adapter: Adapter, tmp_path: Path) -> None:
    write_delta(adapter, tmp_path / "delta.safetensors")
    merge(base, adapter, tmp_path / "one.gguf", "f32")
    merge_files(base, tmp_path / "delta.safetensors", tmp_path / "two.gguf", "f32")
    one, two = tensors(tmp_path / "one.gguf"), tensors(tmp_path / "two.gguf")
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=5e-3)
    again = read_adapter(tmp_path / "delta.safetensors")
    assert again.fim == adapter.fim
    assert again.scale == adapter.scale
    assert again.description["recipe"] == {"stage": "a"}


def test_peft_s_folder_reads_as_the_same_adapter(adapter: Adapter, tmp_path: Path) -> None:
    read = read_adapter(write_folder(tmp_path, adapter))
    assert read.updates.keys() == adapter.updates.keys()
    assert read.token_rows.keys() == adapter.token_rows.keys()
    assert read.scale == adapter.scale
    np.testing.assert_array_equal(read.token_rows[6], adapter.token_rows[6])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "PROMPT_TUNING.*can't be merged"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"alpha_pattern": {"q_proj": 1}}, "alpha_pattern"),
    ],
)
def test_what_cannot_be_merged_is_refused(
    adapter: Adapter, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_adapter(write_folder(tmp_path, adapter, config))


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\xff" * 64])
def test_a_damaged_delta_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "delta.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"delta\.safetensors is damaged"):
        read_adapter(tmp_path / "delta.safetensors")
    with pytest.raises(ModelError, match="is no adapter"):
        read_adapter(tmp_path / "nowhere.safetensors")


def test_numbers_that_float16_cannot_hold_are_not_shipped(adapter: Adapter, tmp_path: Path) -> None:
    adapter.token_rows[5][0] = 1e6
    with pytest.raises(ModelError, match=r"token_rows.*float16"):
        write_delta(adapter, tmp_path / "delta.safetensors")


def test_dora_keeps_the_norm_of_each_row() -> None:
    weight, magnitude = noise(6, 8), np.arange(1, 7, dtype=np.float32)
    merged = merged_weight(weight, LinearUpdate(noise(2, 8), noise(6, 2), magnitude), 2.0)
    np.testing.assert_allclose(np.linalg.norm(merged, axis=1), magnitude, rtol=1e-6)


def test_ia3_scales_outputs_or_inputs() -> None:
    weight = noise(3, 2)
    out, into = np.array([1, 2, 3], np.float32), np.array([1, 10], np.float32)
    np.testing.assert_allclose(merged_weight(weight.copy(), LinearUpdate(gain=out), 0)[2], 3 * weight[2])
    scaled = merged_weight(weight.copy(), LinearUpdate(gain=into, of_input=True), 0)
    np.testing.assert_allclose(scaled[:, 1], 10 * weight[:, 1])


def test_only_q_and_k_of_some_architectures_are_permuted() -> None:
    rows = np.arange(16)
    assert (
        permute_rows("llama", "blk.0.attn_q.weight", rows, 2, 1).tolist() == halves_to_pairs(rows, 2).tolist()
    )
    assert (
        permute_rows("llama", "blk.0.attn_k.bias", rows, 2, 1).tolist() == halves_to_pairs(rows, 1).tolist()
    )
    assert permute_rows("llama", "blk.0.attn_v.weight", rows, 2, 1) is rows
    assert permute_rows("qwen2", "blk.0.attn_q.weight", rows, 2, 1) is rows


def write_folder(folder: Path, adapter: Adapter, config: dict[str, Any] | None = None) -> Path:
    """Provide an adapter as peft 0.21 and training leave it."""
    inner = "base_model.model."
    named = {
        inner + "model.embed_tokens.token_adapter.trainable_tokens_delta": np.stack(
            list(adapter.token_rows.values())
        )
    }
    for module, update in adapter.updates.items():
        named[f"{inner}{module}.lora_A.weight"] = update.down
        named[f"{inner}{module}.lora_B.weight"] = update.up
    save_file(named, str(folder / "adapter_model.safetensors"))
    settings = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 8,
        "use_rslora": True,
        "trainable_token_indices": {"embed_tokens": list(adapter.token_rows)},
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings | (config or {})))
    about = {"base": {"name": "base.gguf", "sha256": adapter.base_sha256}, "fim": {"order": "suffix_first"}}
    (folder / "fim_lsp.json").write_text(json.dumps(about))
    return folder
