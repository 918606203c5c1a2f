"""Charts: curves over labelled axes, side by side in a picture, and the first of them small in a tile."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from jaxdl.site.pictures.svg import BLUE, INK, Drawing, Point

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
WIDE = frozenset("mwMW−")
TILE = (120.0, 72.0)


@dataclass(frozen=True)
class Line:
    """One line of a chart; a curve without a name is not in the legend."""

    x: np.ndarray
    y: np.ndarray
    name: str = ""
    colour: str = BLUE
    dash: str | None = None
    width: float = 2.25
    dots: bool = False
    opacity: float | None = None


@dataclass(frozen=True)
class Chart:
    """Curves with the limits and labels of their axes; `log` shows y as powers of ten."""

    curves: Sequence[Line]
    xlabel: str
    ylabel: str
    xlim: tuple[float, float]
    ylim: tuple[float, float]
    log: bool = False
    marks: Sequence[tuple[float, float, str]] = ()
    """Points (x, y, label) to show."""
    heat: np.ndarray | None = None
    """Values (rows from the lowest y up, columns) behind the curves."""
    arrows: Sequence[tuple[float, float, float, float]] = field(default_factory=tuple)


class Axes:
    """A frame of a drawing with scales: data -> places on the canvas."""

    def __init__(self, d: Drawing, box: tuple[float, float, float, float], chart: Chart):
        self.d, self.box, self.chart = d, box, chart
        low, high = chart.ylim
        self.ylim = (math.log10(low), math.log10(high)) if chart.log else (low, high)

    def at(self, x: float, y: float) -> Point:
        (x0, x1), (y0, y1), (left, top, w, h) = self.chart.xlim, self.ylim, self.box
        return left + (x - x0) / (x1 - x0) * w, top + (y1 - y) / (y1 - y0) * h

    def frame(self) -> None:
        """Grid, numbers and labels."""
        left, top, w, h = self.box
        limits = f"{' '.join(map(str, self.chart.xlim))} {' '.join(map(str, self.ylim))}"
        self.d.add(
            "rect", x=left, y=top, width=w, height=h, fill="none", stroke=INK, stroke_opacity=0.35, data_limits=limits
        )
        for x in axis_ticks(*self.chart.xlim):
            px, _ = self.at(x, self.ylim[0])
            self.d.line(px, top, px, top + h, opacity=0.35 if x == 0 else 0.12)
            self.d.text(px, top + h + 15, axis_number(x), size=11, anchor="middle")
        for y in np.arange(np.ceil(self.ylim[0]), self.ylim[1] + 0.01) if self.chart.log else axis_ticks(*self.ylim):
            _, py = self.at(self.chart.xlim[0], y)
            self.d.line(left, py, left + w, py, opacity=0.35 if y == 0 and not self.chart.log else 0.12)
            label = f"10{str(round(y)).translate(SUPERSCRIPT)}" if self.chart.log else axis_number(y)
            self.d.text(left - 6, py + 4, label, size=11, anchor="end")
        self.d.text(left + w / 2, top + h + 32, self.chart.xlabel, size=12, anchor="middle")
        self.d.text(left - 32, top - 24, self.chart.ylabel, size=13, font_weight=600)

    def legend(self) -> None:
        named = [c for c in self.chart.curves if c.name]
        x, y = self.box[0], self.box[1] - 8
        for curve in named:
            self.d.line(x, y - 4, x + 16, y - 4, curve.colour, width=2.5, dash=curve.dash)
            self.d.text(x + 20, y, curve.name, size=11.5)
            x += 30 + sum(11 if letter in WIDE else 6.6 for letter in curve.name)

    def plot(self, *, most: int | None = None, thin: float = 1.0) -> None:
        """The curves, cut at the frame; `most` points of each."""
        left, top, w, h = self.box
        if self.chart.heat is not None:
            self.d.heat(left, top, w, h, self.chart.heat[::-1])
        if self.chart.arrows and not most:
            ends = [(*self.at(x, y), *self.at(x + dx, y + dy)) for x, y, dx, dy in self.chart.arrows]
            self.d.arrows(ends, width=1.2, head=4.5, opacity=0.8)
        for c in reversed(self.chart.curves):  # the first one on top
            step = -(-len(c.x) // most) if most else 1
            keep = np.unique([*range(0, len(c.x), step), len(c.x) - 1])
            y = np.log10(np.maximum(c.y, 1e-30)) if self.chart.log else np.asarray(c.y)
            points = np.stack([np.asarray(c.x, float)[keep], y[keep].astype(float)], 1)
            for piece in clipped(points, self.chart.xlim, self.ylim):
                data = {"data_curve": c.name} if c.name and not most else {}
                places = [self.at(*p) for p in piece]
                line: dict[str, Any] = {"dash": c.dash, "opacity": c.opacity, "stroke_linejoin": "round"} | data
                self.d.path(places, c.colour, width=c.width * thin, **line)
                if c.dots:
                    self.d.dots(places, c.colour, 4.2 * thin)
        for x, y, label in self.chart.marks:
            px, py = self.at(x, np.log10(y) if self.chart.log else y)
            self.d.circle(px, py, 3.5 * thin)
            if label and not most:
                self.d.text(px + 7, py - 6, label, size=11.5)


def clipped(points: np.ndarray, xlim: tuple[float, float], ylim: tuple[float, float]) -> list[np.ndarray]:
    """The pieces of a polyline inside a rectangle."""
    low, high = np.array([xlim[0], ylim[0]]), np.array([xlim[1], ylim[1]])
    pieces: list[list[np.ndarray]] = [[]]
    for a, b in pairwise(points):
        enter, leave = 0.0, 1.0
        for k in range(2):
            if a[k] == b[k]:
                leave = leave if low[k] <= a[k] <= high[k] else -1.0
                continue
            s, t = sorted(((low[k] - a[k]) / (b[k] - a[k]), (high[k] - a[k]) / (b[k] - a[k])))
            enter, leave = max(enter, s), min(leave, t)
        if enter > leave or not np.isfinite(a + b).all():
            continue
        start, end = a + enter * (b - a), a + leave * (b - a)
        if not pieces[-1] or not np.allclose(pieces[-1][-1], start):
            pieces.append([start])
        pieces[-1].append(end)
    return [np.array(p) for p in pieces if len(p) > 1]


def axis_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers, about as many as asked.

    >>> axis_ticks(-4, 4)
    [-4.0, -2.0, 0.0, 2.0, 4.0]
    """
    raw = (high - low) / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(s - raw)))
    return [round(i * step, 10) for i in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)]


def axis_number(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")


def charts_beside(title: str, desc: str, charts: Sequence[Chart], *, width: float = 640, height: float = 300) -> str:
    """Charts side by side."""
    d = Drawing(width, height, title, desc)
    each = width / len(charts)
    for i, chart in enumerate(charts):
        axes = Axes(d, (i * each + 42, 50, each - 58, height - 92), chart)
        axes.frame()
        axes.plot()
        axes.legend()
    return d.svg()


def chart_tile(title: str, desc: str, chart: Chart) -> str:
    """The curves alone, small."""
    d = Drawing(*TILE, title, desc, digits=1)
    axes = Axes(d, (5, 5, TILE[0] - 10, TILE[1] - 10), chart)
    for (x0, y0), (x1, y1), inside in (
        ((chart.xlim[0], 0), (chart.xlim[1], 0), axes.ylim[0] <= 0 <= axes.ylim[1] and not chart.log),
        ((0, axes.ylim[0]), (0, axes.ylim[1]), chart.xlim[0] <= 0 <= chart.xlim[1]),
    ):
        if inside:
            d.line(*axes.at(x0, y0), *axes.at(x1, y1), opacity=0.3)
    axes.plot(most=48, thin=0.9)
    return d.svg()
