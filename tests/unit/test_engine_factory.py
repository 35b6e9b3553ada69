"""What is decided before llama.cpp is loaded."""

from __future__ import annotations

from fim_lsp.engine_factory import limit_spinning


def test_waiting_threads_spin_for_a_moment_and_then_sleep():
    environment: dict[str, str] = {}
    limit_spinning(environment)
    assert environment == {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}


def test_what_the_user_decided_stays():
    active = {"OMP_WAIT_POLICY": "active"}
    limit_spinning(active)
    assert active == {"OMP_WAIT_POLICY": "active"}
    counted = {"GOMP_SPINCOUNT": "5"}
    limit_spinning(counted)
    assert counted == {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "5"}
