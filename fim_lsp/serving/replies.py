"""The part that all protocols share: from the fields of a request to orders, and the shape of a reply."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from attrs import frozen

from fim_lsp.serving.adapter_registry import AdapterRegistry
from fim_lsp.serving.fields import Fields
from fim_lsp.serving.orders import (
    CompletionOrder,
    HolePrompt,
    LimitsOfText,
    Outcome,
    ServedPiece,
    ServedPrompt,
    TextPrompt,
    TokenPrompt,
)
from fim_lsp.serving.refusals import RefusedError
from fim_lsp.serving.rendered import recognise
from fim_lsp.settings import Settings
from fim_lsp.types import AppliedAdapter

MOST_PROMPTS = 16
MOST_CHOICES = 8
MOST_STOPS, LONGEST_STOP = 16, 256
MOST_TOKENS = 4096
_MOST_SCALE = 4.0
_LONGEST_NAME = 4096
_MOST_ID = 2**31 - 1


@frozen
class Offer:
    """The served models and limits: the facts that requests are read with."""

    registry: AdapterRegistry
    settings: Settings
    filters: bool = False
    """True if prompts with a hole are completed as in an editor, unless a request says otherwise."""


class Reply(Protocol):
    """The reply to one request, in the shape of its protocol."""

    @property
    def orders(self) -> Sequence[CompletionOrder]:
        """The orders of the request."""

    @property
    def streamed(self) -> bool:
        """True if the client wants pieces."""

    @property
    def media_type(self) -> str:
        """Media type of a stream."""

    def whole(self, outcomes: Sequence[Outcome]) -> Any:
        """Return the reply at once, as a value for JSON."""

    def begin(self, number: int) -> bytes:
        """Return what comes before the first piece of the order with this number."""

    def piece(self, number: int, piece: ServedPiece) -> bytes:
        """Return a piece of an order."""

    def finished(self, number: int, outcome: Outcome) -> bytes:
        """Return what follows the last piece of an order."""

    def end(self, outcomes: Sequence[Outcome]) -> bytes:
        """Return the end of a stream."""

    def failed(self, body: dict[str, Any]) -> bytes:
        """Return an error in the middle of a stream."""


def event(value: Any) -> bytes:
    """Return a value as a server-sent event."""
    return b"data: " + to_json(value) + b"\n\n"


def to_json(value: Any) -> bytes:
    """Return a value as JSON in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def read_prompts(fields: Fields, name: str) -> tuple[ServedPrompt, ...]:
    """Read a prompt: a text, token ids, or a list of either. Rendered prompts are taken apart."""
    value = fields.values.get(name)
    if value is None:
        raise fields.refused(name, "is missing")
    if isinstance(value, str) or (isinstance(value, list) and value and _is_id(value[0])):
        return (_read_prompt(fields, name, value),)
    if not isinstance(value, list) or not value:
        raise fields.refused(name, "must be a text, a list of token ids, or a list of these")
    if len(value) > MOST_PROMPTS:
        raise fields.refused(name, f"may have {MOST_PROMPTS} prompts at most")
    return tuple(_read_prompt(fields, name, item) for item in value)


def _read_prompt(fields: Fields, name: str, value: Any) -> ServedPrompt:
    if isinstance(value, str):
        return recognise(value) or TextPrompt(value)
    if not isinstance(value, list) or not value or not all(map(_is_id, value)):
        raise fields.refused(name, "must be a text, a list of token ids, or a list of these")
    return TokenPrompt(tuple(value))


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_ID


def with_suffix(fields: Fields, name: str, prompts: Sequence[ServedPrompt]) -> tuple[ServedPrompt, ...]:
    """Make prompts with a hole of texts whose request has a suffix."""
    suffix = fields.values.get(name)
    if suffix is None:
        return tuple(prompts)
    text = fields.text(name)
    return tuple(_with_suffix(fields, name, prompt, text) for prompt in prompts)


def _with_suffix(fields: Fields, name: str, prompt: ServedPrompt, suffix: str) -> ServedPrompt:
    if isinstance(prompt, TextPrompt):
        return HolePrompt(prompt.text, suffix)
    if not suffix:
        return prompt
    kind = "token ids" if isinstance(prompt, TokenPrompt) else "a prompt that has markers itself"
    raise fields.refused(name, f"can't be used with {kind}")


def named_file(fields: Fields, prompts: Sequence[ServedPrompt]) -> tuple[ServedPrompt, ...]:
    """Add the file's path and language, which our own clients may name, to prompts with a hole."""
    path, language = fields.text("path"), fields.text("language")
    for name, value in (("path", path), ("language", language)):
        if len(value) > _LONGEST_NAME:
            raise fields.refused(name, f"may have {_LONGEST_NAME} characters at most")
    if not path and not language:
        return tuple(prompts)
    return tuple(
        HolePrompt(prompt.before, prompt.after, path or prompt.path, language, prompt.snippets)
        if isinstance(prompt, HolePrompt)
        else prompt
        for prompt in prompts
    )


def read_adapters(fields: Fields, offer: Offer, name: str = "model") -> tuple[AppliedAdapter, ...]:
    """Read which adapters a request chooses: by name, or by numbers and scales."""
    if fields.values.get("lora") is None:
        return offer.registry.by_name(fields.text(name), fields.where + name)
    if offer.registry.by_name(fields.text(name), fields.where + name) not in ((), offer.registry.default()):
        raise fields.refused("lora", f"and {name} both choose an adapter")
    return offer.registry.by_scales(read_scales(fields.objects("lora", len(offer.registry.adapters) or 1)))


def read_scales(objects: Sequence[Fields]) -> tuple[tuple[int, float], ...]:
    """Read a list of ``{id, scale}``."""
    return tuple(
        (each.whole("id", -1, 0, _MOST_ID), each.number("scale", 0.0, 0.0, _MOST_SCALE)) for each in objects
    )


def read_stops(fields: Fields, name: str = "stop") -> tuple[str, ...]:
    """Read stop strings."""
    return fields.texts(name, MOST_STOPS, LONGEST_STOP)


def make_order(
    fields: Fields,
    offer: Offer,
    prompt: ServedPrompt,
    limits: LimitsOfText,
    adapters: tuple[AppliedAdapter, ...],
    count: int = 1,
    filters: bool | None = None,
) -> CompletionOrder:
    """Return an order with the sampling that most protocols spell alike."""
    sampling = offer.settings.sampling
    wanted = offer.filters if filters is None else filters
    if wanted and count > 1 and fields.number("temperature", sampling.temperature, 0, 2) > 0:
        raise RefusedError(400, "Several filtered choices need a temperature of 0.", param="temperature")
    return CompletionOrder(
        prompt,
        limits,
        adapters,
        temperature=fields.number("temperature", sampling.temperature, 0, 2),
        # 0 and -1 are both "all" in the protocols.
        top_k=max(0, fields.whole("top_k", sampling.top_k, -1, 1_000_000)),
        top_p=fields.number("top_p", sampling.top_p, 0, 1),
        seed=max(0, fields.whole("seed", sampling.seed, -1, 2**63)),
        count=count,
        filters=wanted,
    )


def read_filters(fields: Fields) -> bool | None:
    """Return whether a request asks for filters; None if it does not say."""
    return None if fields.values.get("filters") is None else fields.flag("filters")
