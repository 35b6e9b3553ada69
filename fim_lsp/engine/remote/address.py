"""The address of a server, read strictly: it decides where code is sent."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from attrs import frozen

from fim_lsp.engine.base import ModelLoadError

_REMEDY = "Set model.remote.url in your own settings to something like https://gpu.example.com:8000."


@frozen
class Address:
    """The address of a server."""

    url: str
    """Without a slash at the end, and without ``/v1``."""
    host: str
    """Host and port, for people."""
    loopback: bool
    """True if the server is on this machine."""
    encrypted: bool

    @property
    def description(self) -> str:
        """The host, and how safe the way to it is.

        Example: ``10.0.0.2:8000 (not encrypted)``.
        """
        return self.host if self.loopback or self.encrypted else f"{self.host} (not encrypted)"


def parse_address(url: str) -> Address:
    """Parse the setting ``model.remote.url``.

    Example: ``https://gpu.example.com/v1/`` -> ``https://gpu.example.com``.

    Raises:
        ModelLoadError: it is no address of an HTTP server, or holds more than an address.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ModelLoadError(f"model.remote.url is no address: {error}.", _REMEDY) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelLoadError("model.remote.url must begin with http:// or https:// and name a host.", _REMEDY)
    if parts.username or parts.password:
        # The address is shown and logged, so it must not hold a password.
        raise ModelLoadError(
            "model.remote.url holds a user name or password.", "Put it into model.remote.token instead."
        )
    if parts.query or parts.fragment:
        raise ModelLoadError("model.remote.url must not hold a query.", _REMEDY)
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    host = name if port is None else f"{name}:{port}"
    path = parts.path.rstrip("/").removesuffix("/v1")
    return Address(
        f"{parts.scheme}://{host}{path}", host, _is_loopback(parts.hostname), parts.scheme == "https"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
