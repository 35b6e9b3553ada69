"""Turn Neovim's ``redraw`` events for a terminal into a screen.

The events are those of ``:help ui-linegrid``, for one grid without extensions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from attrs import define, field, frozen

from tools.pictures.drawing import Box, Item, Word


@frozen
class Cells:
    """The size of one cell and the place of the letters in it, in pixels."""

    width: float = 8.4
    height: float = 19
    size: float = 14
    baseline: float = 14
    margin: float = 10


@frozen
class _Look:
    """Colours and style of a cell: those of its highlight, or else the screen's own."""

    foreground: str
    background: str
    bold: bool
    italic: bool
    underline: bool


@define
class Screen:
    """A grid of cells that ``redraw`` events change."""

    _rows: list[list[tuple[str, int]]] = field(factory=list)
    _highlights: dict[int, Mapping[str, Any]] = field(factory=dict)
    _default: tuple[int, int] = (0, 0)
    _cursor: tuple[int, int] = (0, 0)
    _modes: Sequence[Mapping[str, Any]] = ()
    _mode: int = 0

    def redraw(self, name: str, arguments: Sequence[Any]) -> None:
        """Apply one event. Ignore events that do not change the picture."""
        if change := getattr(self, f"_on_{name}", None):
            change(*arguments)

    def _on_grid_resize(self, _grid: int, width: int, height: int) -> None:
        self._rows = [[(" ", 0)] * width for _ in range(height)]

    def _on_grid_clear(self, _grid: int) -> None:
        self._rows = [[(" ", 0)] * len(row) for row in self._rows]

    def _on_grid_line(self, _grid: int, row: int, column: int, cells: Sequence[Any], *_wrap: Any) -> None:
        highlight = 0
        for text, *rest in cells:
            highlight = rest[0] if rest else highlight
            for _ in range(rest[1] if len(rest) > 1 else 1):
                self._rows[row][column] = (text, highlight)
                column += 1

    def _on_grid_scroll(
        self, _grid: int, top: int, bottom: int, left: int, right: int, rows: int, _columns: int
    ) -> None:
        before = [row[:] for row in self._rows]
        for row in range(top, bottom):
            if top <= row + rows < bottom:
                self._rows[row][left:right] = before[row + rows][left:right]

    def _on_grid_cursor_goto(self, _grid: int, row: int, column: int) -> None:
        self._cursor = row, column

    def _on_hl_attr_define(self, number: int, rgb: Mapping[str, Any], *_rest: Any) -> None:
        self._highlights[number] = rgb

    def _on_default_colors_set(self, foreground: int, background: int, *_rest: Any) -> None:
        self._default = foreground, background

    def _on_mode_info_set(self, _enabled: bool, modes: Sequence[Mapping[str, Any]]) -> None:
        self._modes = modes

    def _on_mode_change(self, _name: str, index: int) -> None:
        self._mode = index

    def size(self, cells: Cells) -> tuple[int, int]:
        """Return width and height in pixels."""
        columns = len(self._rows[0]) if self._rows else 0
        return (
            round(columns * cells.width + 2 * cells.margin),
            round(len(self._rows) * cells.height + 2 * cells.margin),
        )

    def items(self, cells: Cells) -> tuple[Item, ...]:
        """Return all boxes, then the cursor, then all words."""
        width, height = self.size(cells)
        ground = Box(0, 0, width, height, _css(self._default[1]))
        items = [item for row in range(len(self._rows)) for item in self._row(row, cells)]
        boxes = [item for item in items if isinstance(item, Box)]
        return ground, *boxes, self._cursor_box(cells), *(item for item in items if isinstance(item, Word))

    def _row(self, row: int, cells: Cells) -> Iterator[Item]:
        """Yield the words of a row, and a box behind each run of cells with a background of its own."""
        top = cells.margin + row * cells.height
        column = 0
        for number, run in groupby(self._rows[row], key=lambda cell: cell[1]):
            texts = [text for text, _ in run]
            left, look = cells.margin + column * cells.width, self._look(number)
            if look.background != _css(self._default[1]):
                yield Box(left, top, len(texts) * cells.width, cells.height, look.background)
            if look.underline:
                yield Box(left, top + cells.height - 2, len(texts) * cells.width, 1, look.foreground)
            for blank, word in groupby(enumerate(texts), key=lambda pair: pair[1] in (" ", "")):
                if not blank:
                    places = list(word)
                    yield Word(
                        x=left + places[0][0] * cells.width,
                        baseline=top + cells.baseline,
                        width=len(places) * cells.width,
                        text="".join(text for _, text in places),
                        size=cells.size,
                        fill=look.foreground,
                        bold=look.bold,
                        italic=look.italic,
                    )
            column += len(texts)

    def _look(self, number: int) -> _Look:
        rgb = self._highlights.get(number, {})
        foreground = _css(rgb.get("foreground", self._default[0]))
        background = _css(rgb.get("background", self._default[1]))
        if rgb.get("reverse"):
            foreground, background = background, foreground
        style = {name: bool(rgb.get(name)) for name in ("bold", "italic", "underline")}
        return _Look(foreground, background, **style)

    def _cursor_box(self, cells: Cells) -> Box:
        row, column = self._cursor
        mode = self._modes[self._mode] if self._mode < len(self._modes) else {}
        left, top = cells.margin + column * cells.width, cells.margin + row * cells.height
        fill, share = _css(self._default[0]), mode.get("cell_percentage", 100) / 100
        match mode.get("cursor_shape"):
            case "vertical":
                return Box(left, top, cells.width * share, cells.height, fill)
            case "horizontal":
                return Box(left, top + cells.height * (1 - share), cells.width, cells.height * share, fill)
        return Box(left, top, cells.width, cells.height, fill)


def _css(colour: int) -> str:
    return f"#{colour:06x}"
