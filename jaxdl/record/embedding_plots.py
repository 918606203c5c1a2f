"""Pictures of an embedding: a map of the classes, nearest neighbours, and the ROC curve of verification."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.plots import COLOURS, INK, PathLike, _figure, _save, _title, image_grid

MARKERS = "os^DvPX"


def embedding_map(points: Any, classes: Sequence[str], path: PathLike) -> Path:
    """Draw embeddings in the plane, rows of (x, y, class number), with a colour, a marker and the name of each class.

    More than 20 classes are not named, and colours repeat.
    """
    points = np.asarray(points, np.float64)
    labels = points[:, 2].astype(int)
    known = np.unique(labels)
    figure, (axes,) = _figure(1, width=5.0, height=4.4)
    for i, label in enumerate(known):
        x, y = points[labels == label, :2].T
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i // len(COLOURS) % len(MARKERS)]
        axes.scatter(x, y, s=13, color=colour, marker=marker, alpha=0.55, linewidths=0)
        if len(known) <= 20:
            name = str(classes[label]) if label < len(classes) else str(label)
            box = {"facecolor": "white", "edgecolor": colour, "boxstyle": "round,pad=0.2", "alpha": 0.85}
            axes.text(np.median(x), np.median(y), name, color=colour, fontsize=9, ha="center", va="center", bbox=box)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    _title(axes, f"{len(points)} embeddings of {len(known)} classes: two principal axes")
    return _save(figure, path)


def neighbour_grid(images: Any, found: Any, classes: Sequence[str], path: PathLike) -> Path:
    """Draw queries and their nearest neighbours, one query per row.

    `rows` `(queries, 1 + neighbours, 2)` holds the index in `images` and the class of each. The name of a neighbour of the
    class of the query is green.
    """
    found = np.asarray(found).astype(int)
    rows, labels = found[..., 0], found[..., 1]
    names = [[str(classes[c]) if c < len(classes) else str(c) for c in row] for row in labels]
    titles = [name[-14:] for row in names for name in row]
    right = labels == labels[:, :1]
    colours = [
        INK if column == 0 else COLOURS[2] if right[row, column] else COLOURS[1]
        for row in range(len(rows))
        for column in range(rows.shape[1])
    ]
    images = np.asarray(images)[rows.ravel()]
    return image_grid(images, path, titles=titles, columns=rows.shape[1], colours=colours)


def roc_curve(points: Any, path: PathLike) -> Path:
    """Draw the ROC curve of pairs: true accept rate over false accept rate, on a logarithmic axis."""
    far, tar = np.asarray(points, np.float64).T
    figure, (axes,) = _figure(1, width=4.4, height=3.4)
    shown = far > 0
    axes.step(far[shown], tar[shown], where="post", color=COLOURS[0], linewidth=1.6)
    axes.plot(far[shown], far[shown], color=INK, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("false accept rate", fontsize=9, color=INK)
    _title(axes, "true accept rate (thin line: by chance)")
    return _save(figure, path)
