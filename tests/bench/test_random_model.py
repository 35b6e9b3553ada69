"""Random weights in true shapes, with a borrowed tokenizer."""

from __future__ import annotations

import gguf
import pytest

from benchmarks.keystrokes.random_model import SHAPES, Shape, write_random_model
from fim_lsp.engine.base import CancelToken
from fim_lsp.engine_factory import open_engine
from fim_lsp.prompt.templates import choose_template
from fim_lsp.settings import ModelSettings
from fim_lsp.types import Prompt, SamplingParams
from tests.training.tiny import SPECIALS, vocabulary

SHAPE = Shape("small-random", width=64, feed_forward=96, layers=2, heads=4, shared_heads=2)
TOKENS = 320


TUNED = {
    "<jupyter_start>": "<|fim_prefix|>",
    "<jupyter_text>": "<|fim_suffix|>",
    "<jupyter_code>": "<|fim_middle|>",
}
"""Markers that the default model has renamed."""


@pytest.fixture(scope="module", params=[{}, TUNED], ids=["base", "tuned"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("random")
    base = gguf.GGUFWriter(folder / "base.gguf", "llama")
    tokens, types = vocabulary()
    tokens = [request.param.get(token, token) for token in tokens]
    base.add_tokenizer_model("gpt2")
    base.add_tokenizer_pre("smollm")
    base.add_token_list(tokens)
    base.add_token_types(types)
    base.add_token_merges(["a b"])
    base.add_eos_token_id(2)
    base.write_header_to_file()
    base.write_kv_data_to_file()
    base.close()
    return write_random_model(SHAPE, folder / "base.gguf", folder, TOKENS)


def test_the_tensors_have_the_shapes_of_the_model(model):
    shapes = {tensor.name: tuple(map(int, tensor.shape)) for tensor in gguf.GGUFReader(model).tensors}
    assert shapes["token_embd.weight"] == (64, TOKENS)
    assert shapes["blk.1.attn_k.weight"] == (64, 32)
    assert shapes["blk.1.attn_k.bias"] == (32,)
    assert shapes["blk.0.ffn_down.weight"] == (96, 64)
    assert "output.weight" not in shapes


def test_the_server_takes_it_for_a_psm_model_and_it_says_something(model):
    engine = open_engine(ModelSettings(name=str(model), context_tokens=256), lambda _: True)
    try:
        chosen = choose_template(engine.info, engine.tokenizer, None)
        assert (chosen.template.name, chosen.template.order, chosen.source) == ("qwen", "psm", "gguf keys")
        assert engine.tokenizer.special("<|fim_suffix|>") == SPECIALS.index("<jupyter_text>")
        prompt = Prompt(engine.tokenizer.encode("def f(x):"), "")
        (generation,) = engine.generate(prompt, SamplingParams(max_tokens=4), CancelToken(), [lambda _: True])
        assert generation.timings.evaluated_tokens == len(prompt.head)
        assert any(probability < 0.99 for probability in generation.probabilities)
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("name", "parameters"), [("qwen2.5-coder-0.5b-random", 494e6), ("qwen2.5-coder-1.5b-random", 1544e6)]
)
def test_the_shapes_have_as_many_parameters_as_the_models(name, parameters):
    from benchmarks.keystrokes.random_model import _tensors

    counted = sum(rows * (columns or 1) for _, rows, columns in _tensors(SHAPES[name], 151_936))
    assert counted == pytest.approx(parameters, rel=0.001)
