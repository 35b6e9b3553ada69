"""A LoRA and the memory add up: the four arms are computed from the same holes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.quality.adds_up import compare
from fim_lsp.engine.scripted import Script, ScriptedEngine
from training.evaluate.cuts import cut_files, source_files
from training.gate.collect import Collector, HoleSteps, load_records

CODE = '''def compute_{name}(left, right):
    """Return the {name} of two numbers."""
    total = combine(left, right, mode="{name}")
    if total is None:
        raise ValueError("no {name}")
    return total
'''


def records(repository: Path, folder: Path, probability: float) -> list[HoleSteps]:
    files = source_files(repository)
    holes = [hole for hole in cut_files(files, "project", 12, 0) if hole.middle]
    Collector(ScriptedEngine(Script(lambda _: "x", probability=probability)), None).collect(
        files, holes, folder
    )
    return list(load_records(folder))


def test_each_arm_has_its_nats_and_both_together_are_compared_with_either(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for name in ("sum", "product", "mean", "spread"):
        (root / f"{name}.py").write_text(CODE.format(name=name) * 3)
    # The surer scripted model is the worse one here: it is sure of what is wrong.
    surer = records(root, tmp_path / "surer", 0.9)
    doubting = records(root, tmp_path / "doubting", 0.3)
    figures = compare(surer, doubting)
    nats = figures["nats_per_token"]
    assert nats["lora"] < nats["model"]
    assert nats["memory"] < nats["model"]
    assert nats["memory and lora"] < nats["lora"]
    assert figures["holes"] > 3
    value, low, high = figures["differences"]["memory and lora - lora"]
    assert low <= value <= high < 0
    assert abs(value - (nats["memory and lora"] - nats["lora"])) < 1e-3
