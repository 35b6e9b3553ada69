"""Rows of logits: found by what they stand behind, never shared, and no more than fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fim_lsp.engine.kept_logits import KeptLogits
from fim_lsp.types import AppliedAdapter

ROW = np.arange(4, dtype=np.float32)
STYLE = AppliedAdapter(Path("style.gguf"))


def test_a_row_is_found_by_its_adapters_and_all_tokens_before_it():
    kept = KeptLogits()
    kept.keep((STYLE,), (1, 2), ROW)
    np.testing.assert_array_equal(kept.find((STYLE,), [1, 2]), ROW)
    for adapters, tokens in [((), (1, 2)), ((STYLE,), (1,)), ((STYLE,), (1, 2, 3)), ((STYLE,), (2, 2))]:
        assert kept.find(adapters, tokens) is None


def test_a_kept_row_stays_what_it_was():
    kept, row = KeptLogits(), ROW.copy()
    kept.keep((), (1,), row)
    row[:] = 0
    found = kept.find((), (1,))
    np.testing.assert_array_equal(found, ROW)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def test_the_rows_used_longest_ago_are_forgotten_first():
    kept = KeptLogits(most_bytes=3 * ROW.nbytes)
    for token in range(3):
        kept.keep((), (token,), ROW)
    assert kept.find((), (0,)) is not None
    kept.keep((), (1,), ROW + 1)
    kept.keep((), (3,), ROW)
    assert [kept.find((), (token,)) is not None for token in range(4)] == [True, True, False, True]


def test_one_row_is_kept_whatever_its_size():
    kept = KeptLogits(most_bytes=1)
    kept.keep((), (1,), ROW)
    kept.keep((), (2,), ROW)
    assert kept.find((), (1,)) is None
    assert kept.find((), (2,)) is not None


def test_clear_forgets_all():
    kept = KeptLogits()
    kept.keep((), (1,), ROW)
    kept.clear()
    assert kept.find((), (1,)) is None
