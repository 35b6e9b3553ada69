"""Ask a server for one answer: in one request, or in several where a token must be chosen among some."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.remote.answer_stream import AnswerStream, HealingFailedError
from fim_lsp.engine.remote.client import Client
from fim_lsp.engine.remote.cut_word import CutWord
from fim_lsp.engine.remote.dialects import CompletionCall, Dialect
from fim_lsp.engine.remote.errors import RemoteError
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.types import FinishReason

_LEAST_END = 0.5
"""The probability from which on greedy sampling takes an end before any text, as in process."""


@frozen
class Asker:
    """A server, and the way in which it is asked."""

    client: Client
    dialect: Dialect
    vocabulary: Vocabulary | None = None
    """The model's; None where it is not here, so that no token can be named."""

    async def answer(self, call: CompletionCall, stream: AnswerStream, cancel: CancelToken) -> None:
        """Ask until the stream has ended, or the request is cancelled; for no tokens, not at all.

        A token that is chosen among some costs a request of its own. The server keeps what it evaluated, and
        the next request goes on there.

        Raises:
            HealingFailedError: the answer does not begin with the cut word.
            RemoteError: the server failed.
        """
        if call.sampling.max_tokens < 1:
            stream.finish(FinishReason.LENGTH)
            return
        if self.vocabulary is None or not self.dialect.bans_tokens:
            await self._request(call, stream, cancel)
            return
        word = CutWord(call.prompt.healed.encode(), call.prompt.spelling)
        while word.needs_bans(self.vocabulary):
            token = await self._next_token(call, word.other_beginnings(self.vocabulary), stream)
            if stream.reason is not None or cancel.cancelled:
                return
            call, word = _behind(call, token, stream.healing), word.behind(token, self.vocabulary)
        stream.least_end = _LEAST_END if call.sampling.temperature <= 0 else 0.0
        await self._request(call, stream, cancel)
        if not stream.early_end or cancel.cancelled:
            return
        stream.least_end, stream.early_end = 0.0, False
        markers = (token for token, piece in enumerate(self.vocabulary.pieces) if not piece)
        token = await self._next_token(call, sorted({*markers, *stream.stop_ids}), stream)
        if stream.reason is None and not cancel.cancelled:
            await self._request(_behind(call, token), stream, cancel)

    async def _request(self, call: CompletionCall, stream: AnswerStream, cancel: CancelToken) -> None:
        """Send a request, and hand the events of its answer to the stream."""
        stream.begin_request()
        events = self.client.stream(self.dialect.path, self.dialect.body(call))
        async with contextlib.aclosing(events):
            async for event in events:
                stream.add(self.dialect.read(event))
                if stream.reason is not None or stream.early_end or cancel.cancelled:
                    return
        raise RemoteError(f"{self.client.address.host} ended its answer in the middle.")

    async def _next_token(self, call: CompletionCall, banned: Sequence[int], stream: AnswerStream) -> int:
        """Ask for one token that is not ``banned``, and hand it to the stream."""
        stream.begin_request()
        # Text that may begin a stop string is held back, and would be lost at the end of the request.
        one = evolve(call, sampling=evolve(call.sampling, max_tokens=1), banned=tuple(banned), stops=())
        # Not streamed: llama-server (0.5.0-dev) closes the connection behind a stream without saying so, when
        # the next request may be on its way.
        answer = await self.client.post(self.dialect.path, {**self.dialect.body(one), "stream": False})
        chunk = self.dialect.read(answer if isinstance(answer, Mapping) else {})
        token = chunk.pieces[-1].token if chunk.pieces else None
        assert self.vocabulary is not None
        if token is None or chunk.pieces[-1].text.encode() != self.vocabulary.pieces[token]:
            raise HealingFailedError  # A part of a character has no text.
        stream.add(evolve(chunk, end=None))
        return token


def _behind(call: CompletionCall, token: int, healed: str = "") -> CompletionCall:
    """Return the request for what follows a token, of which ``healed`` is still to be spelled."""
    sampling = evolve(call.sampling, max_tokens=call.sampling.max_tokens - 1)
    prompt = evolve(call.prompt, ids=(*(call.prompt.ids or ()), token), healed=healed)
    return evolve(call, sampling=sampling, prompt=prompt)
