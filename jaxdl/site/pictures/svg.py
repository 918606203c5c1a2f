"""SVG as text: lines, boxes, text and heat maps, in colours that follow the page's light or dark theme."""

import base64
import struct
import zlib
from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float

INK = "currentColor"
COLOURS = {
    1: ("#0072B2", "#56B4E9"),
    2: ("#B04A00", "#F28C4B"),
    3: ("#00745A", "#2EC4A0"),
    4: ("#9C3F74", "#E39CC4"),
    5: ("#7F5A00", "#E9B432"),
}
"""Number -> its light and its dark value: Okabe and Ito's blue, vermilion, green, purple and orange, the light values
darker and the dark values lighter, so that text in them has a contrast of 4.5 or more."""
BLUE, RED, GREEN, PURPLE, ORANGE = (f"var(--site-{i}, {light})" for i, (light, _) in COLOURS.items())
POSITIVE, NEGATIVE = (0, 114, 178), (213, 94, 0)

Point = tuple[float, float]


def stylesheet() -> str:
    """CSS that gives the colours their values: light, and dark as the theme or else the system asks."""
    light, dark = (";".join(f"--site-{i}:{pair[k]}" for i, pair in COLOURS.items()) for k in (0, 1))
    return (
        f":root{{{light}}}\n"
        f"@media (prefers-color-scheme:dark){{body:not([data-theme=light]){{{dark}}}}}\n"
        f"body[data-theme=dark]{{{dark}}}\n"
    )


def short(value: float, digits: int = 2) -> str:
    """A coordinate with few characters.

    >>> short(12.0), short(0.504), short(-0.001)
    ('12', '.5', '0')
    """
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"
    text = text.replace("-0.", "-.") if text.startswith("-0.") else text[1:] if text.startswith("0.") else text
    return "0" if text in ("-0", "") else text


class Drawing:
    """Shapes on a canvas, in the order in which they are added; `text()` of an element is escaped.

    `digits` is the number of decimals of a coordinate: 2 in a picture, 1 in a tile.
    """

    def __init__(self, width: float, height: float, title: str, desc: str, *, digits: int = 2):
        self.width, self.height, self.title, self.desc, self.digits = width, height, title, desc, digits
        self.parts: list[str] = []

    def n(self, value: Any) -> str:
        return short(float(value), self.digits)

    def add(self, tag: str, body: Any = None, **attributes: Any) -> None:
        """Add an element; attributes that are None are left out, `_` stands for `-`, floats are shortened."""
        shown = {k.rstrip("_").replace("_", "-"): v for k, v in attributes.items() if v is not None}
        text = "".join(
            f' {k}="{escape(self.n(v) if isinstance(v, float | int | np.number) else str(v))}"'
            for k, v in shown.items()
        )
        self.parts.append(f"<{tag}{text}/>" if body is None else f"<{tag}{text}>{body}</{tag}>")

    def steps(self, points: Iterable[Point]) -> str:
        return "M" + "L".join(f"{self.n(x)} {self.n(y)}" for x, y in points)

    def path(
        self,
        points: Iterable[Point],
        colour: str = INK,
        *,
        width: float = 2,
        dash: str | None = None,
        fill: str = "none",
        opacity: float | None = None,
        fill_opacity: float | None = None,
        **data: Any,
    ) -> None:
        edge = {"stroke": colour, "stroke_width": width} if width else {}
        look = {"fill": fill, "fill_opacity": fill_opacity, "opacity": opacity, "stroke_dasharray": dash}
        self.add("path", d=self.steps(points), **look, **edge, **data)

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = INK, **options: Any) -> None:
        look: dict[str, Any] = {"width": 1} | options
        self.path([(x1, y1), (x2, y2)], colour, **look)

    def arrow(self, x1: float, y1: float, x2: float, y2: float, colour: str = INK, **options: Any) -> None:
        self.arrows([(x1, y1, x2, y2)], colour, **options)

    def arrows(
        self,
        ends: Iterable[tuple[float, float, float, float]],
        colour: str = INK,
        *,
        width: float = 1.5,
        head: float = 6,
        dash: str | None = None,
        opacity: float | None = None,
    ) -> None:
        """Lines with filled heads, without ids, so that many pictures can stand in one page."""
        shafts, heads = [], []
        for x1, y1, x2, y2 in ends:
            length = max(float(np.hypot(x2 - x1, y2 - y1)), 1e-9)
            ux, uy = (x2 - x1) / length, (y2 - y1) / length
            bx, by, wing = x2 - head * ux, y2 - head * uy, head * 0.45
            shafts.append([(x1, y1), (bx, by)])
            heads.append([(x2, y2), (bx - wing * uy, by + wing * ux), (bx + wing * uy, by - wing * ux)])
        shared = {"opacity": opacity}
        dashes = {"stroke_dasharray": dash, "stroke": colour, "stroke_width": width, "fill": "none"}
        self.add("path", d="".join(map(self.steps, shafts)), **shared, **dashes)
        self.add("path", d="".join(map(self.steps, heads)), **shared, fill=None if colour == INK else colour)

    def box(
        self, x: float, y: float, w: float, h: float, colour: str = INK, *, fill: float = 0.14, width: float = 1.5, **o
    ):
        """A rectangle with a tinted inside."""
        edge = {"stroke": colour, "stroke_width": width} if width else {}
        o = {"rx": 3} | o
        self.add("rect", x=x, y=y, width=w, height=h, fill=colour, fill_opacity=fill, **edge, **o)

    def circle(self, x: float, y: float, r: float, colour: str = INK, *, fill: float = 1, **o) -> None:
        self.add("circle", cx=x, cy=y, r=r, fill=colour, fill_opacity=None if fill == 1 else fill, **o)

    def dots(self, points: Iterable[Point], colour: str = INK, size: float = 4) -> None:
        """Many equal dots in one element: lines of no length with round ends."""
        d = "".join(f"M{self.n(x)} {self.n(y)}h0" for x, y in points)
        self.add("path", d=d, stroke=colour, stroke_width=size, stroke_linecap="round", fill="none")

    def text(
        self, x: float, y: float, content: str, *, size: float = 13, anchor: str = "start", colour: str = INK, **o
    ):
        middle = None if anchor == "start" else anchor
        own = None if colour == INK else colour
        self.add("text", escape(content, quote=False), x=x, y=y, font_size=size, text_anchor=middle, fill=own, **o)

    def heat(self, x: float, y: float, w: float, h: float, values: np.ndarray, *, largest: float | None = None, **o):
        """An array as a raster: blue above 0, orange below, the more opaque the larger, on the page's own background."""
        self.raster(x, y, w, h, signed(values, largest), **o)

    def raster(self, x: float, y: float, w: float, h: float, pixels: np.ndarray, **o) -> None:
        self.add("image", x=x, y=y, width=w, height=h, preserveAspectRatio="none",
                 style="image-rendering:pixelated", href=png(pixels), **o)  # fmt: skip

    def svg(self) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.n(self.width)} {self.n(self.height)}" role="img" '
            f'width="{self.n(self.width)}" height="{self.n(self.height)}" fill="currentColor" font-family="system-ui,sans-serif">'
            f"<title>{escape(self.title, quote=False)}</title><desc>{escape(self.desc, quote=False)}</desc>"
            f"{''.join(self.parts)}</svg>"
        )


