"""``/infill``, ``/completion``, ``/props``, ``/slots`` and ``/lora-adapters`` as llama-server has them.

llama.vim and llama.vscode speak this. Their samplers are llama.cpp's own; here temperature, top-k and top-p
are followed, and the others are taken for hints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from fim_lsp import __version__
from fim_lsp.serving.adapter_registry import AdapterRegistry
from fim_lsp.serving.fields import Fields, KnownFields
from fim_lsp.serving.orders import Choice, CompletionOrder, HolePrompt, LimitsOfText, Outcome, ServedPiece
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
)
from fim_lsp.settings import Settings
from fim_lsp.types import ModelInfo, Snippet

_MOST_FILES = 64
_MOST_PARTS = 128
_MOST_MS = 3_600_000
_USED = frozenset(
    [
        "model",
        "n_predict",
        "temperature",
        "top_k",
        "top_p",
        "seed",
        "stop",
        "stream",
        "lora",
        "n_cmpl",
        "n_indent",
        "t_max_predict_ms",
        "response_fields",
        "filters",
        "path",
        "language",
    ]
)
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "grammar": ("",),
    "json_schema": ({},),
    "logit_bias": ([], {}),
    "n_probs": (0,),
    "ignore_eos": (False,),
    "return_tokens": (False,),
    "return_progress": (False,),
    "post_sampling_probs": (False,),
    "repeat_penalty": (1, 1.0),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
    "mirostat": (0,),
    "dynatemp_range": (0, 0.0),
    "dry_multiplier": (0, 0.0),
    "xtc_probability": (0, 0.0),
    "timings_per_token": (False,),
}
_IGNORED = frozenset(
    [
        "cache_prompt",
        "id_slot",
        "samplers",
        "t_max_prompt_ms",
        "n_keep",
        "n_discard",
        "min_p",
        "typical_p",
        "min_keep",
        "repeat_last_n",
        "dynatemp_exponent",
        "dry_base",
        "dry_allowed_length",
        "dry_penalty_last_n",
        "dry_sequence_breakers",
        "xtc_threshold",
        "mirostat_tau",
        "mirostat_eta",
        "n_cache_reuse",
        "speculative.n_max",
        "speculative.n_min",
        "speculative.p_min",
        "backend_sampling",
        "top_n_sigma",
    ]
)
_INFILL = KnownFields(_USED | {"input_prefix", "input_suffix", "input_extra", "prompt"}, _NEUTRAL, _IGNORED)
_COMPLETION = KnownFields(_USED | {"prompt"}, _NEUTRAL, _IGNORED)
_FILE = KnownFields(frozenset({"filename", "text"}), ignored=frozenset({"time"}))
_LORA = KnownFields(frozenset({"id", "scale"}))


@frozen
class LlamaReply:
    """The reply to ``/infill`` and ``/completion``."""

    orders: tuple[CompletionOrder, ...]
    streamed: bool
    model: str
    fields: tuple[str, ...] = field(default=(), repr=False)
    """Paths of the fields that the client wants; all of them without one."""
    media_type: str = "text/event-stream"

    def whole(self, outcomes: Sequence[Outcome]) -> Any:
        """Return the reply at once: one object, or a list of them for several choices."""
        results = [
            self._result(outcome, index, choice, choice.text)
            for outcome in outcomes
            for index, choice in enumerate(outcome.choices)
        ]
        return results[0] if len(results) == 1 else results

    def begin(self, number: int) -> bytes:
        """Return nothing."""
        return b""

    def piece(self, number: int, piece: ServedPiece) -> bytes:
        """Return a piece of text."""
        return event(
            {"index": piece.choice, "content": piece.text, "tokens": [], "stop": False, "id_slot": -1}
        )

    def finished(self, number: int, outcome: Outcome) -> bytes:
        """Return the cost of each choice, without its text, which was sent."""
        return b"".join(
            event(self._result(outcome, index, choice, "")) for index, choice in enumerate(outcome.choices)
        )

    def end(self, outcomes: Sequence[Outcome]) -> bytes:
        """Return nothing: the last result is the end."""
        return b""

    def failed(self, body: dict[str, Any]) -> bytes:
        """Return an error in the middle of the stream."""
        return event(body)

    def _result(self, outcome: Outcome, index: int, choice: Choice, text: str) -> dict[str, Any]:
        timings, count = outcome.timings, len(choice.tokens) or outcome.timings.generated_tokens
        result = {
            "index": index,
            "content": text,
            "tokens": [],
            "id_slot": -1,
            "stop": True,
            "model": self.model,
            "tokens_predicted": count,
            "tokens_evaluated": outcome.prompt_tokens,
            "has_new_line": "\n" in choice.text,
            "truncated": False,
            "stop_type": {"end": "eos", "stop": "word", "rule": "eos", "length": "limit"}[choice.ended_by],
            "stopping_word": choice.stop,
            "tokens_cached": outcome.prompt_tokens + count,
            "timings": {
                "cache_n": timings.reused_tokens,
                "prompt_n": timings.evaluated_tokens,
                "prompt_ms": timings.prefill_ms,
                "prompt_per_token_ms": timings.prefill_ms / max(1, timings.evaluated_tokens),
                "prompt_per_second": _per_second(timings.evaluated_tokens, timings.prefill_ms),
                "predicted_n": count,
                "predicted_ms": timings.decode_ms,
                "predicted_per_token_ms": timings.decode_ms / max(1, count),
                "predicted_per_second": _per_second(count, timings.decode_ms),
            },
        }
        return _selected(result, self.fields) if self.fields else result


def _per_second(count: int, ms: float) -> float:
    return count * 1000 / ms if ms > 0 else 0.0


def _selected(result: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Return the fields with these paths, each under its path: ``timings/prompt_n`` is one key."""
    selected: dict[str, Any] = {}
    for path in paths:
        value: Any = result
        for key in path.split("/"):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            selected[path] = value
    return selected


