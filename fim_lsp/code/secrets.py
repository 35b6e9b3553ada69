"""Find keys and passwords inside of texts, so that a file or document with one is left out as a whole.

Patterns of well-known keys, whose form nothing else has, and values that are assigned to a telling name and
look random. Masking would keep more code, but a secret of several lines, of which one is missed, would stay.

Each pattern is tried where something rare of it stands: the beginning of a key, the value that is assigned.
Tried everywhere, they take ten times as long.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping

_FORMS = (
    ("-----BEGIN", r" [A-Z ]{0,40}PRIVATE KEY"),
    ("PuTTY-User-Key-File", ""),
    (r"\b AKIA ASIA ABIA ACCA", r"[0-9A-Z]{16}\b"),  # Amazon
    (r"\b ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{36,}"),  # GitHub
    (r"\b github_pat_", r"[A-Za-z0-9_]{50,}"),
    (r"\b glpat- gldt- glft- glsoat- glcbt- glptt- glrt-", r"[A-Za-z0-9_\-]{20,}"),  # GitLab
    (r"\b xox", r"[abeoprs]-[A-Za-z0-9-]{10,}"),  # Slack
    ("hooks.slack.com/services/T", r"\w+/B\w+/\w+"),
    (r"\b rk_live_ sk_live_", r"[0-9a-zA-Z]{20,}"),  # Stripe
    (r"\b AIza", r"[0-9A-Za-z_\-]{35}"),  # Google
    (r"\b ya29.", r"[0-9A-Za-z_\-]{20,}"),
    (r"\b sk-", r"(?:proj-|ant-|svcacct-)?[A-Za-z0-9_\-]{32,}"),  # OpenAI, Anthropic
    (r"\b hf_", r"[A-Za-z]{30,}"),  # Hugging Face
    (r"\b npm_", r"[A-Za-z0-9]{36}"),
    (r"\b pypi-AgEI", r"[A-Za-z0-9_\-]{50,}"),
    (r"\b SG.", r"[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}"),  # SendGrid
    (r"\b dop_v1_", r"[a-f0-9]{64}"),
    (r"\b dapi", r"[a-f0-9]{32}\b"),
    (r"\b shpat_ shpca_ shppa_ shpss_", r"[a-fA-F0-9]{32}"),
    (r"\b AGE-SECRET-KEY-1", r"[0-9A-Z]{50,}"),
    (r"\b vault:v1:", r"[A-Za-z0-9+/=]{20,}"),
    (r"\b hvs.", r"[A-Za-z0-9_\-]{24,}"),
    ("AccountKey=", r"[A-Za-z0-9+/=]{60,}"),  # Azure
    ("SharedAccessKey=", r"[A-Za-z0-9+/=]{40,}"),
    (r"\b eyJ", r"[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}"),  # JSON web token
)
r"""The beginnings of keys, and how each goes on. Behind ``\b`` a key begins where a word does."""


def _compile_keys() -> Mapping[str, re.Pattern[str]]:
    keys = {}
    for beginnings, rest in _FORMS:
        border = r"\b" if beginnings.startswith(r"\b") else ""
        for beginning in beginnings.removeprefix(r"\b").split():
            keys[beginning] = re.compile(border + re.escape(beginning) + rest)
    return keys


_KEYS = _compile_keys()
_ADDRESS = re.compile(r"://[^\s/:@\"'<>{}$]{0,60}:([^\s/:@\"'<>{}$%*]{3,100})@")
_SCHEME = re.compile(r"\b[a-z][a-z0-9+.\-]{1,20}\Z")
_LONGEST_SCHEME = 21
_PLACEHOLDERS = frozenset(
    "pass passwd password pwd pw secret token user username example changeme xxx xxxx test foo bar".split()  # noqa: SIM905
)
_TELLING = (
    r"(?:api_?key|auth_?key|service_?key|account_?key|db_?key|private_?key|client_?secret|secret_?key|secret|"
    r"passwo?r?d|passphrase|pwd|auth_?token|access_?token|token)"
)
_IN_TELLING = ("key", "secret", "passw", "passphrase", "pwd", "token")
# The operator as a set of characters, which re looks for much faster than for alternatives.
_VALUE = re.compile(r"[:=](?:(?<=:)=|(?<==)>)?\s*[\"']([A-Za-z0-9+/=_\-.~!@#$%^&*]{16,120})[\"']")
_NAME_BEFORE = re.compile(_TELLING + r"[\"']?\s*\Z", re.IGNORECASE)
_FARTHEST = 400
"""Characters before a value in which its name ends; all but some thirty of them are blank."""
_UNQUOTED_VALUE = re.compile(r"[:=][ \t]*([A-Za-z0-9+/=_\-.~!@#%^&*]{12,120})$", re.MULTILINE)
_NAME_OF_LINE = re.compile(r"[ \t]*(?:export[ \t]+|- )?[\w.\-]*" + _TELLING + r"[ \t]*", re.IGNORECASE)
_MIN_ENTROPY = 3.8
"""Bits a character. English words joined by dashes have up to 3.6, 20 characters of random base64 have 4."""
_MIN_ENTROPY_UNQUOTED = 3.2
_QUOTES = "\"'"
_LAST_CHAR, _FIRST_CHAR = re.compile(r"\S\s*\Z"), re.compile(r"\s*(\S)")


def holds_secret(text: str) -> bool:
    """Tell whether a text holds a key, a password in an address, or a random value under a telling name."""
    if _holds_key(text) or _holds_login(text):
        return True
    folded = text.casefold()
    if not any(part in folded for part in _IN_TELLING):
        return False
    return next(random_assignments(text), None) is not None or _assigns_unquoted(text)


def random_assignments(text: str) -> Iterator[str]:
    """Yield quoted values that look random and are assigned to names such as ``api_key``."""
    for match in _overlapping(_VALUE, text):
        value, start = match.group(1), match.start()
        if _is_random(value, _MIN_ENTROPY) and _NAME_BEFORE.search(text, max(0, start - _FARTHEST), start):
            yield value


def piece_around(text: str, start: int, end: int) -> tuple[int, int]:
    r"""Return the lines around a part of a text such that no secret crosses their borders.

    So a text whose pieces hold no secret holds none. A secret crosses the end of a line only where a value is
    assigned: ``"token":\n"…"`` is one piece.
    """
    start = text.rfind("\n", 0, start) + 1
    while start and _is_joined(text, start):
        start = text.rfind("\n", 0, start - 1) + 1
    end = _line_end(text, end)
    while end < len(text) and _is_joined(text, end):
        end = _line_end(text, end)
    return start, end


def entropy(text: str) -> float:
    """Return the Shannon entropy of the characters, in bits a character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _holds_key(text: str) -> bool:
    for beginning, pattern in _KEYS.items():
        start = text.find(beginning)
        while start >= 0:
            if pattern.match(text, start):
                return True
            start = text.find(beginning, start + 1)
    return False


