"""Refusals: a request that is not served, with the HTTP status and the words of each protocol."""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

from fim_lsp.engine.base import AdapterError, EngineError, PromptTooLongError
from fim_lsp.errors import FimLspError

Protocol = Literal["openai", "llama", "tgi", "ollama"]
"""The protocols that are served; each has its own shape of an error."""

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "not_found_error",
    408: "timeout_error",
    411: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    501: "not_supported_error",
    503: "unavailable_error",
    504: "timeout_error",
}
_TGI_TYPES = {400: "validation", 413: "validation", 429: "overloaded"}


class RefusedError(FimLspError):
    """A request that is not served.

    Args:
        status: HTTP status.
        problem: what is wrong.
        remedy: what to do.
        param: the field that is wrong.
        name: short name of the problem for programs.
        retry_after_s: seconds after which the same request may be served.
    """

    def __init__(
        self,
        status: int,
        problem: str,
        remedy: str = "",
        *,
        param: str | None = None,
        name: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(problem, remedy)
        self.status = status
        self.param = param
        self.name = name
        self.retry_after_s = retry_after_s


@frozen
class ErrorAnswer:
    """An error as it is sent."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


def refusal_of(error: Exception) -> RefusedError:
    """Return the refusal that an error amounts to; 500 without details for what is unexpected."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, PromptTooLongError):
        return RefusedError(
            400, error.problem, "Send less text.", param="prompt", name="context_length_exceeded"
        )
    if isinstance(error, AdapterError):
        return RefusedError(400, error.problem, error.remedy, param="model", name="adapter_refused")
    if isinstance(error, EngineError):
        return RefusedError(503, error.problem, "Try again later.", name="model_unavailable", retry_after_s=1)
    if isinstance(error, FimLspError):
        return RefusedError(500, error.problem, error.remedy)
    return RefusedError(500, "The request failed in the server; see its log.")


def answer_of(error: RefusedError, protocol: Protocol) -> ErrorAnswer:
    """Return an error in the shape of a protocol."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status in (408, 413):
        # Otherwise the rest of the body would be read, and thrown away, to its end.
        headers["Connection"] = "close"
    return ErrorAnswer(error.status, _body(error, protocol), headers)


def protocol_of(path: str) -> Protocol:
    """Return the protocol that a path belongs to; OpenAI's for what belongs to none."""
    if path.startswith("/api/"):
        return "ollama"
    if path in ("/generate", "/generate_stream"):
        return "tgi"
    if path in ("/infill", "/completion", "/completions", "/props", "/slots", "/health", "/lora-adapters"):
        return "llama"
    return "openai"


def _body(error: RefusedError, protocol: Protocol) -> dict[str, Any]:
    message = str(error)
    kind = _TYPES.get(error.status, "server_error")
    if protocol == "ollama":
        return {"error": message}
    if protocol == "tgi":
        return {"error": message, "error_type": _TGI_TYPES.get(error.status, "generation")}
    if protocol == "llama":
        return {"error": {"code": error.status, "message": message, "type": kind}}
    return {"error": {"message": message, "type": kind, "param": error.param, "code": error.name}}
