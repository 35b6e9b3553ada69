"""Estimate how fast a model of the catalog would be on this machine, from one that was measured here. Pure.

A prefill computes with every parameter for every token, so that its time grows with the parameters; decoding
reads every weight for each token, so that its time grows with the bytes. Of a mixture of experts only the
active part counts. Kernels differ by up to half with the quantisation, so the figures tell classes of models
apart and no more.
"""

from __future__ import annotations

from attrs import frozen

from fim_lsp.models.catalog import CatalogModel


@frozen
class MeasuredSpeed:
    """The speed of a model on this machine."""

    model: CatalogModel
    prefill_tokens_per_s: float
    decode_tokens_per_s: float


@frozen
class SpeedEstimate:
    """The expected speed of another model there."""

    prefill_tokens_per_s: float
    decode_tokens_per_s: float

    @property
    def key_ms(self) -> float:
        """Milliseconds to the first token while typing, where one token is evaluated."""
        return 1000 / self.decode_tokens_per_s

    def first_prompt_ms(self, cold_ms: float, fewest: int, most: int) -> float:
        """Return the milliseconds to the first token at a new place.

        Args:
            cold_ms: the time that a short prompt may take.
            fewest: tokens of the shortest prompt.
            most: tokens of the longest prompt.
        """
        tokens = min(max(fewest, self.prefill_tokens_per_s * cold_ms / 1000), most)
        return tokens / self.prefill_tokens_per_s * 1000


def estimate(model: CatalogModel, measured: MeasuredSpeed) -> SpeedEstimate:
    """Estimate the speed of ``model`` from that of another one."""
    return SpeedEstimate(
        measured.prefill_tokens_per_s * _active_m(measured.model) / _active_m(model),
        measured.decode_tokens_per_s * _active_bytes(measured.model) / _active_bytes(model),
    )


def _active_m(model: CatalogModel) -> int:
    return model.active_m or model.parameters_m


def _active_bytes(model: CatalogModel) -> float:
    return model.size_bytes * _active_m(model) / model.parameters_m