def _holds_login(text: str) -> bool:
    start = text.find("://")
    while start >= 0:
        address = _ADDRESS.match(text, start)
        is_login = address is not None and address.group(1).lower() not in _PLACEHOLDERS
        if is_login and _SCHEME.search(text, max(0, start - _LONGEST_SCHEME), start):
            return True
        start = text.find("://", start + 1)
    return False


def _assigns_unquoted(text: str) -> bool:
    for match in _overlapping(_UNQUOTED_VALUE, text):
        if _is_random(match.group(1), _MIN_ENTROPY_UNQUOTED):
            line = text.rfind("\n", 0, match.start()) + 1
            if _NAME_OF_LINE.fullmatch(text, line, match.start()):
                return True
    return False


def _overlapping(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yield all matches of a pattern, those inside of others too."""
    match = pattern.search(text)
    while match is not None:
        yield match
        match = pattern.search(text, match.start() + 1)


def _line_end(text: str, offset: int) -> int:
    """Return where the line of an offset ends, behind its line break."""
    found = text.find("\n", offset)
    return found + 1 if found >= 0 else len(text)


def _is_joined(text: str, line_start: int) -> bool:
    """Tell whether an assignment may go on from the line above into this one."""
    following = _FIRST_CHAR.match(text, line_start)
    before = _LAST_CHAR.search(text, max(0, line_start - _FARTHEST), line_start)
    if following is None or before is None:
        return False
    first, last = following[1], before[0][0]
    if first in _QUOTES:
        return last in ":=>"
    return first in ":=" and (last.isalpha() or last in _QUOTES)


def _is_random(value: str, least: float) -> bool:
    has_digit, has_letter = any(c.isdigit() for c in value), any(map(str.isalpha, value))
    return has_digit and has_letter and entropy(value) >= least
