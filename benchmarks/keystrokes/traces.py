"""What a user does at the keyboard, as a list of events: pure, and the same for the same seed.

A passage is taken out of a real file and typed in again, as an editor would report it: one change a key,
brackets closed by the editor and typed over, a line break with its indentation in one change, a Backspace
that takes back a whole step of indentation, now and then a wrong key. In between the user takes a suggestion,
whole or in part, and undoes it, because what is suggested differs from peer to peer and the trace must not;
jumps to another place; and types something into another file.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import Literal

from attrs import define, field, frozen

from benchmarks.keystrokes.sources import TypedFile

EventKind = Literal["open", "type", "backspace", "pause", "accept", "undo", "jump", "switch"]
AcceptedPart = Literal["all", "line", "word"]

_PAIRS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}
_INDENT = 4
_KEY_MS = (4.9, 0.35)
"""Mean and deviation of the logarithm of the time between two keys: half of them within 134 ms."""
_LOOK_MS = 1500.0
"""How long a user looks at a suggestion before taking it."""
_TYPO, _HASTE = 0.06, 0.25
"""Share of the keys that are wrong, and of those that the next key follows before an answer."""
_PASSAGE_LINES = 8
_STATEMENT = re.compile(r"\s+((if|for|while|with|return|raise)\b|(self\.)?\w+ = )")
"""Where a passage may begin: in a function, not in the middle of what it says of itself."""


@frozen
class Event:
    """One act of the user, and the file that it leaves behind."""

    kind: EventKind
    file: int
    """Index into :attr:`Trace.files`."""
    text: str = field(repr=False)
    """The file after the event; before it, where a suggestion is taken: the text is then the peer's."""
    cursor: int
    """In code points."""
    after_ms: float
    """Since the answer to the event before was shown, or since that event where it was not waited for."""
    waits: bool = True
    """Whether the user waits for the answer; otherwise the next event interrupts it."""
    part: AcceptedPart = "all"
    """How much of the suggestion is taken."""


@frozen
class Trace:
    """One sitting at two files."""

    files: tuple[TypedFile, ...]
    """As they are opened: the passages to type are missing."""
    events: tuple[Event, ...] = field(repr=False)

    @property
    def keystrokes(self) -> int:
        """How many events are a character typed."""
        return sum(event.kind == "type" for event in self.events)


