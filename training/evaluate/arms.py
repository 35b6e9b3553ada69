"""Describe the arms of an evaluation: models with settings of the server, by name.

``NAME=MODEL[,key=value…]``, where MODEL is a name of the catalog, a GGUF file, or a folder of safetensors,
which can only be scored. The keys are those of :data:`KEYS`, and any setting by its path
(``prompt.healTokens=false``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from attrs import evolve, field, frozen

from fim_lsp.settings import Settings, from_wire
from fim_lsp.strict import merge
from fim_lsp.types import Trigger
from training.evaluate import EvaluationError

Text = Literal["shown", "stopped", "written"]
"""The texts of an answer.

``written``: all text that the model generated, until its end token or a limit. ``stopped``: its beginning, up
to the point at which the server's stop rules ended it. ``shown``: the text that the editor would insert,
after the filters.
"""
TEXTS: tuple[Text, ...] = get_args(Text)
PREFIX_ONLY = "none"
"""Value of ``template``: continue the prefix left to right, without the suffix."""
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "template": f"a FIM template by name, or {PREFIX_ONLY} for the prefix alone",
        "layout": "auto, plain or anchored",
        "text": f"the text that is measured: {', '.join(TEXTS)}",
        "post": "on measures the shown text, off the stopped one",
        "first_line": "on: where one line is missing, the server asks for one line",
        "trigger": "invoked, by a key: several lines anywhere; or automatic, while typing: where the server "
        "expects a block",
    }
)
_SWITCH: Mapping[str, bool] = MappingProxyType({"on": True, "off": False, "true": True, "false": False})
_TRIGGERS = tuple(trigger.value for trigger in Trigger)
_SERVING: Mapping[str, Any] = MappingProxyType(
    {
        "sampling": {"temperature": 0.0},
        # Each hole is a new place, and a short prompt would depend on the speed of the machine.
        "prompt": {"coldMs": None},
        # Without cache and time limits, because an answer must depend on its hole alone. Nothing is hidden.
        "completion": {
            "eagerness": "eager",
            "cacheSize": 0,
            "timeBudgetMs": 1e9,
            "debounceMaxMs": 0,
            "disabledFiles": (),
        },
    }
)


@frozen
class Arm:
    """A model, and the settings under which it is served."""

    name: str
    model: str
    overrides: Mapping[str, Any] = field(factory=dict)
    """A layer of settings, with camelCase names."""
    prefix_only: bool = False
    text: Text = "shown"
    first_line: bool = False
    """Ask for a single line where a single line is missing, to end the answers of a left-to-right model."""
    trigger: Trigger = Trigger.INVOKED
    """Trigger of the requests."""

    @property
    def is_folder(self) -> bool:
        """True if the model is a folder of safetensors, for scoring alone."""
        return Path(self.model).expanduser().is_dir()

    def settings(self, max_tokens: int, *, single_line: bool = False) -> Settings:
        """Return the server's settings for a hole.

        Args:
            max_tokens: longest answer, in tokens.
            single_line: True if one line is missing; matters with ``first_line`` alone.

        Raises:
            SettingsError: an override names no setting, or its value is not valid.
        """
        limits = {"sampling": {"invokedMaxTokens": max_tokens, "maxTokens": max_tokens}}
        lines = {"completion": {"multiline": "never"}} if self.first_line and single_line else {}
        return from_wire(merge(_SERVING, limits, {"model": {"name": self.model}}, self.overrides, lines))

    def identity(self, model_digest: str) -> str:
        """Hash everything about the arm that an answer depends on, without its name: 16 hex digits."""
        inputs = [model_digest, dict(self.overrides), self.prefix_only, self.first_line, self.trigger.value]
        return sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def parse_arm(text: str) -> Arm:
    """Parse ``NAME=MODEL[,key=value…]``.

    Raises:
        EvaluationError: there is no model, or an unknown key.
        SettingsError: there is no such setting, or its value is not valid.
    """
    name, _, rest = text.partition("=")
    model, *pairs = rest.split(",")
    if not name or not model:
        raise EvaluationError(f"--arm {text} names no model.", "Write it as --arm tuned=model.gguf.")
    arm = Arm(name, model)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise EvaluationError(f"--arm {text}: {pair} has no value.", "Write it as key=value.")
        arm = _with(arm, key, value)
    arm.settings(1)
    return arm


def _with(arm: Arm, key: str, value: str) -> Arm:
    if "." in key:
        return _set(arm, key, _plain(value))
    if key == "template":
        if value == PREFIX_ONLY:
            arm = evolve(arm, prefix_only=True, first_line=True)
        return _set(arm, "model.template", value)
    if key == "layout":
        return _set(arm, "prompt.layout", value)
    if key == "text" and value in TEXTS:
        return evolve(arm, text=value)
    if key in ("post", "first_line") and value in _SWITCH:
        chosen = {"post": {"text": "shown" if _SWITCH[value] else "stopped"}}
        return evolve(arm, **chosen.get(key, {key: _SWITCH[value]}))
    if key == "trigger" and value in _TRIGGERS:
        return evolve(arm, trigger=Trigger(value))
    keys = "; ".join(f"{name}: {about}" for name, about in KEYS.items())
    raise EvaluationError(f"An arm can't have {key}={value}.", f"Known are: {keys}; and settings by path.")


def _set(arm: Arm, path: str, value: Any) -> Arm:
    layer: Any = value
    for key in reversed(path.split(".")):
        layer = {key: layer}
    return evolve(arm, overrides=merge(arm.overrides, layer))


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
