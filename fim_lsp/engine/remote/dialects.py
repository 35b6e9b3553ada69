"""The requests and the answers of each kind of server, as values. No network here.

Sources: llama.cpp's tools/server/README.md, vLLM's OpenAI-compatible server, TGI's API, Ollama's docs/api.md,
LM Studio's REST API, Mistral's API for fill-in-the-middle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from fim_lsp.engine.remote.cut_word import prefix_grammar
from fim_lsp.engine.remote.encoding import EncodedPrompt
from fim_lsp.engine.remote.errors import RemoteError
from fim_lsp.types import FinishReason, SamplingParams

_FEW_STOPS = 4
"""Most stop strings of OpenAI's API and those that follow it, vLLM too; TGI's default limit is the same."""


@frozen
class CompletionCall:
    """A request for a completion, before it is written in a server's dialect."""

    model: str
    prompt: EncodedPrompt = field(repr=False)
    sampling: SamplingParams
    prefix: str = field(default="", repr=False)
    """The text before the cursor, for servers that lay out the prompt themselves."""
    suffix: str = field(default="", repr=False)
    stops: tuple[str, ...] = ()
    """Markers that end the answer, the most important first."""
    stop_ids: tuple[int, ...] = ()
    """The same as ids, where the model's vocabulary is known."""
    adapters: tuple[tuple[str, float], ...] = ()
    """Names and scales."""
    banned: tuple[int, ...] = ()
    """Tokens that the answer must not have, for servers that ban tokens."""


@frozen
class AnswerPiece:
    """The text of about one token."""

    text: str = field(repr=False)
    probability: float = 1.0
    """1 where the server does not say."""
    token: int | None = None


@frozen
class AnswerChunk:
    """One event of an answer."""

    pieces: tuple[AnswerPiece, ...] = ()
    end: FinishReason | None = None
    evaluated_tokens: int | None = None
    """None where the server does not say."""
    reused_tokens: int | None = None


class Dialect(Protocol):
    """The way in which one kind of server is asked."""

    @property
    def kind(self) -> str:
        """The kind's name in the settings."""

    @property
    def path(self) -> str:
        """The path of requests for completions."""

    @property
    def takes_ids(self) -> bool:
        """True if a prompt may be token ids."""

    @property
    def bans_tokens(self) -> bool:
        """True if a request may ban tokens, and the answer names each of its tokens."""

    def body(self, request: CompletionCall) -> dict[str, Any]:
        """Return the request's JSON."""

    def read(self, event: Mapping[str, Any]) -> AnswerChunk:
        """Read an event.

        Raises:
            RemoteError: the event is an error.
        """


def _probability(logprob: Any) -> float:
    return min(1.0, math.exp(logprob)) if isinstance(logprob, (int, float)) and logprob <= 0 else 1.0


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _reason(name: Any) -> FinishReason | None:
    """Translate a finish reason: ``length`` is a limit, null is none yet, everything else is an end."""
    if not name:
        return None
    return FinishReason.LENGTH if name in ("length", "limit") else FinishReason.END


def raise_error(event: Mapping[str, Any]) -> None:
    """Raise an error that a server sends in a stream. Its words may hold code, so they are not shown."""
    if event.get("error"):
        raise RemoteError("The server reports an error in the middle of its answer.", "See the server's log.")


