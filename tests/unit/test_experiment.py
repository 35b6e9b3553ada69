from __future__ import annotations

import pytest

from fim_lsp.completion.document_adapters import adapters_of_arm
from fim_lsp.experiment import ArmSettings, ExperimentSettings, assign, uses_second_model
from fim_lsp.settings import AdapterSettings, SettingsError, from_wire

URIS = [f"file:///project/{number}.py" for number in range(3000)]


def experiment(name: str = "style", share: float = 0.5) -> ExperimentSettings:
    return ExperimentSettings(
        name, (ArmSettings("plain", 1 - share), ArmSettings("tuned", share, "second", "style.gguf"))
    )


def test_without_an_experiment_no_document_has_an_arm():
    assert assign(ExperimentSettings(), URIS[0]) is None


def test_a_document_stays_in_its_arm():
    assert [assign(experiment(), uri) for uri in URIS[:50]] == [
        assign(experiment(), uri) for uri in URIS[:50]
    ]


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_arms_get_their_shares(share):
    tuned = sum(assign(experiment(share=share), uri).arm.name == "tuned" for uri in URIS)
    assert abs(tuned / len(URIS) - share) < 0.03


def test_another_experiment_draws_anew():
    same = sum(assign(experiment("a"), uri).arm == assign(experiment("b"), uri).arm for uri in URIS)
    assert 0.45 < same / len(URIS) < 0.55


def test_all_documents_of_a_bucket_are_in_one_arm():
    arms: dict[int, set[str]] = {}
    for uri in URIS:
        assigned = assign(experiment(), uri)
        arms.setdefault(assigned.bucket, set()).add(assigned.label)
    assert all(len(labels) == 1 for labels in arms.values())


def test_an_arm_brings_its_model_and_adapter():
    tuned = next(uri for uri in URIS if assign(experiment(), uri).arm.name == "tuned")
    plain = next(uri for uri in URIS if assign(experiment(), uri).arm.name == "plain")
    assert (uses_second_model(experiment(), tuned), uses_second_model(experiment(), plain)) == (True, False)
    assert adapters_of_arm(experiment(), plain, remote=False) == ()
    assert adapters_of_arm(experiment(), tuned, remote=False) == (AdapterSettings("style.gguf"),)
    assert adapters_of_arm(experiment(), tuned, remote=True) == (AdapterSettings(name="style.gguf"),)


@pytest.mark.parametrize(
    "arms", [[], [{"name": "a"}], [{"name": "a"}, {"name": "a"}], [{"name": ""}, {"name": "b"}]]
)
def test_an_experiment_has_two_arms_with_names(arms):
    with pytest.raises(SettingsError):
        from_wire({"experiment": {"name": "style", "arms": arms}})


def test_settings_make_an_experiment():
    wire = {
        "name": "style",
        "arms": [{"name": "plain"}, {"name": "tuned", "adapter": "a.gguf", "share": 0.2}],
    }
    assert from_wire({"experiment": wire}).experiment.arms[1].share == 0.2