def record_trace(files: Sequence[TypedFile], keys: int, seed: int) -> Trace:
    """Type about ``keys`` characters into ``files``, three in five of them at one place.

    The order is fixed, what is typed where is drawn: open, type, accept all, type, accept a word, jump, type,
    accept a line, switch, type, switch back.
    """
    rng = random.Random(seed)
    sites = [_site(files[0].text, 0.6, rng), _site(files[1].text, 0.5, rng)]
    far = _far_line(sites[0][0], sites[0][1])
    typist = _Typist(rng, [site[0] for site in sites], [site[1] for site in sites])
    opened = tuple(TypedFile(file.name, text) for file, (text, _, _) in zip(files, sites, strict=True))
    main = max(4, keys * 3 // 10)
    rest = max(3, keys // 5)
    passage = sites[0][2]
    typist.note("open")
    typed = typist.type(passage, main)
    typist.accept("all")
    typed += typist.type(passage[typed:], main)
    typist.accept("word")
    typist.jump(far)
    typist.type("\n" + _indentation(sites[0][0], far) + passage.lstrip(), rest)
    typist.accept("line")
    typist.switch(1)
    typist.type(sites[1][2], rest)
    typist.switch(0)
    return Trace(opened, tuple(typist.events))


@define
class _Typist:
    """The editor while the trace is recorded."""

    rng: random.Random
    texts: list[str]
    cursors: list[int]
    file: int = 0
    events: list[Event] = field(factory=list)

    def note(
        self,
        kind: EventKind,
        *,
        waits: bool = True,
        part: AcceptedPart = "all",
        after_ms: float | None = None,
    ) -> None:
        pause = math.exp(self.rng.gauss(*_KEY_MS)) if after_ms is None else after_ms
        self.events.append(
            Event(kind, self.file, self.texts[self.file], self.cursors[self.file], pause, waits, part)
        )

    def type(self, wanted: str, keys: int) -> int:
        """Type the beginning of ``wanted`` with at most ``keys`` keys; how much of it now stands there."""
        at = 0
        for _ in range(keys):
            if at >= len(wanted):
                break
            if wanted[at].isalpha() and self.rng.random() < _TYPO:
                self.replace(0, self.rng.choice("aeinorst"))
                self.note("type", waits=False)
                self.replace(1, "")
                self.note("backspace")
            at += self.key(wanted, at)
        # The last key of a run is one that is waited for.
        last = self.events[-1]
        if not last.waits:
            self.events[-1] = Event(
                last.kind, last.file, last.text, last.cursor, last.after_ms, part=last.part
            )
        return at

    def key(self, wanted: str, at: int) -> int:
        """One key, and what the editor does of its own accord; how many characters of ``wanted`` it gave."""
        haste = self.rng.random() < _HASTE
        if wanted[at] == "\n":
            return self.enter(wanted, at)
        text, cursor = self.texts[self.file], self.cursors[self.file]
        character = wanted[at]
        if character in _PAIRS.values() and text[cursor : cursor + 1] == character:
            self.cursors[self.file] += 1
        elif character in _PAIRS and _PAIRS[character] in wanted[at + 1 :].partition("\n")[0]:
            self.replace(0, character + _PAIRS[character])
            self.cursors[self.file] -= 1
        else:
            self.replace(0, character)
        self.note("type", waits=not haste)
        return 1

    def enter(self, wanted: str, at: int) -> int:
        """A line break, indented as the line before it, one step deeper after a colon or an open bracket."""
        rest = wanted[at:]
        blank = len(rest) - len(rest.lstrip("\n"))
        wished = len(rest[blank:]) - len(rest[blank:].lstrip(" "))
        line = self.texts[self.file][: self.cursors[self.file]].rsplit("\n", 1)[-1]
        given = len(line) - len(line.lstrip(" ")) + _INDENT * line.rstrip().endswith((":", "(", "[", "{"))
        self.replace(0, "\n" * blank + " " * given)
        self.note("type")
        while given > wished:
            step = min(_INDENT, given - wished)
            self.replace(step, "")
            self.note("backspace")
            given -= step
        if given < wished:
            self.replace(0, " " * (wished - given))
            self.note("type")
        return blank + wished

    def replace(self, back: int, text: str) -> None:
        """Take ``back`` characters before the cursor away and put ``text`` there."""
        before, cursor = self.texts[self.file], self.cursors[self.file]
        self.texts[self.file] = before[: cursor - back] + text + before[cursor:]
        self.cursors[self.file] = cursor - back + len(text)

    def accept(self, part: AcceptedPart) -> None:
        """Look at the suggestion, take it, look at what comes next, and undo it."""
        self.note("pause", after_ms=_LOOK_MS)
        self.note("accept", part=part)
        self.note("undo", after_ms=_LOOK_MS)

    def jump(self, cursor: int) -> None:
        self.cursors[self.file] = cursor
        self.note("jump", waits=False, after_ms=_LOOK_MS)

    def switch(self, file: int) -> None:
        self.file = file
        self.note("switch", after_ms=_LOOK_MS)


def _site(text: str, where: float, rng: random.Random) -> tuple[str, int, str]:
    """Take some lines of a function out of a text: what is left, the place, and the passage."""
    lines = text.splitlines(keepends=True)
    middle = int(len(lines) * where)
    inside = [number for number in range(1, len(lines) - 1) if _STATEMENT.match(lines[number])]
    near = sorted(inside, key=lambda number: abs(number - middle))[:12]
    start = rng.choice(near) if near else middle
    end = min(start + _PASSAGE_LINES, len(lines))
    before, passage, after = ("".join(part) for part in (lines[:start], lines[start:end], lines[end:]))
    indent = len(passage) - len(passage.lstrip(" "))
    # The cursor waits behind the indentation of an empty line, where an editor would have left it.
    return before + passage[:indent] + "\n" + after, len(before) + indent, passage[indent:].rstrip("\n")


def _far_line(text: str, cursor: int) -> int:
    """The end of a line of code in the other half of the file."""
    wanted = len(text) // 5 if cursor > len(text) // 2 else len(text) * 4 // 5
    end = text.find("\n", wanted)
    while end > 0 and not text[:end].rsplit("\n", 1)[-1].strip():
        end = text.find("\n", end + 1)
    return end if end > 0 else len(text)


def _indentation(text: str, cursor: int) -> str:
    line = text[:cursor].rsplit("\n", 1)[-1]
    return line[: len(line) - len(line.lstrip(" "))]
