"""Draw ``media/icon.png``: three lines of code, the middle of the second one filled in.

Uses the standard library only: a picture of four colours needs no drawing package. Run it with
``python scripts/icon.py``.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

SIZE = 256
_RADIUS = 48
_NIGHT, _CODE, _GHOST = (23, 27, 38), (214, 220, 233), (94, 196, 160)
_BARS = (
    # left, top, right, bottom, colour
    (48, 66, 176, 90, _CODE),
    (72, 116, 104, 140, _CODE),
    (112, 116, 176, 140, _GHOST),
    (184, 116, 208, 140, _CODE),
    (48, 166, 136, 190, _CODE),
)


def _inside(x: float, y: float, left: float, top: float, right: float, bottom: float, radius: float) -> bool:
    """Return whether a point lies in a rectangle with round corners."""
    dx = max(left + radius - x, 0, x - right + radius)
    dy = max(top + radius - y, 0, y - bottom + radius)
    return left <= x <= right and top <= y <= bottom and dx * dx + dy * dy <= radius * radius


def _colour(x: float, y: float) -> tuple[int, int, int, int]:
    if not _inside(x, y, 0, 0, SIZE, SIZE, _RADIUS):
        return (*_NIGHT, 0)
    for left, top, right, bottom, colour in _BARS:
        if _inside(x, y, left, top, right, bottom, (bottom - top) / 2):
            return (*colour, 255)
    return (*_NIGHT, 255)


def _pixel(x: int, y: int) -> bytes:
    """Average four points of a pixel, so that round corners look round."""
    points = [_colour(x + dx, y + dy) for dx in (0.25, 0.75) for dy in (0.25, 0.75)]
    return bytes(sum(channel) // 4 for channel in zip(*points, strict=True))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png() -> bytes:
    """Encode the picture as a PNG file (W3C PNG specification, third edition)."""
    rows = b"".join(b"\0" + b"".join(_pixel(x, y) for x in range(SIZE)) for y in range(SIZE))
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 6, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


if __name__ == "__main__":
    (Path(__file__).parents[1] / "media" / "icon.png").write_bytes(png())
