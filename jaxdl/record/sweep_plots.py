"""Pictures of a sweep: curves of its settings, and the result over one knob or two.

As in `plots`, every function writes one PNG and returns its path. Members without a finite result are left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.plots import (
    COLOURS,
    FAINT,
    INK,
    Axes,
    Figure,
    PathLike,
    _bare,
    _curves,
    _figure,
    _save,
    _title,
)
from jaxdl.record.series import Lines, series_over_seeds

MOST_TICKS = 8


def curves(
    settings: Mapping[str, Sequence[Lines]], metric: str, path: PathLike, *, split: str = "validation", most: int = 5
) -> Path:
    """Draw a metric over the steps for each setting: the mean over its seeds with a band of one standard deviation.

    The best `most` settings are labelled; the others are grey lines.
    """
    found = series_over_seeds(settings, metric, split)
    named = [label for label in list(settings)[:most] if label in found]
    series, others = {f"{label}:": found.pop(label) for label in named}, list(found.values())
    figure, (axes,) = _figure(1, width=6.4, height=3.6)
    _curves(axes, f"{metric}, {split}", series)
    low, high = axes.get_ylim()
    for steps, mean, _ in others:
        axes.plot(steps, mean, color="#BBBBBB", linewidth=0.8, zorder=1)
    if others:
        middle = float(np.median([mean[-1] for _, mean, _ in others]))  # the worst half may leave the frame
        low, high = min(low, middle), max(high, middle)
    axes.set_ylim(low, high)
    if others:
        axes.set_title(f"grey: {len(others)} more settings", loc="right", fontsize=8, color="#999999")
    return _save(figure, path)


def one_knob(name: str, values: Sequence[Any], results: Sequence[float], metric: str, path: PathLike) -> Path:
    """Draw the result of each member over its value of one knob, and the line of the means."""
    figure, (axes,) = _figure(1, width=4.8, height=3.2)
    places = np.asarray(values, np.float64)
    results = np.asarray(results, np.float64)
    at = np.unique(places)
    means = np.array([results[places == place].mean() for place in at])
    axes.plot(at, means, color=COLOURS[0], linewidth=1.6)
    axes.scatter(places, results, s=18, color=COLOURS[0], alpha=0.45, linewidths=0, clip_on=False)
    if logarithmic(at):
        axes.set_xscale("log")
    _ticks(axes, at)
    axes.set_xlabel(name, fontsize=9, color=INK)
    _title(axes, metric)
    return _save(figure, path)


def two_knobs(
    names: tuple[str, str],
    values: Sequence[tuple[Any, Any]],
    results: Sequence[float],
    metric: str,
    mode: str,
    path: PathLike,
) -> Path:
    """Draw a heat map of the mean result over two knobs, or a dot per member if they were drawn at random.

    Darker is better, and the best has a frame. Very bad results share the lightest shade.
    """
    first, second = (list(dict.fromkeys(sorted((v[i] for v in values), key=order))) for i in (0, 1))
    filled = len({(str(a), str(b)) for a, b in values}) / (len(first) * len(second))
    results = np.asarray(results, np.float64)
    shades = "YlGnBu" if mode == "max" else "YlGnBu_r"
    if filled < 0.6 and all(isinstance(v, int | float) for pair in values for v in pair):
        return _dots(names, np.asarray(values, np.float64), results, metric, mode, shades, path)
    cells = [[[r for v, r in zip(values, results, strict=True) if v == (a, b)] for b in second] for a in first]
    means = np.array([[np.mean(cell) if cell else np.nan for cell in row] for row in cells])
    low, high = limits(means, mode)
    size = (1.0 * len(second) + 1.6, 0.62 * len(first) + 1.1)
    figure = Figure(figsize=(max(3.2, min(size[0], 11)), max(2.2, min(size[1], 9))), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(means, cmap=shades, vmin=low, vmax=high, aspect="auto")
    axes.set_xticks(range(len(second)), [text(v) for v in second])
    axes.set_yticks(range(len(first)), [text(v) for v in first])
    axes.tick_params(length=0, labelsize=8.5, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(names[1], fontsize=9, color=INK)
    axes.set_ylabel(names[0], fontsize=9, color=INK)
    best = np.nanargmax(means) if mode == "max" else np.nanargmin(means)
    if means.size <= 150:
        for i, j in np.ndindex(means.shape):
            _cell(axes, i, j, cells[i][j], means[i, j], (means[i, j] - low) / ((high - low) or 1), mode)
    i, j = np.unravel_index(best, means.shape)
    left, right, top, bottom = j - 0.47, j + 0.47, i - 0.45, i + 0.45
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=COLOURS[1], linewidth=2.2)
    _title(axes, metric)
    return _save(figure, path)


# -- drawing ----------------------------------------------------------------------------------------------------------


def order(value: Any) -> tuple[int, float, str]:
    """Sort key: numbers by size, then the rest by name."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, float(value), "") if number else (1, 0.0, str(value))


