"""The values of the pipeline: frozen, free of LSP types, free of native handles.

A keystroke is a :class:`CompletionRequest`; the builder makes a :class:`Prompt` of it; the engine answers
with a :class:`Generation`; the editor shows a :class:`Completion`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import unquote, urlsplit

from attrs import evolve, field, frozen

if TYPE_CHECKING:
    from fim_lsp.engine.memory import RepositoryMemory


def _found(position: int, otherwise: int) -> int:
    return otherwise if position < 0 else position


class Trigger(enum.Enum):
    """The cause of a request: the user pressed a key for it, or typed something."""

    INVOKED = "invoked"
    AUTOMATIC = "automatic"


def path_of(uri: str) -> PurePath:
    """Return the path part of a URI; all of a text that is none.

    Example: for ``file:///a%20b.py`` it is ``/a b.py``.
    """
    try:
        return PurePath(unquote(urlsplit(uri).path))
    except ValueError:  # for example "file://["
        return PurePath(uri)


@frozen
class DocumentSnapshot:
    """A document as it was at one moment. Nothing below the LSP handlers sees a live document."""

    uri: str
    language_id: str
    version: int
    text: str = field(repr=False)

    @property
    def path(self) -> PurePath:
        """The path part of the URI; for ``untitled:Untitled-1`` that is just the name."""
        return path_of(self.uri)


@frozen
class LineEdit:
    """One edit of a document, by lines and columns from 0. Columns are in the client's units."""

    start: tuple[int, int]
    end: tuple[int, int]
    """Line and column behind the replaced text, before the edit."""
    line_breaks: int
    """In the new text."""
    deletes: bool
    """True if it only takes text away."""


@frozen
class CompletionRequest:
    """A cursor in a snapshot. ``offset`` counts code points, so it indexes ``document.text``."""

    document: DocumentSnapshot
    offset: int
    trigger: Trigger = Trigger.AUTOMATIC
    selected_text: str = ""
    """The untyped rest of the entry selected in the editor's popup; every suggestion begins with it."""
    tab_size: int = 4
    insert_spaces: bool = True
    line: int | None = None
    """The cursor's line from 0, where it is known without counting."""

    @property
    def prefix(self) -> str:
        """Everything before the cursor, and the text that the popup would insert."""
        return self.document.text[: self.offset] + self.selected_text

    @property
    def suffix(self) -> str:
        """Everything after the cursor."""
        return self.document.text[self.offset :]

    @property
    def cursor_line(self) -> int:
        """The cursor's line from 0."""
        return self.document.text.count("\n", 0, self.offset) if self.line is None else self.line

    @property
    def line_prefix(self) -> str:
        """The cursor's line up to the cursor, and the text that the popup would insert."""
        text = self.document.text
        start = text.rfind("\n", 0, self.offset) + 1
        start = max(start, text.rfind("\r", start, self.offset) + 1)
        return text[start : self.offset] + self.selected_text

    @property
    def line_suffix(self) -> str:
        """The cursor's line from the cursor on, without its line break."""
        text = self.document.text
        # Searching for each break by itself is ten times as fast as for both by an expression.
        end = _found(text.find("\n", self.offset), len(text))
        return text[self.offset : _found(text.find("\r", self.offset, end), end)]


@frozen
class Snippet:
    """A few lines of another file that may help, with the path of that file."""

    path: str
    text: str = field(repr=False)
    score: float = 0.0
    source: str = ""
    """Its origin: ``open``, ``recent``, ``definition`` or ``similar``."""


Order = Literal["psm", "spm", "suffix_first"]
"""The order in which a template has prefix P, suffix S and middle.

``psm``: P, S, then the middle. ``spm``: S, P, middle marker. ``suffix_first``: S, middle marker, and P runs
on into the middle without anything between them (the SPM variant of the FIM paper, arXiv 2207.14255, 3.1).
"""


@frozen
class FimTemplate:
    """The markers that a model family was trained with, as text. An empty string is a marker it lacks."""

    name: str
    prefix: str = ""
    suffix: str = ""
    middle: str = ""
    file_separator: str = ""
    repo_name: str = ""
    stops: tuple[str, ...] = ()
    order: Order = "psm"
    preamble: str = ""
    """Text with markers that comes before everything; ``{path}`` and ``{language}`` are filled in."""
    epilogue: str = ""
    """Text with markers that comes after the middle marker (CodeGeeX4's ``<|assistant|>``)."""

    @property
    def markers(self) -> tuple[str, ...]:
        """Every marker text that this template uses, stops included; all of them end a generation."""
        own = (self.prefix, self.suffix, self.middle, self.file_separator, self.repo_name)
        return tuple(dict.fromkeys(marker for marker in (*own, *self.stops) if marker))


