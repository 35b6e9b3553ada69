"""Find keys and passwords inside of files, so that such a file is left out as a whole.

Patterns of well-known keys, whose form nothing else has, and values that are assigned to a telling name and
look random. Masking would keep more code, but a secret of several lines, of which one is missed, would stay.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

_KEYS = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY|PuTTY-User-Key-File"
    r"|\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"  # Amazon
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{50,}"  # GitHub
    r"|\bgl(?:pat|dt|ft|soat|cbt|ptt|rt)-[A-Za-z0-9_\-]{20,}"  # GitLab
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w+"  # Slack
    r"|\b[rs]k_live_[0-9a-zA-Z]{20,}"  # Stripe
    r"|\bAIza[0-9A-Za-z_\-]{35}|\bya29\.[0-9A-Za-z_\-]{20,}"  # Google
    r"|\bsk-(?:proj-|ant-|svcacct-)?[A-Za-z0-9_\-]{32,}"  # OpenAI, Anthropic
    r"|\bhf_[A-Za-z]{30,}"  # Hugging Face
    r"|\bnpm_[A-Za-z0-9]{36}|\bpypi-AgEI[A-Za-z0-9_\-]{50,}"
    r"|\bSG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}"  # SendGrid
    r"|\bdop_v1_[a-f0-9]{64}|\bdapi[a-f0-9]{32}\b|\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"
    r"|\bAGE-SECRET-KEY-1[0-9A-Z]{50,}|\bvault:v1:[A-Za-z0-9+/=]{20,}|\bhvs\.[A-Za-z0-9_\-]{24,}"
    r"|AccountKey=[A-Za-z0-9+/=]{60,}|SharedAccessKey=[A-Za-z0-9+/=]{40,}"  # Azure
    r"|\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}"  # JSON web token
)
_LOGIN = re.compile(r"\b[a-z][a-z0-9+.\-]{1,20}://[^\s/:@\"'<>{}$]{0,60}:([^\s/:@\"'<>{}$%*]{3,100})@")
_PLACEHOLDERS = frozenset(
    "pass passwd password pwd pw secret token user username example changeme xxx xxxx test foo bar".split()  # noqa: SIM905
)
_TELLING = (
    r"(?:api_?key|auth_?key|service_?key|account_?key|db_?key|private_?key|client_?secret|secret_?key|secret|"
    r"passwo?r?d|passphrase|pwd|auth_?token|access_?token|token)"
)
_ASSIGNED = re.compile(
    _TELLING + r"[\"']?\s*(?::=|=>|[:=])\s*[\"']([A-Za-z0-9+/=_\-.~!@#$%^&*]{16,120})[\"']", re.IGNORECASE
)
_UNQUOTED = re.compile(
    r"^[ \t]*(?:export[ \t]+|- )?[\w.\-]*"
    + _TELLING
    + r"[ \t]*[:=][ \t]*([A-Za-z0-9+/=_\-.~!@#%^&*]{12,120})$",
    re.IGNORECASE | re.MULTILINE,
)
_MIN_ENTROPY = 3.8
"""Bits a character. English words joined by dashes have up to 3.6, 20 characters of random base64 have 4."""
_MIN_ENTROPY_UNQUOTED = 3.2


def holds_secret(text: str) -> bool:
    """Tell whether a text holds a key, a password in an address, or a random value under a telling name."""
    return (
        _KEYS.search(text) is not None
        or any(match.group(1).lower() not in _PLACEHOLDERS for match in _LOGIN.finditer(text))
        or next(random_assignments(text), None) is not None
        or any(_is_random(match.group(1), _MIN_ENTROPY_UNQUOTED) for match in _UNQUOTED.finditer(text))
    )


def random_assignments(text: str) -> Iterator[str]:
    """Yield quoted values that look random and are assigned to names such as ``api_key``."""
    for match in _ASSIGNED.finditer(text):
        if _is_random(match.group(1), _MIN_ENTROPY):
            yield match.group(1)


def entropy(text: str) -> float:
    """Return the Shannon entropy of the characters, in bits a character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _is_random(value: str, least: float) -> bool:
    has_digit, has_letter = any(c.isdigit() for c in value), any(map(str.isalpha, value))
    return has_digit and has_letter and entropy(value) >= least
