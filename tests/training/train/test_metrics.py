from __future__ import annotations

from pathlib import Path

from training.train.metrics import MetricsLog, plot_losses, read_metrics


def test_a_resumed_log_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        for step in (1, 2, 3):
            log.write({"step": step, "loss": 1.0 / step})
    with path.open("a") as file:
        file.write('{"step": 4, "lo')  # a killed process
    with MetricsLog(path, resumed_at=2) as log:
        log.write({"step": 3, "loss": 0.5})
    assert [line["loss"] for line in read_metrics(path)] == [1.0, 0.5, 0.5]


def test_a_new_run_begins_a_new_log(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for loss in (1.0, 2.0):
        with MetricsLog(path) as log:
            log.write({"step": 1, "loss": loss})
    assert read_metrics(path) == [{"step": 1, "loss": 2.0}]


def test_a_plot_needs_steps(tmp_path: Path) -> None:
    assert not plot_losses(tmp_path / "nothing.jsonl", tmp_path / "loss.png")
    with MetricsLog(tmp_path / "metrics.jsonl") as log:
        log.write({"step": 1, "tokens": 10, "loss": 2.0, "held_out_nll": 3.0})
    assert plot_losses(tmp_path / "metrics.jsonl", tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
