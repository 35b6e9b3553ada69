from __future__ import annotations

import pytest

from training.train.description import enough_rows_have


@pytest.mark.parametrize("feature", ["with_snippets", "anchored"])
@pytest.mark.parametrize(("rows", "is_trained"), [((100, 40), True), ((100, 9), False), ((0, 0), False)])
def test_a_feature_counts_if_enough_rows_have_it(feature: str, rows: tuple[int, int], is_trained: bool):
    count, having = rows
    assert enough_rows_have(feature, {"rows": {"train": {"rows": count, feature: having}}}) is is_trained
    assert not enough_rows_have(feature, {})
