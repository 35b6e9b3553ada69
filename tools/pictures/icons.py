"""Turn icons of VS Code's fonts into outlines, because viewers of the picture do not have these fonts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import define, field
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.ttLib import TTFont

from tools.pictures.drawing import Icon

_FILES = {"codicon": "out/media/codicon.ttf", "seti": "extensions/theme-seti/icons/seti.woff"}


@define
class IconFonts:
    """The icon fonts of an installed VS Code, opened when first needed."""

    _vscode: Path
    _open: dict[str, TTFont] = field(factory=dict, init=False)

    def icon(self, found: Mapping[str, float | str]) -> Icon | None:
        """Return an icon that the page named; None if its font is not one of VS Code's icon fonts."""
        name = str(found["font"]).strip("\"'").split(",")[0]
        if name not in _FILES:
            return None
        font = self._open.setdefault(name, TTFont(self._vscode / _FILES[name]))
        glyphs = font.getGlyphSet()
        glyph = glyphs[font.getBestCmap()[int(found["codepoint"])]]
        pen = SVGPathPen(glyphs, ntos=lambda number: str(round(number)))
        glyph.draw(pen)
        scale = float(found["size"]) / font["head"].unitsPerEm
        ascent, descent = font["hhea"].ascent * scale, -font["hhea"].descent * scale
        # VS Code's style sheets place it in the middle of its element.
        left = float(found["left"]) + (float(found["width"]) - glyph.width * scale) / 2
        top = float(found["top"]) + (float(found["height"]) - ascent - descent) / 2
        return Icon(left, top + ascent, scale, pen.getCommands(), str(found["fill"]))
