"""The interface of an engine: it generates text with a loaded model, and can be cancelled at any moment.

The errors::

    EngineError
    ├── ModelLoadError        the weights or the context could not be opened
    ├── OvertakenError        a newer load, or the end of the session, came before this load was done
    ├── PromptTooLongError    the prompt leaves no room in the context window
    ├── PromptTooColdError    more tokens of the prompt are missing in the cache than it allows
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


class PromptTooColdError(EngineError):
    """More tokens need evaluation than :attr:`Prompt.max_pending`; nothing was dropped or evaluated."""

    @classmethod
    def check(cls, prompt: Prompt, pending: int) -> None:
        """Refuse a prompt of which too many tokens are pending."""
        if 0 < prompt.max_pending < pending:
            raise cls(f"{pending} tokens need evaluation, and at most {prompt.max_pending} may.")


class AdapterError(EngineError):
    """An adapter can't be applied to the loaded model; without it the same prompt may work."""

    def __init__(self, adapter: AppliedAdapter, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.adapter = adapter


class DecodeError(EngineError):
    """The native library refused a batch."""


class NotANumberError(DecodeError):
    """The model computed something that is no number."""


class CancelToken:
    """One request's cancel flag, readable by native code without the GIL.

    llama.cpp calls an abort callback after every graph node, about 600 times a token. A Python callback there
    competes for the GIL: a decode of 20 ms took 57 to 103 ms. So the flag is a C string, and the callback is
    libc's ``strlen``, for which a non-empty string means abort.
    """

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(2)
        self._ends_after_batch = False

    def cancel(self) -> None:
        """Request the end of the generation. It ends within milliseconds, inside a prefill too."""
        self.buffer[0] = b"\x01"

    def end_after_batch(self) -> None:
        """Request the end once the batch that is being evaluated is done; that batch is kept."""
        self._ends_after_batch = True

    @property
    def cancelled(self) -> bool:
        """True once :meth:`cancel` or :meth:`end_after_batch` was called."""
        return self._ends_after_batch or self.buffer[0] != b"\x00"


OnToken = Callable[[StreamedToken], bool]
"""Called on the inference thread for each sampled token. Return False to end the generation."""

OnLoading = Callable[[float], bool]
"""Called on the inference thread while weights load, with the part done, 0 to 1. Return False to abort."""


class Engine(Protocol):
    """A loaded model. Every method but the tokenizer's runs on the one inference thread."""

    @property
    def info(self) -> ModelInfo:
        """Facts about the loaded model."""

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
            PromptTooColdError: more tokens than :attr:`Prompt.max_pending` need evaluation.
            AdapterError: one of the prompt's adapters can't be applied; nothing was dropped or evaluated.
            DecodeError: the native library refused; the engine stays usable.
        """

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """Evaluate ``prompt`` and return the logits behind each of its last ``rows`` tokens.

        For evaluation and for measurements. Tokens before those rows are reused from the KV cache; the
        evaluated tokens stay there. Token healing is off, whatever ``prompt.heal`` is.

        Returns:
            A copy, float32, shape (rows, vocabulary). The last row predicts the token behind the prompt.

        Raises:
            ValueError: the prompt has fewer than ``rows`` tokens, or ``rows`` is less than 1.
            PromptTooLongError, AdapterError, DecodeError: as :meth:`generate`.
        """

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """Evaluate ``prompt`` without sampling, so that a later request for it starts at once.

        Its memory is prepared too, by an engine that has one.

        The sequence of the last generation is never overwritten: an engine with no other sequence evaluates
        nothing. When cancelled, the tokens evaluated by then stay in the KV cache.

        Raises:
            PromptTooLongError, PromptTooColdError, AdapterError, DecodeError: as :meth:`generate`.
        """

    def save_one(self) -> Future[None] | None:
        """Begin to save the KV state of one sequence that is not on the disk yet.

        The copy takes milliseconds; another thread writes it.

        Returns:
            A future that is done once the file is written; None if every state is saved, or if the engine
            saves none.
        """

    def close(self) -> None:
        """Save all KV states, as :meth:`save_one` does, and free everything. Call nothing afterwards."""


EngineFactory = Callable[[ModelSettings, OnLoading], Engine]
"""Opens the model that the settings name, on the inference thread. Raises FimLspError."""
