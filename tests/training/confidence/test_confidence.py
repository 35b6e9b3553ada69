"""Fitting the model that hides unlikely suggestions: labels, regression, figures, the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import asdict, evolve

from fim_lsp.completion.cache import ScoredToken
from fim_lsp.completion.showing.chance import read_model
from training.__main__ import main
from training.confidence import ConfidenceError
from training.confidence.collect import Sample, read_samples
from training.confidence.examples import Shown, examples_of, read_shown
from training.confidence.fit import as_json, fit
from training.confidence.positions import choose_positions
from training.confidence.report import calibrate, calibration_error, discrimination, measure_hiding
from training.evaluate.cuts import source_files

CODE = "".join(
    f"def f{n}(alpha, beta):\n    gamma = alpha + {n}\n    return gamma * beta\n\n\n" for n in range(40)
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "sources" / "repo").mkdir(parents=True)
    (tmp_path / "sources" / "repo" / "a.py").write_text(CODE)
    return tmp_path / "sources"


def sample(line: int, text: str, probability: float, *, complete: bool = False) -> Sample:
    """Provide a sample behind ``gamma =`` of the function ``line``, or behind its whole line."""
    start = CODE.index("gamma = ", CODE.index(f"def f{line}(")) + len("gamma = ")
    end = CODE.index("\n", start)
    start = end if complete else start
    tokens = tuple(ScoredToken(end, probability, 1 - probability) for end in range(2, len(text) + 2, 2))
    return Sample("repo", "a.py", "python", start, 0, end, text, probability, tokens, 0.0, "end", False)


def samples() -> list[Sample]:
    right = [sample(n, f"alpha + {n}", 0.9 - n % 3 * 0.1) for n in range(20)]
    wrong = [sample(n, "beta.delta()", 0.2 + n % 3 * 0.1) for n in range(20, 35)]
    return [*right, *wrong, *(sample(n, " or beta", 0.3, complete=True) for n in range(35, 40))]


def shown(sources: Path) -> list[Shown]:
    return list(read_shown(samples(), sources))


def write(path: Path, found: list[Sample]) -> Path:
    path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in found))
    return path


def test_a_beginning_of_what_is_missing_is_right(sources):
    (one,) = read_shown([sample(3, "alpha + 3", 0.9)], sources)
    assert one.is_right(len("alpha + 3"))
    assert one.is_right(len("alpha"))
    (wrong,) = read_shown([sample(3, "alpha + 4", 0.9)], sources)
    assert not wrong.is_right(len("alpha + 4"))
    assert wrong.is_right(len("alpha"))


def test_where_nothing_is_missing_nothing_is_right(sources):
    (one,) = read_shown([sample(3, " or beta", 0.9, complete=True)], sources)
    assert one.complete
    assert not one.is_right(len(" or beta"))


def test_sources_that_changed_are_named(sources):
    with pytest.raises(ConfidenceError, match="is not what the samples"):
        list(read_shown([evolve(sample(3, "x", 0.5), path="b.py")], sources))


def test_the_fit_tells_right_from_wrong_and_is_deterministic(sources):
    found = shown(sources)
    examples = [example for each in found for example in examples_of(each)]
    model = fit(examples)
    assert fit(examples) == model
    assert discrimination(found, model) > 0.95
    assert calibration_error(calibrate(found, model)) < 0.2
    figures = measure_hiding(found, model, lambda _: 0.5)
    assert figures.lost < 0.05
    assert figures.hidden > 0.9
    assert figures.offered_where_complete < 0.3
    nothing = measure_hiding(found, model, lambda _: 0.0)
    assert (nothing.lost, nothing.hidden, nothing.offered_where_complete) == (0, 0, 1)


def test_weights_are_read_as_they_were_written(sources):
    examples = [example for each in shown(sources) for example in examples_of(each)]
    model = fit(examples)
    again = read_model(as_json(model, 40, ["repo"]))
    assert again.estimate(examples[0].features) == pytest.approx(
        model.estimate(examples[0].features), abs=1e-3
    )


def test_samples_of_one_kind_can_not_be_fitted(sources):
    right = list(read_shown(samples()[:5], sources))
    with pytest.raises(ConfidenceError, match="no right or no wrong"):
        fit([example for each in right for example in examples_of(each) if example.right])


def test_positions_stand_along_a_hole_and_come_again(sources):
    files = source_files(sources / "repo")
    holes = choose_positions(files, 20, seed=3)
    assert holes == choose_positions(files, 20, seed=3)
    assert len(holes) == 20
    assert any(position.typed for hole in holes for position in hole)
    assert any(not position.missing for hole in holes for position in hole)
    for position in (position for hole in holes for position in hole):
        assert (
            position.document[: position.cursor] + position.missing + position.document[position.cursor :]
            == CODE
        )


def test_the_command_fits_and_reports(sources, tmp_path, capsys):
    file, weights = write(tmp_path / "samples.jsonl", samples()), tmp_path / "weights.json"
    fitting = ["confidence", "fit", str(file), "--sources", str(sources), "--output", str(weights)]
    assert main(fitting) == 0
    plot = tmp_path / "plot.svg"
    report = ["confidence", "report", str(file), "--sources", str(sources), "--weights", str(weights)]
    assert main([*report, "--plot", str(plot)]) == 0
    printed = capsys.readouterr().out
    assert "| normal | " in printed
    assert "AUC" in printed
    assert plot.stat().st_size > 1000


def test_samples_that_can_not_be_read_are_named(tmp_path, capsys):
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    assert main(["confidence", "fit", str(broken), "--sources", str(tmp_path)]) == 1
    assert "broken.jsonl can't be read" in capsys.readouterr().err
    with pytest.raises(ConfidenceError):
        list(read_samples(tmp_path / "nowhere.jsonl"))
