from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fim_lsp.models import ModelError
from fim_lsp.models.gguf_format import parse_header
from fim_lsp.models.gguf_header import ArrayInfo, check_model, read_header, read_vocabulary
from tests.unit.models.tiny_gguf import Raw, Tensor, TinyGguf, tiny_llama


def refusal(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        check_model(path)
    assert str(path) in caught.value.problem
    assert caught.value.remedy
    return caught.value


def test_header_is_what_gguf_py_reads(tmp_path: Path) -> None:
    path = tmp_path / "written.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint8("a.u8", 200)
    writer.add_int8("a.i8", -7)
    writer.add_uint16("a.u16", 60000)
    writer.add_int16("a.i16", -30000)
    writer.add_uint32("a.u32", 4_000_000_000)
    writer.add_int32("a.i32", -5)
    writer.add_float32("a.f32", 0.25)
    writer.add_bool("a.bool", True)
    writer.add_string("a.text", "größer ≤ 3")
    writer.add_uint64("a.u64", 1 << 60)
    writer.add_int64("a.i64", -(1 << 60))
    writer.add_float64("a.f64", 0.1)
    writer.add_array("a.short", [3, 1, 2])
    writer.add_array("a.words", ["one", "two"])
    writer.add_array("a.long", list(range(100)))
    writer.add_array("tokenizer.ggml.tokens", [f"t{i}" for i in range(300)])
    writer.add_tensor("x.weight", np.arange(64, dtype=np.float32).reshape(2, 32))
    writer.add_tensor("y.weight", np.zeros((4, 2, 34), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    ours, theirs = read_header(path), gguf.GGUFReader(path)

    for key, entry in theirs.fields.items():
        if key.startswith("GGUF."):
            continue
        value, contents = ours.metadata[key], entry.contents()
        if isinstance(value, ArrayInfo):
            assert value.length == len(contents)
        else:
            assert (list(value) if isinstance(value, tuple) else value) == contents, key
    assert ours.metadata["a.long"].element_type == "int32"
    assert read_vocabulary(path, ours) == [f"t{i}".encode() for i in range(300)]
    assert [
        (t.name, list(t.shape), t.type.name.upper(), ours.data_offset + t.offset, t.nbytes)
        for t in ours.tensors
    ] == [
        (t.name, [int(n) for n in t.shape], t.tensor_type.name, t.data_offset, t.n_bytes)
        for t in theirs.tensors
    ]
    assert (ours.version, ours.file_size) == (3, path.stat().st_size)


@pytest.mark.parametrize(
    ("beginning", "looks_like"),
    [
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n <HTML><head>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"PK\x03\x04\x14\x00", "zip archive"),
        (b"\x80\x02}q\x00(X", "Python pickle"),
        (b"\x40\x01\0\0\0\0\0\0" + b'{"__metadata__":{}}', "safetensors"),
        (b"lmgg\x00\x7d\0\0", "before GGUF"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (bytes(64), "never got its content"),
        (b'{"error": "not found"}', "JSON"),
        (b"hello, world", "nothing known"),
    ],
)
def test_other_files_are_called_what_they_are(tmp_path: Path, beginning: bytes, looks_like: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(beginning + b"\n" * 100)
    assert looks_like in refusal(path).problem


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    assert "There is no file" in refusal(tmp_path / "nowhere.gguf").problem
    assert "is a directory" in refusal(tmp_path).problem
    (tmp_path / "empty.gguf").touch()
    assert "is empty" in refusal(tmp_path / "empty.gguf").problem


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes by name here")
def test_a_pipe_is_refused_instead_of_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "pipe" in refusal(tmp_path / "pipe.gguf").problem


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_llama().write(tmp_path / "locked.gguf")

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", deny)
    assert "may not be read" in refusal(path).problem


@pytest.mark.parametrize(("version", "says"), [(1, "older"), (4, "newer"), (0x03000000, "big-endian")])
def test_other_versions_are_refused(tmp_path: Path, version: int, says: str) -> None:
    model = tiny_llama()
    model.version = version
    assert says in str(refusal(model.write(tmp_path / "model.gguf")))


def test_a_big_endian_file_is_refused_as_such(tmp_path: Path) -> None:
    model = tiny_llama()
    model.order = ">"
    assert "big-endian" in refusal(model.write(tmp_path / "model.gguf")).problem


def test_a_cut_header_is_refused(tmp_path: Path) -> None:
    path = tiny_llama().write(tmp_path / "model.gguf")
    os.truncate(path, 500)
    assert "cut off" in refusal(path).problem


def test_cut_weights_are_refused_with_what_is_missing(tmp_path: Path) -> None:
    path = tiny_llama().write(tmp_path / "model.gguf")
    os.truncate(path, path.stat().st_size - 1234)
    error = refusal(path)
    assert "1234 bytes are missing" in error.problem
    assert "Fetch the file again" in error.remedy


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"general.type": "adapter"}, "a LoRA adapter"),
        ({"general.type": "mmproj"}, "image encoder"),
        ({"general.type": "imatrix"}, "importance matrix"),
        ({"general.architecture": "clip"}, "image encoder"),
        ({"general.architecture": "nomic-bert"}, "text encoder"),
        ({"general.architecture": "whisper"}, "stream"),
        ({"general.architecture": "t5encoder"}, "text encoder"),
        ({"general.architecture": ""}, "doesn't name the architecture"),
    ],
)
def test_other_things_than_text_decoders_are_refused(
    tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    model = tiny_llama()
    model.metadata |= changes
    assert says in refusal(model.write(tmp_path / "model.gguf")).problem


class TestSplitModels:
    def parts(self, folder: Path, count: int, stem: str = "model") -> list[Path]:
        whole, paths = tiny_llama(), []
        for number in range(count):
            first = number == 0
            part = TinyGguf(whole.metadata if first else {}, whole.tensors[number::count])
            part.metadata |= {"split.no": Raw("uint16", number), "split.count": Raw("uint16", count)}
            paths.append(part.write(folder / f"{stem}-{number + 1:05}-of-{count:05}.gguf"))
        return paths

    def test_complete(self, tmp_path: Path) -> None:
        assert check_model(self.parts(tmp_path, 3)[0]).architecture == "llama"

    def test_missing_parts_are_named(self, tmp_path: Path) -> None:
        first, second, third = self.parts(tmp_path, 3)
        second.unlink()
        assert f"{second.name} is not beside it" in refusal(first).problem
        third.unlink()
        assert f"{second.name}, {third.name} are not beside it" in refusal(first).problem

    def test_a_cut_part_is_refused(self, tmp_path: Path) -> None:
        first, second = self.parts(tmp_path, 2)
        os.truncate(second, second.stat().st_size - 10)
        with pytest.raises(ModelError, match=f"{second.name} is cut off"):
            check_model(first)

    def test_a_later_or_renamed_part_is_refused(self, tmp_path: Path) -> None:
        first, second = self.parts(tmp_path, 2)
        assert "later part" in refusal(second).problem
        assert "not named so" in refusal(first.rename(tmp_path / "model.gguf")).problem


def put(key: str, value: object) -> Callable[[TinyGguf], None]:
    return lambda model: model.metadata.update({key: value})


def drop(key: str) -> Callable[[TinyGguf], None]:
    return lambda model: model.metadata.pop(key) and None


def tensor(name: str, **changes: object) -> Callable[[TinyGguf], None]:
    def change(model: TinyGguf) -> None:
        for attribute, value in changes.items():
            setattr(model.tensor(name), attribute, value)

    return change


def without_tensor(name: str) -> Callable[[TinyGguf], None]:
    return lambda model: model.tensors.remove(model.tensor(name))


def sentencepiece(bytes_known: int) -> Callable[[TinyGguf], None]:
    def change(model: TinyGguf) -> None:
        tokens = [f"<0x{byte:02X}>" for byte in range(bytes_known)]
        model.metadata |= {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens}
        model.tensor("token_embd.weight").shape = [32, len(tokens)]

    return change


TOKENS = [f"t{i}" for i in range(64)]
CRASHES: dict[str, tuple[Callable[[TinyGguf], None], str]] = {
    "no tokenizer": (drop("tokenizer.ggml.model"), "no tokenizer"),
    "empty tokenizer": (put("tokenizer.ggml.model", "none"), "no tokenizer"),
    "wordpiece": (put("tokenizer.ggml.model", "bert"), "WordPiece"),
    "no vocabulary": (drop("tokenizer.ggml.tokens"), "without a vocabulary"),
    "vocabulary of numbers": (put("tokenizer.ggml.tokens", [1] * 64), "without a vocabulary"),
    "short vocabulary": (put("tokenizer.ggml.tokens", TOKENS[:60]), "60 tokens"),
    "token twice": (put("tokenizer.ggml.tokens", [*TOKENS[:63], "t5"]), "'t5' twice"),
    "token twice up to a NUL": (put("tokenizer.ggml.tokens", [*TOKENS[:63], "t5\0x"]), "'t5' twice"),
    "unspellable byte": (sentencepiece(200), "byte 0xC8"),
    "no layers": (put("llama.block_count", 0), "0 layers"),
    "too many layers": (put("llama.block_count", 513), "513 layers"),
    "layers unsaid": (drop("llama.block_count"), "no layers"),
    "no width": (put("llama.embedding_length", 0), "embedding of 0"),
    "absurd width": (put("llama.embedding_length", 1 << 31), "embedding of 2147483648"),
    "no heads": (put("llama.attention.head_count", 0), "0 attention heads"),
    "no heads in any layer": (put("llama.attention.head_count", [0, 0]), "attention heads"),
    "no key heads": (put("llama.attention.head_count_kv", 0), "0 key and value heads"),
    "uneven heads": (put("llama.attention.head_count_kv", 3), "share evenly"),
    "heads unlike the tensors": (put("llama.attention.head_count_kv", [1, 2]), "attn_k of layer 1"),
    "empty heads": (put("llama.attention.key_length", 0), "heads of 0 numbers"),
    "odd heads": (put("llama.rope.dimension_count", 15), "turns 15 numbers"),
    "rope wider than heads": (put("llama.rope.dimension_count", 18), "turns 18 numbers"),
    "unknown rope scaling": (put("llama.rope.scaling.type", "foo"), "unknown way (foo)"),
    "experts that are not there": (put("llama.expert_used_count", 2), "experts that it doesn't have"),
    "experts unused": (put("llama.expert_count", 4), "uses 0 of 4 experts"),
    "too many experts": (put("llama.expert_count", 513), "513 experts"),
    "draft layers": (put("llama.nextn_predict_layers", 3), "predict ahead"),
    "negative epsilon": (put("llama.attention.layer_norm_rms_epsilon", -1.0), "epsilon -1.0"),
    "no number": (put("llama.attention.layer_norm_rms_epsilon", float("nan")), "epsilon nan"),
    "no weights": (lambda model: model.tensors.clear(), "no weights"),
    "no embedding": (without_tensor("token_embd.weight"), "no token embedding"),
    "empty tensor": (tensor("blk.0.ffn_up.weight", shape=[32, 0]), "empty tensor"),
    "weights of indices": (tensor("blk.0.ffn_up.weight", type=26), "can't be multiplied"),
    "weights of activations": (tensor("blk.0.ffn_up.weight", type=9), "type for activations"),
    "norm of halves": (tensor("output_norm.weight", type=1), "norm or bias that is not f32"),
    "misaligned": (tensor("blk.0.ffn_up.weight", offset=8 * 1024 + 16), "misaligned"),
}


@pytest.mark.parametrize("name", CRASHES)
def test_what_llama_cpp_crashes_on_or_refuses_is_refused(tmp_path: Path, name: str) -> None:
    change, says = CRASHES[name]
    model = tiny_llama()
    change(model)
    error = refusal(model.write(tmp_path / "model.gguf"))
    assert says in error.problem
    assert "llama.cpp can't run it" in error.problem


DAMAGED: dict[str, tuple[Callable[[TinyGguf], None], str]] = {
    "alignment": (put("general.alignment", 12), "power of two"),
    "unknown value type": (put("x", Raw(13, b"1234")), "unknown type 13"),
    "unknown element type": (put("x", Raw(9, b"\x0d\0\0\0" + b"\x50" + bytes(7))), "unknown type 13"),
    "unknown tensor type": (tensor("blk.0.ffn_up.weight", type=99), "type 99"),
    "removed tensor type": (tensor("blk.0.ffn_up.weight", type=31), "type 31"),
    "impossible shape": (tensor("blk.0.ffn_up.weight", shape=[1 << 62, 4]), "impossible shape"),
    "negative shape": (tensor("blk.0.ffn_up.weight", shape=[-32, 4]), "impossible shape"),
    "broken blocks": (tensor("blk.0.ffn_up.weight", shape=[33, 4], type=8), "rows come in 32s"),
    "five dimensions": (tensor("blk.0.ffn_up.weight", shape=[1, 1, 1, 1, 1]), "5 dimensions"),
    "long name": (lambda model: model.tensors.append(Tensor("x" * 64, [1])), "longer than 63"),
    "same name": (lambda model: model.tensors.append(Tensor("output_norm.weight", [1])), "same name"),
    "no key": (put("", 1), "given twice or is empty"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_headers_are_refused(tmp_path: Path, name: str) -> None:
    change, says = DAMAGED[name]
    model = tiny_llama()
    change(model)
    assert says in refusal(model.write(tmp_path / "model.gguf")).problem


@pytest.mark.parametrize("claim", [1 << 30, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("kind", ["string", "bytes", "strings", "tensors", "entries"])
def test_lengths_in_the_file_are_never_believed(tmp_path: Path, kind: str, claim: int) -> None:
    model, length = tiny_llama(), claim.to_bytes(8, "little")
    if kind in ("tensors", "entries"):
        model.counts = (claim, 3) if kind == "tensors" else (3, claim)
    else:
        element = {"string": b"", "bytes": b"\0\0\0\0", "strings": b"\x08\0\0\0"}[kind]
        model.metadata["x"] = Raw(9 if element else 8, element + length)
    path = model.write(tmp_path / "model.gguf")
    begin = time.perf_counter()
    refusal(path)
    assert time.perf_counter() - begin < 1


@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_damage_raises_nothing_but_model_errors(tmp_path: Path, data: st.DataObject) -> None:
    model = tiny_llama()
    written = bytearray(model.header())
    flips = st.lists(st.tuples(st.integers(0, len(written) - 1), st.integers(0, 255)), max_size=8)
    for position, value in data.draw(flips):
        written[position] = value
    kept = data.draw(st.integers(0, len(written)) | st.just(len(written)))
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(written[:kept]) + (model.data() if kept == len(written) else b""))
    with contextlib.suppress(ModelError):
        check_model(path)


@settings(max_examples=200, deadline=1000)
@given(st.binary(max_size=400))
def test_random_bytes_after_the_magic_raise_nothing_but_model_errors(rest: bytes) -> None:
    with contextlib.suppress(ModelError):
        parse_header(b"GGUF\x03\0\0\0" + rest, Path("model.gguf"))


def test_experts_may_be_counted_layer_by_layer(tmp_path: Path) -> None:
    model = tiny_llama()
    model.metadata |= {"llama.expert_count": 4, "llama.expert_used_count": [2, 1]}
    check_model(model.write(tmp_path / "model.gguf"))


def test_per_layer_heads_of_hybrids_are_let_through(tmp_path: Path) -> None:
    model = tiny_llama()
    model.metadata |= {"llama.attention.head_count": [2, 2], "llama.attention.head_count_kv": [1, 1]}
    check_model(model.write(tmp_path / "model.gguf"))
