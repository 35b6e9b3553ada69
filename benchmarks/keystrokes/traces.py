"""Make traces: lists of a user's events at the keyboard, drawn by a seed.

A passage is removed from a real file and typed in again, as an editor reports it: one change for each key,
brackets that the editor closes and the user types over, a line break with its indentation in one change, a
Backspace that removes a whole step of indentation, and some wrong keys. In between the user accepts a
suggestion or a part of it, and undoes that, because suggestions differ from peer to peer and the trace must
not. And the user jumps: down, up, into another file and back. People jump, look at the place, and then type;
no editor asks for a suggestion before they do.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import Literal

from attrs import define, evolve, field, frozen

from benchmarks.keystrokes.sources import TypedFile

EventKind = Literal["open", "type", "backspace", "pause", "accept", "undo", "jump", "switch", "look"]
AcceptedPart = Literal["all", "line", "word"]

_PAIRS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}
_INDENT = 4
_KEY_MS = (4.9, 0.35)
"""Mean and standard deviation of the logarithm of the time between two keys; the median is 134 ms."""
_LOOK_MS = 1500.0
"""Time for which the user looks at a suggestion before accepting it."""
_PLACE_MS = (6.55, 0.35)
"""Mean and standard deviation of the logarithm of the time for which the user looks at a new place before
typing there; the median is 700 ms."""
_JUMPS = 4
"""Jumps besides the first one and the two between the files."""
_KEYS_A_JUMP = 4
_TYPO, _HASTE = 0.06, 0.25
"""Share of the keys that are wrong, and of those that the next key follows before an answer."""
_PASSAGE_LINES = 8
_STATEMENT = re.compile(r"\s+((if|for|while|with|return|raise)\b|(self\.)?\w+ = )")
"""Lines at which a passage may begin: statements in a function, not lines of a docstring."""


@frozen
class Event:
    """One action of the user, and the file after it."""

    kind: EventKind
    file: int
    """Index into :attr:`Trace.files`."""
    text: str = field(repr=False)
    """The file after the event; at an accept the file before it, because the accepted text is the peer's."""
    cursor: int
    """Offset in code points."""
    after_ms: float
    """Time since the last answer was shown, or since the last event if the user did not wait for its
    answer."""
    waits: bool = True
    """True if the user waits for the answer; otherwise the next event interrupts it."""
    part: AcceptedPart = "all"
    """The part of the suggestion that is accepted."""


@frozen
class Trace:
    """The events of a user in two files."""

    files: tuple[TypedFile, ...]
    """The files as they are opened, without the passages to type."""
    events: tuple[Event, ...] = field(repr=False)

    @property
    def keystrokes(self) -> int:
        """Number of events that type a character."""
        return sum(event.kind == "type" for event in self.events)


