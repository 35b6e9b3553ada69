"""Write screens as SVG, still or moving: text that can be searched, compared and kept in a repository.

A recording is one drawing. Items of every frame are drawn once. Every other item belongs to a group that a
CSS animation shows while the item was on the screen. Browsers run the animation in an ``<img>`` too, and stop
it for people who asked their system for less motion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from attrs import frozen

from tools.pictures.drawing import Box, Icon, Item, ScreenFrame, Word

_FONTS = """\
text{white-space:pre}
.m{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
.s{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Ubuntu,'DejaVu Sans',sans-serif}"""


@frozen
class Canvas:
    """The picture's size in pixels, and its title for people who do not see it."""

    width: int
    height: int
    title: str


def still(canvas: Canvas, frame: ScreenFrame) -> str:
    """Return the SVG of one screen."""
    return _document(canvas, _FONTS, map(_element, frame.items))


def moving(canvas: Canvas, frames: Sequence[ScreenFrame], *, last_s: float, resting: int) -> str:
    """Return the SVG of a recording, which is repeated for ever.

    Args:
        canvas: The picture's size and title.
        frames: In order, the first at 0 s.
        last_s: Seconds that the last frame stays.
        resting: The frame that is shown where nothing may move, by its index.
    """
    whole_s = frames[-1].at_s + last_s
    shown: dict[Item, list[int]] = {}
    for index, frame in enumerate(frames):
        for item in dict.fromkeys(frame.items):
            shown.setdefault(item, []).append(index)
    groups: dict[tuple[int, ...], list[Item]] = {}
    for item, indexes in shown.items():
        groups.setdefault(tuple(indexes), []).append(item)
    always = groups.pop(tuple(range(len(frames))), [])
    styles, bodies = [_FONTS], [*map(_element, _boxes(always))]
    starts = [frame.at_s for frame in frames]
    for number, group in enumerate(groups):
        styles.append(
            f".g{number}{{opacity:{int(resting in group)};"
            f"animation:a{number} {whole_s:.2f}s step-end infinite}}"
            f"@keyframes a{number}{{{_keyframes(starts, whole_s, group)}}}"
        )
    styles.append("@media(prefers-reduced-motion:reduce){g{animation:none!important}}")
    # All boxes come before all words, so that a box of one frame does not hide a word of every frame.
    bodies += [_group(number, _boxes(items)) for number, items in enumerate(groups.values())]
    bodies += map(_element, _written(always))
    bodies += [_group(number, _written(items)) for number, items in enumerate(groups.values())]
    return _document(canvas, "\n".join(styles), filter(None, bodies))


def _keyframes(starts: Sequence[float], whole_s: float, indexes: Iterable[int]) -> str:
    """Return the keyframes at which a group is shown or hidden, in percent of the whole time."""
    on = set(indexes)
    states = [int(index in on) for index in range(len(starts))]
    before = [None, *states]
    changes = [
        f"{100 * starts[index] / whole_s:.3f}%{{opacity:{state}}}"
        for index, state in enumerate(states)
        if state != before[index]
    ]
    return "".join([*changes, f"100%{{opacity:{states[-1]}}}"])


def _boxes(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if isinstance(item, Box)]


def _written(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if not isinstance(item, Box)]


def _group(number: int, items: Sequence[Item]) -> str:
    return f'<g class="g{number}">{"".join(map(_element, items))}</g>' if items else ""


def _element(item: Item) -> str:
    match item:
        case Box():
            radius = f' rx="{_short(item.radius)}"' if item.radius else ""
            return (
                f'<rect x="{_short(item.x)}" y="{_short(item.y)}" width="{_short(item.width)}" '
                f'height="{_short(item.height)}" fill={quoteattr(item.fill)}{radius}/>'
            )
        case Icon():
            place = f"translate({_short(item.x)} {_short(item.baseline)})"
            size = f"scale({item.scale:.5f} {-item.scale:.5f})"
            return f'<path transform="{place} {size}" fill={quoteattr(item.fill)} d={quoteattr(item.path)}/>'
        case Word():
            weight = ' font-weight="bold"' if item.bold else ""
            slant = ' font-style="italic"' if item.italic else ""
            return (
                f'<text class="{"m" if item.fixed else "s"}" x="{_short(item.x)}" '
                f'y="{_short(item.baseline)}" font-size="{_short(item.size)}" '
                f"fill={quoteattr(item.fill)}{weight}{slant} "
                f'textLength="{_short(item.width)}" lengthAdjust="spacingAndGlyphs">'
                f"{escape(item.text)}</text>"
            )


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _document(canvas: Canvas, styles: str, elements: Iterable[str]) -> str:
    size = f'width="{canvas.width}" height="{canvas.height}" viewBox="0 0 {canvas.width} {canvas.height}"'
    body = "\n".join(elements)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{escape(canvas.title)}</title>\n'
        f"<style>\n{styles}\n</style>\n{body}\n</svg>\n"
    )
