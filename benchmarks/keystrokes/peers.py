"""What every peer looks like to the replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

from attrs import field, frozen

from benchmarks.keystrokes.processes import ProcessTree
from benchmarks.keystrokes.sources import TypedFile

PeerName = Literal["fim-lsp", "infill", "infill-spm", "completion"]


@frozen
class PeerAnswer:
    """What the user saw after one event. Times are milliseconds since the request."""

    text: str = field(repr=False)
    """The ghost text; empty if there was none."""
    ttft_ms: float
    """Until the first token existed, waits and transport included; means little where it was remembered."""
    shown_ms: float
    """Until the suggestion was there."""
    evaluated: int
    """Prompt tokens evaluated for this answer."""
    remembered: bool = False
    """Whether it was shown from memory, without waiting for the model."""
    delay_ms: float = 0.0
    """The part of :attr:`ttft_ms` that the peer waited on purpose, for a further keystroke."""


@frozen
class Workload:
    """What all peers have in common."""

    model: str
    """Name in the catalog or path of a GGUF file, as our server is told."""
    path: Path
    """The file itself."""
    threads: int
    prompt_tokens: int
    """Most tokens in a prompt: our ``prompt.maxTokens``; for ``/infill`` it is the batch that bounds them."""
    context_tokens: int
    predict: int
    """Most tokens in a suggestion."""
    layout: str = "auto"
    """Our ``prompt.layout``."""


class Peer(Protocol):
    """A completion server with the editor plugin that people use it with."""

    @property
    def processes(self) -> ProcessTree:
        """The server's processes, without the benchmark's own."""

    def open(self, files: Sequence[TypedFile]) -> None:
        """Begin a trace; files of former ones are closed and what they left in plugins' caches forgotten."""

    def move(self, file: int, text: str, cursor: int) -> None:
        """Tell that a file or the cursor in it changed."""

    async def suggest(self) -> PeerAnswer:
        """Ask for a suggestion at the cursor; a cancel interrupts it the way the peer knows."""

    async def idle(self, ms: float) -> int:
        """Let the user look at the last suggestion for so long.

        Returns:
            The prompt tokens that the peer is known to have evaluated meanwhile.
        """

    def accepted(self) -> None:
        """Tell that the user took the last suggestion, or a part of it."""


OpenPeer = Callable[[Workload], AbstractAsyncContextManager[Peer]]
"""Starts the server and waits until its model is loaded."""
