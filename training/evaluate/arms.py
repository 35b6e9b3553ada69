"""What is compared: a model file with settings of the server, by name.

``NAME=MODEL[,key=value…]``: a model of the catalog, a GGUF file, or a folder of safetensors, which can only
be scored. The keys are those of :data:`KEYS`, and any setting by its path (``prompt.healTokens=false``).
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

Text = Literal["shown", "said", "written"]
"""Which text of an answer is judged.

``written``: all that the model wrote until its end token or a limit. ``said``: that, up to where the server's
stop rules had enough. ``shown``: what the editor would insert, after the filters.
"""
TEXTS: tuple[Text, ...] = get_args(Text)
PREFIX_ONLY = "none"
"""As ``template``: continue the prefix, left to right, without a word on the suffix."""
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "template": f"a FIM template by name, or {PREFIX_ONLY} for the prefix alone",
        "layout": "auto, plain or anchored",
        "text": f"which text is judged: {', '.join(TEXTS)}",
        "post": "on judges what is shown, off what is said",
        "first_line": "on: where one line is missing, one line is what the server asks for",
        "trigger": "invoked, by a key: several lines anywhere; or automatic, while typing: where the server "
        "expects a block",
    }
)
_SWITCH: Mapping[str, bool] = MappingProxyType({"on": True, "off": False, "true": True, "false": False})
_TRIGGERS = tuple(trigger.value for trigger in Trigger)
_SERVING: Mapping[str, Any] = MappingProxyType(
    {
        "sampling": {"temperature": 0.0},
        # Nothing remembered and no clock: the answer must depend on the hole alone.
        "completion": {"cacheSize": 0, "timeBudgetMs": 1e9, "debounceMaxMs": 0, "disabledFiles": ()},
    }
)


@frozen
class Arm:
    """A model and how it is served."""

    name: str
    model: str
    overrides: Mapping[str, Any] = field(factory=dict)
    """A camelCase layer of settings."""
    prefix_only: bool = False
    text: Text = "shown"
    first_line: bool = False
    """Ask for a single line where a single line is missing: the way to cut a left-to-right model's answer."""
    trigger: Trigger = Trigger.INVOKED
    """What the server is told of how a completion came to be wanted."""

    @property
    def is_folder(self) -> bool:
        """Whether the model is a folder of safetensors, for scoring alone."""
        return Path(self.model).expanduser().is_dir()

    def settings(self, max_tokens: int, *, single_line: bool = False) -> Settings:
        """The server's settings for a hole.

        Args:
            max_tokens: how long an answer may get.
            single_line: whether one line is missing; of use to ``first_line`` alone.

        Raises:
            SettingsError: an override names no setting, or a value does not fit.
        """
        limits = {"sampling": {"invokedMaxTokens": max_tokens, "maxTokens": max_tokens}}
        lines = {"completion": {"multiline": "never"}} if self.first_line and single_line else {}
        return from_wire(merge(_SERVING, limits, {"model": {"name": self.model}}, self.overrides, lines))

    def identity(self, model_digest: str) -> str:
        """Names everything about the arm that an answer depends on, but for its name: 16 digits."""
        told = [model_digest, dict(self.overrides), self.prefix_only, self.first_line, self.trigger.value]
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def parse_arm(text: str) -> Arm:
    """Read ``NAME=MODEL[,key=value…]``.

    Raises:
        EvaluationError: there is no model, or an unknown key.
        SettingsError: a setting that does not exist, or a value that does not fit.
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
        chosen = {"post": {"text": "shown" if _SWITCH[value] else "said"}}
        return evolve(arm, **chosen.get(key, {key: _SWITCH[value]}))
    if key == "trigger" and value in _TRIGGERS:
        return evolve(arm, trigger=Trigger(value))
    known = "; ".join(f"{name}: {about}" for name, about in KEYS.items())
    raise EvaluationError(f"An arm can't have {key}={value}.", f"Known are: {known}; and settings by path.")


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
