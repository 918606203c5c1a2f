"""Pictures of runs: curves, confusion, calibration, images, predictions.

Every function writes one PNG and returns its path. They use a `Figure` of their own and not pyplot, so that they work without a
display and in threads, and do not change the settings of the caller. Lines are labelled at their end, in colours for the
colour-blind (Okabe and Ito 2008).
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxdl.record.manifest import result_file
from jaxdl.record.series import Lines, Series, series_of_run, series_over_seeds
from jaxdl.types import UserError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, FAINT = "#333333", "#DDDDDD"
PathLike = str | os.PathLike


def learning_curves(history: Lines, path: PathLike, *, metrics: Sequence[str] = (), select: str = "") -> Path:
    """Draw the loss and other metrics of a run over its steps, for training and each evaluated split.

    A number of the training log is a mean over steps and stands at the middle of them.

    Args:
        history: what `log.read` gives.
        path: the PNG.
        metrics: what to draw; by default three: the loss, `select`, and others that training and evaluation share.
        select: the metric that selects the best checkpoint.
    """
    drawn = series_of_run(history, metrics=metrics, select=select)
    figure, panels = _figure(max(len(drawn), 1), width=4.6)
    for axes, (name, series) in zip(panels, drawn.items(), strict=False):
        _curves(axes, name, series)
    return _save(figure, path)


def overlay(runs: Mapping[str, Sequence[Lines]], metric: str, path: PathLike, *, split: str = "validation") -> Path:
    """Draw one metric of several settings: the mean over the runs (seeds) of each, with a band of one standard deviation.

    `runs` maps a label to the histories of its runs. "train" as the split shows the training log.
    """
    named = {f"{label} (n={len(h)})" if len(h) > 1 else label: h for label, h in runs.items()}
    series = {f"{label}:": one for label, one in series_over_seeds(named, metric, split).items()}
    figure, (axes,) = _figure(1, width=6.4, height=3.6)
    _curves(axes, f"{metric}, {split}", series)
    return _save(figure, path)


def draw_confusion(matrix: Any, classes: Sequence[str], path: PathLike) -> Path:
    """Draw counts by true class (rows) and predicted class (columns); the shade is the share of the row.

    One more column than rows holds the predictions of all other classes.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names, n = _names(classes, len(counts)), len(counts)
    others = ["others"] * (counts.shape[1] - n)
    size = min(max(2.6, 0.42 * n + 1.4), 8.0)
    figure = Figure(figsize=(size + 0.4, size), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    every = max(1, -(-n // 25))
    upright = max(map(len, names + others)) <= 3
    axes.set_xticks(
        [*range(0, n, every), *range(n, n + len(others))],
        names[::every] + others,
        rotation=0 if upright else 45,
        ha="center" if upright else "right",
    )
    axes.set_yticks(range(0, n, every), names[::every])
    axes.tick_params(length=0, labelsize=8, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("true", color=INK)
    if n <= 20:
        for row, column in np.argwhere(counts > 0):
            shade = "white" if shares[row, column] > 0.55 else INK
            axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", fontsize=7, color=shade)
    return _save(figure, path)


def image_grid(
    images: Any, path: PathLike, *, titles: Sequence[str] = (), columns: int = 8, colours: Sequence[str] = ()
) -> Path:
    """Draw images `(n, height, width[, channels])` of any range side by side, with a line of text above each."""
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise UserError(f"images have shape {images.shape}, should be (n > 0, height, width[, 1 or 3])")
    shown = images.astype(np.float64)
    low, high = np.nanmin(shown), np.nanmax(shown)
    if images.dtype == np.uint8 and high > 63:  # scikit-learn's digits end at 16
        low, high = 0, 255
    shown = np.clip((shown - low) / ((high - low) or 1), 0, 1)
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(1.05 * columns, (1.05 + 0.25 * bool(titles)) * rows), layout="constrained")
    for i in range(rows * columns):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.axis("off")
        if i < len(shown):
            axes.imshow(shown[i].squeeze(-1) if shown.shape[-1] == 1 else shown[i], cmap="gray", vmin=0, vmax=1)
            if titles:
                axes.set_title(titles[i], fontsize=7.5, color=colours[i] if colours else INK, pad=2)
    return _save(figure, path)


def bars(values: Any, names: Sequence[str], path: PathLike, *, label: str = "accuracy", most: int = 30) -> Path:
    """Draw one number per name, such as the accuracy of each class, lowest first; at most the `most` lowest."""
    values = np.asarray(values, np.float64)
    order = np.argsort(values)[:most]  # NaN (a class without examples) comes last
    names = np.array(_names(names, len(values)))[order]
    figure = Figure(figsize=(5.2, 0.26 * len(order) + 0.9), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(order))[::-1]
    text = "{:.3f}" if np.nanmax(np.abs(values)) <= 1 else "{:.3g}"
    axes.barh(places, np.nan_to_num(values[order]), height=0.7, color=COLOURS[0])
    for place, value in zip(places, values[order], strict=True):
        axes.annotate(
            text.format(value),
            (np.nan_to_num(value), place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(places, names)
    _bare(axes, grid="")
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    _title(axes, label if len(values) <= most else f"{label}: the lowest {most} of {len(values)}")
    return _save(figure, path)


def predicted_against_true(predicted: Any, true: Any, path: PathLike, *, label: str = "target") -> Path:
    """Draw the predictions of a regression over the true values; the line is a perfect prediction."""
    predicted, true = np.ravel(predicted).astype(np.float64), np.ravel(true).astype(np.float64)
    fine = np.isfinite(predicted) & np.isfinite(true)
    predicted, true = predicted[fine], true[fine]
    figure, (axes,) = _figure(1, width=3.9, height=3.7)
    ends = (min(predicted.min(), true.min()), max(predicted.max(), true.max()))
    axes.plot(ends, ends, color=INK, linewidth=0.8, zorder=1)
    axes.scatter(true, predicted, s=14, color=COLOURS[0], alpha=max(0.15, min(0.7, 150 / len(true))), linewidths=0)
    axes.set_aspect("equal", adjustable="box")
    axes.set_xlabel(f"true {label}", color=INK)
    axes.set_ylabel("predicted", color=INK)
    error = np.sqrt(np.mean((predicted - true) ** 2))
    _title(axes, f"root mean square error {error:.3g}")
    return _save(figure, path)


def reliability_diagram(bins: Any, path: PathLike) -> Path:
    """Draw accuracy over confidence, from rows of (mean confidence, accuracy, examples).

    The area of a dot is its share of the examples. Below the line the model is overconfident.
    """
    confidence, accuracy, count = np.asarray(bins, np.float64).T
    full = count > 0
    confidence, accuracy, count = confidence[full], accuracy[full], count[full]
    figure, (axes,) = _figure(1, width=3.9, height=3.7)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, zorder=1)
    axes.plot(confidence, accuracy, color=COLOURS[0], linewidth=1, alpha=0.5)
    axes.scatter(
        confidence, accuracy, s=8 + 250 * count / count.sum(), color=COLOURS[0], alpha=0.85, linewidths=0, clip_on=False
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_aspect("equal", adjustable="box")
    axes.set_xlabel("confidence", color=INK)
    axes.set_ylabel("accuracy", color=INK)
    gap = float(np.sum(count * np.abs(accuracy - confidence)) / count.sum())
    _title(axes, f"expected calibration error {gap:.3f}")
    return _save(figure, path)


# -- drawing ----------------------------------------------------------------------------------------------------------


def _figure(panels: int, *, width: float, height: float = 2.9) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * panels, height), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)
    axes = [figure.add_subplot(1, panels, i + 1) for i in range(panels)]
    for each in axes:
        _bare(each)
    return figure, axes


def _bare(axes: Axes, grid: str = "y") -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK)
    axes.tick_params(which="both", labelsize=8, colors=INK, length=0)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=FAINT, linewidth=0.7)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10, fontweight="bold", color=INK)


