from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.types import Prompt
from training.evaluate.nll import FolderScorer, middle_score


def test_a_folder_is_scored_as_its_softmax_says(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=264,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    model.save_pretrained(tmp_path)
    scorer = FolderScorer.open(tmp_path, ByteTokenizer(), end=262)
    prompt = Prompt(head=(256,), tail="a = ", stop_ids=frozenset({263}))
    score = middle_score(prompt, "b + 1", scorer)

    ids = (256, *b"a = b + 1")
    with torch.inference_mode():
        chances = model(torch.tensor([ids])).logits[0].softmax(-1).numpy()
    text = sum(np.log(chances[place - 1, ids[place]]) for place in range(5, len(ids)))
    assert score is not None
    assert score.tokens == 5
    assert score.text == pytest.approx(-text, rel=1e-4)
    assert score.end == pytest.approx(-np.log(chances[-1, 262] + chances[-1, 263]), rel=1e-4)
    assert middle_score(prompt, "x" * 64, scorer) is None
