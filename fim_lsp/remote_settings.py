"""Settings of a model on another server.

Only the user's own settings file and the command line may set them.
"""

from __future__ import annotations

from typing import Literal, TypeVar

from attrs import frozen

from fim_lsp.setting_fields import setting

T = TypeVar("T")

ServerKind = Literal["auto", "llama-server", "vllm", "tgi", "ollama", "lm-studio", "codestral", "openai"]


def _setting(
    default: T,
    about: str,
    *,
    common: bool = False,
    at_least: float | None = None,
    at_most: float | None = None,
    secret: bool = False,
) -> T:
    """Make a setting that no workspace may set."""
    return setting(
        default, about, common=common, at_least=at_least, at_most=at_most, user_only=True, secret=secret
    )


@frozen
class RemoteSettings:
    """The server that evaluates prompts instead of this process, and how to ask it."""

    url: str = _setting(
        "",
        "Address of a server that evaluates the prompts, for example https://gpu.example.com:8000. Your code "
        "is sent there. Empty to send nothing.",
    )
    server: ServerKind = _setting(
        "auto", "Kind of the server. auto asks it; openai is any server with /v1/completions."
    )
    model: str = _setting("", "Name of the model on the server. Empty for its first one.")
    token: str = _setting(
        "", "Token for the server. The environment variable of tokenVariable wins over it.", secret=True
    )
    token_variable: str = _setting(
        "FIM_LSP_REMOTE_TOKEN", "Name of the environment variable that holds the token."
    )
    vocabulary: str | None = _setting(
        None,
        "Catalog name or GGUF file of the same model, for its vocabulary alone. Prompts are then cut exactly "
        "and sent as token ids where the server takes them. null estimates tokens and sends text.",
    )
    ca_file: str | None = _setting(
        None, "PEM file of certificate authorities to trust instead of the system's."
    )
    timeout_ms: float = _setting(
        10_000,
        "Milliseconds without new text after which a request ends, if there is no model.fallback.",
        at_least=50,
    )
    fallback_after_ms: float = _setting(
        700, "Milliseconds without new text after which model.fallback goes on.", at_least=50
    )
    first: Literal["remote", "local"] = _setting(
        "remote",
        "The model that is asked first, where model.fallback is set. local asks the server only where the "
        "local model writes nothing.",
    )
