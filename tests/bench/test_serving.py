from __future__ import annotations

from collections import Counter

from benchmarks.serving.__main__ import summary
from benchmarks.serving.client import ClientRecord


def test_summary_compares_the_slowest_client_with_the_fastest():
    fast = ClientRecord("a", [10.0, 20.0, 30.0], Counter({"200": 3}))
    slow = ClientRecord("b", [100.0], Counter({"200": 1, "429": 2}))
    found = summary([fast, slow])
    assert found["statuses"] == {"200": 4, "429": 2}
    assert found["answered_by_client"] == [1, 3]
    assert found["median_ms_by_client"] == [20.0, 100.0]
    assert (found["median_ms"], found["p95_ms"]) == (25.0, 30.0)


def test_summary_of_nothing():
    assert summary([ClientRecord("a")])["p95_ms"] is None
