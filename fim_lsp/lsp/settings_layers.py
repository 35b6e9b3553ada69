"""Merge the settings of one session from the places that they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from fim_lsp.settings import CompletionSettings, Settings, from_wire, without_user_only
from fim_lsp.strict import merge

SECTION = "fimLsp"


@frozen
class SettingsLayers:
    """Settings in camelCase by where they come from. Each layer wins over those before it."""

    user: Mapping[str, Any] = field(factory=dict)
    """The user's settings file."""
    initialization: Mapping[str, Any] = field(factory=dict)
    """``initializationOptions`` of the client, without what only the user may set; a project can set them."""
    configuration: Mapping[str, Any] = field(factory=dict)
    """``workspace/configuration`` or ``workspace/didChangeConfiguration`` of the client, likewise."""
    flags: Mapping[str, Any] = field(factory=dict)
    """The command line."""
    toggles: Mapping[str, Any] = field(factory=dict)
    """``fimLsp.toggle``."""

    def merged(self) -> Settings:
        """Merge all layers.

        Raises:
            SettingsError: a value is of the wrong type, or a key is unknown.
        """
        sent = [without_user_only(layer)[0] for layer in (self.initialization, self.configuration)]
        layers = (self.user, *sent, self.flags, self.toggles)
        merged = merge(*layers)
        # What stands in the place of a table is hidden by the table of a later layer, and may be wrong.
        hidden = {
            key: value
            for layer in layers
            for key, value in layer.items()
            if isinstance(merged[key], Mapping) and not isinstance(value, Mapping)
        }
        from_wire(hidden)
        return from_wire(merged)

    @property
    def wants_status(self) -> bool:
        """True if the client asks to be told of the state, whatever else is wrong with the settings."""
        layers = (self.user, self.initialization, self.configuration, self.flags)
        return merge(*layers).get("status") is True

    def remarks(self) -> tuple[str, ...]:
        """Return what the user should know of the layers: keys that a client must not set."""
        keys = [
            key for layer in (self.initialization, self.configuration) for key in without_user_only(layer)[1]
        ]
        if not keys:
            return ()
        return (
            f"Ignored {', '.join(dict.fromkeys(keys))} of the editor's settings, which a workspace can set: "
            "write it into your own settings file (fim-lsp doctor shows its path).",
        )

    def toggled(
        self, completion: CompletionSettings, enabled: bool | None = None, language: str | None = None
    ) -> SettingsLayers:
        """Return the layers with completion turned on or off, everywhere or for one language id.

        Args:
            completion: The settings in force.
            enabled: On or off; None for the opposite of what is in force.
            language: None for every language.
        """
        if language is None:
            change: dict[str, Any] = {"enabled": not completion.enabled if enabled is None else enabled}
        else:
            disabled = set(completion.disabled_languages)
            enable = language in disabled if enabled is None else enabled
            change = {"disabledLanguages": sorted(disabled - {language} if enable else disabled | {language})}
        return evolve(self, toggles=merge(self.toggles, {"completion": change}))


def unwrap_section(raw: Any) -> Mapping[str, Any]:
    """Return the settings that a client sent: bare, wrapped in their section, or null for none.

    Example: ``{"fimLsp": {"completion": {"enabled": false}}}`` -> ``{"completion": {"enabled": false}}``.
    """
    options = raw if isinstance(raw, Mapping) else {}
    section = options.get(SECTION, options)
    return section if isinstance(section, Mapping) else {}
