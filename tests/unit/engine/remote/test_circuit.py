from __future__ import annotations

from fim_lsp.engine.remote.circuit import LONGEST_PAUSE_S, Circuit
from fim_lsp.engine.remote.errors import RemoteError


def test_each_failure_doubles_the_pause_up_to_a_minute():
    circuit, pauses = Circuit(), []
    for _ in range(8):
        circuit = circuit.failed(RemoteError("down"), now=100.0)
        pauses.append(circuit.closed_at - 100.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_one_request_is_let_through_after_the_pause():
    circuit = Circuit().failed(RemoteError("down"), now=100.0)
    assert not circuit.allows(100.9)
    assert circuit.allows(101.0)


def test_a_server_that_asks_for_longer_gets_it_within_reason():
    assert Circuit().failed(RemoteError("busy", retry_after_s=7), now=0.0).closed_at == 7
    assert Circuit().failed(RemoteError("busy", retry_after_s=9999), now=0.0).closed_at == LONGEST_PAUSE_S


def test_the_first_error_of_an_episode_is_kept():
    circuit = Circuit().failed(RemoteError("first"), 0.0).failed(RemoteError("second"), 5.0)
    assert str(circuit.error) == "first"
