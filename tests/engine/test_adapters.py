"""The contract of adapters: they change the text, and nothing evaluated under one is used under another."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from fim_lsp.engine.base import AdapterError, CancelToken
from fim_lsp.types import AppliedAdapter, FinishReason

CODE = "import os\n\n\ndef add(a, b):\n    return a + b\n\n\ndef multiply(a, b):\n    "


def test_each_adapter_changes_the_text_and_repeats_it(bench):
    plain = bench.run(bench.prompt(CODE)).text
    texts = [bench.run(bench.prompt(CODE, adapters=(adapter,))).text for adapter in bench.adapters]
    again = [bench.run(bench.prompt(CODE, adapters=(adapter,))).text for adapter in bench.adapters]
    assert len({plain, *texts}) == 4
    assert again == texts


def test_the_same_adapters_again_evaluate_nothing(bench):
    prompt = bench.prompt(CODE, adapters=bench.adapters[:2])
    bench.run(prompt)
    assert bench.run(prompt).timings.evaluated_tokens == 0


def test_several_adapters_at_once_differ_from_each(bench):
    a, b, _ = bench.adapters
    texts = {bench.run(bench.prompt(CODE, adapters=chosen)).text for chosen in ((a,), (b,), (a, b))}
    assert len(texts) == 3


@pytest.mark.parametrize("change", ["other", "none", "more", "scale", "version"])
def test_a_change_of_adapters_evaluates_everything_anew(bench, change):
    a, b, _ = bench.adapters
    changed = {
        "other": (b,),
        "none": (),
        "more": (a, b),
        "scale": (evolve(a, scale=0.5),),
        "version": (evolve(a, version=7),),
    }
    prompt = bench.prompt(CODE, adapters=(a,))
    bench.run(prompt)
    timings = bench.run(evolve(prompt, adapters=changed[change])).timings
    assert timings.reused_tokens == 0
    assert timings.evaluated_tokens == len(bench.engine.tokenizer.encode(CODE))


def test_switching_back_and_forth_generates_what_a_cold_engine_does(bench):
    a, b, _ = bench.adapters
    sets = [(), (a,), (a, b), (evolve(a, scale=0.5),), (b,)]
    cold = {}
    for chosen in sets:
        # Another prompt in between leaves nothing to reuse.
        bench.run(bench.prompt("#", adapters=chosen), max_tokens=1)
        cold[chosen] = bench.run(bench.prompt(CODE, adapters=chosen)).text
    for chosen in (*reversed(sets[:-1]), *sets[1:]):
        assert bench.run(bench.prompt(CODE, adapters=chosen)).text == cold[chosen]


def test_a_change_that_was_cancelled_leaves_nothing_behind(bench):
    a, b, c = bench.adapters
    bench.run(bench.prompt("#", adapters=(c,)), max_tokens=1)
    expected = bench.run(bench.prompt(CODE, adapters=(c,))).text
    bench.run(bench.prompt(CODE, adapters=(a,)))
    cancel = CancelToken()
    cancel.cancel()
    cancelled = bench.run(bench.prompt(CODE, adapters=(b,)), cancel=cancel)
    assert cancelled.finish_reason is FinishReason.CANCELLED
    assert bench.mirror == []
    assert bench.run(bench.prompt(CODE, adapters=(c,))).text == expected


def test_an_unknown_adapter_is_refused_by_name_and_costs_nothing(bench):
    bench.run(bench.prompt(CODE))
    held = list(bench.mirror)
    unknown = AppliedAdapter(Path("/nowhere/style.gguf"))
    with pytest.raises(AdapterError, match=r"style\.gguf") as caught:
        bench.run(bench.prompt(CODE, adapters=(bench.adapters[0], unknown)))
    assert caught.value.adapter == unknown
    assert bench.mirror == held
    assert bench.run(bench.prompt(CODE)).timings.evaluated_tokens == 0


def test_an_adapter_of_scale_0_is_refused():
    with pytest.raises(ValueError, match="leave it out"):
        AppliedAdapter(Path("a"), 0.0)