@frozen
class LlamaServerDialect:
    """llama.cpp's own server, ``/completion``."""

    adapter_ids: Mapping[str, int] = field(factory=dict)
    """Of the adapters that it was started with, by name."""
    kind: str = "llama-server"
    path: str = "/completion"
    takes_ids: bool = True
    bans_tokens: bool = True

    def body(self, request: CompletionCall) -> dict[str, Any]:
        """See :meth:`Dialect.body`. Settings of the server for sampling are overridden, penalties too."""
        sampling, ids = request.sampling, request.prompt.ids
        drawn = ["top_k", "top_p"] if sampling.temperature > 0 else []
        body: dict[str, Any] = {
            "prompt": list(ids) if ids is not None else request.prompt.text,
            "n_predict": sampling.max_tokens,
            "stream": True,
            "cache_prompt": True,
            "samplers": [*drawn, "temperature"],
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stop": list(request.stops),
            "n_probs": 1,
            "return_tokens": True,
            "timings_per_token": True,
        }
        if request.prompt.healed:
            body["grammar"] = prefix_grammar(request.prompt.healed)
        if request.banned:
            body["logit_bias"] = [[token, False] for token in request.banned]
        if self.adapter_ids:
            scales = dict(request.adapters)
            body["lora"] = [
                {"id": number, "scale": scales.get(name, 0.0)} for name, number in self.adapter_ids.items()
            ]
        return body

    def read(self, event: Mapping[str, Any]) -> AnswerChunk:
        """See :meth:`Dialect.read`."""
        raise_error(event)
        timings = _mapping(event.get("timings"))
        end = None
        if event.get("stop"):
            end = _reason(event.get("stop_type") or "eos")
        text, tokens = event.get("content"), event.get("tokens")
        pieces: tuple[AnswerPiece, ...] = ()
        if isinstance(text, str) and (text or tokens):
            pieces = (self._piece(text, tokens, event.get("completion_probabilities")),)
        return AnswerChunk(pieces, end, _count(timings.get("prompt_n")), _count(timings.get("cache_n")))

    @staticmethod
    def _piece(text: str, tokens: Any, probabilities: Any) -> AnswerPiece:
        last = _mapping(probabilities[-1]) if isinstance(probabilities, list) and probabilities else {}
        token = _count(tokens[-1]) if isinstance(tokens, list) and tokens else None
        return AnswerPiece(text, _probability(last.get("logprob")), token)


