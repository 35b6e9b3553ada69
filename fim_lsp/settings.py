"""Frozen settings: the layers are merged as plain dicts, then structured once.

Defaults < the user's file (``user_settings``) < ``initializationOptions`` < ``workspace/configuration``
(section ``fimLsp``) < flags given by hand. camelCase on the wire, snake_case inside. Types are strict: see
:mod:`fim_lsp.strict`.

:func:`table` lists every setting with type, default and meaning; the editors' own settings pages are
checked against it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

import attrs
from attrs import field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.strict import StrictError, Wording, bounds, object_in_list, structure

T = TypeVar("T")


class SettingsError(FimLspError):
    """A setting has the wrong type, is out of bounds, or does not exist."""


def camel_case(name: str) -> str:
    """``gpu_layers`` -> ``gpuLayers``."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


_WORDING = Wording("fimLsp", "setting", "an object", camel_case)


def _setting(default: T, about: str, *, at_least: float | None = None, at_most: float | None = None) -> T:
    """An attrs field with its meaning and bounds kept beside it, for :func:`table`."""
    return field(
        default=default,
        metadata=_meaning(about, at_least, at_most),
        validator=bounds(at_least, at_most, camel_case),
    )


def _meaning(about: str, at_least: float | None = None, at_most: float | None = None) -> dict[str, Any]:
    return {"about": about, "at_least": at_least, "at_most": at_most}


KvType = Literal["f32", "f16", "q8_0", "q4_0"]


@frozen
class ModelSettings:
    """Which weights, and how llama.cpp runs them. A change here loads the model again, where it must."""

    name: str = _setting("default", "Name of a model in the catalog, or the path of a GGUF file.")
    template: str | None = _setting(
        None, "FIM template by name, or none for the prefix alone; null chooses it from the model file."
    )
    gpu_layers: int = _setting(0, "Layers to run on the GPU; -1 for all of them.", at_least=-1)
    threads: int | None = _setting(
        None,
        "CPU threads; null for physical cores less one, and fewer while the machine is busy.",
        at_least=1,
    )
    context_tokens: int = _setting(
        2048, "Context window in tokens, prompt and answer together.", at_least=256
    )
    sequences: int = _setting(
        4,
        "Places in the code whose evaluated tokens are kept at once, each with a context window of its own.",
        at_least=1,
        at_most=64,
    )
    batch_tokens: int = _setting(512, "Most tokens handed to llama.cpp at once.", at_least=1)
    ubatch_tokens: int = _setting(
        128, "Most tokens computed at once: 64 to 128 on a CPU, 512 on a GPU.", at_least=1
    )
    flash_attention: Literal["auto", "on", "off"] = _setting(
        "auto", "Flash attention; auto is on with GPU layers and off without."
    )
    kv_type_k: KvType = _setting("f16", "Type of the keys in the KV cache.")
    kv_type_v: KvType = _setting("f16", "Type of the values; other than f16 needs flash attention.")
    mmap: bool = _setting(True, "Map the weights from the file rather than copy them.")
    speculation: Literal["auto", "on", "off"] = _setting(
        "auto",
        "Evaluate guesses along with each token; auto only where a measurement at load says that it pays.",
    )
    mlock: bool = _setting(False, "Keep the weights from being swapped out.")
    kv_state_mb: int = _setting(
        512,
        "Megabytes of disk for saved KV states, so that a restart resumes warm; 0 for none. "
        "They contain your code: fim-lsp cache --clear deletes them.",
        at_least=0,
    )
    unload_after_minutes: float | None = _setting(
        30.0,
        "Free the model's memory when nothing was asked of it for so long; null or 0 for never.",
        at_least=0,
    )


@frozen
class PromptSettings:
    """How much of the file the model sees, and how it is laid out. Counted in tokens."""

    max_tokens: int = _setting(1024, "Most tokens in a prompt.", at_least=64)
    prefix_share: float = _setting(
        0.75, "Part of the prompt that belongs to the text before the cursor.", at_least=0.1, at_most=1
    )
    layout: Literal["auto", "plain", "anchored"] = _setting(
        "auto",
        "Layout where the suffix is last; auto: anchored for models trained on it, else plain.",
    )
    heal_tokens: bool = _setting(
        True, "Let the model rewrite the token that the cursor may have cut in half."
    )
    max_middle_chars: int = _setting(
        700, "How far the middle may grow before an anchored prompt is anchored anew.", at_least=0
    )
    # Measured by benchmarks.staleness: up to 60 nothing is lost, from there on many answers are empty.
    max_stale_chars: int = _setting(
        60,
        "How far the cursor may go down into an evaluated suffix that is then replaced in the background.",
        at_least=0,
    )
    snippets: Literal["auto", "on", "off"] = _setting(
        "auto", "Show the model pieces of other open files; auto does where it was trained to read them."
    )
    snippet_share: float = _setting(
        0.25, "Part of the prompt that these may take; 0 for none.", at_least=0, at_most=0.75
    )
    max_snippets: int = _setting(3, "Most pieces of other files in a prompt.", at_least=0, at_most=16)


@frozen
class SamplingSettings:
    """How tokens are drawn."""

    max_tokens: int = _setting(64, "Most tokens for a suggestion while typing.", at_least=1, at_most=4096)
    invoked_max_tokens: int = _setting(
        160, "Most tokens for a suggestion asked for by a key.", at_least=1, at_most=4096
    )
    temperature: float = _setting(0.0, "0 always takes the likeliest token.", at_least=0, at_most=2)
    top_k: int = _setting(40, "Draw among this many likeliest tokens; 0 for all.", at_least=0)
    top_p: float = _setting(0.95, "Draw among the likeliest tokens of this much mass.", at_least=0, at_most=1)
    seed: int = _setting(0, "Seed of the draw.", at_least=0)
    end_bias: float | None = _setting(
        None,
        "How much more readily a suggestion ends before another line, in nats; "
        "null for what the model file says.",
        at_least=0,
    )


