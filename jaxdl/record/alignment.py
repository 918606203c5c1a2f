"""Spectrograms of recordings with the output of a CTC model at each frame."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.record.plots import COLOURS, INK, Figure, PathLike, _save


def ctc_alignment(
    spectrogram: Any,
    posterior: Any,
    frames: Any,
    symbols: Sequence[str],
    titles: Sequence[str],
    path: PathLike,
    *,
    columns: int = 2,
) -> Path:
    """Draw spectrograms and above them the probability of every symbol; the blank is grey.

    Args:
        spectrogram: `(n, time, mels)`.
        posterior: `(n, frames, classes)`, class 0 the blank.
        frames: `(n, 2)`, the lengths of spectrogram and posterior without padding.
        symbols: names of the classes.
        titles: a line for each recording.
        path: the PNG.
        columns: recordings side by side.
    """
    spectrogram, posterior, frames = (np.asarray(a) for a in (spectrogram, posterior, frames))
    columns = min(columns, len(spectrogram))
    rows = -(-len(spectrogram) // columns)
    figure = Figure(figsize=(4.6 * columns, 2.1 * rows + 0.2), layout="constrained")
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[1, 0.8] * rows)
    for i, (picture, p, (time, steps)) in enumerate(zip(spectrogram, posterior, frames, strict=True)):
        row, column = divmod(i, columns)
        above, below = (figure.add_subplot(grid[2 * row + k, column]) for k in (0, 1))
        above.imshow(picture[:time].T, origin="lower", aspect="auto", cmap="magma", extent=(0, time, 0, 1))
        above.set(xticks=[], yticks=[], xlim=(0, time))
        above.set_title(str(titles[i]) or "(nothing)", loc="left", fontsize=9, color=INK)
        centres = (np.arange(steps) + 0.5) * time / steps
        below.fill_between(centres, p[:steps, 0], color="#E8E8E8", linewidth=0)
        # a symbol is named at the top of each of its peaks
        for c in np.flatnonzero(p[:steps, 1:].max(0) > 0.3) + 1:
            colour, curve = COLOURS[(c - 1) % len(COLOURS)], p[:steps, c]
            below.plot(centres, curve, color=colour, linewidth=1.4)
            for top in np.flatnonzero((curve > 0.3) & (curve >= np.roll(curve, 1)) & (curve > np.roll(curve, -1))):
                below.annotate(
                    str(symbols[c]), (centres[top], curve[top]), (0, 2), textcoords="offset points",
                    ha="center", fontsize=9, color=colour, fontweight="bold",
                )  # fmt: skip
        below.set(xlim=(0, time), ylim=(0, 1.25), xticks=[], yticks=[0, 1])
        below.tick_params(labelsize=7, colors=INK, length=2)
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, path)
