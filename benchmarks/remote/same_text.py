"""Fill the same holes in process and over HTTP, greedily, and explain each difference."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from attrs import frozen

from fim_lsp.code.languages import language_of
from fim_lsp.engine.base import CancelToken, Engine
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import choose_template
from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Prompt, SamplingParams, StreamedToken

_TOKENS = 24
_FEWEST_CHARS = 12
"""Of a line that is cut."""


@frozen
class Filling:
    """One answer, token by token."""

    texts: tuple[str, ...]
    nats: tuple[float, ...]
    """Log probability of each token."""

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.texts)


@frozen
class TextComparison:
    """One hole, filled twice."""

    place: str
    local: Filling
    remote: Filling

    @property
    def same(self) -> bool:
        """True if both texts are the same."""
        return self.local.text == self.remote.text

    @property
    def agreed(self) -> int:
        """Tokens before the answers part."""
        pairs = enumerate(zip(self.local.texts, self.remote.texts, strict=False))
        shortest = min(len(self.local.texts), len(self.remote.texts))
        return next((index for index, (a, b) in pairs if a != b), shortest)

    @property
    def noise(self) -> list[float]:
        """Differences in the log probabilities of the tokens that both wrote."""
        pairs = zip(self.local.nats, self.remote.nats, strict=False)
        return [abs(a - b) for a, b in list(pairs)[: self.agreed]]

    @property
    def gap_nats(self) -> float:
        """Difference between the log probabilities of the tokens where the answers part.

        Each engine takes its likeliest token. If only rounding made them take different ones, both tokens
        were about as likely in both. Infinite if one of them stopped there without a token that ends it.
        """
        at = self.agreed
        if at >= len(self.local.nats) or at >= len(self.remote.nats):
            return math.inf
        return abs(self.local.nats[at] - self.remote.nats[at])

    def reason(self, rounding_nats: float) -> str:
        """Return why the answers differ, given the noise of this run; empty if nothing explains it."""
        return "rounding" if self.gap_nats <= rounding_nats else ""


def rounding_of(comparisons: Sequence[TextComparison]) -> float:
    """Return the noise that 99 of 100 tokens stay below, twice: it moves two log probabilities."""
    noise = [value for comparison in comparisons for value in comparison.noise]
    return 2 * float(np.percentile(noise, 99)) if noise else 0.0


def holes(sources: Sequence[Path], count: int, seed: int = 7) -> Iterator[CompletionRequest]:
    """Cut holes: the rest of a line, from somewhere in its middle."""
    draw = random.Random(seed)
    for _ in range(count):
        path = draw.choice(sources)
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        long = [index for index, line in enumerate(lines) if len(line.strip()) >= _FEWEST_CHARS]
        index = draw.choice(long)
        line = lines[index].rstrip("\n")
        cut = draw.randrange(len(line) - len(line.lstrip()), len(line))
        before = "".join(lines[:index]) + line[:cut]
        after = "\n" + "".join(lines[index + 1 :])
        language = language_of(path.name)
        document = DocumentSnapshot(
            f"file:///{path.name}", language.id if language else "plaintext", 1, before + after
        )
        yield CompletionRequest(document, len(before))


def compare(
    local: Engine, remote: Engine, requests: Sequence[CompletionRequest], settings: PromptSettings
) -> Iterator[TextComparison]:
    """Fill each hole with both engines, from the same prompt.

    Args:
        local: in process.
        remote: the server.
        requests: the holes.
        settings: of the prompts.
    """
    template = choose_template(local.info, local.tokenizer, None).template
    for number, request in enumerate(requests):
        prompt = build(request, template, local.tokenizer, settings)
        first, second = (_fill(engine, prompt) for engine in (local, remote))
        yield TextComparison(f"{request.document.uri}:{number}", first, second)


def _fill(engine: Engine, prompt: Prompt) -> Filling:
    texts: list[str] = []
    sampling = SamplingParams(max_tokens=_TOKENS)

    def on_token(token: StreamedToken) -> bool:
        texts.append(token.text)
        return True

    (answer,) = engine.generate(prompt, sampling, CancelToken(), [on_token])
    return Filling(tuple(texts), tuple(map(math.log, answer.probabilities)))
