"""What an engine is: text out of weights, cancellable at any moment.

The errors::

    EngineError
    ├── ModelLoadError        the weights or the context could not be opened
    ├── OvertakenError        a newer load, or the end, came before this one was done
    ├── PromptTooLongError    the prompt leaves no room in the context window
    ├── AdapterError          an adapter can't be applied to the loaded model
    └── DecodeError           llama.cpp refused a batch
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, ClassVar, Protocol

from fim_lsp.errors import ErrorCode, FimLspError
from fim_lsp.settings import ModelSettings
from fim_lsp.types import (
    AppliedAdapter,
    Generation,
    ModelInfo,
    Prompt,
    SamplingParams,
    StreamedToken,
    Timings,
    Tokenizer,
)

if TYPE_CHECKING:
    from fim_lsp.engine.sampling import Logits


class EngineError(FimLspError):
    """Loading or running a model went wrong."""

    code: ClassVar[ErrorCode] = "completion_failed"


class ModelLoadError(EngineError):
    """The weights or the context could not be opened."""

    code: ClassVar[ErrorCode] = "model_failed"


class OvertakenError(EngineError):
    """A newer load, or the end of the session, came before this load was done."""


class PromptTooLongError(EngineError):
    """The prompt leaves no room for an answer in the context window."""


class AdapterError(EngineError):
    """An adapter can't be applied to the loaded model; without it the same prompt may work."""

    def __init__(self, adapter: AppliedAdapter, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.adapter = adapter


class DecodeError(EngineError):
    """The native library refused a batch."""


class CancelToken:
    """One request's cancel flag, readable by native code without the GIL.

    llama.cpp asks an abort callback after every graph node, about 600 times a token. A Python callback
    there fights for the GIL (a 20 ms decode took 57 to 103 ms); so the flag is a C string and the callback
    is libc's ``strlen``: a non-empty string aborts.
    """

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(2)

    def cancel(self) -> None:
        """Ask the generation to end; takes effect within milliseconds, inside a prefill too."""
        self.buffer[0] = b"\x01"

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self.buffer[0] != b"\x00"


OnToken = Callable[[StreamedToken], bool]
"""Called on the inference thread for every token; False ends the generation."""

OnLoading = Callable[[float], bool]
"""Called on the inference thread while weights load, with the part done, 0 to 1; False gives up."""


class Engine(Protocol):
    """A loaded model. Every method but the tokenizer's runs on the one inference thread."""

    @property
    def info(self) -> ModelInfo:
        """What is known of the loaded model."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer; safe from any thread while the engine is open."""

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """Continue ``prompt`` once for each of ``on_tokens``; most requests pass one.

        A generation ends at an end token, at a limit, when its ``on_token`` returns False, or when cancelled.
        The first one is the same however many there are. Each of the others begins with the next likeliest
        token that adds text, a different one each, and goes on from there in the same way; each batch
        evaluates one token of every generation. An engine may return fewer than asked for, but at least one.

        When cancelled, it returns normally: each generation that had not ended has the text so far and
        ``FinishReason.CANCELLED``. The evaluated tokens of the prompt and of the first generation stay in the
        KV cache, so that the next request evaluates only the rest. Tokens that were evaluated under other
        adapters than the prompt's are not reused. Evaluated tokens of other prompts stay while several
        generations run.

        Returns:
            The generations, the first one first. Timings are those of all together, but for
            ``generated_tokens``.

        Raises:
            PromptTooLongError: the prompt fills the context window.
            AdapterError: one of the prompt's adapters can't be applied; nothing was dropped or evaluated.
            DecodeError: the native library refused; the engine stays usable.
        """

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """Evaluate ``prompt`` and return the logits behind each of its last ``rows`` tokens.

        For evaluation and for measurements. Tokens before those rows are reused from the KV cache; the
        evaluated tokens stay there. Token healing is off, whatever ``prompt.heal`` says.

        Returns:
            A copy, float32, shape (rows, vocabulary). The last row predicts the token behind the prompt.

        Raises:
            ValueError: the prompt has fewer than ``rows`` tokens, or ``rows`` is less than 1.
            PromptTooLongError, AdapterError, DecodeError: as :meth:`generate`.
        """

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """Evaluate ``prompt`` without sampling, so that it costs nothing when it is asked for.

        Never at the cost of the sequence that was last generated in, so it evaluates nothing where there is
        no other. When cancelled, what was evaluated by then stays.

        Raises:
            PromptTooLongError, AdapterError, DecodeError: as :meth:`generate`.
        """

    def save_one(self) -> Future[None] | None:
        """Begin to save one evaluated state that is not on the disk yet; done once it is there.

        Takes milliseconds, as the disk is written on another thread. None once all of them are saved, or
        where the engine saves none.
        """

    def close(self) -> None:
        """Save what :meth:`save_one` would, and free weights and context. Call nothing afterwards."""


EngineFactory = Callable[[ModelSettings, OnLoading], Engine]
"""Opens the model that the settings name; runs on the inference thread, raises FimLspError."""
