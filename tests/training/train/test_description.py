from __future__ import annotations

import pytest

from training.train.description import enough_rows_have


@pytest.mark.parametrize("what", ["with_snippets", "anchored"])
@pytest.mark.parametrize(("rows", "learnt"), [((100, 40), True), ((100, 9), False), ((0, 0), False)])
def test_a_model_knows_only_what_enough_rows_had(what: str, rows: tuple[int, int], learnt: bool):
    count, having = rows
    assert enough_rows_have(what, {"rows": {"train": {"rows": count, what: having}}}) is learnt
    assert not enough_rows_have(what, {})
