"""Define the interface of a peer: a completion server with its editor plugin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

from attrs import field, frozen

from benchmarks.keystrokes.processes import ProcessTree
from benchmarks.keystrokes.sources import TypedFile

PeerName = Literal["fim-lsp", "infill", "infill-spm", "infill-own", "completion", "served"]


@frozen
class PeerAnswer:
    """The suggestion after an event. Times are milliseconds since the request."""

    text: str = field(repr=False)
    """The ghost text; empty if there was none."""
    ttft_ms: float
    """Time to the first token, with waits and transport; of no meaning if :attr:`remembered`."""
    shown_ms: float
    """Time to the suggestion."""
    evaluated: int
    """Prompt tokens evaluated for this answer."""
    remembered: bool = False
    """True if the suggestion came from a cache, without waiting for the model."""
    delay_ms: float = 0.0
    """The part of :attr:`ttft_ms` that the peer waited on purpose, for a further keystroke."""


@frozen
class Workload:
    """The model and the sizes that all peers share."""

    model: str
    """Name in the catalog or path of a GGUF file, as fim-lsp's setting has it."""
    path: Path
    """Path of the file."""
    threads: int
    prompt_tokens: int
    """Most tokens of a prompt: fim-lsp's ``prompt.maxTokens``; ``/infill`` is limited by its batch size."""
    context_tokens: int
    predict: int
    """Most tokens of a suggestion."""
    layout: str = "auto"
    """fim-lsp's ``prompt.layout``."""
    notices: bool = True
    """True if fim-lsp's plugin tells where the cursor rests (``fimLsp/cursor``)."""
    cold_ms: float | None = 400.0
    """fim-lsp's ``prompt.coldMs``."""


class Peer(Protocol):
    """A completion server with the editor plugin that it is used with."""

    @property
    def processes(self) -> ProcessTree:
        """The server's processes."""

    def open(self, files: Sequence[TypedFile]) -> None:
        """Begin a trace: close the files of the last one, empty the plugin's cache, and open these files."""

    def move(self, file: int, text: str, cursor: int) -> None:
        """Tell the peer that a file or the cursor in it changed."""

    async def suggest(self) -> PeerAnswer:
        """Request a suggestion at the cursor; a cancel interrupts it in the peer's own way."""

    async def idle(self, ms: float) -> int:
        """Let the user look at the last suggestion for ``ms`` milliseconds.

        Returns:
            The prompt tokens that the peer evaluated meanwhile, as far as that can be seen.
        """

    async def look(self, ms: float) -> None:
        """Let the user look at the place where the cursor was put, for ``ms`` milliseconds."""

    def accepted(self) -> None:
        """Tell the peer that the user accepted the last suggestion, or a part of it."""


OpenPeer = Callable[[Workload], AbstractAsyncContextManager[Peer]]
"""Starts a server and waits until its model is loaded."""
