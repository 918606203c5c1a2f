"""Parallel coordinates: how the result of a sweep depends on many knobs at once."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.plots import INK, Figure, PathLike, _save
from jaxdl.record.sweep_plots import MOST_TICKS, limits, logarithmic, order, text

SHADES = "viridis"
Ticks = list[tuple[float, str]]


def parallel_coordinates(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    results: Sequence[float],
    metric: str,
    mode: str,
    path: PathLike,
) -> Path:
    """Draw a line per member through its value of every knob to its result on the right; the best are coloured and on top."""
    results = np.asarray(results, np.float64)
    low, high = limits(results, mode)
    best_last = np.argsort(results if mode == "max" else -results, kind="stable")
    _, rank = np.unique(results if mode == "max" else -results, return_inverse=True)  # equal results share a colour
    rank = rank / max(rank.max(), 1) if rank.any() else np.ones(len(results))
    columns = [fanned(*axis_positions([row[i] for row in rows]), rank) for i in range(len(names))]
    heights = (np.clip(results, low, high) - low) / ((high - low) or 1)
    columns.append((heights, [(0.0, text(low)), (1.0, text(high))]))

    figure = Figure(figsize=(1.5 * len(columns) + 1.2, 3.8), layout="constrained")
    axes = figure.add_subplot()
    shades = axes.scatter([], [], c=[], cmap=SHADES, vmin=-0.05, vmax=1.1)
    for i in best_last:
        top = rank[i] >= 0.9 or len(results) < 6
        axes.plot(
            *smooth(np.array([column[i] for column, _ in columns])),
            color=shades.to_rgba(rank[i]),
            alpha=0.95 if top else 0.25 + 0.35 * rank[i],
            linewidth=2.0 if top else 1.0,
            zorder=2 + rank[i],
        )
    for i, (_, ticks) in enumerate(columns):
        axes.plot([i, i], [-0.02, 1.02], color=INK, linewidth=0.9, zorder=5)
        last = i == len(columns) - 1
        for height, label in ticks:
            at = (i + (0.05 if last else -0.05), height)
            box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
            side = "left" if last else "right"
            axes.text(*at, label, fontsize=8, color=INK, ha=side, va="center", bbox=box, zorder=6)
    for i, name in enumerate([*names, metric]):
        axes.text(i, 1.09, name.replace("_", " "), fontsize=9, color=INK, ha="center", fontweight="bold")
    axes.set_xlim(-0.45, len(columns) - 0.55)
    axes.set_ylim(-0.06, 1.16)
    axes.axis("off")
    return _save(figure, path)


def axis_positions(values: Sequence[Any]) -> tuple[np.ndarray, Ticks]:
    """Positions of the values of one knob on an axis from 0 to 1, and its ticks."""
    levels = list(dict.fromkeys(sorted(values, key=order)))
    numeric = all(order(level)[0] == 0 for level in levels)
    if not numeric or len(levels) == 1:
        at = {str(level): i / max(len(levels) - 1, 1) for i, level in enumerate(levels)}
        return np.array([at[str(v)] for v in values]), [(at[str(level)], text(level)) for level in levels]
    scale = np.log if logarithmic(levels) else np.asarray
    low, high = float(scale(levels[0])), float(scale(levels[-1]))
    placed = (scale(np.asarray(values, np.float64)) - low) / (high - low)
    if len(levels) > MOST_TICKS:
        marks = np.linspace(low, high, 4)
        labels = np.exp(marks) if scale is np.log else marks
        return placed, [((m - low) / (high - low), text(float(v))) for m, v in zip(marks, labels, strict=True)]
    return placed, [((float(scale(level)) - low) / (high - low), text(level)) for level in levels]


def fanned(heights: np.ndarray, ticks: Ticks, rank: np.ndarray) -> tuple[np.ndarray, Ticks]:
    """Spread lines that would meet in one point, in the order of their results."""
    levels = np.unique(heights)
    if len(levels) > MOST_TICKS or len(levels) == len(heights):
        return heights, ticks
    apart = np.zeros(len(heights))
    for level in levels:
        here = np.flatnonzero(heights == level)
        apart[here[np.argsort(rank[here])]] = np.linspace(-0.05, 0.05, len(here)) if len(here) > 1 else 0.0
    return 0.05 + 0.9 * heights + apart, [(0.05 + 0.9 * height, label) for height, label in ticks]


def smooth(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate between two axes, horizontal at both: t²(3 - 2t)."""
    t = np.linspace(0, 1, 24)
    bend = t * t * (3 - 2 * t)
    x = np.concatenate([i + t for i in range(len(y) - 1)])
    return x, np.concatenate([a + bend * (b - a) for a, b in pairwise(y)])
