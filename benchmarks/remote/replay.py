"""Let many simulated editors type against one server, with the remote engine of each.

An editor types a line of code at 200 ms a key with pauses, asks after each pause of typing, and abandons a
suggestion when the next key comes: what a language server in front of the server would send.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from attrs import define, field, frozen

from fim_lsp.engine.base import CancelToken, EngineError
from fim_lsp.engine.remote import RemoteEngine, open_remote
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import choose_template
from fim_lsp.remote_settings import RemoteSettings
from fim_lsp.settings import ModelSettings, PromptSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, FinishReason, Prompt, SamplingParams

_SOURCES = Path(__file__).parents[2] / "fim_lsp"
_KEY_S = 0.2
"""Between two keys: 60 words a minute."""
_THINKING_S = (1.0, 4.0)
"""Pauses at the end of a line, in which a suggestion is read."""
_LINE_KEYS = 12


@frozen
class ReplayResult:
    """The answers to a number of editors."""

    editors: int
    seconds: float
    requests: int
    answered: int
    """Requests that ended before the next key."""
    abandoned: int
    failed: int
    first_text_p50_ms: float | None
    first_text_p95_ms: float | None
    whole_p50_ms: float | None
    slowest_to_fastest: float | None
    """Ratio of the editors' median times to the first text: 1 is fair."""


@define
class _Editor:
    """One simulated editor."""

    number: int
    engine: RemoteEngine
    settings: PromptSettings
    first_ms: list[float] = field(factory=list)
    whole_ms: list[float] = field(factory=list)
    requests: int = 0
    abandoned: int = 0
    failed: int = 0

    def type(self, until: float) -> None:
        """Type until a time, and ask at each key."""
        draw = random.Random(self.number)
        path = draw.choice(sorted(_SOURCES.rglob("*.py")))
        text = path.read_text(encoding="utf-8")
        template = choose_template(self.engine.info, self.engine.tokenizer, None).template
        while time.monotonic() < until:
            at = draw.randrange(len(text) // 4, max(len(text) // 4 + 1, len(text) - 200))
            for key in range(_LINE_KEYS):
                if time.monotonic() >= until:
                    return
                last = key == _LINE_KEYS - 1
                request = CompletionRequest(DocumentSnapshot(path.as_uri(), "python", key, text), at + key)
                prompt = build(request, template, self.engine.tokenizer, self.settings)
                self._ask(prompt, draw.uniform(*_THINKING_S) if last else _KEY_S)

    def _ask(self, prompt: Prompt, patience_s: float) -> None:
        """Ask once, and abandon the answer when the next key comes."""
        cancel = CancelToken()
        timer = threading.Timer(patience_s, cancel.cancel)
        began = time.monotonic()
        first: list[float] = []

        def on_token(_: object) -> bool:
            if not first:
                first.append((time.monotonic() - began) * 1000)
            return True

        timer.start()
        self.requests += 1
        try:
            (answer,) = self.engine.generate(prompt, SamplingParams(max_tokens=24), cancel, [on_token])
        except EngineError:
            self.failed += 1
        else:
            self.first_ms += first
            if answer.finish_reason is FinishReason.CANCELLED:
                self.abandoned += 1
            else:
                self.whole_ms.append((time.monotonic() - began) * 1000)
        timer.cancel()
        time.sleep(max(0.0, began + patience_s - time.monotonic()))


def replay(url: str, editors: int, seconds: float, prompt_tokens: int) -> ReplayResult:
    """Let so many editors type for so long, each in a thread with an engine of its own."""
    prompts = PromptSettings(layout="anchored", max_tokens=prompt_tokens)
    made = [
        _Editor(number, open_remote(ModelSettings(remote=RemoteSettings(url=url))), prompts)
        for number in range(editors)
    ]
    for editor in made:
        editor.engine.connect()
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=editor.type, args=(until,)) for editor in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for editor in made:
        editor.engine.close()
    first = [value for editor in made for value in editor.first_ms]
    whole = [value for editor in made for value in editor.whole_ms]
    medians = [float(np.median(editor.first_ms)) for editor in made if editor.first_ms]
    return ReplayResult(
        editors=editors,
        seconds=seconds,
        requests=sum(editor.requests for editor in made),
        answered=len(whole),
        abandoned=sum(editor.abandoned for editor in made),
        failed=sum(editor.failed for editor in made),
        first_text_p50_ms=_percentile(first, 50),
        first_text_p95_ms=_percentile(first, 95),
        whole_p50_ms=_percentile(whole, 50),
        slowest_to_fastest=max(medians) / min(medians) if medians else None,
    )


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 1) if values else None
