from __future__ import annotations

from pathlib import Path

import pytest

from fim_lsp.settings import SettingsError
from fim_lsp.types import Trigger
from training.evaluate import EvaluationError
from training.evaluate.arms import parse_arm


def test_a_plain_arm_is_served_as_the_server_would_but_greedy_and_without_a_clock() -> None:
    arm = parse_arm("base=smollm2-135m")
    settings = arm.settings(256)
    assert (arm.name, settings.model.name) == ("base", "smollm2-135m")
    assert settings.sampling.invoked_max_tokens == 256
    assert settings.sampling.temperature == 0
    assert settings.completion.cache_size == 0
    assert settings.completion.time_budget_ms > 3600_000
    assert settings.completion.multiline == "auto"
    assert arm.text == "shown"


def test_keys_and_settings_change_how_it_is_served() -> None:
    arm = parse_arm("x=m.gguf,template=qwen,layout=anchored,post=off,prompt.healTokens=false,model.threads=2")
    settings = arm.settings(64)
    assert settings.model.template == "qwen"
    assert settings.prompt.layout == "anchored"
    assert settings.prompt.heal_tokens is False
    assert settings.model.threads == 2
    assert arm.text == "stopped"


def test_without_a_template_a_single_line_is_asked_for_where_one_is_missing() -> None:
    arm = parse_arm("l2r=m.gguf,template=none")
    assert arm.prefix_only
    assert arm.settings(64, single_line=True).completion.multiline == "never"
    assert arm.settings(64).completion.multiline == "auto"
    off = parse_arm("l2r=m.gguf,template=none,first_line=off")
    assert off.settings(64, single_line=True).completion.multiline == "auto"


def test_an_arm_may_be_served_as_while_typing() -> None:
    arm = parse_arm("typed=m.gguf,trigger=automatic")
    assert (arm.trigger, parse_arm("a=m.gguf").trigger) == (Trigger.AUTOMATIC, Trigger.INVOKED)
    settings = arm.settings(96)
    assert (settings.sampling.max_tokens, settings.completion.debounce_max_ms) == (96, 0)


@pytest.mark.parametrize(
    "text", ["base", "=m.gguf", "a=", "a=m,post", "a=m,post=maybe", "a=m,trigger=now", "a=m,what=1"]
)
def test_what_makes_no_arm_is_refused(text: str) -> None:
    with pytest.raises(EvaluationError):
        parse_arm(text)


def test_a_setting_that_does_not_exist_is_refused_before_anything_runs() -> None:
    with pytest.raises(SettingsError, match="nothing"):
        parse_arm("a=m.gguf,prompt.nothing=1")


def test_answers_depend_on_the_model_and_the_settings_but_not_on_the_name() -> None:
    arm = parse_arm("a=m.gguf")
    assert arm.identity("x") == parse_arm("b=m.gguf,text=stopped").identity("x")
    assert arm.identity("x") != arm.identity("y")
    assert arm.identity("x") != parse_arm("a=m.gguf,layout=plain").identity("x")
    assert arm.identity("x") != parse_arm("a=m.gguf,template=none").identity("x")
    assert arm.identity("x") != parse_arm("a=m.gguf,trigger=automatic").identity("x")


def test_a_folder_is_only_scored(tmp_path: Path) -> None:
    assert parse_arm(f"hf={tmp_path}").is_folder
    assert not parse_arm("hf=smollm2-135m").is_folder
