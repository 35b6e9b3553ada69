"""``/v1/completions`` and ``/v1/models`` as OpenAI's API has them, with what vLLM added to it."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from fim_lsp.serving.adapter_registry import AdapterRegistry
from fim_lsp.serving.fields import Fields, KnownFields
from fim_lsp.serving.orders import (
    Choice,
    CompletionOrder,
    HolePrompt,
    LimitsOfText,
    Outcome,
    ServedPiece,
    ServedToken,
    TextPrompt,
)
from fim_lsp.serving.refusals import RefusedError
from fim_lsp.serving.replies import (
    MOST_CHOICES,
    MOST_TOKENS,
    Offer,
    event,
    make_order,
    named_file,
    read_adapters,
    read_filters,
    read_prompts,
    read_stops,
    with_suffix,
)
from fim_lsp.types import ModelInfo

_KNOWN = KnownFields(
    used=frozenset(
        [
            "model",
            "prompt",
            "suffix",
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
            "n",
            "best_of",
            "stream",
            "stream_options",
            "logprobs",
            "echo",
            "stop",
            "seed",
            "user",
            "lora",
            "filters",
            "path",
            "language",
        ]
    ),
    neutral={
        "presence_penalty": (0, 0.0),
        "frequency_penalty": (0, 0.0),
        "repetition_penalty": (1, 1.0),
        "logit_bias": ({},),
        "min_p": (0, 0.0),
    },
)


@frozen
class OpenAiReply:
    """The reply to ``/v1/completions``."""

    orders: tuple[CompletionOrder, ...]
    streamed: bool
    model: str
    with_usage: bool = False
    with_logprobs: bool = False
    echoes: tuple[str, ...] = field(default=(), repr=False)
    """For each order, the text to put in front of its choices; empty for none at all."""
    id: str = field(factory=lambda: f"cmpl-{uuid.uuid4().hex}")
    created: int = field(factory=lambda: int(time.time()))
    media_type: str = "text/event-stream"

    def whole(self, outcomes: Sequence[Outcome]) -> Any:
        """Return the reply at once."""
        choices = [
            self._choice(number, index, self._echo(number) + choice.text, choice.finish_reason, choice.tokens)
            for number, outcome in enumerate(outcomes)
            for index, choice in enumerate(outcome.choices)
        ]
        return {**self._frame(choices), "usage": usage(outcomes)}

    def piece(self, number: int, piece: ServedPiece) -> bytes:
        """Return a piece of text."""
        return event(self._frame([self._choice(number, piece.choice, piece.text, None, piece.tokens)]))

    def finished(self, number: int, outcome: Outcome) -> bytes:
        """Return why each choice ended, with the echo of one that had no text."""
        return b"".join(
            event(self._frame([self._choice(number, index, "", choice.finish_reason, ())]))
            for index, choice in enumerate(outcome.choices)
        )

    def begin(self, number: int) -> bytes:
        """Return the echo of a prompt, for each of its choices."""
        echo = self._echo(number)
        if not echo:
            return b""
        count = self.orders[number].count
        return b"".join(
            event(self._frame([self._choice(number, index, echo, None, ())])) for index in range(count)
        )

    def end(self, outcomes: Sequence[Outcome]) -> bytes:
        """Return the usage if it was asked for, and the end of the stream."""
        costs = event({**self._frame([]), "usage": usage(outcomes)}) if self.with_usage else b""
        return costs + b"data: [DONE]\n\n"

    def failed(self, body: dict[str, Any]) -> bytes:
        """Return an error in the middle of the stream."""
        return event(body) + b"data: [DONE]\n\n"

    def _echo(self, number: int) -> str:
        return self.echoes[number] if self.echoes else ""

    def _frame(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _choice(
        self, number: int, index: int, text: str, reason: str | None, tokens: Sequence[ServedToken]
    ) -> dict[str, Any]:
        return {
            "text": text,
            "index": number * self.orders[number].count + index,
            "logprobs": logprobs(tokens) if self.with_logprobs else None,
            "finish_reason": reason,
        }


def parse_completion(fields: Fields, offer: Offer) -> OpenAiReply:
    """Read a request of ``/v1/completions``.

    Raises:
        RefusedError: names the field that is wrong or not supported.
    """
    fields.check(_KNOWN)
    count = fields.whole("n", 1, 1, MOST_CHOICES)
    if fields.whole("best_of", count, 1, MOST_CHOICES) != count:
        raise fields.refused("best_of", "is not supported, but for the value of n")
    with_logprobs = fields.values.get("logprobs") not in (None, False)
    if with_logprobs and fields.values["logprobs"] is not True:
        fields.whole("logprobs", 0, 0, 1)
    echo = fields.flag("echo")
    if echo and with_logprobs:
        raise fields.refused("echo", "is not supported with logprobs")
    options = fields.object("stream_options")
    options.check(KnownFields(frozenset({"include_usage"}), {"continuous_usage_stats": (False,)}))
    limits = LimitsOfText(
        fields.whole("max_tokens", offer.settings.sampling.max_tokens, 0, MOST_TOKENS), read_stops(fields)
    )
    given = read_prompts(fields, "prompt")
    prompts = named_file(fields, with_suffix(fields, "suffix", given))
    adapters = read_adapters(fields, offer)
    orders = tuple(
        make_order(fields, offer, prompt, limits, adapters, count, read_filters(fields)) for prompt in prompts
    )
    return OpenAiReply(
        orders,
        fields.flag("stream"),
        fields.text("model") or offer.registry.bases[0],
        options.flag("include_usage"),
        with_logprobs,
        tuple(map(_echoed, given)) if echo else (),
    )


def _echoed(prompt: object) -> str:
    if isinstance(prompt, TextPrompt):
        return prompt.text
    kind = "token ids" if not isinstance(prompt, HolePrompt) else "a prompt that has markers"
    raise RefusedError(400, f"The field echo can't be used with {kind}.", "Send text.", param="echo")


def usage(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the tokens that a request cost."""
    prompt = sum(outcome.prompt_tokens for outcome in outcomes)
    generated = sum(outcome.generated_tokens for outcome in outcomes)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": generated,
        "total_tokens": prompt + generated,
        "prompt_tokens_details": {
            "cached_tokens": sum(outcome.timings.reused_tokens for outcome in outcomes)
        },
    }


def logprobs(tokens: Sequence[ServedToken]) -> dict[str, Any]:
    """Return the tokens and their log probabilities; of other tokens none are known."""
    values = [math.log(max(token.probability, 1e-30)) for token in tokens]
    offsets, position = [], 0
    for token in tokens:
        offsets.append(position)
        position += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": values,
        "top_logprobs": [{token.text: value} for token, value in zip(tokens, values, strict=True)],
        "text_offset": offsets,
    }


def models(registry: AdapterRegistry, info: ModelInfo, created: int) -> dict[str, Any]:
    """Return the list of models: the base by its names, and the adapters with their parent."""
    base = registry.bases[0]

    def entry(name: str, root: str, parent: str | None) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "fim-lsp",
            "root": root,
            "parent": parent,
            "max_model_len": info.context,
        }

    named = [entry(name, base, None) for name in registry.bases]
    adapters = [entry(adapter.name, adapter.path.name, base) for adapter in registry.adapters]
    return {"object": "list", "data": [*named, *adapters]}


def last_choice(outcome: Outcome) -> Choice:
    """Return the only choice of an outcome; an empty one where there is none."""
    return outcome.choices[0] if outcome.choices else Choice("", "end")
