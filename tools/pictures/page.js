// What stands on a page, in the order in which it is painted: boxes, words and icons, as plain values.
// Run inside the page; the icons' fonts are named, and their outlines found by whoever asked.
() => {
  const items = [];
  const canvas = document.createElement("canvas").getContext("2d");
  const view = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
  const metrics = new Map();

  const intersect = (a, b) => ({
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  });
  const visible = (rect) => rect.right - rect.left > 0.1 && rect.bottom - rect.top > 0.1;
  const clear = (colour) => colour === "transparent" || /^rgba.* 0\)$/.test(colour);

  function fontOf(style) {
    const font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    if (!metrics.has(font)) {
      canvas.font = font;
      const measured = canvas.measureText("x");
      metrics.set(font, [measured.fontBoundingBoxAscent, measured.fontBoundingBoxDescent]);
    }
    return metrics.get(font);
  }

  // An opacity above an element weakens all that it paints.
  function tinted(colour, opacity) {
    if (opacity >= 0.999) return colour;
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return `rgba(${r},${g},${b},${((a / 255) * opacity).toFixed(3)})`;
  }

  function box(rect, clip, fill, opacity, radius = 0) {
    const seen = intersect(rect, clip);
    if (clear(fill) || !visible(seen)) return;
    const { left: x, top: y } = seen;
    items.push({ kind: "box", x, y, width: seen.right - x, height: seen.bottom - y, fill: tinted(fill, opacity), radius });
  }

  function borders(rect, clip, style, opacity) {
    const { left, top, right, bottom } = rect;
    const sides = {
      Top: (width) => ({ left, top, right, bottom: top + width }),
      Bottom: (width) => ({ left, top: bottom - width, right, bottom }),
      Left: (width) => ({ left, top, right: left + width, bottom }),
      Right: (width) => ({ left: right - width, top, right, bottom }),
    };
    for (const [side, place] of Object.entries(sides)) {
      const width = parseFloat(style[`border${side}Width`]);
      if (width > 0 && style[`border${side}Style`] !== "none") {
        box(place(width), clip, style[`border${side}Color`], opacity);
      }
    }
    // Indentation guides are shadows of one pixel inside the left edge.
    const guide = /^(rgba?\([^)]*\)|#\w+) (\d+)px 0px 0px 0px inset$/.exec(style.boxShadow);
    if (guide) box({ left, top, right: left + Number(guide[2]), bottom }, clip, guide[1], opacity);
  }

  function words(node, clip, style, opacity) {
    const [ascent, descent] = fontOf(style);
    for (const found of node.data.matchAll(/[^\s\u200b\u200c\u200d]+/g)) {
      const range = document.createRange();
      range.setStart(node, found.index);
      range.setEnd(node, found.index + found[0].length);
      const rect = range.getBoundingClientRect();
      const seen = intersect(rect, clip);
      // A word that is cut at an edge is left out; the screenshot beside this picture shows if that matters.
      if (!visible(seen) || seen.right - seen.left < rect.width - 1) continue;
      items.push({
        kind: "word",
        x: rect.left,
        baseline: rect.top + (rect.height - ascent - descent) / 2 + ascent,
        width: rect.width,
        text: found[0],
        size: parseFloat(style.fontSize),
        fill: tinted(style.color, opacity),
        fixed: /mono/i.test(style.fontFamily),
        bold: Number(style.fontWeight) >= 600,
        italic: style.fontStyle === "italic",
      });
    }
  }

  function icon(element, clip, pseudo, opacity) {
    const style = getComputedStyle(element, pseudo);
    const content = /^["'](.)["']$/u.exec(style.content);
    const rect = element.getBoundingClientRect();
    if (!content || style.display === "none" || !visible(intersect(rect, clip))) return;
    // The icon of a label is a box of its own before the words; any other one fills its element.
    const boxed = style.width.endsWith("px");
    const left = rect.left + (boxed ? parseFloat(getComputedStyle(element).paddingLeft) : 0);
    items.push({
      kind: "icon",
      font: style.fontFamily,
      codepoint: content[1].codePointAt(0),
      size: parseFloat(style.fontSize),
      left,
      top: rect.top,
      width: boxed ? parseFloat(style.width) : rect.width,
      height: rect.height,
      fill: tinted(style.color, opacity),
    });
  }

  const layer = (element) => {
    const style = getComputedStyle(element);
    return style.position === "static" || style.zIndex === "auto" ? 0 : Number(style.zIndex);
  };

  function paint(element, clip, opacity) {
    const style = getComputedStyle(element);
    if (style.display === "none") return;
    const now = opacity * Number(style.opacity);
    if (now < 0.02) return;
    const rect = element.getBoundingClientRect();
    if (style.visibility === "visible") {
      box(rect, clip, style.backgroundColor, now, parseFloat(style.borderTopLeftRadius) || 0);
      borders(rect, clip, style, now);
      icon(element, clip, "::before", now);
    }
    const clips = style.overflowX !== "visible" || style.overflowY !== "visible";
    const inner = clips ? intersect(clip, rect) : clip;
    const children = [...element.childNodes].filter((one) => one.nodeType !== Node.COMMENT_NODE);
    const order = (one) => (one.nodeType === Node.ELEMENT_NODE ? layer(one) : 0);
    for (const child of children.sort((a, b) => order(a) - order(b))) {
      if (child.nodeType === Node.TEXT_NODE) {
        if (style.visibility === "visible") words(child, inner, style, now);
      } else if (child.nodeType === Node.ELEMENT_NODE && !["SCRIPT", "STYLE", "TEXTAREA", "IFRAME"].includes(child.tagName)) {
        paint(child, inner, now);
      }
    }
    if (style.visibility === "visible") icon(element, clip, "::after", now);
  }

  paint(document.body, view, 1);
  return items;
}