@frozen
class OpenAi:
    """Any server with ``/v1/completions``."""

    kind: str = "openai"
    path: str = "/v1/completions"
    takes_ids: bool = False
    bans_tokens: bool = False

    def body(self, request: CompletionCall) -> dict[str, Any]:
        """See :meth:`Dialect.body`."""
        sampling, ids = request.sampling, request.prompt.ids
        body: dict[str, Any] = {
            "model": request.adapters[0][0] if request.adapters else request.model,
            "prompt": list(ids) if self.takes_ids and ids is not None else request.prompt.text,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stream": True,
        }
        if sampling.temperature > 0:
            body |= {"top_p": sampling.top_p, "seed": sampling.seed}
        if request.stops:
            body["stop"] = list(request.stops[:_FEW_STOPS])
        return body

    def read(self, event: Mapping[str, Any]) -> AnswerChunk:
        """See :meth:`Dialect.read`."""
        raise_error(event)
        choices, usage = event.get("choices"), _mapping(event.get("usage"))
        choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
        cached = _count(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
        asked = _count(usage.get("prompt_tokens"))
        evaluated = asked - (cached or 0) if asked is not None else None
        return AnswerChunk(_pieces(choice), _reason(choice.get("finish_reason")), evaluated, cached)


def _pieces(choice: Mapping[str, Any]) -> tuple[AnswerPiece, ...]:
    """Return the pieces of a choice: one a token, where the log probabilities name the tokens."""
    text = choice.get("text")
    if not isinstance(text, str):
        text = _mapping(choice.get("delta")).get("content")
    if not isinstance(text, str) or not text:
        return ()
    found = _mapping(choice.get("logprobs"))
    tokens, logprobs = found.get("tokens"), found.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(logprobs, list) or len(tokens) != len(logprobs):
        return (AnswerPiece(text),)
    if all(isinstance(token, str) for token in tokens) and "".join(tokens) == text:
        return tuple(
            AnswerPiece(token, _probability(value)) for token, value in zip(tokens, logprobs, strict=True)
        )
    return (AnswerPiece(text, min(map(_probability, logprobs), default=1.0)),)


@frozen
class Vllm(OpenAi):
    """vLLM: token ids, log probabilities, and an adapter by its name as the model."""

    kind: str = "vllm"
    takes_ids: bool = True

    def body(self, request: CompletionCall) -> dict[str, Any]:
        """See :meth:`Dialect.body`. vLLM hides special tokens by default, which then would end nothing."""
        return {
            **super().body(request),
            "stop_token_ids": list(request.stop_ids),
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
            "logprobs": 0,
            "top_k": request.sampling.top_k if request.sampling.temperature > 0 else 0,
            "stream_options": {"include_usage": True},
        }


@frozen
class Tgi:
    """Hugging Face's Text Generation Inference, ``/generate_stream``."""

    kind: str = "tgi"
    path: str = "/generate_stream"
    takes_ids: bool = False
    bans_tokens: bool = False

    def body(self, request: CompletionCall) -> dict[str, Any]:
        """See :meth:`Dialect.body`."""
        sampling = request.sampling
        parameters: dict[str, Any] = {
            "max_new_tokens": sampling.max_tokens,
            "stop": list(request.stops[:_FEW_STOPS]),
            "return_full_text": False,
            "details": True,
        }
        if sampling.temperature > 0:
            parameters |= {"do_sample": True, "temperature": sampling.temperature, "seed": sampling.seed}
            # TGI refuses the values with which others switch these off.
            parameters |= {"top_k": sampling.top_k} if sampling.top_k else {}
            parameters |= {"top_p": sampling.top_p} if 0 < sampling.top_p < 1 else {}
        else:
            parameters["do_sample"] = False
        if request.adapters:
            parameters["adapter_id"] = request.adapters[0][0]
        return {"inputs": request.prompt.text, "parameters": parameters}

    def read(self, event: Mapping[str, Any]) -> AnswerChunk:
        """See :meth:`Dialect.read`."""
        raise_error(event)
        token, details = _mapping(event.get("token")), _mapping(event.get("details"))
        text = token.get("text")
        pieces: tuple[AnswerPiece, ...] = ()
        end = _reason(details.get("finish_reason"))
        if token.get("special"):
            end = end or FinishReason.END
        elif isinstance(text, str):
            pieces = (AnswerPiece(text, _probability(token.get("logprob")), _count(token.get("id"))),)
        if event.get("generated_text") is not None:
            end = end or FinishReason.END
        return AnswerChunk(pieces, end, _count(details.get("input_length")))


@frozen
class Ollama:
    """Ollama, ``/api/generate``, with the prompt as it is (``raw``)."""

    context: int = 2048
    kind: str = "ollama"
    path: str = "/api/generate"
    takes_ids: bool = False
    bans_tokens: bool = False

    def body(self, request: CompletionCall) -> dict[str, Any]:
        """See :meth:`Dialect.body`. An adapter is a model of its own there."""
        sampling = request.sampling
        return {
            "model": request.adapters[0][0] if request.adapters else request.model,
            "prompt": request.prompt.text,
            "raw": True,
            "stream": True,
            "options": {
                "num_predict": sampling.max_tokens,
                # Another context window would load the model again, so it is always the same.
                "num_ctx": self.context,
                "temperature": sampling.temperature,
                "top_k": sampling.top_k,
                "top_p": sampling.top_p,
                "seed": sampling.seed,
                "repeat_penalty": 1.0,
                "stop": list(request.stops),
            },
        }

    def read(self, event: Mapping[str, Any]) -> AnswerChunk:
        """See :meth:`Dialect.read`."""
        raise_error(event)
        text = event.get("response")
        pieces = (AnswerPiece(text),) if isinstance(text, str) and text else ()
        end = _reason(event.get("done_reason") or "stop") if event.get("done") else None
        return AnswerChunk(pieces, end, _count(event.get("prompt_eval_count")))


@frozen
class Codestral(OpenAi):
    """Mistral's API for fill-in-the-middle, which takes prefix and suffix apart."""

    kind: str = "codestral"
    path: str = "/v1/fim/completions"

    def body(self, request: CompletionCall) -> dict[str, Any]:
        """See :meth:`Dialect.body`."""
        sampling = request.sampling
        return {
            "model": request.model or "codestral-latest",
            "prompt": request.prefix,
            "suffix": request.suffix,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "random_seed": sampling.seed,
            "stream": True,
        }


def parse_event(line: str) -> Mapping[str, Any] | None:
    """Parse one line of a stream: ``data: {…}``, or just the object.

    Returns:
        The object; None for what carries nothing, such as comments and blank lines, and for ``[DONE]``.

    Raises:
        RemoteError: the line is neither.
    """
    text = line.strip()
    if not text or text.startswith((":", "event:", "id:", "retry:")):
        return None
    text = text.removeprefix("data:").strip()
    if text in ("", "[DONE]"):
        return None
    try:
        event = json.loads(text)
    except ValueError:
        event = None
    if not isinstance(event, Mapping):
        raise RemoteError("The server sent something that is no event of a completion.")
    return event


def stop_texts(markers: Sequence[str]) -> tuple[str, ...]:
    """Order markers for servers that take few of them: those that the model writes instead of an end first.

    An end token of the model's own file ends the answer without being asked.
    """

    def rank(marker: str) -> int:
        names = ("file", "fim_prefix", "fim▁begin", "repo", "suffix", "hole", "middle")
        return next((index for index, name in enumerate(names) if name in marker.lower()), len(names))

    return tuple(sorted(dict.fromkeys(markers), key=rank))
