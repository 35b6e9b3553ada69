"""A repository whose helper function stands in a file that no editor opens, for all editors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_CALLER = (
    "from parcels import codes\n\n\ndef {name}(parcel, carrier):\n    {call}\n    parcel.{name} = True\n"
)
_CALL = "code = codes.normalize_tracking_code(parcel, carrier)"

FILES: Mapping[str, str] = MappingProxyType(
    {
        "parcels/codes.py": (
            "import re\n\n\n"
            "def normalize_tracking_code(parcel, carrier):\n"
            '    """Return the code of a parcel as its carrier prints it."""\n'
            '    code = re.sub(r"[^0-9A-Z]", "", parcel.code.upper())\n'
            "    return carrier.prefix + code\n"
        ),
        **{f"parcels/{name}.py": _CALLER.format(name=name, call=_CALL) for name in ("sent", "lost", "found")},
    }
)
"""Texts by their relative paths."""
OPEN = "shop/label.py"
BEFORE = "from parcels import codes\n\n\ndef print_label(parcel, carrier, printer):\n    "
TYPED = "code = co"
EXPECTED = "des.normalize_tracking_code(parcel, carrier)"
"""The call as it stands in the repository; a model that does not know it can't guess the name."""


def write_repository(folder: Path) -> None:
    """Write the files into a folder, which editors then take for the root of a repository."""
    for name, text in {**FILES, OPEN: "", ".git/HEAD": "ref: refs/heads/main\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