def signed(values: Float[np.ndarray, "rows columns"], largest: float | None = None) -> np.ndarray:
    """RGBA: hue by the sign, opacity by |value| / largest (the largest of the array by default)."""
    values = np.asarray(values, np.float64)
    top = max(float(np.abs(values).max()) if largest is None else largest, 1e-12)
    hue = np.where(values[..., None] >= 0, POSITIVE, NEGATIVE)
    alpha = np.round(31 * np.clip(np.abs(values) / top, 0, 1)) * 255 / 31  # 32 levels pack better
    return np.concatenate([hue, alpha[..., None]], -1).astype(np.uint8)


def gray(values: Float[np.ndarray, "rows columns"]) -> np.ndarray:
    """A photograph's grey levels in [0, 1] as opaque bytes, in 32 levels."""
    return (np.round(31 * np.clip(values, 0, 1)) * 255 / 31).astype(np.uint8)


def png(pixels: np.ndarray) -> str:
    """Data URI of a PNG of bytes: `(rows, columns)` grey, or with 3 channels RGB, with 4 RGBA; few colours take a palette."""
    rows, columns = pixels.shape[:2]
    kind, extra = {2: 0, 3: 2}.get(pixels.ndim if pixels.ndim == 2 else pixels.shape[2], 6), b""
    if pixels.ndim == 3:
        flat = pixels.reshape(-1, pixels.shape[2])
        table, number = np.unique(flat, axis=0, return_inverse=True)
        if len(table) <= 256:
            kind, pixels = 3, number.reshape(rows, columns).astype(np.uint8)
            extra = chunk(b"PLTE", table[:, :3].tobytes())
            extra += chunk(b"tRNS", table[:, 3].tobytes()) if table.shape[1] == 4 else b""
    head = struct.pack(">IIBBBBB", columns, rows, 8, kind, 0, 0, 0)
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], 1)
    data = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + data).decode()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
