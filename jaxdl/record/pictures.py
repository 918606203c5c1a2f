"""Pictures outside of runs: a learning-rate ramp, augmented series and texts, an image and its activations.

As in `plots`, every function writes one PNG and returns its path.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.plots import COLOURS, FAINT, INK, Figure, PathLike, _bare, _figure, _save, _title, save_figure

CHANGED = COLOURS[1]

STYLE = {
    "figure.dpi": 120,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
"""Matplotlib settings that make a notebook's own figures look like these: `plt.rcParams.update(STYLE)`."""


def learning_rate_ramp(
    rate: Any, loss: Any, smooth: Any, suggestion: float, path: PathLike, *, label: str = "lr"
) -> Path:
    """Draw the loss of every step of a ramp, its smoothed curve, and the suggested learning rate."""
    rate, loss, smooth = (np.asarray(a, np.float64) for a in (rate, loss, smooth))
    figure, (axes,) = _figure(1, width=6.4, height=3.4)
    axes.scatter(rate, loss, s=9, color=COLOURS[0], alpha=0.25, linewidths=0)
    axes.plot(rate, smooth, color=COLOURS[0], linewidth=2)
    at = float(np.exp(np.interp(np.log(suggestion), np.log(rate), np.log(np.maximum(smooth, 1e-30)))))
    axes.plot([suggestion], [at], "o", color=CHANGED, markersize=8)
    axes.annotate(
        f"try {suggestion:.1e}", (suggestion, at), (8, 10), textcoords="offset points", color=CHANGED, fontweight="bold"
    )
    axes.set_xscale("log")
    low, high = smooth.min(), max(smooth[0], smooth[: int(np.argmin(smooth)) + 1].max())
    axes.set_ylim(low - 0.1 * (high - low), high + 0.6 * (high - low))
    axes.set_xlabel(f"learning rate ({label})", fontsize=9, color=INK)
    _title(axes, "loss of the training batch")
    return _save(figure, path)


def series_gallery(before: Any, after: Any, path: PathLike, *, titles: Sequence[str] = ()) -> Path:
    """Draw series `(n, time, channels)` in grey and their augmented versions `(n, draws, time, channels)` over them.

    Each row is a series and each column a draw, with its title.
    """
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    rows, columns = after.shape[:2]
    figure = Figure(figsize=(2.5 * columns, 1.45 * rows + 0.3), layout="constrained")
    for row in range(rows):
        for column in range(columns):
            axes = figure.add_subplot(rows, columns, row * columns + column + 1)
            _bare(axes, grid="")
            axes.spines[:].set_visible(False)
            axes.set(xticks=[], yticks=[])
            axes.plot(before[row], color="#BBBBBB", linewidth=1.2)
            for channel in range(after.shape[-1]):
                axes.plot(after[row, column, :, channel], color=COLOURS[channel % len(COLOURS)], linewidth=1.2)
            if row == 0 and titles:
                axes.set_title(titles[column], loc="left", fontsize=8.5, color=INK)
    return _save(figure, path)


def text_gallery(rows: Sequence[tuple[str, Sequence[str], Sequence[bool]]], path: PathLike) -> Path:
    """Draw lines of text: (title, words, marks); marked words are coloured, and lines with the first title are originals."""
    height = 0.3 * len(rows) + 0.2
    left = 0.1 + 0.085 * max(len(title) for title, _, _ in rows)
    right = max(sum(len(word) + 1 for word in words) for _, words, _ in rows) * 0.085
    figure = Figure(figsize=(left + right + 0.2, height))
    for i, (title, words, marks) in enumerate(rows):
        y = 1 - (0.3 * i + 0.25) / height
        figure.text(0.1 / (left + right + 0.2), y, title, fontsize=9, color=INK, fontweight="bold", va="center")
        x = left + 0.1
        for word, mark in zip(words, marks, strict=True):
            figure.text(
                x / (left + right + 0.2), y, word, fontsize=9, family="monospace", va="center",
                color=CHANGED if mark else INK if title == rows[0][0] else "#777777",
            )  # fmt: skip
            x += 0.085 * (len(word) + 1)
    return save_figure(figure, path)