def record_trace(files: Sequence[TypedFile], keys: int, seed: int) -> Trace:
    """Make a trace of about ``keys`` typed characters in ``files``, three in five of them at one position.

    The order is fixed; passages and positions are drawn: open, type, accept all, type, accept a word, jump,
    type, accept a line, switch, type, switch back, type; then jump to some more places and type a few keys at
    each.
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
    typist.type(passage[typed:] or passage, _KEYS_A_JUMP)
    for _ in range(_JUMPS):
        end = rng.choice(_code_ends(typist.texts[0]))
        typist.jump(end)
        typist.type("\n" + _indentation(typist.texts[0], end) + passage.lstrip(), _KEYS_A_JUMP)
    return Trace(opened, tuple(typist.events))


@define
class _Typist:
    """The state of the editor while a trace is made, and the events so far."""

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

    def type(self, passage: str, keys: int) -> int:
        """Type the beginning of ``passage`` with at most ``keys`` keys; return its length in characters."""
        typed = 0
        at_new_place = bool(self.events) and self.events[-1].kind == "look"
        for _ in range(keys):
            if typed >= len(passage):
                break
            if typed and passage[typed].isalpha() and self.rng.random() < _TYPO:
                self.replace(0, self.rng.choice("aeinorst"))
                self.note("type", waits=False)
                self.replace(1, "")
                self.note("backspace")
            first = len(self.events)
            typed += self.key(passage, typed)
            if at_new_place:
                # Measured to its end: what the first key at a new place waits for.
                self.events[first:] = [evolve(event, waits=True) for event in self.events[first:]]
                at_new_place = False
        # The user waits for the answer to the last key.
        last = self.events[-1]
        if not last.waits:
            self.events[-1] = evolve(last, waits=True)
        return typed

    def key(self, passage: str, index: int) -> int:
        """Type a key, with the editor's own changes; return the number of characters typed of the passage."""
        is_hasty = self.rng.random() < _HASTE
        if passage[index] == "\n":
            return self.enter(passage, index)
        text, cursor = self.texts[self.file], self.cursors[self.file]
        character = passage[index]
        if character in _PAIRS.values() and text[cursor : cursor + 1] == character:
            self.cursors[self.file] += 1
        elif character in _PAIRS and _PAIRS[character] in passage[index + 1 :].partition("\n")[0]:
            self.replace(0, character + _PAIRS[character])
            self.cursors[self.file] -= 1
        else:
            self.replace(0, character)
        self.note("type", waits=not is_hasty)
        return 1

    def enter(self, passage: str, index: int) -> int:
        """Type a line break, and correct the indentation; return the characters typed of the passage.

        The editor indents the new line as the last one, one step deeper behind a colon or an open bracket.
        """
        rest = passage[index:]
        breaks = len(rest) - len(rest.lstrip("\n"))
        target = len(rest[breaks:]) - len(rest[breaks:].lstrip(" "))
        line = self.texts[self.file][: self.cursors[self.file]].rsplit("\n", 1)[-1]
        indent = len(line) - len(line.lstrip(" ")) + _INDENT * line.rstrip().endswith((":", "(", "[", "{"))
        self.replace(0, "\n" * breaks + " " * indent)
        self.note("type")
        while indent > target:
            step = min(_INDENT, indent - target)
            self.replace(step, "")
            self.note("backspace")
            indent -= step
        if indent < target:
            self.replace(0, " " * (target - indent))
            self.note("type")
        return breaks + target

    def replace(self, back: int, text: str) -> None:
        """Replace ``back`` characters before the cursor by ``text``."""
        before, cursor = self.texts[self.file], self.cursors[self.file]
        self.texts[self.file] = before[: cursor - back] + text + before[cursor:]
        self.cursors[self.file] = cursor - back + len(text)

    def accept(self, part: AcceptedPart) -> None:
        """Look at the suggestion, accept it, look at the next one, and undo."""
        self.note("pause", after_ms=_LOOK_MS)
        self.note("accept", part=part)
        self.note("undo", after_ms=_LOOK_MS)

    def jump(self, cursor: int) -> None:
        self.cursors[self.file] = cursor
        self.note("jump", waits=False, after_ms=_LOOK_MS)
        self.look()

    def switch(self, file: int) -> None:
        self.file = file
        self.note("switch", waits=False, after_ms=_LOOK_MS)
        self.look()

    def look(self) -> None:
        """Look at the place before typing."""
        self.note("look", waits=False, after_ms=math.exp(self.rng.gauss(*_PLACE_MS)))


def _site(text: str, where: float, rng: random.Random) -> tuple[str, int, str]:
    """Remove some lines of a function from a text; return the rest, the offset, and the passage."""
    lines = text.splitlines(keepends=True)
    middle = int(len(lines) * where)
    inside = [number for number in range(1, len(lines) - 1) if _STATEMENT.match(lines[number])]
    near = sorted(inside, key=lambda number: abs(number - middle))[:12]
    start = rng.choice(near) if near else middle
    end = min(start + _PASSAGE_LINES, len(lines))
    before, passage, after = ("".join(part) for part in (lines[:start], lines[start:end], lines[end:]))
    indent = len(passage) - len(passage.lstrip(" "))
    # The cursor stands behind the indentation of an otherwise empty line, as an editor leaves it.
    return before + passage[:indent] + "\n" + after, len(before) + indent, passage[indent:].rstrip("\n")


def _far_line(text: str, cursor: int) -> int:
    """Return the end of a line of code in the other half of the file."""
    middle = len(text) // 5 if cursor > len(text) // 2 else len(text) * 4 // 5
    end = text.find("\n", middle)
    while end > 0 and not text[:end].rsplit("\n", 1)[-1].strip():
        end = text.find("\n", end + 1)
    return end if end > 0 else len(text)


def _code_ends(text: str) -> list[int]:
    """Return the ends of all lines of code."""
    ends, position = [], 0
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("#"):
            ends.append(position + len(line.rstrip("\n")))
        position += len(line)
    return ends


def _indentation(text: str, cursor: int) -> str:
    line = text[:cursor].rsplit("\n", 1)[-1]
    return line[: len(line) - len(line.lstrip(" "))]
