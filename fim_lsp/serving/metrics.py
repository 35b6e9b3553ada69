"""What the server counts, for Prometheus. No code, no names of files, no addresses of clients."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from fim_lsp.serving.orders import Outcome

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "fim_lsp_requests", "Answered requests.", ["endpoint", "status"], registry=self._registry
        )
        self._tokens = Counter(
            "fim_lsp_tokens",
            "Tokens of prompts that were evaluated or reused, and generated tokens.",
            ["kind"],
            registry=self._registry,
        )
        self._cancelled = Counter(
            "fim_lsp_cancelled", "Requests whose connection closed early.", registry=self._registry
        )
        self._first = Histogram(
            "fim_lsp_first_token_seconds",
            "Seconds from the turn of a request to its first token.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._whole = Histogram(
            "fim_lsp_completion_seconds",
            "Seconds from a request to its last token, waiting included.",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def watch(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Publish a number that is read when it is asked for."""
        Gauge(f"fim_lsp_{name}", about, registry=self._registry).set_function(read)

    def request_answered(self, endpoint: str, status: int) -> None:
        """Count an answered request."""
        self._requests.labels(endpoint, str(status)).inc()

    def request_cancelled(self) -> None:
        """Count a request whose connection closed before its answer."""
        self._cancelled.inc()

    def completed(self, outcome: Outcome, took_s: float) -> None:
        """Count the cost of an outcome."""
        timings = outcome.timings
        self._tokens.labels("evaluated").inc(timings.evaluated_tokens)
        self._tokens.labels("reused").inc(timings.reused_tokens)
        self._tokens.labels("generated").inc(outcome.generated_tokens)
        self._first.observe(timings.prefill_ms / 1000)
        self._whole.observe(took_s)

    def text(self) -> bytes:
        """Return all numbers in Prometheus' format."""
        return generate_latest(self._registry)
