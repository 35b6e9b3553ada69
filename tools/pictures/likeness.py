"""Compare a drawing with the browser's own screenshot."""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.sync_api import Browser

WORST = 0.01
"""The largest fraction of pixels that may differ. A missing word of ten letters makes 0.002."""

# At a quarter of the size, so that the edges of letters do not count, which SVG draws a little differently. A
# pixel differs if any channel differs by more than a tenth of its range.
_COMPARE = """async (addresses) => {
  const [drawn, seen] = await Promise.all(addresses.map(async (address) => {
    const image = await createImageBitmap(await (await fetch(address)).blob());
    const [width, height] = [Math.round(image.width / 4), Math.round(image.height / 4)];
    const canvas = new OffscreenCanvas(width, height).getContext("2d");
    canvas.imageSmoothingQuality = "high";
    canvas.drawImage(image, 0, 0, width, height);
    return canvas.getImageData(0, 0, width, height).data;
  }));
  if (drawn.length !== seen.length) return 1;
  let different = 0;
  for (let at = 0; at < seen.length; at += 4) {
    if ([0, 1, 2].some((channel) => Math.abs(drawn[at + channel] - seen[at + channel]) > 25)) different++;
  }
  return different / (seen.length / 4);
}"""


def photograph(browser: Browser, svg: Path, png: Path) -> None:
    """Let the browser draw an SVG file into a PNG file."""
    page = browser.new_page()
    page.goto(svg.as_uri())
    width, height = page.evaluate(
        "['width', 'height'].map((side) => +document.documentElement.getAttribute(side))"
    )
    page.set_viewport_size({"width": width, "height": height})
    page.screenshot(path=str(png))
    page.close()


def difference(browser: Browser, drawn: Path, seen: Path) -> float:
    """Return the fraction of pixels, 0 to 1, that differ between two pictures; 1 if their sizes differ."""
    page = browser.new_page()
    pictures = [
        f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in (drawn, seen)
    ]
    share: float = page.evaluate(_COMPARE, pictures)
    page.close()
    return share
