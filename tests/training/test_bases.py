from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training.data.byte_base import MarkerTokenizer
from training.bases import BaseError, RenamedSpecials, open_base, open_vocabulary, resolve_base

_RESERVED = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>")
_JUPYTER = ("<jupyter_start>", "<jupyter_text>", "<jupyter_code>")
_QWEN = (
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|file_sep|>",
    "<|repo_name|>",
)


def _byte_letters() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in byte order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _gguf(path: Path, specials: tuple[str, ...], name: str = "tiny") -> Path:
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(path, "llama")
    tokens = [*specials, *_byte_letters(), "ab"]
    writer.add_name(name)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(specials) + [1] * 257)
    writer.add_token_merges(["a b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_base_is_a_path_or_a_name():
    assert resolve_base("models/a.gguf") == Path("models/a.gguf")
    assert resolve_base("a.gguf") == Path("a.gguf")


def test_a_vocabulary_opens_without_weights(tmp_path: Path):
    tokenizer = open_vocabulary(_gguf(tmp_path / "a.gguf", _QWEN))
    ids = tokenizer.encode("abc<|fim_middle|>é")
    assert tokenizer.decode(ids) == "abc<|fim_middle|>é"
    assert ids[0] == len(_QWEN) + 256
    assert min(ids) >= len(_QWEN)
    assert tokenizer.special("<|fim_middle|>") == 3


def test_a_base_that_knows_fim_is_taken_as_it_is(tmp_path: Path):
    base = open_base(_gguf(tmp_path / "qwen.gguf", _QWEN, "Qwen tiny"))
    assert (base.template.name, base.end, dict(base.sentinels)) == ("qwen", 0, {})
    assert base.vocabulary_size == len(_QWEN) + 257
    assert len(base.sha256) == 64


def test_a_base_without_fim_gets_its_markers_on_reserved_ids(tmp_path: Path):
    base = open_base(_gguf(tmp_path / "smol.gguf", (*_RESERVED, *_JUPYTER), "SmolLM2"))
    assert base.template.name == "fim-lsp"
    assert base.sentinels == {"<|fim_prefix|>": 6, "<|fim_suffix|>": 7, "<|fim_middle|>": 8}
    assert base.tokenizer.special("<|fim_middle|>") == 8
    assert base.tokenizer.special("<jupyter_code>") is None
    assert base.tokenizer.special("<file_sep>") == 5
    assert base.end == 0


def test_the_same_ids_serve_any_template_with_those_markers(tmp_path: Path):
    base = open_base(_gguf(tmp_path / "smol.gguf", (*_RESERVED, *_JUPYTER), "SmolLM2"), "qwen")
    assert base.template.name == "qwen"
    assert base.sentinels == {"<|fim_prefix|>": 6, "<|fim_suffix|>": 7, "<|fim_middle|>": 8}


def test_a_base_without_room_for_markers_is_refused(tmp_path: Path):
    with pytest.raises(BaseError, match="neither FIM markers nor reserved tokens"):
        open_base(_gguf(tmp_path / "a.gguf", ("<|endoftext|>",)))


def test_a_template_can_be_named(tmp_path: Path):
    path = _gguf(tmp_path / "a.gguf", (*_RESERVED, *_JUPYTER))
    assert open_base(path, "smollm2").template.name == "smollm2"
    with pytest.raises(BaseError, match="neither FIM markers"):
        open_base(path, "starcoder")


def test_what_is_no_base_is_refused(tmp_path: Path):
    with pytest.raises(BaseError, match="no base at"):
        open_base(tmp_path / "gone.gguf")
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(Exception, match=r"text\.gguf"):
        open_base(tmp_path / "text.gguf")


def test_renamed_specials_are_spelled_anew():
    inner = MarkerTokenizer("<a>", "<b>")
    renamed = RenamedSpecials(inner, {"<|fim_prefix|>": 256})
    assert renamed.special("<|fim_prefix|>") == 256
    assert renamed.special("<a>") is None
    assert renamed.special("<b>") == 257
    assert renamed.decode((97, 256, 98, 257)) == "a<|fim_prefix|>b<b>"
    assert renamed.encode("<|fim_prefix|>") == inner.encode("<|fim_prefix|>")
    assert renamed.bos is None


def test_a_hugging_face_folder_is_a_base(tmp_path: Path):
    pytest.importorskip("transformers")
    vocabulary = {letter: index for index, letter in enumerate(_byte_letters())} | {"ab": 256}
    added = [
        {"id": 257 + index, "content": text, "special": True, "normalized": False}
        | {"single_word": False, "lstrip": False, "rstrip": False}
        for index, text in enumerate(_QWEN)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": ["a b"]},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    base = open_base(tmp_path)
    assert (base.template.name, base.end, base.vocabulary_size) == ("qwen", 257, 263)
    assert base.tokenizer.encode("ab") == (256,)
    marked = base.tokenizer.encode("ab<|fim_middle|>")
    assert max(marked) < 257
    assert base.tokenizer.decode((256, 260)) == "ab<|fim_middle|>"


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path):
    pytest.importorskip("transformers")
    with pytest.raises(BaseError, match="No tokenizer can be loaded"):
        open_base(tmp_path)