def parse_infill(fields: Fields, offer: Offer) -> LlamaReply:
    """Read a request of ``/infill``.

    Raises:
        RefusedError: names the field that is wrong or not supported.
    """
    fields.check(_INFILL)
    files = fields.objects("input_extra", _MOST_FILES)
    for file in files:
        file.check(_FILE)
    snippets = tuple(Snippet(file.text("filename"), file.text("text"), source="sent") for file in files)
    prompt = HolePrompt(
        fields.text("input_prefix") + fields.text("prompt"),
        fields.text("input_suffix"),
        snippets=snippets or None,
    )
    return _reply(fields, offer, (prompt,))


def parse_completion(fields: Fields, offer: Offer) -> LlamaReply:
    """Read a request of ``/completion``.

    Raises:
        RefusedError: names the field that is wrong or not supported.
    """
    fields.check(_COMPLETION)
    return _reply(fields, offer, read_prompts(fields, "prompt"))


def _reply(fields: Fields, offer: Offer, prompts: Sequence[Any]) -> LlamaReply:
    for each in fields.objects("lora", _MOST_PARTS):
        each.check(_LORA)
    # -1 is "until the end" in llama-server.
    wanted = fields.whole("n_predict", -1, -2, MOST_TOKENS)
    time_limit = fields.whole("t_max_predict_ms", 0, -1, _MOST_MS)
    limits = LimitsOfText(
        wanted if wanted >= 0 else MOST_TOKENS,
        read_stops(fields),
        float(time_limit) if time_limit > 0 else None,
        fields.whole("n_indent", 0, 0, 1000),
    )
    adapters, filters = read_adapters(fields, offer), read_filters(fields)
    count = fields.whole("n_cmpl", 1, 1, MOST_CHOICES)
    orders = tuple(
        make_order(fields, offer, prompt, limits, adapters, count, filters)
        for prompt in named_file(fields, prompts)
    )
    return LlamaReply(
        orders,
        fields.flag("stream"),
        fields.text("model") or offer.registry.bases[0],
        fields.texts("response_fields", _MOST_PARTS, _MOST_PARTS),
    )


def props(info: ModelInfo, settings: Settings, alias: str) -> dict[str, Any]:
    """Return the facts about the server; the model's folder is not told."""
    return {
        "default_generation_settings": {
            "n_ctx": info.context,
            "params": {
                "n_predict": settings.sampling.max_tokens,
                "temperature": settings.sampling.temperature,
                "top_k": settings.sampling.top_k,
                "top_p": settings.sampling.top_p,
            },
        },
        "total_slots": settings.model.sequences,
        "model_alias": alias,
        "model_path": info.path.name if info.path is not None else info.name,
        "chat_template": "",
        "build_info": f"fim-lsp {__version__}",
    }


def slots(info: ModelInfo, settings: Settings, *, running: bool) -> list[dict[str, Any]]:
    """Return the sequences of the KV cache; one at a time is evaluated."""
    return [
        {"id": number, "n_ctx": info.context, "speculative": False, "is_processing": running and not number}
        for number in range(settings.model.sequences)
    ]


def lora_adapters(registry: AdapterRegistry) -> list[dict[str, Any]]:
    """Return the adapters with the scales of requests that choose none."""
    return [
        {
            "id": adapter.id,
            "name": adapter.name,
            "path": adapter.path.name,
            "scale": adapter.default_scale,
        }
        for adapter in registry.adapters
    ]
