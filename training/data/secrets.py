"""Find keys and passwords, so that files with one are not trained on.

The patterns are those of detect-secrets, applied to whole texts at once: line by line they take minutes
instead of seconds. Its detectors of keywords and of entropy, used alone, report every fixture and hash; so
here a value counts if it is assigned to a telling name *and* looks random.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import cast

from fim_lsp.code.secrets import random_assignments

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9+/=_-]{11,}|://[^\s/@]+@| PRIVATE KEY|-User-Key-File")
_MIXED = re.compile(r"\d[^\d]*[A-Za-z]|[A-Za-z][^A-Za-z]*\d")
_NOT_SECRETS = frozenset({"IPPublicDetector", "MailchimpDetector", "TwilioKeyDetector"})
"""Addresses are no secrets; the other two match every hexadecimal digest behind two letters."""


def find_secret(text: str) -> str | None:
    """Return the kind of the first secret in ``text``, or None."""
    suspect = "\n".join(_suspect_lines(text))
    if not suspect:
        return None
    for kind, pattern in _patterns():
        if pattern.search(suspect):
            return kind
    return "keyword" if next(random_assignments(suspect), None) is not None else None


def _suspect_lines(text: str) -> Iterator[str]:
    """Yield the few lines that may hold a secret: letters mixed with digits, a login in an address, a key."""
    end = -1
    for match in _RUN.finditer(text):
        run = match.group()
        if match.start() < end or (run[0].isalnum() and not _MIXED.search(run)):
            continue
        start, end = text.rfind("\n", 0, match.start()) + 1, text.find("\n", match.end())
        end = len(text) if end < 0 else end
        yield text[start:end]


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return kind and pattern of each regular expression of detect-secrets' plugins."""
    import detect_secrets.plugins as plugins
    from detect_secrets.plugins.base import RegexBasedDetector

    found = {}
    for info in pkgutil.iter_modules(plugins.__path__):
        module = importlib.import_module(f"detect_secrets.plugins.{info.name}")
        for name, plugin in vars(module).items():
            if isinstance(plugin, type) and issubclass(plugin, RegexBasedDetector):
                found[name] = plugin
    return tuple(
        (str(plugin.secret_type), pattern)
        for name, plugin in sorted(found.items())
        if name not in _NOT_SECRETS and name != "RegexBasedDetector"
        for pattern in cast("list[re.Pattern[str]]", plugin.denylist)
    )
