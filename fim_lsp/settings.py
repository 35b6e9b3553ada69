"""All settings as frozen values: the layers are merged as plain dicts, then structured once.

Defaults < the user's file (``user_settings``) < ``initializationOptions`` < ``workspace/configuration``
(section ``fimLsp``) < flags given by hand. camelCase on the wire, snake_case inside. Types are strict: see
:mod:`fim_lsp.strict`.

To add a setting, add a field here, then run ``make settings``. It writes docs/settings.md, the VS
Code extension's manifest and the Neovim plugin's types from :func:`table`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_type_hints

import attrs
from attrs import field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.experiment import ExperimentSettings
from fim_lsp.remote_settings import RemoteSettings
from fim_lsp.secret_files import FILES_WITH_SECRETS
from fim_lsp.setting_fields import camel_case as camel_case
from fim_lsp.setting_fields import metadata as _metadata
from fim_lsp.setting_fields import setting as _setting
from fim_lsp.showing_settings import ShowingSettings
from fim_lsp.strict import StrictError, Wording, object_in_list, structure


class SettingsError(FimLspError):
    """A setting has the wrong type, is out of bounds, or does not exist."""


_WORDING = Wording("fimLsp", "setting", "an object", camel_case)

KvType = Literal["f32", "f16", "q8_0", "q4_0"]

SHORTEST_PROMPT = 16
"""Tokens of the shortest prompt, however slow the machine: a line or two before the cursor."""


@frozen
class ModelSettings:
    """The weights, and how llama.cpp runs them. Most changes load the model again."""

    name: str = _setting("default", "Name of a model in the catalog, or path of a GGUF file.", common=True)
    template: str | None = _setting(
        None,
        "Name of the fill-in-the-middle template. none completes from the text before the cursor alone; "
        "null chooses the template by the model file.",
    )
    gpu_layers: int = _setting(
        0, "Number of model layers to run on the GPU; -1 for all of them.", common=True, at_least=-1
    )
    threads: int | None = _setting(
        None,
        "Number of CPU threads. null uses the physical cores less one, and fewer while the machine is busy.",
        common=True,
        at_least=1,
    )
    context_tokens: int = _setting(
        2048, "Context window in tokens, for prompt and answer together.", at_least=256
    )
    sequences: int = _setting(
        4,
        "Number of sequences in the KV cache. Each keeps the evaluated tokens of one place in the code and "
        "has a context window of its own.",
        at_least=1,
        at_most=64,
    )
    batch_tokens: int = _setting(512, "Maximum number of tokens in one call of llama.cpp.", at_least=1)
    ubatch_tokens: int = _setting(
        128,
        "Maximum number of tokens computed at once: 64 to 128 suits a CPU, 512 suits a GPU.",
        at_least=1,
    )
    flash_attention: Literal["auto", "on", "off"] = _setting(
        "auto", "Flash attention. auto uses it if layers run on the GPU."
    )
    kv_type_k: KvType = _setting("f16", "Data type of the keys in the KV cache.")
    kv_type_v: KvType = _setting(
        "f16", "Data type of the values in the KV cache. Types other than f16 need flash attention."
    )
    mmap: bool = _setting(True, "Map the model file into memory instead of copying it.")
    speculation: Literal["auto", "on", "off"] = _setting(
        "auto",
        "Speculative decoding: evaluate guessed tokens together with each token. auto measures at load "
        "whether that is faster.",
    )
    mlock: bool = _setting(False, "Lock the model in memory, so that it is not swapped out.")
    kv_state_mb: int = _setting(
        512,
        "Megabytes of disk for saved KV states, with which a restart resumes fast; 0 saves none. "
        "Saved states contain your code; fim-lsp cache --clear deletes them.",
        common=True,
        at_least=0,
    )
    unload_after_minutes: float | None = _setting(
        30.0,
        "Minutes without a request after which the model's memory is freed; null or 0 for never.",
        common=True,
        at_least=0,
    )
    fallback: str | None = _setting(
        None,
        "Catalog name or GGUF file of a local model that answers while the server of model.remote does not.",
    )
    second: str | None = _setting(
        None,
        "Catalog name or GGUF file of a second model, or its name on the server of model.remote, for an arm "
        "of an experiment. It is loaded too, and needs its own memory.",
    )
    remote: RemoteSettings = RemoteSettings()


@frozen
class PromptSettings:
    """The part of the file that the model sees, and its layout. Lengths are tokens."""

    max_tokens: int = _setting(1024, "Maximum number of tokens in a prompt.", at_least=SHORTEST_PROMPT)
    prefix_share: float = _setting(
        0.75, "Share of the prompt for the text before the cursor.", at_least=0.1, at_most=1
    )
    layout: Literal["auto", "plain", "anchored"] = _setting(
        "auto",
        "Layout for templates that put the suffix last. plain puts typed text before the suffix, which is "
        "then evaluated again at each key; anchored puts it behind. auto is anchored.",
    )
    cold_ms: float | None = _setting(
        400.0,
        "Milliseconds that the first prompt at a new place may take, by the measured speed of this machine: "
        "a shorter prompt answers first, and the whole one is evaluated while nobody waits. null for no "
        "limit. There is none with layers on a GPU.",
        common=True,
        at_least=0,
    )
    name_file: bool = _setting(
        False,
        "Name the file in a comment of its language at the beginning of the text, for models whose prompts "
        "have no other place for it.",
    )
    heal_tokens: bool = _setting(
        True, "Let the model rewrite the token that the cursor may have cut in half."
    )
    max_middle_chars: int = _setting(
        700,
        "Maximum number of typed characters behind the suffix of an anchored prompt. After that, it is built "
        "anew.",
        at_least=0,
    )
    renew_middle_chars: int | None = _setting(
        None,
        "Number of typed characters behind the suffix of an anchored prompt after which it is built anew "
        "while the user pauses. null is half of maxMiddleChars for models trained on long ones, and a few "
        "lines for others.",
        at_least=0,
    )
    # Measured by benchmarks.staleness: up to 60 nothing is lost, from there on many answers are empty.
    max_stale_chars: int = _setting(
        60,
        "Number of characters that the cursor may move down into the evaluated suffix before the prompt is "
        "built anew, for templates that put the suffix first.",
        at_least=0,
    )
    cursor_cpu_seconds: float = _setting(
        10.0,
        "CPU seconds a minute that may be spent on the prompt where the cursor rests, before anything is "
        "typed there; 0 for none. Nothing is spent while the machine runs on battery.",
        at_least=0,
        at_most=60,
    )
    snippets: Literal["auto", "on", "off"] = _setting(
        "auto",
        "Show the model snippets of other open files. auto does so for models trained to read them.",
        common=True,
    )
    snippet_share: float = _setting(
        0.25, "Maximum share of the prompt for snippets; 0 for none.", at_least=0, at_most=0.75
    )
    max_snippets: int = _setting(3, "Maximum number of snippets in a prompt.", at_least=0, at_most=16)


@frozen
class SamplingSettings:
    """The way tokens are drawn, and their number."""

    max_tokens: int = _setting(
        64, "Maximum number of tokens of a suggestion while typing.", at_least=1, at_most=4096
    )
    invoked_max_tokens: int = _setting(
        160, "Maximum number of tokens of a suggestion invoked by a key.", at_least=1, at_most=4096
    )
    temperature: float = _setting(
        0.0, "Sampling temperature; 0 always takes the likeliest token.", at_least=0, at_most=2
    )
    top_k: int = _setting(40, "Draw among this many likeliest tokens; 0 for all.", at_least=0)
    top_p: float = _setting(
        0.95, "Draw among the likeliest tokens with this total probability.", at_least=0, at_most=1
    )
    seed: int = _setting(0, "Seed of the draw.", at_least=0)
    end_bias: float | None = _setting(
        None,
        "Bias in nats for ending a suggestion instead of beginning another line. null takes that of the "
        "model file.",
        at_least=0,
    )


@frozen
class CompletionSettings(ShowingSettings):
    """Which suggestions are made and shown, and when."""

    enabled: bool = _setting(True, "Show suggestions.", common=True)
    disabled_languages: tuple[str, ...] = _setting((), "Language ids without suggestions.", common=True)
    disabled_files: tuple[str, ...] = _setting(
        FILES_WITH_SECRETS,
        "Glob patterns for files without suggestions: for the name or, with a slash, the end of the path, in "
        "any case. A folder with /** stands for all files below it, a dot at the end for names without an "
        "extension. By default, files that may hold secrets.",
        common=True,
    )
    automatic: bool = _setting(
        True, "Show suggestions while typing, not only when invoked by a key.", common=True
    )
    debounce_min_ms: float = _setting(
        0, "Minimum wait after a keystroke, in milliseconds.", at_least=0, at_most=5000
    )
    debounce_max_ms: float = _setting(
        250, "Maximum wait after a keystroke, in milliseconds.", at_least=0, at_most=5000
    )
    multiline: Literal["auto", "always", "never"] = _setting(
        "auto", "Suggestions of several lines. auto allows them where a block may begin.", common=True
    )
    max_lines: int = _setting(12, "Maximum number of lines of a suggestion.", common=True, at_least=1)
    min_confidence: float = _setting(
        0.0, "Drop suggestions with a lower mean token probability.", at_least=0, at_most=1
    )
    stop_below: float = _setting(
        0.0,
        "End a suggestion when the mean probability of its last tokens falls below this.",
        at_least=0,
        at_most=1,
    )
    time_budget_ms: float = _setting(
        4000,
        "Maximum time to generate a suggestion after the prompt is evaluated, in milliseconds.",
        at_least=50,
    )
    candidates: int = _setting(
        3,
        "Number of suggestions to choose from when invoked by a key. model.sequences limits it.",
        at_least=1,
        at_most=8,
    )
    cache_size: int = _setting(256, "Number of suggestions to remember.", at_least=0)
    prefetch: bool = _setting(True, "Compute the next suggestion as soon as one is accepted.")


@frozen
class MemorySettings:
    """The repository memory: the code that is there votes on each token, beside the model."""

    enabled: bool = _setting(
        True,
        "Let the open documents and the files of the workspace vote on each token, beside the model.",
        common=True,
    )
    workspace: bool = _setting(
        True,
        "Index the files of the workspace's folders for it, in the background. Ignored files, files without "
        "suggestions and files that hold secrets are left out.",
    )
    max_tokens: int = _setting(
        6_000_000,
        "Maximum number of tokens of the workspace's files in memory, 20 bytes each; the nearest first.",
        at_least=10_000,
        at_most=8_000_000,
    )
    disk_mb: int = _setting(
        256,
        "Megabytes of disk for saved indexes, with which a restart reads only what changed; 0 saves none. "
        "Saved indexes contain your code; fim-lsp cache --clear deletes them.",
        at_least=0,
    )


@frozen
class FeedbackSettings:
    """The recording of the outcome of suggestions."""

    enabled: bool = _setting(
        True,
        "Record on this machine what became of suggestions, for fim-lsp stats. No code is recorded, and "
        "nothing is sent.",
        common=True,
    )


def _names_something(adapter: AdapterSettings, _: attrs.Attribute[Any], name: str) -> None:
    if not adapter.path and not name:
        raise ValueError("path must name a file, or name an adapter on a server")


def _whole_paths(_: object, attribute: attrs.Attribute[Any], folders: tuple[str, ...]) -> None:
    for folder in folders:
        if not Path(os.path.expanduser(folder)).is_absolute():
            raise ValueError(f"{camel_case(attribute.name)} must be whole paths, not {folder!r}")


@frozen
class AdapterSettings:
    """A LoRA adapter and the documents that it is for. The model stays loaded when it changes."""

    path: str = _setting("", "Path of a LoRA adapter in a GGUF file, for a model on this machine.")
    scale: float = _setting(1.0, "Scale of the adapter; 0 switches it off.", at_least=0, at_most=4)
    languages: tuple[str, ...] = _setting((), "Language ids of the documents it is for; empty for all.")
    workspaces: tuple[str, ...] = field(
        default=(),
        metadata=_metadata("Absolute paths of the folders it is for; empty for all."),
        validator=_whole_paths,
    )
    name: str = field(
        default="",
        metadata=_metadata("Name of a LoRA adapter on the server of model.remote."),
        validator=_names_something,
    )


@frozen
class Settings:
    """All settings; each section is documented in its own class."""

    model: ModelSettings = ModelSettings()
    prompt: PromptSettings = PromptSettings()
    sampling: SamplingSettings = SamplingSettings()
    completion: CompletionSettings = CompletionSettings()
    adapters: tuple[AdapterSettings, ...] = _setting(
        (), "LoRA adapters, as a list of objects. All that are for a document are applied to it.", common=True
    )
    memory: MemorySettings = MemorySettings()
    feedback: FeedbackSettings = FeedbackSettings()
    experiment: ExperimentSettings = ExperimentSettings()
    status: bool = _setting(False, "Send fimLsp/status notifications, for clients that show them.")


@frozen
class SettingRow:
    """One line of the table of settings."""

    path: str
    """The key as clients send it: ``model.gpuLayers``."""
    type: Any
    default: Any
    """``attrs.NOTHING`` for a key that is required."""
    about: str
    """The description that users read."""
    common: bool
    """False for a setting that is for experts."""
    at_least: float | None
    at_most: float | None
    user_only: bool = False
    """True if clients and workspaces can't set it."""
    items: tuple[SettingRow, ...] = ()
    """The keys of each object in a list, with paths that begin at the object."""


