"""How much of the cursor's line the suggestion itself repeats: the last step, after every filter.

An editor that closes brackets by itself leaves ``foo(|)``; a model that answers ``a, b):`` means that very
``)``. The replace range takes it, so that it isn't there twice.
"""

from __future__ import annotations

import re

from fim_lsp.completion.postprocess.lexical import Mark, scan
from fim_lsp.completion.postprocess.pairing import Pairing, pair
from fim_lsp.completion.postprocess.surroundings import Surroundings, surroundings
from fim_lsp.types import CompletionRequest

_CLOSERS = re.compile(r"""[\s)\]}>"'`;,:]*""")
_PUNCTUATION = ";,:"


def only_closers(rest: str) -> bool:
    """Whether the rest of a line is nothing but what editors insert by themselves, or nothing at all."""
    return _CLOSERS.fullmatch(rest) is not None


def replaced(text: str, request: CompletionRequest) -> int:
    """Count the characters after the cursor, on its line, that ``text`` repeats.

    A closer counts only if the text closes with it what was opened before the cursor: for ``foo(|)`` the
    text ``g(x)`` repeats nothing.
    """
    around = surroundings(request)
    rest = around.rest
    if not rest or not text:
        return 0
    inside = scan(around.before, request.document.language_id).inside
    marks = scan(text, request.document.language_id, inside).marks
    if not only_closers(rest) and _holds(text, rest, pair(marks), around):
        return len(rest)
    return _closers_repeated(text, rest, pair(marks, angles=">" in rest).closers)


def _holds(text: str, rest: str, pairing: Pairing, around: Surroundings) -> bool:
    """Whether the first line of ``text`` contains the whole rest of the line, as words of its own."""
    line = text.partition("\n")[0]
    at = line.find(rest.lstrip())
    if at < 0 or _splits_word(line, at) or _splits_word(line, at + len(rest.lstrip())):
        return False
    if at == 0 and around.line_prefix and _splits_word(around.line_prefix[-1] + line, 1):
        return False
    return not pairing.across(at) and not pairing.across(at + len(rest.lstrip()))


def _splits_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and is_word(text[at - 1]) and is_word(text[at])


def is_word(char: str) -> bool:
    """Whether ``char`` may be part of a name or a number."""
    return char.isalnum() or char == "_"


def _closers_repeated(text: str, rest: str, closers: tuple[Mark, ...]) -> int:
    """Walk along ``rest`` as long as each closer is the next one that ``text`` leaves unpaired."""
    at = count = used = 0
    after = -1
    """Where ``text`` goes on behind the last closer that was matched; -1 while none was."""
    while at < len(rest):
        if rest[at].isspace():
            at += 1
            continue
        if used < len(closers) and rest.startswith(closers[used].char, at):
            at += len(closers[used].char)
            after = closers[used].at + len(closers[used].char)
            used += 1
        elif rest[at] in _PUNCTUATION and after >= 0 and text.startswith(rest[at], after):
            at, after = at + 1, after + 1
        elif rest[at] in _PUNCTUATION and after < 0 and text.endswith(rest[at]):
            return at + 1
        else:
            break
        count = at
    return count
