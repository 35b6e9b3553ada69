"""With the repository memory off, or with nothing in it, nothing changes, to the bit.

Sampling, drafts and candidates are the real ones. The model is one in numpy, whose logits are drawn at random
for each run of tokens, so that many texts and settings take little time. A few run on real weights, too.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from attrs import define, evolve, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.completion.open_documents import OpenDocuments
from fim_lsp.completion.request_memories import RequestMemories
from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.memory import ChunkEncoder, MemoryPart, RepositoryMemory, TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.gate import Gate
from fim_lsp.engine.memory.stream import MemoryIndex
from fim_lsp.engine.sampling import Logits, sample
from fim_lsp.engine.speculation import DRAFT_TOKENS, Speculator
from fim_lsp.engine.token_stream import TokenStream
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.settings import MemorySettings, Settings
from fim_lsp.types import (
    CompletionRequest,
    DocumentSnapshot,
    FinishReason,
    MemoryUse,
    SamplingParams,
    Speculation,
    StreamedToken,
)

WORDS = ("def", "return", " left", " right", "    ", "\n    ", "\n", " = ", "total", "(", ")", ", ")
PIECES = (*(bytes([byte]) for byte in range(128)), *(word.encode() for word in WORDS if len(word) > 1), b"")
END = len(PIECES) - 1
OTHER, HERE = "/project/other.py", "/project/here.py"
CODE = "".join(f"def total(left, right):\n    return left = {n}\n" for n in range(6))


def encode(text: str) -> tuple[int, ...]:
    """Return the longest tokens that spell a text, from its beginning."""
    tokens, data = [], text.encode("ascii", "replace")
    while data:
        token = max((i for i, piece in enumerate(PIECES) if piece and data.startswith(piece)), key=_length)
        tokens.append(token)
        data = data[len(PIECES[token]) :]
    return tuple(tokens)


def _length(token: int) -> int:
    return len(PIECES[token])


@define
class NumpyMirror:
    """The tokens of each sequence."""

    states: list[NumpySequence]
    current: int = 1

    @property
    def tokens(self) -> list[int]:
        return self.states[self.current].tokens

    def window(self, count: int) -> range:
        return range(self.current, self.current + count)

    def keep_logits(self, rows: Sequence[Logits]) -> None:
        """Nothing is kept: each case asks for one generation."""


@define
class NumpySequence:
    tokens: list[int] = field(factory=list)


@define
class NumpyCache:
    """A cache whose model draws its logits at random, always the same ones behind the same tokens."""

    seed: int
    spread: float
    mirror: NumpyMirror = field(factory=lambda: NumpyMirror([NumpySequence() for _ in range(4)]))
    rows: list[Logits] = field(factory=list)

    def row(self, tokens: Sequence[int]) -> Logits:
        # Of the last tokens alone, so that text repeats itself and drafts are right now and then.
        state = zlib.crc32(bytes(tokens[-2:]), self.seed)
        row = np.random.default_rng(state).normal(0, self.spread, len(PIECES)).astype(np.float32)
        row[[END, PIECES.index(b"\n")]] += np.float32(self.spread)
        return row

    def decode(self, tokens: Sequence[int], logits: int) -> bool:
        self.rows = []
        for token in tokens:
            self.mirror.tokens.append(token)
            self.rows.append(self.row(self.mirror.tokens))
        return True

    def decode_side_by_side(self, tokens: Sequence[tuple[int, int]]) -> bool:
        self.rows = []
        for sequence, token in tokens:
            self.mirror.states[sequence].tokens.append(token)
            self.rows.append(self.row(self.mirror.states[sequence].tokens))
        return True

    def logits(self, row: int = -1) -> Logits:
        return self.rows[row]

    def last_logits(self, count: int) -> list[Logits]:
        return self.rows[-count:]

    def drop_beyond(self, keep: int) -> bool:
        del self.mirror.tokens[keep:]
        return True

    @contextmanager
    def forked(self, window: range) -> Iterator[tuple[int, ...]]:
        others = tuple(sequence for sequence in window if sequence != self.mirror.current)
        for other in others:
            self.mirror.states[other].tokens = list(self.mirror.tokens)
        yield others


@frozen
class Case:
    """A request to the model in numpy."""

    text: str
    sampling: SamplingParams
    seed: int = 0
    spread: float = 2.0
    candidates: int = 1
    healing: bytes = b""
    drafts: bool = False
    former: str = ""
    ends: bool = True

    def run(self, memory: RepositoryMemory | None) -> list[object]:
        """Return all that is sampled, bit for bit, and what was evaluated."""
        from fim_lsp.engine.llama.decoding import decode_stream, decode_streams

        cache, streamed = NumpyCache(self.seed, self.spread), list[object]()
        cache.decode(encode(self.text) or (0,), logits=1)
        vocabulary = Vocabulary(PIECES, {END} if self.ends else ())
        index = None if memory is None else MemoryIndex.of(memory, ChunkEncoder(encode), Gate(), self.healing)

        def note(number: int, token: StreamedToken) -> bool:
            streamed.append((number, evolve(token, elapsed_ms=0.0)))
            return True

        streams = [
            TokenStream(
                *(vocabulary, vocabulary.ends, self.sampling, self.sampling.max_tokens),
                lambda token, number=number: note(number, token),
                *(self.healing, None if index is None else index.begin()),
            )
            for number in range(self.candidates)
        ]
        if self.candidates == 1:
            speculator = Speculator(Speculation(DRAFT_TOKENS, 1.0))
            drafter = speculator.begin(cache.mirror.tokens, encode(self.former)) if self.drafts else None
            cost = decode_stream(cache, cache.logits(), streams[0], CancelToken(), drafter)
        else:
            cost = decode_streams(cache, cache.logits(), streams, CancelToken())
        done = [evolve(each.generation(cost), timings=cost) for each in streams if each.count]
        return [done, streamed, [each.tokens for each in cache.mirror.states]]

    def run_without_streams(self) -> tuple[list[int], list[float], bool]:
        """Return the tokens and probabilities of a plain loop, and whether it ended by itself."""
        cache, rng = NumpyCache(self.seed, self.spread), np.random.default_rng(self.sampling.seed)
        tokens, sampled, probabilities = list(encode(self.text) or (0,)), list[int](), list[float]()
        while len(sampled) < self.sampling.max_tokens:
            token, probability = sample(cache.row(tokens), self.sampling, rng)
            probabilities.append(probability)
            if self.ends and token == END:
                return sampled, probabilities, True
            sampled.append(token)
            tokens.append(token)
        return sampled, probabilities, False


TEXTS = st.lists(st.sampled_from((*WORDS, "x", "value", "1")), max_size=30).map("".join)
DRAWN = st.builds(
    SamplingParams,
    max_tokens=st.integers(1, 12),
    temperature=st.floats(0.1, 2),
    top_k=st.sampled_from((0, 1, 5, 40)),
    top_p=st.floats(0.05, 1),
    seed=st.integers(0, 9),
)
GREEDY = st.builds(SamplingParams, max_tokens=st.integers(1, 12), end_bias=st.floats(0, 3))
SAMPLING = st.tuples(GREEDY | DRAWN, st.sampled_from(("", "def", "x", "\n"))).map(
    lambda drawn: evolve(drawn[0], excluded_prefix=drawn[1])
)
CASES = st.builds(
    Case,
    text=TEXTS,
    sampling=SAMPLING,
    seed=st.integers(0, 1 << 20),
    spread=st.sampled_from((0.5, 2.0, 6.0)),
    candidates=st.integers(1, 3),
    healing=st.sampled_from((b"", b"re", b"\n  ", b" l")),
    drafts=st.booleans(),
    former=TEXTS,
    ends=st.booleans(),
)


def _part(*texts: str, excluded: frozenset[str] = frozenset()) -> MemoryPart:
    files = [TokenizedFile(OTHER, np.array(encode(text), np.int32)) for text in texts]
    return MemoryPart(TokenCorpus.build(files), excluded)


def _empty_memories(others: Sequence[str], *, healed: bool) -> Iterator[RepositoryMemory]:
    """Yield memories in which nothing may vote: no text, no files, or files that are all left out."""
    # Two tokens that stand in the files. In the document itself nothing follows them.
    before = "" if healed else "total("
    yield RepositoryMemory()
    yield RepositoryMemory(before, path=HERE, parts=(_part(),))
    yield RepositoryMemory(before, path=HERE, parts=(_part(CODE, *others, excluded=frozenset({OTHER})),))
    yield RepositoryMemory(before, path=HERE, parts=(_part(), _part(CODE, *others).without({OTHER})))


@settings(deadline=None)
@given(CASES, st.lists(TEXTS, max_size=3))
def test_an_empty_memory_changes_nothing(case: Case, others: list[str]) -> None:
    alone = case.run(None)
    assert all(generation.memory == MemoryUse() for generation in alone[0])
    for memory in _empty_memories(others, healed=bool(case.healing)):
        assert case.run(memory) == alone


@settings(deadline=None)
@given(CASES)
def test_without_a_memory_the_model_alone_is_sampled(case: Case) -> None:
    # Where nothing but the distribution decides, a loop of a few lines says what must come.
    plain = evolve(case, candidates=1, healing=b"", sampling=evolve(case.sampling, excluded_prefix=""))
    if plain.sampling.temperature == 0:
        plain = evolve(plain, ends=False)
    sampled, probabilities, ended = plain.run_without_streams()
    (generation,), _, _ = plain.run(None)
    assert generation.text == b"".join(PIECES[token] for token in sampled).decode()
    assert generation.probabilities == tuple(probabilities)
    assert generation.finish_reason is (FinishReason.END if ended else FinishReason.LENGTH)


HISTORIES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("oecu"), TEXTS), max_size=12)


@settings(deadline=None)
@given(HISTORIES, TEXTS)
def test_the_setting_turns_everything_off_whatever_was_open_or_indexed(history, text: str) -> None:
    documents = OpenDocuments()
    memories = RequestMemories(documents, lambda path: (_part(text, CODE),))
    memories.model_changed(encode)
    off = Settings(memory=MemorySettings(enabled=False))
    for version, (name, event, content) in enumerate(history):
        document = DocumentSnapshot(f"file:///project/{name}.py", "python", version, content)
        if event == "o":
            documents.opened(document)
        elif event == "e":
            documents.edited(document.uri, version, content)
        elif event == "c":
            documents.closed(document.uri)
        else:
            documents.used(document.uri)
        assert memories.of(CompletionRequest(document, len(content) // 2), off) is None
        assert not memories.building


@pytest.mark.parametrize("sampling", [SamplingParams(12), SamplingParams(12, temperature=0.8, seed=3)])
@pytest.mark.parametrize("candidates", [1, 3])
def test_a_memory_in_force_does_change_what_is_sampled(sampling: SamplingParams, candidates: int) -> None:
    case = Case("def total(left, right):\n    return", sampling, candidates=candidates)
    memory = RepositoryMemory(case.text, "", HERE, (_part(CODE),))
    assert case.run(memory) != case.run(None)


@pytest.mark.parametrize(
    ("sampling", "candidates"),
    [
        (SamplingParams(6, excluded_prefix="left", end_bias=2.0), 1),
        (SamplingParams(6, temperature=1.2, top_k=5, top_p=0.7, seed=11), 1),
        (SamplingParams(6, temperature=0.8, seed=3), 3),
    ],
)
def test_an_empty_memory_changes_nothing_on_any_engine(bench, sampling, candidates: int) -> None:
    tokenize = ChunkEncoder(bench.engine.tokenizer.encode).encode
    corpus = TokenCorpus.build([TokenizedFile(OTHER, tokenize(CODE))])
    left_out = MemoryPart(corpus, frozenset({OTHER}))
    results = []
    for memory in (None, RepositoryMemory(), RepositoryMemory(path=HERE, parts=(left_out,))):
        # What is evaluated already changes the shape of batches, and so the last bit.
        bench.engine.mirror.clear()
        prompt = bench.prompt(CODE[:100] + "def total(le", memory=memory, heal=True)
        listeners = [lambda _: True] * candidates
        found = bench.engine.generate(prompt, sampling, CancelToken(), listeners)
        results.append([(each.text, each.probabilities, each.finish_reason, each.memory) for each in found])
    assert results[0] == results[1] == results[2]
    assert results[0][0][1]
