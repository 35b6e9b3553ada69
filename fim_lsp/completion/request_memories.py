"""The repository memory of each request: the document around the cursor, the other documents, the workspace.

The other documents of the session have a small corpus of their own, built in a thread when one of them
changed. A request takes what is there and never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from attrs import frozen

from fim_lsp.completion.open_documents import OpenDocuments
from fim_lsp.engine.memory import (
    ChunkEncoder,
    CorpusSource,
    MemoryPart,
    RepositoryMemory,
    TokenCorpus,
    TokenizedFile,
    cut_unfinished,
)
from fim_lsp.engine.memory.chunks import Encode
from fim_lsp.files import real_path
from fim_lsp.prompt.snippets import is_readable
from fim_lsp.prompt.window import visible
from fim_lsp.settings import Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, path_of

logger = logging.getLogger(__name__)

_BEFORE_CHARS, _AFTER_CHARS = 100_000, 50_000
"""Most characters of a document that vote, before and after the cursor."""
_STEP_CHARS = 20_000
_DOCUMENTS_TOKENS = 300_000
"""Most tokens of the session's other documents together."""

Versions = tuple[tuple[str, int], ...]


@frozen
class _Built:
    """The corpus of the other documents as they were."""

    versions: Versions
    part: MemoryPart

    @classmethod
    def nothing(cls) -> _Built:
        """Return the corpus of no documents."""
        return cls((), MemoryPart(TokenCorpus.build(())))


class RequestMemories:
    """Gives each request its repository memory. Lives on one asyncio loop.

    Args:
        documents: the documents of the session.
        source: what an index of the workspace has ready.
    """

    def __init__(self, documents: OpenDocuments, source: CorpusSource) -> None:
        self._documents = documents
        self._source = source
        self._chunks: ChunkEncoder | None = None
        self._built = _Built.nothing()
        self._building: asyncio.Task[None] | None = None
        self._paths: dict[str, str] = {}

    @property
    def building(self) -> bool:
        """True while the corpus of the other documents is being built."""
        return self._building is not None and not self._building.done()

    def model_changed(self, encode: Encode | None) -> None:
        """Take up a loaded vocabulary; tokens of another one are of no use.

        None for a model on a server: it takes no votes.
        """
        self._chunks = None if encode is None else ChunkEncoder(encode)
        self._built = _Built.nothing()

    def of(self, request: CompletionRequest, settings: Settings) -> RepositoryMemory | None:
        """Return what may vote on a request; None where the memory is off.

        The document's own copies are excluded, and so are documents where completion is off by now.
        """
        if self._chunks is None or not settings.memory.enabled:
            return None
        document, offset = request.document, request.offset
        path = self._real_path(document.uri)
        voting = self._documents.voting(document, settings.completion)
        self._refresh(voting, self._chunks)
        eligible = {self._real_path(other.uri) for other in voting}
        built = {file.path for file in self._built.part.corpus.files}
        opened = {self._real_path(uri) for uri in self._documents.uris}
        others = self._built.part.without({path, *(built - eligible)})
        workspace = (part.without({path, *opened}) for part in self._source(path))
        # In steps: where the beginning moved at each key, so would the chunks behind it.
        start = max(0, offset - _BEFORE_CHARS) // _STEP_CHARS * _STEP_CHARS
        end = offset + _AFTER_CHARS
        # Slices: request.prefix and request.suffix would copy a whole document of megabytes.
        before = visible(document.text[start:offset] + request.selected_text)
        unfinished = (place for place in self._documents.unfinished(document) if start < place < end)
        return RepositoryMemory(
            before=before,
            after=visible(document.text[offset:end]),
            path=path,
            parts=(others, *workspace) if built else tuple(workspace),
            unfinished=tuple(
                _visible_length(document.text[start:place])
                if place <= offset
                else len(before) + _visible_length(document.text[offset:place])
                for place in unfinished
            ),
            first_line=document.text.count("\n", 0, start),
        )

    def _refresh(self, voting: Sequence[DocumentSnapshot], chunks: ChunkEncoder) -> None:
        """Begin to build the other documents' corpus, if one of them changed and no build is running."""
        versions = tuple((other.uri, other.version) for other in voting)
        if versions != self._built.versions and not self.building:
            self._building = asyncio.get_running_loop().create_task(self._build(versions, voting, chunks))

    async def _build(
        self, versions: Versions, voting: Sequence[DocumentSnapshot], chunks: ChunkEncoder
    ) -> None:
        texts = [
            _Text(self._real_path(other.uri), other, self._documents.unfinished(other)) for other in voting
        ]
        try:
            corpus = await asyncio.to_thread(_index, texts, chunks)
        except Exception:
            # The vocabulary may be freed meanwhile; another build follows a later request.
            logger.debug("The open documents could not be indexed", exc_info=True)
            return
        if self._chunks is chunks:
            self._built = _Built(versions, MemoryPart(corpus))

    def _real_path(self, uri: str) -> str:
        if uri not in self._paths:
            if len(self._paths) > 1000:
                self._paths.clear()
            self._paths[uri] = real_path(path_of(uri)) if uri.startswith("file:") else uri
        return self._paths[uri]


def _visible_length(text: str) -> int:
    """Return how many characters of a text the model sees; only CR changes their number."""
    return len(visible(text)) if "\r" in text else len(text)


@frozen
class _Text:
    """A document that is indexed."""

    path: str
    document: DocumentSnapshot
    unfinished: tuple[int, ...]
    """Offsets where lines end that may be unfinished."""


def _index(texts: Sequence[_Text], chunks: ChunkEncoder) -> TokenCorpus:
    """Tokenise documents and index them, those used last first; nothing votes across an unfinished place."""
    files = (
        TokenizedFile(text.path, chunks.encode(visible(piece)), first_line=line)
        for text in texts
        if is_readable(text.document.text)
        for piece, line in cut_unfinished(text.document.text, text.unfinished)
    )
    return TokenCorpus.build(files, _DOCUMENTS_TOKENS)
