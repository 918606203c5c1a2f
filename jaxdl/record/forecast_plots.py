"""Forecasts: some windows with their past and the truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.plots import COLOURS, INK, Figure, PathLike, _bare, _save
from jaxdl.reports import Forecasts


def forecasts(
    past: Any, true: Any, value: Any, path: PathLike, *, titles: Sequence[str] = (), band: Any = None, columns: int = 3
) -> Path:
    """Draw windows side by side: the past in grey, the truth in black, the forecast in blue; time 0 is now.

    Args:
        past: `(n, lookback)`; its last part is drawn, twice the horizon at most.
        true, value: `(n, horizon)`.
        titles: one a window.
        band: `(n, horizon, 2)`, the lowest and the highest quantile.
    """
    past, true, value = (np.asarray(a, np.float64) for a in (past, true, value))
    n, horizon = true.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    past = past[:, -max(2 * horizon, 12) :]
    before, after = np.arange(1 - past.shape[1], 1), np.arange(1, horizon + 1)
    figure = Figure(figsize=(3.1 * columns, 1.9 * rows + 0.2), layout="constrained")
    for i in range(n):
        axes = figure.add_subplot(rows, columns, i + 1)
        _bare(axes)
        axes.plot(before, past[i], color="#999999", linewidth=1.1, label="past")
        axes.plot(np.r_[0, after], np.r_[past[i, -1], true[i]], color=INK, linewidth=1.1, label="truth")
        if band is not None:
            axes.fill_between(after, *np.asarray(band, np.float64)[i].T, color=COLOURS[0], alpha=0.2, linewidth=0)
        axes.plot(
            after, value[i], color=COLOURS[0], linewidth=1.6, marker="o" if horizon == 1 else "", label="forecast"
        )
        axes.axvline(0, color=INK, linewidth=0.5, linestyle=":")
        if titles:
            axes.set_title(titles[i], loc="left", fontsize=8.5, color=INK)
        if i == 0:
            axes.legend(fontsize=7, frameon=False, loc="best", handlelength=1.2)
    return _save(figure, path)


def of_windows(shown: Forecasts, split: Mapping[str, Any], columns: Sequence[str], path: PathLike) -> Path:
    """Draw the windows that a forecasting task chose, the targets in turn; the past is read from the split."""
    rows, windows = np.asarray(shown.rows), np.arange(len(shown.rows))
    targets = windows % shown.true.shape[-1]
    band = shown.quantile
    if band is not None:
        band = np.stack([f(band[windows, :, targets], -1) for f in (np.min, np.max)], -1)
    names = columns or [f"series {i}" for i in range(shown.true.shape[-1])]
    return forecasts(
        split["x"][rows, :, targets],
        shown.true[windows, :, targets],
        shown.value[windows, :, targets],
        path,
        titles=[f"{names[t]}, window {w + 1}" for t, w in zip(targets, rows, strict=True)],
        band=band,
    )
