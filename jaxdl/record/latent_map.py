"""A map of codes: every example is a point in the colour of its class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxdl.record.plots import COLOURS, INK, Figure, Path, PathLike, _bare, _save

MOST_CLASSES = 20


def latent_map(
    points: Any, labels: Any, path: PathLike, *, classes: Sequence[str] = (), axes: Sequence[str] = ("", "")
) -> Path:
    """Draw points `(n, 2)` coloured by labels `(n,)`, with the name of each class at the median of its points."""
    points, labels = np.asarray(points, np.float64), np.asarray(labels)
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    panel = figure.add_subplot()
    _bare(panel, grid="")
    known = np.unique(labels) if labels.ndim == 1 and labels.dtype.kind in "ui" else []
    if 1 < len(known) <= MOST_CLASSES:
        panel.scatter(*points.T, c=labels, cmap="tab10" if len(known) <= 10 else "tab20", s=9, alpha=0.75, linewidths=0)
        for label in known:
            middle = np.median(points[labels == label], axis=0)
            name = str(classes[label]) if 0 <= label < len(classes) else str(label)
            panel.text(
                *middle, name, ha="center", va="center", fontsize=10, fontweight="bold", color=INK,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
            )  # fmt: skip
    else:
        panel.scatter(*points.T, color=COLOURS[0], s=9, alpha=0.6, linewidths=0)
    panel.set_xlabel(axes[0], fontsize=9, color=INK)
    panel.set_ylabel(axes[1], fontsize=9, color=INK)
    return _save(figure, path)