def network_flow(
    image: Any,
    layers: Mapping[str, Any],
    probabilities: Any,
    path: PathLike,
    *,
    classes: Sequence[str] = (),
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Draw an image and the activations of each layer, from left to right.

    Args:
        image: (height, width[, channels]), the input.
        layers: name -> output for this image, in order: maps (height, width, channels), of which the 15 most active are shown
            (red is positive, blue negative), or vectors.
        probabilities: (classes,), the output.
        path: the PNG.
        classes: names of the classes.
        notes: name -> a line under the layer, such as its parameters.
    """
    image, probabilities = np.asarray(image, np.float64), np.asarray(probabilities, np.float64)
    outputs = {name: np.asarray(value, np.float64) for name, value in layers.items()}
    widths = [1.4, *(1.26 if value.ndim == 3 else 0.5 for value in outputs.values()), 1.45]
    gap, tall, below, above = 0.34, 2.1, 0.72, 0.12
    width, height = sum(widths) + gap * len(widths) + 0.1, tall + below + above
    figure = Figure(figsize=(width, height))
    x, edges = 0.1, []

    def panel(left: float, bottom: float, wide: float, high: float) -> Any:
        axes = figure.add_axes((left / width, (below + bottom) / height, wide / width, high / height))
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes

    def caption(centre: float, name: str, shape: str, note: str) -> None:
        for text, y, size, style in ((name, 0.58, 9, "bold"), (shape, 0.38, 8, "normal"), (note, 0.2, 7.5, "normal")):
            figure.text(
                centre / width, y / height, text, ha="center", va="center", fontsize=size, fontweight=style, color=INK
            )

    side = min(widths[0], tall)
    shown = image.squeeze(-1) if image.ndim == 3 and image.shape[-1] == 1 else image
    panel(x, (tall - side) / 2, side, side).imshow((shown - shown.min()) / ((np.ptp(shown)) or 1), cmap="gray")
    caption(x + side / 2, "input", " x ".join(map(str, image.shape)), "")
    edges.append((x, x + side, (tall - side) / 2, (tall + side) / 2))
    x += widths[0] + gap
    for (name, value), wide in zip(outputs.items(), widths[1:], strict=False):
        limit = np.abs(value).max() or 1.0
        if value.ndim == 3:
            order = np.argsort(-np.abs(value).max((0, 1)))[:15]
            tile, inch = wide / 3, 0.025
            rows = -(-len(order) // 3)
            bottom = (tall - rows * tile) / 2
            for i, channel in enumerate(np.sort(order)):
                place = (x + i % 3 * tile, bottom + (rows - 1 - i // 3) * tile, tile - inch, tile - inch)
                panel(*place).imshow(value[..., channel], cmap="RdBu_r", vmin=-limit, vmax=limit)
            extent = (bottom, bottom + rows * tile - inch)
        else:
            tall_cells = min(value.size, 64)
            cells = np.full(tall_cells * -(-value.size // tall_cells), np.nan)
            cells[: value.size] = value.ravel()
            high = tall if value.size > 16 else tall * 0.8
            extent = ((tall - high) / 2, (tall + high) / 2)
            panel(x, extent[0], wide, high).imshow(
                cells.reshape(-1, tall_cells).T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto"
            )
        caption(x + wide / 2, name, " x ".join(map(str, value.shape)), (notes or {}).get(name, ""))
        edges.append((x, x + wide - 0.025 * (value.ndim == 3), *extent))
        x += wide + gap
    high = tall * 0.8
    axes = panel(x + 0.25, (tall - high) / 2, widths[-1] - 0.35, high)
    names = [str(c) for c in classes] or [str(i) for i in range(len(probabilities))]
    best = int(probabilities.argmax())
    axes.barh(
        range(len(names)), probabilities, height=0.75,
        color=[CHANGED if i == best else "#BBBBBB" for i in range(len(names))],
    )  # fmt: skip
    axes.set(xlim=(0, 1.35), ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(range(len(names)), names, fontsize=8, color=INK)
    axes.tick_params(length=0)
    axes.text(probabilities[best] + 0.03, best, f"{probabilities[best]:.0%}", va="center", fontsize=8, color=CHANGED)
    caption(x + widths[-1] / 2, "softmax", str(len(names)), "")
    edges.append((x + 0.1, x + widths[-1], (tall - high) / 2, (tall + high) / 2))
    under = figure.add_axes((0, 0, 1, 1), zorder=-1)
    under.set(xlim=(0, width), ylim=(0, height))
    under.axis("off")
    for (_, right, low, high), (left, _, next_low, next_high) in pairwise(edges):
        corners = [(right, low), (right, high), (left, next_high), (left, next_low)]
        under.fill(*zip(*((a, b + below) for a, b in corners), strict=True), color=FAINT, alpha=0.55, linewidth=0)
    return save_figure(figure, path)


def strips(values: Mapping[str, Sequence[float]], path: PathLike, *, label: str) -> Path:
    """Draw the values of settings over seeds: a point for each seed, and the mean with its 95 % interval (Student's t)."""
    from scipy.stats import t

    figure, (axes,) = _figure(1, width=6.4, height=1.1 + 0.42 * len(values))
    for row, (_name, found) in enumerate(values.items()):
        x = np.asarray(found, float)
        axes.plot(x, np.full(len(x), row), "o", color=COLOURS[0], alpha=0.35, markersize=5, markeredgewidth=0)
        half = t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else 0.0
        axes.errorbar(x.mean(), row, xerr=half, fmt="D", color=COLOURS[1], markersize=6, capsize=3)
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlabel(label, fontsize=9, color=INK)
    return _save(figure, path)
