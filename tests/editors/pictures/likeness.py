"""Does a drawing look like the browser's own picture of what was drawn?"""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.sync_api import Browser

WORST = 0.02
"""More than this part of the pixels is no likeness. One word of ten letters is about 0.001 of a window."""

# The colour of a pixel differs where any channel does by more than a tenth of its range.
_COMPARE = """async (addresses) => {
  const [drawn, seen] = await Promise.all(addresses.map(async (address) => {
    const image = await createImageBitmap(await (await fetch(address)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    return canvas.getImageData(0, 0, image.width, image.height).data;
  }));
  if (drawn.length !== seen.length) return 1;
  let different = 0;
  for (let at = 0; at < seen.length; at += 4) {
    if ([0, 1, 2].some((channel) => Math.abs(drawn[at + channel] - seen[at + channel]) > 25)) different++;
  }
  return different / (seen.length / 4);
}"""


def photograph(browser: Browser, svg: Path, png: Path) -> None:
    """What the browser makes of a drawing, as pixels, for the eye and for :func:`difference`."""
    page = browser.new_page()
    page.goto(svg.as_uri())
    width, height = page.evaluate(
        "['width', 'height'].map((side) => +document.documentElement.getAttribute(side))"
    )
    page.set_viewport_size({"width": width, "height": height})
    page.screenshot(path=str(png))
    page.close()


def difference(browser: Browser, drawn: Path, seen: Path) -> float:
    """The part of the pixels, 0 to 1, that differ between two pictures; 1 if their sizes do."""
    page = browser.new_page()
    pictures = [
        f"data:image/png;base64,{base64.b64encode(one.read_bytes()).decode()}" for one in (drawn, seen)
    ]
    share: float = page.evaluate(_COMPARE, pictures)
    page.close()
    return share