def table() -> tuple[SettingRow, ...]:
    """Return every setting, in order: the source of truth for editors and documentation."""
    return tuple(_rows(Settings, ""))


def without_user_only(layer: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a layer without the settings that clients and workspaces must not set, and their keys."""
    kept, dropped = dict(layer), []
    for row in table():
        if not row.user_only:
            continue
        *sections, key = row.path.split(".")
        part: Any = kept
        for section in sections:
            inner = part.get(section)
            if not isinstance(inner, Mapping):
                break
            part[section] = inner = dict(inner)
            part = inner
        else:
            if key in part:
                del part[key]
                dropped.append(row.path)
    return kept, tuple(dropped)


def _rows(cls: type[Any], path: str, common: bool = False) -> Iterator[SettingRow]:
    """Yield the rows of a class; the keys of objects in a list are ``common`` if the list is."""
    hints = get_type_hints(cls)
    for attribute in attrs.fields(cls):
        here = path + camel_case(attribute.name)
        if attrs.has(hints[attribute.name]):
            yield from _rows(hints[attribute.name], here + ".")
        else:
            metadata, item = attribute.metadata, object_in_list(hints[attribute.name])
            yield SettingRow(
                here,
                hints[attribute.name],
                attribute.default,
                metadata["about"],
                common or metadata["common"],
                metadata["at_least"],
                metadata["at_most"],
                metadata["user_only"],
                tuple(_rows(item, "", metadata["common"])) if item else (),
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
