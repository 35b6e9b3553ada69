from __future__ import annotations

from collections import Counter

from benchmarks.keystrokes.measures import PeerRun, Spread
from benchmarks.serving.__main__ import summary
from benchmarks.serving.beside import compared, table
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


def _run(peer, ttft, p95) -> PeerRun:
    spread, none = Spread(ttft, p95), Spread(None, None)
    return PeerRun(
        peer,
        "model",
        4096,
        False,
        spread,
        spread,
        spread,
        none,
        spread,
        none,
        spread,
        1.0,
        0.1,
        2.0,
        9,
        7,
        2,
        99.0,
    )


def test_table_beside_llama_server_has_medians_and_p95_and_their_ratios():
    found = compared(_run("infill", 200.0, 900.0), _run("served", 100.0, 300.0))
    row = found["rows"]["first token, ms"]
    assert row["ratio"] == {"p50": 2.0, "p95": 3.0}
    assert "| first token, ms | 200 (900) | 100 (300) | 2 | 3 |" in table(found)
    # What was not measured has no ratio.
    assert found["rows"]["hasty key to its first token, ms"]["ratio"] == {"p50": None, "p95": None}
    assert found["answers"] == {"llama_server": 5, "serve": 5}
