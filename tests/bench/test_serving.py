from __future__ import annotations

from collections import Counter

from benchmarks.serving.__main__ import summary
from benchmarks.serving.client import OVERTAKEN, ClientRecord


def test_summary_compares_the_slowest_client_with_the_fastest():
    fast = ClientRecord("a", [10.0, 20.0, 30.0], Counter({"200": 3}))
    slow = ClientRecord("b", [100.0], Counter({"200": 1, "429": 2}), [7, 3])
    found = summary([fast, slow])
    assert found["statuses"] == {"200": 4, "429": 2}
    assert found["answered_by_client"] == [1, 3]
    assert found["median_ms_by_client"] == [20.0, 100.0]
    assert (found["median_ms"], found["p95_ms"]) == (25.0, 30.0)
    assert (found["slowest_to_fastest"], found["retry_after_s"]) == (5.0, [3, 7])
    assert found["errors"] == 0


def test_every_status_but_200_and_429_is_an_error():
    record = ClientRecord("a", [], Counter({"504": 2, "429": 1, "ReadError": 1, OVERTAKEN: 9}))
    assert summary([record])["errors"] == 3


def test_summary_of_nothing():
    assert summary([ClientRecord("a")])["p95_ms"] is None
