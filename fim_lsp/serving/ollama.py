"""``/api/generate``, ``/api/tags`` and ``/api/version`` as Ollama has them."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from fim_lsp.serving.adapter_registry import AdapterRegistry
from fim_lsp.serving.fields import Fields, KnownFields
from fim_lsp.serving.openai import last_choice
from fim_lsp.serving.orders import CompletionOrder, LimitsOfText, Outcome, ServedPiece
from fim_lsp.serving.replies import (
    MOST_TOKENS,
    Offer,
    make_order,
    read_adapters,
    read_filters,
    read_prompts,
    read_stops,
    to_json,
    with_suffix,
)
from fim_lsp.types import ModelInfo

_KNOWN = KnownFields(
    used=frozenset(["model", "prompt", "suffix", "stream", "options", "filters"]),
    neutral={
        "format": ("",),
        "images": ([],),
        "system": ("",),
        "template": ("",),
        "context": ([],),
        "think": (False,),
    },
    # raw only says that the prompt is rendered, which is recognised.
    ignored=frozenset({"raw", "keep_alive"}),
)
_OPTIONS = KnownFields(
    used=frozenset(["num_predict", "temperature", "top_k", "top_p", "seed", "stop"]),
    neutral={"presence_penalty": (0, 0.0), "frequency_penalty": (0, 0.0), "mirostat": (0,)},
    ignored=frozenset(
        [
            "num_ctx",
            "num_batch",
            "num_gpu",
            "num_thread",
            "num_keep",
            "main_gpu",
            "use_mmap",
            "numa",
            "min_p",
            "typical_p",
            "tfs_z",
            "repeat_penalty",
            "repeat_last_n",
            "penalize_newline",
            "low_vram",
            "draft_num_predict",
        ]
    ),
)


@frozen
class OllamaReply:
    """The reply to ``/api/generate``."""

    orders: tuple[CompletionOrder, ...]
    streamed: bool
    model: str
    began_s: float = field(factory=time.perf_counter)
    media_type: str = "application/x-ndjson"

    def whole(self, outcomes: Sequence[Outcome]) -> Any:
        """Return the reply at once."""
        return {**self._last(outcomes[0]), "response": last_choice(outcomes[0]).text}

    def begin(self, number: int) -> bytes:
        """Return nothing."""
        return b""

    def piece(self, number: int, piece: ServedPiece) -> bytes:
        """Return a piece of text in a line."""
        return to_json({**self._frame(), "response": piece.text, "done": False}) + b"\n"

    def finished(self, number: int, outcome: Outcome) -> bytes:
        """Return the last line, with the cost."""
        return to_json(self._last(outcome)) + b"\n"

    def end(self, outcomes: Sequence[Outcome]) -> bytes:
        """Return nothing: the last line was the end."""
        return b""

    def failed(self, body: dict[str, Any]) -> bytes:
        """Return an error in the middle of the stream."""
        return to_json(body) + b"\n"

    def _frame(self) -> dict[str, Any]:
        now = datetime.datetime.now(datetime.timezone.utc)
        return {"model": self.model, "created_at": now.isoformat()}

    def _last(self, outcome: Outcome) -> dict[str, Any]:
        choice, timings = last_choice(outcome), outcome.timings
        return {
            **self._frame(),
            "response": "",
            "done": True,
            "done_reason": choice.finish_reason,
            "total_duration": int((time.perf_counter() - self.began_s) * 1e9),
            "load_duration": 0,
            "prompt_eval_count": outcome.prompt_tokens,
            "prompt_eval_duration": int(timings.prefill_ms * 1e6),
            "eval_count": outcome.generated_tokens,
            "eval_duration": int(timings.decode_ms * 1e6),
        }


def parse_generate(fields: Fields, offer: Offer) -> OllamaReply:
    """Read a request of ``/api/generate``.

    Raises:
        RefusedError: names the field that is wrong or not supported.
    """
    fields.check(_KNOWN)
    options = fields.object("options")
    options.check(_OPTIONS)
    # -1 and -2 are "without end" and "as much as fits".
    wanted = options.whole("num_predict", offer.settings.sampling.max_tokens, -2, MOST_TOKENS)
    limits = LimitsOfText(wanted if wanted >= 0 else MOST_TOKENS, read_stops(options))
    fields.text("prompt")
    (prompt,) = with_suffix(fields, "suffix" if fields.text("suffix") else "", read_prompts(fields, "prompt"))
    name = fields.text("model")
    # Ollama writes a model's tag behind a colon, and adds the tag "latest" itself.
    plain = Fields({"model": name.removesuffix(":latest")})
    order = make_order(
        options, offer, prompt, limits, read_adapters(plain, offer), filters=read_filters(fields)
    )
    return OllamaReply((order,), fields.flag("stream", True), name or offer.registry.bases[0])


def tags(registry: AdapterRegistry, info: ModelInfo, started: datetime.datetime) -> dict[str, Any]:
    """Return the list of models."""
    details = {
        "format": "gguf",
        "family": info.architecture,
        "families": [info.architecture],
        "parameter_size": f"{info.parameters / 1e6:.0f}M",
        "quantization_level": "",
    }
    names = dict.fromkeys((*registry.bases, *registry.names))
    return {
        "models": [
            {
                "name": name,
                "model": name,
                "modified_at": started.isoformat(),
                "size": info.size_bytes,
                "digest": "",
                "details": details,
            }
            for name in names
        ]
    }
