"""The fit of the memory's gate: records of teacher forcing, features, weights, and the model's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from fim_lsp.engine.memory.gate import FEATURES, Gate, load_gate, next_record
from fim_lsp.engine.memory.matches import LEVELS, Voters
from fim_lsp.engine.memory.mixture import mix
from fim_lsp.engine.memory.tally import Tally
from fim_lsp.engine.scripted import Script, ScriptedEngine
from fim_lsp.models.gguf_header import check_model, read_header
from tests.unit.models.tiny_adapter import write_base
from training.evaluate.cuts import cut_files, source_files
from training.gate.collect import Collector, HoleSteps, ModelStep, Step, load_records
from training.gate.fit import GateData, cross_validate, fit_gate, interval, losses, make_data
from training.gate.write import write_gate

CODE = '''import os


def compute_{name}(left, right):
    """Return the {name} of two numbers."""
    total = combine(left, right, mode="{name}")
    if total is None:
        raise ValueError("no {name}")
    return total
'''


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    for name in ("sum", "product", "mean", "spread"):
        (root / f"{name}.py").write_text(CODE.format(name=name) * 3)
    return root


@pytest.fixture
def records(repository: Path, tmp_path: Path) -> tuple[HoleSteps, ...]:
    engine = ScriptedEngine(Script(lambda _: "x", probability=0.3))
    files = source_files(repository)
    holes = cut_files(files, "project", 12, 0)
    folder = tmp_path / "records" / "project"
    Collector(engine, None).collect(files, holes, folder)
    return tuple(load_records(folder))


def _step(rng: np.random.Generator) -> tuple[Step, np.ndarray]:
    """Return a step with votes, and the model's logits."""
    logits = rng.normal(0, 3, 20)
    tokens = rng.integers(0, 20, 8)
    where = np.zeros(8, np.int64)
    voters = Voters(tokens, rng.integers(2, 17, 8).astype(np.uint8), where, where, 8)
    target = int(tokens[0])
    model = ModelStep.of(logits, target, np.unique(tokens))
    return Step(target, model, ModelStep.of(logits * 2, target, np.unique(tokens)), voters), logits


def test_the_loss_is_that_of_the_engines_mixture():
    rng = np.random.default_rng(0)
    steps, rows = zip(*(_step(rng) for _ in range(20)), strict=True)
    gate = Gate(tuple(rng.normal(size=len(FEATURES))))
    expected, record = [], 0.0
    for step, logits in zip(steps, rows, strict=True):
        row = mix(logits.astype(np.float32), Tally.of(step.voters), gate, record=record)
        mixed = row.logits.astype(np.float64)
        expected.append(np.log(np.exp(mixed).sum()) - mixed[step.target])
        record = next_record(record, row.lead(step.target))
    np.testing.assert_allclose(losses(make_data([HoleSteps("a", steps)]), gate), expected, atol=1e-4)


def test_the_holes_own_file_votes_around_the_hole_alone(repository, tmp_path):
    for path in sorted(repository.iterdir())[1:]:
        path.unlink()
    engine = ScriptedEngine(Script(lambda _: "x", probability=0.3))
    files = source_files(repository)
    folder = tmp_path / "alone"
    Collector(engine, None).collect(files, cut_files(files, "project", 6, 0), folder)
    voters = [step.voters for hole in load_records(folder) for step in hole.steps if step.voters is not None]
    assert voters
    # The document is the first part, and the repository the second.
    assert {int(part) for votes in voters for part in votes.parts} == {0}


def test_records_are_read_as_they_were_written_and_not_made_again(repository, records, tmp_path):
    engine = ScriptedEngine(Script(lambda _: pytest.fail("it was evaluated again")))
    files = source_files(repository)
    folder = tmp_path / "records" / "project"
    Collector(engine, None).collect(files, cut_files(files, "project", 12, 0), folder)
    again = tuple(load_records(folder))
    assert [len(hole.steps) for hole in again] == [len(hole.steps) for hole in records]
    for hole, other in zip(records, again, strict=True):
        for step, same in zip(hole.steps, other.steps, strict=True):
            assert (step.target, step.model.target) == (same.target, same.model.target)


def _synthetic(right: float, tokens: int = 400) -> GateData:
    """Return tokens of a model that is unsure, with one vote each, right in so many cases."""
    rng = np.random.default_rng(1)
    features = np.zeros((tokens, LEVELS, len(FEATURES)))
    features[:, 0, 0] = 1
    matched = np.zeros((tokens, LEVELS), np.bool_)
    matched[:, 0] = True
    shares = np.zeros((tokens, LEVELS))
    shares[:, 0] = rng.random(tokens) < right
    holes = np.arange(tokens) // 10
    repositories = np.where(holes % 2, "a", "b")
    return GateData(features, shares, matched, np.full(tokens, np.log(0.1)), holes, repositories)


def test_votes_that_are_right_count_more():
    trusting, careful = (fit_gate([_synthetic(right)]) for right in (0.9, 0.2))
    assert trusting.weights[0] > 0 > careful.weights[0]
    data = _synthetic(0.9)
    assert losses(data, trusting).mean() < -data.logs.mean()


def test_a_gate_is_checked_on_repositories_that_it_was_not_fitted_on():
    data = _synthetic(0.9)
    # In one of them the votes are always wrong.
    data = evolve(data, shares=data.shares * (data.repositories == "a")[:, None])
    (checked,) = cross_validate([data])
    fitted = losses(data, fit_gate([data]))
    wrong = data.repositories == "b"
    assert checked[wrong].mean() > fitted[wrong].mean()


def test_an_interval_holds_the_mean():
    mean, low, high = interval(np.random.default_rng(0).normal(0.1, 1, 500), np.arange(500) // 5)
    assert low < mean < high


def test_a_models_file_is_copied_with_its_gate(tmp_path):
    base = write_base(tmp_path / "base.gguf")
    gate = Gate(tuple(float(number) for number in range(len(FEATURES))))
    for copy in (tmp_path / "with.gguf", tmp_path / "again.gguf"):
        write_gate(base, gate.dump(), copy)
        header = check_model(copy)
        assert load_gate(str(header.metadata["fim_lsp.memory_gate"])) == gate
        before = read_header(base)
        assert [tensor.name for tensor in header.tensors] == [tensor.name for tensor in before.tensors]
        base = copy
