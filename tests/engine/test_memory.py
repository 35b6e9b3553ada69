"""The contract of every engine with a repository memory: an engine without logits ignores it."""

from __future__ import annotations

import pytest
from attrs import evolve

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.memory import ChunkEncoder, MemoryPart, RepositoryMemory, TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.stream import MemoryIndex
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.types import MemoryUse, Prompt, SamplingParams
from tests.engine.conftest import Bench

CODE = "from widgets import align\n\n\ndef show(left, right):\n    value = align_"
COPIED = "align_quokka_baseline(left, right, tolerance=0.125)"
REPOSITORY = "".join(
    f"def f{n}(left, right):\n    value = {COPIED}\n    return value\n\n\n" for n in range(8)
)


def _part(
    bench, text: str, path: str = "/project/other.py", excluded: frozenset[str] = frozenset()
) -> MemoryPart:
    tokens = ChunkEncoder(bench.engine.tokenizer.encode).encode(text)
    return MemoryPart(TokenCorpus.build([TokenizedFile(path, tokens)]), excluded)


def _memory(bench, *texts: str, before: str = CODE, after: str = "\n    return value\n") -> RepositoryMemory:
    parts = tuple(_part(bench, text) for text in texts)
    return RepositoryMemory(before, after, "/project/here.py", parts)


def _prompt(bench, memory: RepositoryMemory | None, tail: str = CODE, **options: object) -> Prompt:
    return bench.prompt(tail, memory=memory, **options)


def test_a_memory_that_does_not_match_changes_nothing_to_the_bit(bench):
    bench.run(_prompt(bench, None), max_tokens=1)
    # Both evaluate the last token alone: a whole prompt is computed by other kernels, with other bits.
    alone = bench.run(_prompt(bench, None), max_tokens=12)
    memory = _memory(bench, "\u4e00\u4e01 " * 50, before="", after="")
    with_memory = bench.run(_prompt(bench, memory), max_tokens=12)
    assert with_memory.text == alone.text
    assert with_memory.probabilities == alone.probabilities
    assert with_memory.memory == MemoryUse()


def test_an_index_that_fails_is_an_error_of_the_generation(bench, monkeypatch):
    if isinstance(bench.engine, ScriptedEngine):
        pytest.skip("it has no logits")

    def fail(*given: object) -> None:
        raise ValueError("planted")

    memory = _memory(bench, REPOSITORY)
    monkeypatch.setattr(MemoryIndex, "of", fail)
    with pytest.raises(ValueError, match="planted"):
        bench.run(_prompt(bench, memory), max_tokens=4)
    monkeypatch.undo()
    assert bench.run(_prompt(bench, memory), max_tokens=4).text


def test_the_repository_completes_what_the_model_can_not_know(bench):
    if isinstance(bench.engine, ScriptedEngine):
        pytest.skip("it has no logits")
    alone = bench.run(_prompt(bench, None), max_tokens=20)
    generation = bench.run(_prompt(bench, _memory(bench, REPOSITORY)), max_tokens=20)
    assert not alone.text.startswith("quokka")
    assert generation.text.startswith(COPIED.removeprefix("align_"))
    use = generation.memory
    assert 0 < len(use.decided) < len(generation.probabilities)
    assert (use.path, use.line % 5) == ("/project/other.py", 1)
    assert use.matched_tokens >= 2


def test_the_evaluated_tokens_are_the_same_with_a_memory(bench):
    memory = _memory(bench, REPOSITORY)
    timings = bench.run(_prompt(bench, memory), max_tokens=4).timings
    assert timings.evaluated_tokens == len(bench.engine.tokenizer.encode(CODE))
    assert bench.run(_prompt(bench, None), max_tokens=4).timings.evaluated_tokens == 0


def test_a_prefill_tokenises_the_document_for_the_memory(bench):
    if isinstance(bench.engine, ScriptedEngine):
        pytest.skip("it has no logits")
    prompt = _prompt(bench, _memory(bench, before=REPOSITORY + CODE))
    bench.engine.prefill(prompt, CancelToken())
    chunks = bench.engine._chunks._encode_chunk
    tokenised = chunks.cache_info().misses
    assert tokenised
    bench.run(prompt, max_tokens=2)
    assert chunks.cache_info().misses == tokenised