class Tokenizer(Protocol):
    """Text to ids. Safe to call from any thread: a vocabulary never changes once loaded."""

    @property
    def bos(self) -> int | None:
        """The id that every prompt must begin with; None where the model was trained without one."""

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the ids of plain text. Markers inside it stay text and never become special tokens."""

    def special(self, text: str) -> int | None:
        """Return the id of the one special token spelled exactly ``text``, or None."""

    def decode(self, ids: tuple[int, ...]) -> str:
        """Return the text of ``ids``, special tokens spelled out; undecodable bytes become U+FFFD."""


@frozen
class Speculation:
    """The decision about drafts (speculative decoding), made when a model was loaded."""

    draft_tokens: int = 0
    """The most tokens in a draft; 0 for none."""
    cost_ratio: float = 0.0
    """Cost of a decode with a full draft, in decodes of one token; 0 if it was not measured."""
    reason: str = ""
    """In words, for people."""


@frozen
class ModelInfo:
    """Facts about a loaded model."""

    name: str
    path: Path | None = None
    architecture: str = ""
    parameters: int = 0
    size_bytes: int = 0
    trained_context: int = 0
    context: int = 0
    """Tokens that the open context holds; a prompt and its generation must fit."""
    metadata: Mapping[str, str] = field(factory=dict, repr=False)
    """The GGUF's scalar metadata as text, ``tokenizer.ggml.fim_*_token_id`` among it."""
    fim_ids: Mapping[str, int] = field(factory=dict)
    """FIM token ids that the GGUF names: keys out of ``pre suf mid pad rep sep``."""
    end_ids: frozenset[int] = field(factory=frozenset, repr=False)
    """Tokens that end a generation by the model's own file, whatever the prompt."""
    template_hint: str | None = None
    """Name of the template that the catalog gives for this model."""
    notice: str | None = None
    """A remark to show to the user once, for example that the model is not FIM-tuned."""
    speculation: Speculation = Speculation()
    prefill_tokens_per_s: float = 0.0
    """Measured when the model was loaded; 0 where the length of a prompt hardly matters (a GPU)."""
    host: str = ""
    """The host that prompts are sent to; empty for a model in this process."""

    def same_model(self, other: ModelInfo) -> bool:
        """Tell whether both are one file opened alike; what was measured at load may differ."""
        speed = other.prefill_tokens_per_s
        return evolve(self, speculation=other.speculation, prefill_tokens_per_s=speed) == other


def _not_zero(_: object, __: object, scale: float) -> None:
    if scale == 0:
        raise ValueError("an adapter of scale 0 is not applied: leave it out")


@frozen
class AppliedAdapter:
    """A LoRA file as it was at one moment, and how strongly it is applied.

    Equal values compute the same. Nothing that was computed under other adapters (KV cache, suggestions) is
    used.
    """

    path: Path
    scale: float = field(default=1.0, validator=_not_zero)
    version: int = 0
    """Differs whenever the file was written; 0 where there is no file."""
    name: str = ""
    """Its name on a server; the path of one that is on a server alone is empty."""

    @property
    def file(self) -> tuple[Path, int]:
        """The weights: one file in one version, or a name on a server."""
        return self.path / self.name, self.version

    @property
    def label(self) -> str:
        """The name for people, without folders, which are private."""
        return self.name or self.path.stem

    @property
    def has_file(self) -> bool:
        """True if there is a file of it, which a model in this process can apply."""
        return self.path != Path()


@frozen
class PromptPart:
    """One part of a prompt and its tokens, for ``fimLsp.explain``."""

    kind: str
    text: str = field(repr=False)
    tokens: int


@frozen
class Prompt:
    """A head of tokens that stays from key to key, and a tail of text that grows at the cursor.

    The engine reuses as much of the head as it has evaluated and continues the tail by text, so that a
    keystroke costs the tokens of a word that it ends, or none, whatever the layout.
    """

    head: tuple[int, ...] = field(repr=False)
    tail: str = field(repr=False)
    stop_ids: frozenset[int] = field(factory=frozenset, repr=False)
    """Tokens that end the generation besides the model's own end tokens."""
    heal: bool = False
    """True if the tail's last token may be replaced by a longer one that begins alike (token healing)."""
    parts: tuple[PromptPart, ...] = field(default=(), repr=False)
    template: str = ""
    snippets: tuple[Snippet, ...] = field(default=(), repr=False)
    """The snippets in the head, the best last."""
    snippet_reason: str = ""
    """Why these snippets, or why none, in a line for ``fimLsp.explain``."""
    layout: str = ""
    """The layout and why, in a line for ``fimLsp.explain``."""
    length: str = ""
    """Why the prompt is shorter than it may be, in a line for ``fimLsp.explain``; empty if it is not."""
    max_pending: int = 0
    """Most tokens to evaluate; where more are missing, nothing is evaluated and a shorter prompt is needed.
    0 for no limit."""
    adapters: tuple[AppliedAdapter, ...] = ()
    """Applied to the model while it evaluates the prompt and generates."""
    draft: str = field(default="", repr=False)
    """Text that the generation may follow somewhere, with some of the text before it. Only a guess: it costs
    next to nothing and never changes the generation."""
    second_model: bool = False
    """True if the second of two loaded models is to answer."""
    location: str = ""
    """Document and anchor: prompts of one location follow each other in one sequence of the KV cache."""
    memory: RepositoryMemory | None = field(default=None, repr=False, eq=False)
    """What may vote on the tokens besides the model; None for the model alone. It is no part of what is
    evaluated, so prompts are equal with any. An engine without logits ignores it."""


