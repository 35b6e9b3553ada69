from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fim_lsp.engine.base import CancelToken
from fim_lsp.settings import ModelSettings
from fim_lsp.types import Prompt, SamplingParams
from training.evaluate.nll import EngineScorer, middle_score, plain_score

if TYPE_CHECKING:
    from fim_lsp.engine.llama import LlamaEngine

pytestmark = pytest.mark.model
_PROMPT = Prompt(head=(), tail="def add(a, b):\n    return")


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[LlamaEngine]:
    from fim_lsp.engine.llama import open_llama

    path: Path = request.getfixturevalue("model_path")
    # Batches of 16, so that a middle is scored in several.
    engine = open_llama(path, ModelSettings(context_tokens=256, batch_tokens=16, ubatch_tokens=16))
    yield engine
    engine.close()


@pytest.fixture
def scorer(engine: LlamaEngine) -> EngineScorer:
    return EngineScorer(engine)


def _one_by_one(engine: LlamaEngine, given: tuple[int, ...], answer: tuple[int, ...]) -> float:
    """Provide the same, from one row of logits at a time."""
    engine.mirror.clear()
    total = 0.0
    for end in range(len(given), len(given) + len(answer)):
        row = engine.logits(Prompt((given + answer)[:end], ""))[-1].astype(np.float64)
        total -= row[answer[end - len(given)]] - np.log(np.exp(row - row.max()).sum()) - row.max()
    return total


def test_many_rows_at_once_say_the_same_as_one_by_one(scorer: EngineScorer, engine: LlamaEngine) -> None:
    middle = " a + b\n\n\ndef sub(a, b):\n    return a - b\n\n\ndef mul(a, b):\n    return a * b\n"
    score = middle_score(_PROMPT, middle, scorer)
    encode = scorer.tokenizer.encode
    assert score is not None
    assert score.tokens == len(encode(middle)) > 16
    # llama.cpp's kernels for one row and for many differ: by up to 1.1 in a logit of this Q4_1 file (0.3.36).
    assert score.text == pytest.approx(_one_by_one(engine, encode(_PROMPT.tail), encode(middle)), rel=0.05)


def test_scoring_does_not_disturb_and_is_not_disturbed(scorer: EngineScorer, engine: LlamaEngine) -> None:
    def generate() -> str:
        sampling = SamplingParams(max_tokens=8)
        return engine.generate(_PROMPT, sampling, CancelToken(), [lambda _: True])[0].text

    before = middle_score(_PROMPT, " a + b", scorer)
    generated = generate()
    again = middle_score(_PROMPT, " a + b", scorer)
    assert before is not None
    assert again is not None
    assert again.text == pytest.approx(before.text, rel=0.05)
    assert generate() == generated


def test_the_likely_is_likelier_and_any_end_counts(scorer: EngineScorer) -> None:
    good, bad = (middle_score(_PROMPT, text, scorer) for text in (" a + b", " zebra crossing"))
    assert good is not None
    assert bad is not None
    assert good.text / good.tokens < bad.text / bad.tokens
    more = Prompt(head=(), tail=_PROMPT.tail, stop_ids=frozenset(scorer.tokenizer.encode("\n")))
    ended = middle_score(more, " a + b", scorer)
    assert ended is not None
    assert ended.end < good.end


def test_what_does_not_fit_is_not_scored(scorer: EngineScorer) -> None:
    assert middle_score(_PROMPT, " x" * 300, scorer) is None
    assert plain_score("x = 1\n" * 400, scorer).tokens < 256
    assert plain_score("import os\nimport sys\n", scorer).text > 0
