"""The prompt that is served is the document's, and its logits are those of a cold evaluation.

Random jumps, edits, pauses, resting cursors, aborts, and changes of the layout and of the limit for cold
prompts, through the same prompts and plans that the server uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fim_lsp.completion.prompts import PlannedPrefill, Prompts
from fim_lsp.engine.base import CancelToken, PromptTooColdError
from fim_lsp.engine.llama import LlamaEngine, open_llama
from fim_lsp.prompt.templates import ChosenTemplate
from fim_lsp.settings import PromptSettings, Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, FimTemplate, Order, Prompt, SamplingParams
from tests.engine.test_cold_equality import SMALL, TOLERANCE, abort_after, cold_logits, logits_of
from tests.engine.tiny_model import ALPHABET, write_random_llama

TEXT = "A = (B)\nC.D = E\nF(A)\nB = A.C(D)\n" * 10
FEW = 20
"""Tokens of a short prompt, so few that one in between follows."""
ORDERS: tuple[Order, ...] = ("psm", "suffix_first", "spm")


@frozen
class Action:
    """Something that the user does in one of two documents."""

    document: int
    jump: int | None
    """Line to put the cursor on; None to stay."""
    erased: int
    typed: str
    layout: str
    cold_tokens: int | None
    """The tokens that a cold prompt may have; so few that one in between follows, or None for no limit."""
    pauses: bool
    rests: bool
    """True if the client tells where the cursor rests before a key is typed."""
    abort_after: int | None
    """Nodes of the graph after which each evaluation is aborted; None for never."""


_actions = st.lists(
    st.builds(
        Action,
        document=st.sampled_from([0, 0, 0, 1]),
        jump=st.one_of(st.none(), st.none(), st.integers(0, 39)),
        erased=st.integers(0, 6),
        typed=st.text(ALPHABET, max_size=12),
        layout=st.sampled_from(["auto", "auto", "auto", "plain", "anchored"]),
        cold_tokens=st.sampled_from([70, 70, FEW, None]),
        pauses=st.booleans(),
        rests=st.booleans(),
        abort_after=st.one_of(st.none(), st.none(), st.none(), st.integers(0, 300)),
    ),
    max_size=10,
)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LlamaEngine, LlamaEngine]]:
    path: Path = write_random_llama(tmp_path_factory.mktemp("tiny") / "base.gguf")
    warm = open_llama(path, evolve(SMALL, speculation="on"))
    cold = open_llama(path, evolve(SMALL, speculation="off"))
    yield warm, cold
    warm.close()
    cold.close()


def evaluate_plan(engine: LlamaEngine, prompts: Prompts, plan: Iterable[PlannedPrefill]) -> None:
    """Evaluate planned prompts and adopt their bases, as idle prefill does."""
    for planned in plan:
        try:
            engine.prefill(planned.prompt, CancelToken())
        except PromptTooColdError:
            continue
        if planned.base is not None:
            prompts.adopt(planned.base)


def generate(
    engine: LlamaEngine, prompts: Prompts, request: CompletionRequest, wanted: Settings, tokens: int | None
) -> Prompt:
    """Generate at a cursor as an in-flight generation does; return the prompt that was used."""
    prompt = prompts.current(request, wanted, tokens)
    sampling = SamplingParams(max_tokens=3)
    try:
        engine.generate(prompt, sampling, CancelToken(), [lambda _: True])
    except PromptTooColdError:
        assert tokens is not None
        prompt = prompts.shortened(request, wanted, tokens)
        engine.generate(prompt, sampling, CancelToken(), [lambda _: True])
    return prompt


def text_of(engine: LlamaEngine, tokens: Iterable[int]) -> str:
    return engine.tokenizer.decode(tuple(tokens))


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=_actions)
def test_the_served_prompt_is_the_documents_and_equals_a_cold_one(
    engines, order: Order, actions: list[Action]
):
    warm, cold = engines
    warm.mirror.clear()
    prompts = Prompts(warm, ChosenTemplate(FimTemplate("bare", order=order), "settings", ""))
    texts, cursors = [TEXT, TEXT.replace("A", "F")], [40, 40]
    for version, action in enumerate(actions):
        wanted = Settings(prompt=PromptSettings(max_tokens=244, layout=action.layout, heal_tokens=False))
        tokens = action.cold_tokens
        engine = evolve(warm, abort_callback=abort_after(action.abort_after))
        index = action.document
        text, cursor = texts[index], cursors[index]
        if action.jump is not None:
            starts = [0, *(position + 1 for position, char in enumerate(text) if char == "\n")]
            cursor = starts[min(action.jump, len(starts) - 1)]
        uri = f"file:///{index}.py"
        if action.rests:
            resting = CompletionRequest(DocumentSnapshot(uri, "python", version, text), cursor)
            evaluate_plan(engine, prompts, prompts.plan_at_rest(resting, wanted, tokens))
        start = max(0, cursor - action.erased)
        text = text[:start] + action.typed + text[cursor:]
        cursor = start + len(action.typed)
        texts[index], cursors[index] = text, cursor
        request = CompletionRequest(DocumentSnapshot(uri, "python", version, text), cursor)
        prompt = generate(engine, prompts, request, wanted, tokens)
        served = logits_of(warm, prompt)
        evaluated = tuple(warm.mirror.tokens)
        assert text_of(warm, evaluated) == text_of(warm, prompt.head) + prompt.tail
        if prompt.tail:
            # Windows are small here: a tail may begin within a line.
            assert text[:cursor].endswith(prompt.tail[-8:])
        elif order != "psm":
            # A short prompt may hold no more than the cursor's line of the text before it, and a token is a
            # character here: of twenty, few stand before the cursor.
            shown = 2 if action.cold_tokens == FEW else 8
            assert text[:cursor].rpartition("\n")[2][-shown:] in text_of(warm, evaluated)
        np.testing.assert_allclose(served, cold_logits(cold, evaluated, ()), atol=TOLERANCE)
        if action.pauses:
            evaluate_plan(engine, prompts, prompts.plan_next(request, wanted))
