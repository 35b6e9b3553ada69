from __future__ import annotations

import pytest

from training.description import _sees_repository


@pytest.mark.parametrize(("rows", "sees"), [((100, 40), True), ((100, 9), False), ((0, 0), False)])
def test_a_model_reads_other_files_only_where_enough_rows_had_them(rows: tuple[int, int], sees: bool):
    count, with_snippets = rows
    assert _sees_repository({"rows": {"train": {"rows": count, "with_snippets": with_snippets}}}) is sees
    assert not _sees_repository({})
