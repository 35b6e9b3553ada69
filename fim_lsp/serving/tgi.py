"""``/generate`` and ``/generate_stream`` as text-generation-inference (TGI) has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from fim_lsp.serving.fields import Fields, KnownFields
from fim_lsp.serving.openai import last_choice
from fim_lsp.serving.orders import Choice, CompletionOrder, LimitsOfText, Outcome, ServedPiece, TextPrompt
from fim_lsp.serving.refusals import RefusedError
from fim_lsp.serving.rendered import recognise
from fim_lsp.serving.replies import (
    MOST_TOKENS,
    Offer,
    event,
    make_order,
    read_adapters,
    read_filters,
    read_stops,
)

_KNOWN = KnownFields(frozenset({"inputs", "parameters", "stream"}))
_PARAMETERS = KnownFields(
    used=frozenset(
        [
            "max_new_tokens",
            "temperature",
            "top_k",
            "top_p",
            "seed",
            "stop",
            "stop_sequences",
            "adapter_id",
            "details",
            "return_full_text",
            "filters",
        ]
    ),
    neutral={
        "best_of": (1,),
        "repetition_penalty": (1, 1.0),
        "frequency_penalty": (0, 0.0),
        "typical_p": (1, 1.0),
        "watermark": (False,),
        "decoder_input_details": (False,),
        "top_n_tokens": (0,),
        "grammar": ({},),
    },
    # do_sample only repeats what the temperature says.
    ignored=frozenset({"do_sample", "truncate"}),
)


@define
class TgiReply:
    """The reply to ``/generate`` and ``/generate_stream``."""

    orders: tuple[CompletionOrder, ...]
    streamed: bool
    details: bool
    full_text: str = field(default="", repr=False)
    """The text to put in front of the generated one."""
    media_type: str = "text/event-stream"
    _sent: int = field(default=0, init=False)

    def whole(self, outcomes: Sequence[Outcome]) -> Any:
        """Return the reply at once."""
        choice = last_choice(outcomes[0])
        reply: dict[str, Any] = {"generated_text": self.full_text + choice.text}
        if self.details:
            tokens = [_token(token.text, token.probability) for token in choice.tokens]
            reply["details"] = {**_details(choice, outcomes[0]), "prefill": [], "tokens": tokens}
        return reply

    def begin(self, number: int) -> bytes:
        """Return nothing."""
        return b""

    def piece(self, number: int, piece: ServedPiece) -> bytes:
        """Return a piece of text as if it were one token."""
        self._sent += 1
        probability = math.prod(token.probability for token in piece.tokens)
        token = _token(piece.text, probability)
        return event({"index": self._sent, "token": token, "generated_text": None, "details": None})

    def finished(self, number: int, outcome: Outcome) -> bytes:
        """Return the whole text behind the last token."""
        choice = last_choice(outcome)
        self._sent += 1
        end = {"id": 0, "text": "", "logprob": 0.0, "special": True}
        return event(
            {
                "index": self._sent,
                "token": end,
                "generated_text": self.full_text + choice.text,
                "details": _details(choice, outcome),
            }
        )

    def end(self, outcomes: Sequence[Outcome]) -> bytes:
        """Return nothing: the whole text was the end."""
        return b""

    def failed(self, body: dict[str, Any]) -> bytes:
        """Return an error in the middle of the stream."""
        return event(body)


def parse_generate(fields: Fields, offer: Offer, *, streamed: bool) -> TgiReply:
    """Read a request.

    Raises:
        RefusedError: names the field that is wrong or not supported.
    """
    fields.check(_KNOWN)
    parameters = fields.object("parameters")
    parameters.check(_PARAMETERS)
    text = fields.text("inputs")
    if not text:
        raise RefusedError(400, "The field inputs is missing or empty.", "Send some text.", param="inputs")
    stops = (*read_stops(parameters), *read_stops(parameters, "stop_sequences"))
    limits = LimitsOfText(
        parameters.whole("max_new_tokens", offer.settings.sampling.max_tokens, 1, MOST_TOKENS), stops
    )
    order = make_order(
        parameters,
        offer,
        recognise(text) or TextPrompt(text),
        limits,
        read_adapters(parameters, offer, "adapter_id"),
        filters=read_filters(parameters),
    )
    full_text = text if parameters.flag("return_full_text") else ""
    return TgiReply((order,), streamed, parameters.flag("details"), full_text)


def _token(text: str, probability: float) -> dict[str, Any]:
    """Return a token; its id is not told."""
    return {"id": 0, "text": text, "logprob": math.log(max(probability, 1e-30)), "special": False}


def _details(choice: Choice, outcome: Outcome) -> dict[str, Any]:
    reasons = {"end": "eos_token", "stop": "stop_sequence", "rule": "eos_token", "length": "length"}
    return {
        "finish_reason": reasons[choice.ended_by],
        "generated_tokens": outcome.generated_tokens,
        "input_length": outcome.prompt_tokens,
        "seed": None,
    }