@frozen
class SamplingParams:
    """The way tokens are drawn. A temperature of 0 is greedy and needs no other value."""

    max_tokens: int = 64
    temperature: float = 0.0
    top_k: int = 40
    top_p: float = 0.95
    seed: int = 0
    end_bias: float = 0.0
    """Nats added to the end token where greedy sampling would begin another line; never negative."""
    excluded_prefix: str = field(default="", repr=False)
    """Text that the generation must not begin with: the likeliest token that spells none of it is drawn."""


class FinishReason(enum.Enum):
    """The reason why a generation ended."""

    END = "end"
    """The model produced an end token or a FIM marker."""
    STOPPED = "stopped"
    """A stop rule of ours ended it."""
    LENGTH = "length"
    """The token limit or the end of the context window was reached."""
    CANCELLED = "cancelled"
    """The cancel token was set; what was evaluated stays evaluated."""


@frozen
class StreamedToken:
    """The text of one token: never half a character, possibly empty while bytes are missing."""

    text: str
    probability: float
    """The model's probability for this token, 0 to 1."""
    elapsed_ms: float
    """Milliseconds since the prompt was evaluated: a long prefill must not use up the time to generate."""
    entropy: float = 0.0
    """Entropy of the distribution that it was drawn from, in nats; 0 where the engine can't tell."""


@frozen
class Timings:
    """Costs of one generation. Tokens are counted when llama.cpp has evaluated them."""

    queued_ms: float = 0.0
    prefill_ms: float = 0.0
    """Until the first token could be sampled."""
    decode_ms: float = 0.0
    evaluated_tokens: int = 0
    """Prompt tokens evaluated for this request (the prefill)."""
    reused_tokens: int = 0
    """Prompt tokens found in the KV cache."""
    generated_tokens: int = 0
    """Tokens sampled; all but the last of them were also evaluated."""
    decodes: int = 0
    """Batches evaluated after the prompt. One holds a token of each candidate, or a token and its draft."""
    drafted_tokens: int = 0
    """Draft tokens that were evaluated along with others."""
    accepted_tokens: int = 0
    """Of those, the ones that the model sampled itself: each saved a decode."""
    threads: int = 0
    """CPU threads in use at the end; 0 where it is not known."""

    def then(self, later: Timings) -> Timings:
        """Add the costs of a second generation, for which the prompt was in the KV cache."""
        return Timings(
            queued_ms=self.queued_ms + later.queued_ms,
            prefill_ms=self.prefill_ms + later.prefill_ms,
            decode_ms=self.decode_ms + later.decode_ms,
            evaluated_tokens=self.evaluated_tokens + later.evaluated_tokens,
            reused_tokens=self.reused_tokens,
            generated_tokens=self.generated_tokens + later.generated_tokens,
            decodes=self.decodes + later.decodes,
            drafted_tokens=self.drafted_tokens + later.drafted_tokens,
            accepted_tokens=self.accepted_tokens + later.accepted_tokens,
            threads=later.threads,
        )


@frozen
class MemoryUse:
    """The part of the repository memory in one generation."""

    decided: tuple[str, ...] = field(default=(), repr=False)
    """The text of each token that the model alone would not have chosen, in order."""
    path: str = ""
    """The file of the longest match behind those tokens, as its index names it; empty for none."""
    line: int = 0
    """The line there, counted from 0, from which the generation was followed."""
    matched_tokens: int = 0
    """Length of that match, in tokens of the context and the generation."""


@frozen
class Generation:
    """The output of the model for one prompt."""

    text: str
    finish_reason: FinishReason
    timings: Timings = Timings()
    probabilities: tuple[float, ...] = field(default=(), repr=False)
    memory: MemoryUse = MemoryUse()
    """What the repository memory did; empty where there was none."""
    model: str = ""
    """The model that answered, where an engine has several; empty for the one that its info names."""
    host: str = ""
    """The host that the prompt was sent to; empty for none."""
    notice: str = ""
    """A remark for the user, once: another model had to answer."""


@frozen
class Completion:
    """The text that the editor shows at the cursor."""

    text: str
    replace_suffix_chars: int = 0
    """Characters after the cursor, on its line, that the text repeats and so replaces."""
    confidence: float = 1.0
    """Mean probability of the tokens, 0 to 1."""
    alternatives: tuple[Completion, ...] = ()
    """Other completions to choose from, likeliest first; none of them has alternatives itself."""