def test_an_excluded_file_does_not_vote(bench):
    alone = bench.run(_prompt(bench, _memory(bench)), max_tokens=12)
    memory = evolve(
        _memory(bench), parts=(_part(bench, REPOSITORY, excluded=frozenset({"/project/other.py"})),)
    )
    assert bench.run(_prompt(bench, memory), max_tokens=12).text == alone.text


def test_a_draft_never_changes_the_text_with_a_memory(bench):
    memory = _memory(bench, REPOSITORY)
    expected = bench.run(_prompt(bench, memory), max_tokens=16)
    bench.engine.mirror.clear()
    drafted = bench.run(_prompt(bench, memory, draft=CODE + "quokka_baseline(left, up)"), max_tokens=16)
    assert drafted.text == expected.text


def test_the_first_candidate_with_a_memory_is_the_single_generation(bench):
    memory = _memory(bench, REPOSITORY)
    alone = bench.run(_prompt(bench, memory), max_tokens=12)
    first, *others = bench.run_candidates(_prompt(bench, memory), max_tokens=12)
    assert first.text == alone.text
    # Batches of other shapes round otherwise, so which token was decided may differ.
    assert first.memory.path == alone.memory.path
    assert len({first.text, *(other.text for other in others)}) == 1 + len(others)


def test_a_word_cut_in_half_is_healed_from_the_repository(bench):
    if isinstance(bench.engine, ScriptedEngine):
        pytest.skip("it heals no tokens")
    cut = CODE + "quokka_base"
    memory = _memory(bench, REPOSITORY, before=cut)
    generation = bench.run(_prompt(bench, memory, cut, heal=True), max_tokens=8)
    assert generation.text.startswith("line(left, right")


def test_drawn_tokens_follow_the_mixture(bench):
    if isinstance(bench.engine, ScriptedEngine):
        pytest.skip("it draws nothing")
    prompt = _prompt(bench, _memory(bench, REPOSITORY), CODE)
    texts = [
        bench.engine.generate(
            prompt, SamplingParams(12, temperature=0.8, seed=seed), CancelToken(), [lambda _: True]
        )[0].text
        for seed in range(4)
    ]
    assert any(text.startswith("quokka") for text in texts)


def test_excluded_text_is_avoided_in_the_mixture(bench):
    memory = _memory(bench, REPOSITORY)
    first = bench.run(_prompt(bench, memory), max_tokens=4).text
    sampling = SamplingParams(max_tokens=4, excluded_prefix=first)
    (other,) = bench.engine.generate(_prompt(bench, memory), sampling, CancelToken(), [lambda _: True])
    assert not other.text.startswith(first)


def test_every_generation_is_the_same_with_one_corpus_or_several(bench):
    halves = REPOSITORY[: len(REPOSITORY) // 2], REPOSITORY[len(REPOSITORY) // 2 :]
    texts = {
        bench.run(_prompt(bench, _memory(bench, *parts)), max_tokens=16).text
        for parts in ((REPOSITORY,), halves, halves[::-1])
    }
    assert len(texts) == 1


def test_the_memory_is_no_part_of_what_is_evaluated():
    memory = RepositoryMemory("a", "b")
    assert Prompt((1,), "x", memory=memory) == Prompt((1,), "x")


@pytest.mark.model
def test_a_long_match_is_drafted(request):
    engine = request.getfixturevalue("drafting_engine")
    engine.mirror.clear()
    bench = Bench(engine)
    before = CODE + "quokka_baseline(left"
    memory = _memory(bench, REPOSITORY, before=before)
    generation = bench.run(_prompt(bench, memory, before), max_tokens=12)
    assert generation.text.startswith(", right, tolerance=0.125)")
    assert generation.timings.accepted_tokens >= 6