@frozen
class CompletionSettings:
    """What is offered, and when."""

    enabled: bool = _setting(True, "Offer completions at all.")
    disabled_languages: tuple[str, ...] = _setting((), "Language ids without completions.")
    disabled_files: tuple[str, ...] = _setting(
        (".env*", "*.pem", "*.key", "*.p12", "id_rsa*", "id_ed25519*", "credentials*", ".netrc", ".pgpass"),
        "Names of files without completions, as glob patterns: where secrets are kept.",
    )
    automatic: bool = _setting(True, "Offer completions while typing, not only when invoked.")
    debounce_min_ms: float = _setting(0, "Shortest wait after a keystroke.", at_least=0, at_most=5000)
    debounce_max_ms: float = _setting(250, "Longest wait after a keystroke.", at_least=0, at_most=5000)
    multiline: Literal["auto", "always", "never"] = _setting(
        "auto", "Offer several lines: where a block may begin, always, or never."
    )
    max_lines: int = _setting(12, "Most lines of a suggestion.", at_least=1)
    min_confidence: float = _setting(
        0.0, "Drop suggestions whose mean token probability is lower.", at_least=0, at_most=1
    )
    stop_below: float = _setting(
        0.0, "End a suggestion where the last tokens' mean probability falls below.", at_least=0, at_most=1
    )
    time_budget_ms: float = _setting(
        4000, "Longest time to write a suggestion, once the prompt is evaluated.", at_least=50
    )
    candidates: int = _setting(
        3,
        "Suggestions to choose from where one is asked for by a key, as far as model.sequences allows.",
        at_least=1,
        at_most=8,
    )
    cache_size: int = _setting(256, "Suggestions remembered.", at_least=0)
    prefetch: bool = _setting(True, "Compute the next suggestion as soon as one is accepted.")


@frozen
class FeedbackSettings:
    """What is remembered of how suggestions fared."""

    enabled: bool = _setting(
        True, "Count on this machine what became of suggestions, for fim-lsp stats; no code, nothing sent."
    )


def _names_a_file(_: object, __: attrs.Attribute[Any], path: str) -> None:
    if not path:
        raise ValueError("path must name a file")


def _whole_paths(_: object, attribute: attrs.Attribute[Any], folders: tuple[str, ...]) -> None:
    for folder in folders:
        if not Path(os.path.expanduser(folder)).is_absolute():
            raise ValueError(f"{camel_case(attribute.name)} must be whole paths, not {folder!r}")


@frozen
class AdapterSettings:
    """A LoRA to put on the model, and where. Taken up by the next request; the model stays loaded."""

    path: str = field(metadata=_meaning("A LoRA as a GGUF file."), validator=_names_a_file)
    scale: float = _setting(1.0, "How strongly it is applied; 0 for not at all.", at_least=0, at_most=4)
    languages: tuple[str, ...] = _setting((), "Language ids that it is for; none for all.")
    workspaces: tuple[str, ...] = field(
        default=(),
        metadata=_meaning("Folders whose documents it is for, as whole paths; none for all."),
        validator=_whole_paths,
    )


@frozen
class Settings:
    """Everything that can be set, each part documented in its own class."""

    model: ModelSettings = ModelSettings()
    prompt: PromptSettings = PromptSettings()
    sampling: SamplingSettings = SamplingSettings()
    completion: CompletionSettings = CompletionSettings()
    adapters: tuple[AdapterSettings, ...] = _setting(
        (), "LoRA adapters to put on the model while it runs, as a list of objects; all that fit are applied."
    )
    feedback: FeedbackSettings = FeedbackSettings()
    status: bool = _setting(False, "Send fimLsp/status notifications (for clients that show them).")


@frozen
class SettingRow:
    """One line of the table of settings."""

    path: str
    """As on the wire: ``model.gpuLayers``."""
    type: Any
    default: Any
    """``attrs.NOTHING`` where there is none, because it must be given."""
    about: str
    at_least: float | None
    at_most: float | None
    items: tuple[SettingRow, ...] = ()
    """What each object of a list has, with paths from the object on."""


def table() -> tuple[SettingRow, ...]:
    """Every setting, in order: the source of truth for editors and documentation."""
    return tuple(_rows(Settings, ""))


def _rows(cls: type[Any], path: str) -> Iterator[SettingRow]:
    hints = get_type_hints(cls)
    for attribute in attrs.fields(cls):
        here = path + camel_case(attribute.name)
        if attrs.has(hints[attribute.name]):
            yield from _rows(hints[attribute.name], here + ".")
        else:
            bounds = attribute.metadata
            yield SettingRow(
                here,
                hints[attribute.name],
                attribute.default,
                bounds["about"],
                bounds["at_least"],
                bounds["at_most"],
                tuple(_rows(item, "")) if (item := object_in_list(hints[attribute.name])) else (),
            )


def from_wire(layer: Mapping[str, Any]) -> Settings:
    """Structure merged camelCase settings.

    Raises:
        SettingsError: names the path of each bad value and what was expected.
    """
    try:
        return structure(layer, Settings, _WORDING)
    except StrictError as error:
        raise SettingsError(f"Bad settings: {error}.", "The settings from before stay in force.") from error
