from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.settings import AdapterSettings, Settings, SettingsError, camel_case, from_wire, table
from fim_lsp.strict import merge


def test_nothing_set_means_the_defaults():
    assert from_wire({}) == Settings()


def test_camel_case_on_the_wire_snake_case_inside():
    assert from_wire({"model": {"gpuLayers": -1}}).model.gpu_layers == -1


@pytest.mark.parametrize(
    ("wire", "problem"),
    [
        ({"model": {"gpuLayers": "3"}}, "expected int, not '3' @ fimLsp.model.gpuLayers"),
        ({"model": {"threads": True}}, "expected int, not True @ fimLsp.model.threads"),
        ({"modl": {}}, "unknown setting modl @ fimLsp"),
        ({"model": {"thread": 1}}, "unknown setting thread @ fimLsp.model"),
        ({"model": 3}, "expected an object, not 3 @ fimLsp.model"),
        ({"model": {"threads": 0}}, "threads must be at least 1, not 0"),
        ({"completion": {"multiline": "x"}}, "expected one of auto, always, never, not 'x'"),
        ({"completion": {"disabledLanguages": [1]}}, "expected a list of strings"),
        ({"completion": {"enabled": 1}}, "expected bool, not 1"),
        ({"sampling": {"temperature": None}}, "expected float, not None"),
        ({"sampling": {"topP": 1.5}}, "at most 1, not 1.5"),
        ({"adapters": "a.gguf"}, "expected a list of objects, not 'a.gguf' @ fimLsp.adapters"),
        ({"adapters": [{"path": "a"}, 3]}, "expected an object, not 3 @ fimLsp.adapters[1]"),
        ({"adapters": [{}]}, "path must name a file, or name an adapter on a server @ fimLsp.adapters[0]"),
        (
            {"adapters": [{"path": ""}]},
            "path must name a file, or name an adapter on a server @ fimLsp.adapters[0]",
        ),
        ({"adapters": [{"path": "a", "scale": "1"}]}, "expected float, not '1' @ fimLsp.adapters[0].scale"),
        ({"adapters": [{"path": "a", "scale": -1}]}, "scale must be at least 0, not -1"),
        ({"adapters": [{"path": "a", "scale": float("nan")}]}, "scale must be at least 0, not nan"),
        ({"adapters": [{"path": "a", "language": []}]}, "unknown setting language @ fimLsp.adapters[0]"),
        ({"adapters": [{"path": "a", "workspaces": ["src"]}]}, "workspaces must be whole paths, not 'src'"),
    ],
)
def test_bad_values_are_named_with_their_path(wire, problem):
    with pytest.raises(SettingsError) as caught:
        from_wire(wire)
    assert problem in str(caught.value)


def test_every_bad_value_is_named_at_once():
    with pytest.raises(SettingsError) as caught:
        from_wire({"model": {"threads": "x"}, "completion": {"maxLines": 0}})
    assert "model.threads" in str(caught.value)
    assert "at least 1, not 0" in str(caught.value)


def test_adapters_are_structured_in_order():
    wire = [
        {"path": "~/a.gguf", "languages": ["python"], "workspaces": ["/work", "~/own"]},
        {"path": "b.gguf", "scale": 0},
    ]
    assert from_wire({"adapters": wire}).adapters == (
        AdapterSettings("~/a.gguf", 1.0, ("python",), ("/work", "~/own")),
        AdapterSettings("b.gguf", 0.0),
    )


def test_the_table_tells_what_the_objects_of_a_list_have():
    row, arms = [row for row in table() if row.items]
    assert (row.path, arms.path) == ("adapters", "experiment.arms")
    assert [item.path for item in row.items] == ["path", "scale", "languages", "workspaces", "name"]
    assert row.items[0].default == ""
    assert all(item.about.endswith(".") for item in row.items)


def test_null_takes_an_optional_setting_back_to_automatic():
    assert from_wire({"model": {"threads": None, "template": None}}).model.threads is None


def test_later_layers_win_key_by_key():
    merged = merge({"model": {"name": "a", "threads": 1}}, None, {"model": {"name": "b"}}, {"status": True})
    assert merged == {"model": {"name": "b", "threads": 1}, "status": True}


def test_the_table_lists_every_setting_with_its_meaning():
    rows = table()
    paths = [row.path for row in rows]
    assert "model.gpuLayers" in paths
    assert "status" in paths
    assert len(paths) == len(set(paths))
    assert all(row.about.endswith(".") for row in rows)


def test_the_defaults_of_the_table_are_valid():
    for row in table():
        wire: object = list(row.default) if isinstance(row.default, tuple) else row.default
        for key in reversed(row.path.split(".")):
            wire = {key: wire}
        assert from_wire(wire) == Settings()


def test_camel_case():
    assert camel_case("kv_type_k") == "kvTypeK"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([part for row in table() for part in row.path.split(".")] + ["model", "completion"])


@given(st.dictionaries(keys, json_values | st.dictionaries(keys, json_values, max_size=3), max_size=4))
def test_whatever_a_client_sends_is_settings_or_a_settings_error(wire: dict[str, object]):
    with contextlib.suppress(SettingsError):
        assert isinstance(from_wire(wire), Settings)
