"""Attention maps of a translator: the weights over the source at every target token, one panel per example."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.plots import INK, Figure, PathLike, _save

MOST = 60
"""Maximum number of tokens that are drawn of either side."""


def draw_attention(
    weights: Any, source: Any, target: Any, path: PathLike, *, columns: int = 4, titles: Sequence[str] = ()
) -> Path:
    """Draw weights `(n, target, source)` as shades; rows are target tokens from top to bottom.

    `source` and `target` are the labels of the tokens, `(n, source)` and `(n, target)`; an empty one is padding.
    """
    panels = []
    for one, x, y in zip(np.asarray(weights, np.float64), np.asarray(source), np.asarray(target), strict=True):
        wide, tall = (min(MOST, max(int((labels != "").sum()), 1)) for labels in (x, y))
        panels.append((one[:tall, :wide], x[:wide], y[:tall]))
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    widest, tallest = (max(p[0].shape[axis] for p in panels) for axis in (1, 0))
    size = (columns * (0.16 * max(widest, 6) + 0.9), rows * (0.16 * max(tallest, 6) + 0.9))
    figure = Figure(figsize=size, layout="constrained")
    for i, (one, x, y) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(
            one, cmap="Blues", vmin=0, vmax=1, aspect="auto" if max(one.shape) > 4 * min(one.shape) else "equal"
        )
        axes.set_xticks(range(len(x)), x, rotation=90, fontsize=8, color=INK)
        axes.set_yticks(range(len(y)), y, fontsize=8, color=INK)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        if i < len(titles):
            axes.set_xlabel(titles[i], fontsize=9, color=INK)
    return _save(figure, path)