def _curves(axes: Axes, name: str, series: Mapping[str, Series]) -> None:
    """Draw lines over steps, each labelled at its end."""
    ends = []
    for i, (label, (x, y, spread)) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(x, y, color=colour, linewidth=1.6, marker="o" if len(x) == 1 else "", markersize=4, clip_on=False)
        if spread is not None and spread.any():
            axes.fill_between(x, y - spread, y + spread, color=colour, alpha=0.18, linewidth=0)
        ends.append((float(y[-1]), f"{label} {y[-1]:.3g}", colour))
    every = np.concatenate([y for _, y, _ in series.values()]) if series else np.ones(1)
    if every.min() > 0 and every.max() > 30 * every.min():
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("step", fontsize=9, color=INK)
    axes.set_xlim(0, max((float(x[-1]) for x, _, _ in series.values()), default=1.0) or 1.0)
    _title(axes, name.replace("_", " "))
    axes.get_ylim()  # settles the scale
    heights = [float(axes.transAxes.inverted().transform(axes.transData.transform((0, y)))[1]) for y, _, _ in ends]
    for (_, text, colour), height in zip(ends, _apart(heights, 0.07), strict=True):
        axes.text(1.02, height, text, transform=axes.transAxes, color=colour, fontsize=8.5, va="center")


def _apart(heights: Sequence[float], gap: float) -> np.ndarray:
    """Move heights in [0, 1] as little as needed to lie `gap` apart."""
    order = np.argsort(heights, kind="stable")
    ladder = gap * np.arange(len(order))
    upwards = np.maximum.accumulate(np.clip(heights, 0, 1)[order] - ladder) + ladder
    placed = np.empty(len(order))
    placed[order] = np.minimum(upwards, 1 - ladder[::-1])  # the top ones are pushed back down
    return placed


def _names(classes: Sequence[str], n: int) -> list[str]:
    return [str(name) for name in classes] if len(classes) == n else [str(i) for i in range(n)]


def _save(figure: Figure, path: PathLike) -> Path:
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    return save_figure(figure, path)


def save_figure(figure: Figure, path: PathLike) -> Path:
    """Write a figure as a PNG of 140 dots per inch."""
    path = Path(path)
    with result_file(path) as new:
        figure.savefig(new, dpi=140, facecolor="white", format="png")
    return path
