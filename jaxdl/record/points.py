"""Points in the plane: generated ones over real ones."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.plots import COLOURS, INK, PathLike, _figure, _save, _title


def points(made: Any, real: Any, path: PathLike, *, title: str = "") -> Path:
    """Draw generated points `(n, 2)` over real ones in grey; the axes fit the real points, so that they are fixed in films."""
    made, real = np.asarray(made, np.float64), np.asarray(real, np.float64)
    figure, (axes,) = _figure(1, width=4.2, height=4.4)
    for xy, colour, name in ((real, "#BBBBBB", "data"), (made, COLOURS[1], "generated")):
        axes.scatter(*xy.T, s=7, color=colour, alpha=0.5, linewidths=0, label=name, rasterized=True)
    middle, half = (real.max(0) + real.min(0)) / 2, 0.65 * (real.max(0) - real.min(0)).max() or 1.0
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    axes.set_aspect("equal", adjustable="box")
    axes.grid(False)
    axes.legend(loc="upper right", fontsize=8, frameon=False, labelcolor=INK, markerscale=2)
    _title(axes, title)
    return _save(figure, path)