def text(value: Any) -> str:
    """
    >>> text(0.00031623), text(True), text("adam"), text(None), text(20000)
    ('0.000316', 'True', 'adam', 'None', '20000')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def logarithmic(values: Any) -> bool:
    """Whether values are spread more evenly on a logarithmic axis: a range over a factor of 4, and a median nearer its middle.

    >>> logarithmic([1e-4, 3e-4, 1e-3, 1e-2]), logarithmic([0.01, 0.2, 0.3, 0.4]), logarithmic([0.0, 1.0, 100.0])
    (True, False, False)
    """
    values = np.asarray(values, np.float64)
    low, high = values.min(), values.max()
    if low <= 0 or high < 4 * low:
        return False
    middle = np.median(values)
    return bool(abs(np.log(middle / low) / np.log(high / low) - 0.5) < abs((middle - low) / (high - low) - 0.5))


def limits(values: Any, mode: str) -> tuple[float, float]:
    """The range of the shades: from the best value to at most three times the distance of the median.

    >>> limits([0.9, 0.8, 0.1], "max")
    (0.6, 0.9)
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    middle = float(np.median(values))
    if mode == "max":
        best = float(values.max())
        return max(float(values.min()), round(best - 3 * (best - middle), 12)), best
    best = float(values.min())
    return best, min(float(values.max()), round(best + 3 * (middle - best), 12))


def _ticks(axes: Axes, at: np.ndarray) -> None:
    if len(at) <= MOST_TICKS:
        axes.set_xticks(at, [text(float(v)) for v in at])
        axes.set_xticks([], minor=True)


def _cell(axes: Axes, i: int, j: int, cell: Sequence[float], mean: float, depth: float, mode: str) -> None:
    """The numbers of one cell: mean, and the standard deviation under it."""
    dark = (depth if mode == "max" else 1 - depth) > 0.55
    colour = "white" if dark else INK
    if not cell:
        axes.text(j, i, "–", ha="center", va="center", fontsize=9, color="#999999")
        return
    axes.text(j, i - 0.08 * (len(cell) > 1), f"{mean:.4g}", ha="center", va="center", fontsize=9, color=colour)
    if len(cell) > 1:
        spread = f"± {np.std(cell, ddof=1):.1g}"
        axes.text(j, i + 0.24, spread, ha="center", va="center", fontsize=7, color=colour, alpha=0.8)


def _dots(
    names: tuple[str, str], places: np.ndarray, results: np.ndarray, metric: str, mode: str, shades: str, path: PathLike
) -> Path:
    """Members drawn at random, as dots in the plane of two knobs."""
    figure, (axes,) = _figure(1, width=5.2, height=3.8)
    _bare(axes, grid="both")
    low, high = limits(results, mode)
    worst_first = np.argsort(results if mode == "max" else -results)
    dots = axes.scatter(
        places[worst_first, 1], places[worst_first, 0], s=70, c=results[worst_first], cmap=shades, vmin=low, vmax=high,
        edgecolors="#888888", linewidths=0.5, zorder=3,
    )  # fmt: skip
    best = places[worst_first[-1]]
    axes.scatter(best[1], best[0], s=170, facecolors="none", edgecolors=COLOURS[1], linewidths=2, zorder=4)
    for i, scale in ((1, axes.set_xscale), (0, axes.set_yscale)):
        if logarithmic(places[:, i]):
            scale("log")
    axes.set_xlabel(names[1], fontsize=9, color=INK)
    axes.set_ylabel(names[0], fontsize=9, color=INK)
    bar = figure.colorbar(dots, ax=axes, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=INK, length=0)
    axes.grid(color=FAINT, linewidth=0.7, which="major")
    _title(axes, metric)
    return _save(figure, path)
