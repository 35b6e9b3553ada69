"""The arms: settings of the server, or llama-server behind llama.vim's logic."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.strict import merge

BEFORE = "before"
"""The arm for a version that lacks newer settings: the model alone, with ``--code``."""
LLAMA_VIM = "llama.vim"
"""The arm of llama-server behind llama.vim's logic, on the same weights, in the model's own order."""
_EVERY_VERSION: Mapping[str, Any] = MappingProxyType(
    {
        # One thread, and nothing that depends on the machine's load or on former runs.
        "model": {"threads": 1, "kvStateMb": 0, "speculation": "off"},
        "completion": {"debounceMaxMs": 0, "prefetch": False, "timeBudgetMs": 60_000},
    }
)
_COMMON: Mapping[str, Any] = merge(_EVERY_VERSION, {"prompt": {"cursorCpuSeconds": 0, "coldMs": None}})
_AS_USED: Mapping[str, Any] = MappingProxyType({"model": {"kvStateMb": 0}})
"""The defaults of the settings, but for what would be left from former runs."""
_SHORT: Mapping[str, Any] = MappingProxyType({"prompt": {"maxTokens": 256}})
"""About as much as a laptop's core evaluates in a second: the prompt of a first answer at a new place."""


class ArmError(FimLspError):
    """There is no such arm."""


@frozen
class QualityArm:
    """A name and the settings of the server behind it."""

    name: str
    settings: Mapping[str, Any] = field(factory=dict)


_NO_MEMORY: Mapping[str, Any] = {"memory": {"enabled": False}}
ARMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        BEFORE: {},
        "model": _NO_MEMORY,
        "document": {"memory": {"workspace": False}},
        "memory": {},
        "snippets": {"prompt": {"snippets": "on"}},
        "first answer": {"prompt": {"coldMs": 400}},
        "subtle": {"completion": {"eagerness": "subtle"}},
        "normal": {"completion": {"eagerness": "normal"}},
        "eager": {"completion": {"eagerness": "eager"}},
        "as used": {},
        "whole prompts": {"prompt": {"coldMs": None}},
        LLAMA_VIM: {},
    }
)
"""The settings of each arm, in addition to those of all."""
_COMMON_OF: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {BEFORE: _EVERY_VERSION, "as used": _AS_USED, "whole prompts": _AS_USED}
)
"""What belongs to all arms, where it is not :data:`_COMMON`."""


def make_arm(name: str, model: str, adapter: str | None = None) -> QualityArm:
    """Return an arm by its name; ``+short`` behind it is a short prompt, ``+lora`` an adapter.

    Args:
        name: a name in :data:`ARMS`, or one with endings; ``+512`` limits prompts to so many tokens.
        model: the model's name or path.
        adapter: path of a GGUF adapter, for ``+lora``.

    Raises:
        ArmError: there is no such arm, or it lacks its adapter.
    """
    base, *endings = name.split("+")
    lengths = {ending: {"prompt": {"maxTokens": int(ending)}} for ending in endings if ending.isdecimal()}
    if base not in ARMS or not set(endings) <= {"short", "lora", *lengths}:
        raise ArmError(
            f"There is no arm {name}.",
            f"Choose from {', '.join(ARMS)}, or one of them with +short, +lora or +TOKENS.",
        )
    if "lora" in endings and not adapter:
        raise ArmError(f"The arm {name} needs an adapter.", "Give its path with --adapter.")
    extra = {"short": _SHORT, "lora": {"adapters": [{"path": adapter}]}, **lengths}
    common = _COMMON_OF.get(base, _COMMON)
    layers = (common, {"model": {"name": model}}, *(extra[ending] for ending in endings), ARMS[base])
    return QualityArm(name, merge(*layers))


def share_a_server(arms: Sequence[QualityArm]) -> list[tuple[QualityArm, ...]]:
    """Group the arms that can take turns in one process: those with the same memory.

    Turning the memory off and on would index the workspace anew.
    """
    groups: dict[str, tuple[QualityArm, ...]] = {}
    for arm in arms:
        key = json.dumps(arm.settings.get("memory", {}), sort_keys=True)
        groups[key] = (*groups.get(key, ()), arm)
    return list(groups.values())
