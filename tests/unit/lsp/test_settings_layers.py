from __future__ import annotations

import pytest

from fim_lsp.lsp.settings_layers import SettingsLayers, unwrap_section
from fim_lsp.settings import CompletionSettings, SettingsError

LAYERS = ("user", "initialization", "configuration", "flags", "toggles")


@pytest.mark.parametrize("last", range(1, len(LAYERS) + 1))
def test_each_layer_wins_over_those_before_it(last):
    layers = SettingsLayers(
        **{layer: {"completion": {"maxLines": index}} for index, layer in enumerate(LAYERS[:last], 1)}
    )
    assert layers.merged().completion.max_lines == last


def test_layers_are_merged_key_by_key():
    layers = SettingsLayers(user={"model": {"name": "mine"}}, flags={"model": {"threads": 3}})
    assert (layers.merged().model.name, layers.merged().model.threads) == ("mine", 3)


def test_a_bad_value_is_named():
    with pytest.raises(SettingsError, match=r"fimLsp\.completion\.maxLines"):
        SettingsLayers(user={"completion": {"maxLines": "many"}}).merged()


def test_what_a_later_table_hides_is_named_if_it_is_wrong():
    with pytest.raises(SettingsError, match=r"expected an object, not 5 @ fimLsp\.completion"):
        SettingsLayers(user={"completion": 5}, flags={"completion": {"maxLines": 2}}).merged()
    remote = {"model": {"remote": {"url": "http://127.0.0.1:1"}}}
    assert SettingsLayers(user={"model": {"remote": None}}, flags=remote).merged().model.remote is not None


@pytest.mark.parametrize(
    "raw", [{"fimLsp": {"status": True}}, {"status": True}, {"fimLsp": {"status": True}, "other": 1}]
)
def test_a_section_may_be_wrapped_in_its_name(raw):
    assert unwrap_section(raw) == {"status": True}


@pytest.mark.parametrize("raw", [None, {}, {"fimLsp": None}, {"fimLsp": 5}, [], "text", 3])
def test_nothing_set_is_an_empty_section(raw):
    assert unwrap_section(raw) == {}


@pytest.mark.parametrize(
    ("before", "enabled", "after"), [(True, None, False), (False, None, True), (True, True, True)]
)
def test_completion_is_toggled_or_set(before, enabled, after):
    layers = SettingsLayers().toggled(CompletionSettings(enabled=before), enabled)
    assert layers.merged().completion.enabled is after


def test_a_language_is_toggled_or_set():
    completion = CompletionSettings(disabled_languages=("go",))
    layers = SettingsLayers()
    assert layers.toggled(completion, language="python").merged().completion.disabled_languages == (
        "go",
        "python",
    )
    assert layers.toggled(completion, language="go").merged().completion.disabled_languages == ()
    assert layers.toggled(completion, False, "go").merged().completion.disabled_languages == ("go",)


def test_toggles_of_before_stay():
    layers = SettingsLayers().toggled(CompletionSettings(), enabled=False)
    layers = layers.toggled(layers.merged().completion, language="go")
    assert not layers.merged().completion.enabled
    assert layers.merged().completion.disabled_languages == ("go",)


@pytest.mark.parametrize("layer", ["initialization", "configuration"])
def test_a_client_can_not_say_where_code_is_sent(layer):
    hostile = {"model": {"remote": {"url": "http://evil.example", "token": "x"}, "threads": 3}}
    layers = SettingsLayers(**{layer: hostile})
    assert layers.merged().model.remote.url == ""
    assert layers.merged().model.threads == 3
    (remark,) = layers.remarks()
    assert "model.remote.url" in remark
    assert "evil" not in remark


@pytest.mark.parametrize("layer", ["user", "flags"])
def test_the_user_and_the_command_line_can(layer):
    layers = SettingsLayers(**{layer: {"model": {"remote": {"url": "http://gpu"}}}})
    assert layers.merged().model.remote.url == "http://gpu"
    assert layers.remarks() == ()


def test_a_client_can_not_change_the_host_that_the_user_chose():
    layers = SettingsLayers(
        user={"model": {"remote": {"url": "https://gpu"}}},
        initialization={"model": {"remote": {"url": "http://evil", "caFile": "/tmp/ca"}}},
        configuration={"model": {"remote": {"url": "http://evil"}}},
    )
    remote = layers.merged().model.remote
    assert (remote.url, remote.ca_file) == ("https://gpu", None)
