"""Looks at pages in a real browser: what is wider than the window, and what is too faint to read.

Chromium, started once for each width and colour scheme; every page sits in a frame of its own.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
TIMEOUT_S = 120
SCHEMES = {"light": "1", "dark": "0"}

_HARNESS = """<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<style>iframe { display: block; border: 0; width: WIDTHpx; height: 900px; color-scheme: light dark }</style>
<body><script>
const pages = PAGES;
function channels(text) {
  const found = text.match(/[\\d.]+/g).map(Number);
  return found.length < 4 ? [...found, 1] : found;
}
function luminance(colour) {
  const [r, g, b] = colour.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)].sort((one, other) => other - one);
  return (x + 0.05) / (y + 0.05);
}
function ground(element) {
  for (let at = element; at; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour[3] === 1) return colour;
  }
  return null;
}
function look(frame) {
  const doc = frame.contentDocument, root = doc.documentElement;
  const texts = [...doc.body.querySelectorAll("*")].filter(element =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
    [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  const seen = texts.map(element => {
    const behind = ground(element);
    const ratio = behind && contrast(channels(getComputedStyle(element).color), behind);
    return { what: element.className || element.tagName, ratio };
  });
  return {
    width: frame.contentWindow.innerWidth,
    overflow: Math.max(root.scrollWidth, doc.body.scrollWidth) - root.clientWidth,
    dark: frame.contentWindow.matchMedia("(prefers-color-scheme: dark)").matches,
    texts: seen.length,
    lowest: seen.reduce((low, one) => one.ratio === null || low.ratio <= one.ratio ? low : one),
    unknown: seen.filter(one => one.ratio === null).map(one => one.what),
  };
}
const found = {};
Promise.all(Object.entries(pages).map(([name, html]) => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.onload = () => { found[name] = look(frame); done(); };
  frame.srcdoc = html;
  document.body.append(frame);
}))).then(() => {
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.replaceChildren(out);
});
</script>"""


def look_at(pages: Mapping[str, str], folder: Path, *, width: int, scheme: str) -> dict[str, dict[str, Any]]:
    """Show each page at a width; gives for each its overflow in pixels and its faintest text."""
    assert CHROMIUM is not None
    page = folder / "harness.html"
    data = json.dumps(dict(pages)).replace("<", "\\u003c")
    page.write_text(_HARNESS.replace("WIDTH", str(width)).replace("PAGES", data, 1), encoding="utf-8")
    said = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    said += [f"--window-size={width},900", f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"]
    said += ["--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
    shown = subprocess.run(said, capture_output=True, text=True, timeout=TIMEOUT_S, check=True).stdout
    result = re.search(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)
    assert result is not None, shown[-500:]
    found: dict[str, dict[str, Any]] = json.loads(unescape(result[1]))
    return found
