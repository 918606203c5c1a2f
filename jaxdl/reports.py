"""What a task's report may hold beside numbers: pictures, notes and tables, as values that say what they are.

    def report(self, outputs, targets):
        return {"dice": dice, "overlap": Images(pixels, title="Predictions"), "notes": Notes(("class 3 is absent",))}

`record/` draws every picture by its type, under the name that the report gives it. A picture of one's own is a subclass of
`Picture` with a method `draw(path)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Picture:
    """Something to draw. Subclasses add the arrays; `title` is the caption, `film`: drawn at every evaluation, too."""

    title: str = field(default="", kw_only=True)
    film: bool = field(default=False, kw_only=True)

    def draw(self, path: Path) -> Path | None:
        """Write a PNG to `path` and return it; None if there is nothing to see. Only for types that `record/` does not know."""
        raise NotImplementedError(f"{type(self).__name__} needs a method draw(path)")  # `record/` draws the types below

    def arrays(self) -> dict[str, Any]:
        """The fields that are drawn, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("title", "film")}

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The first field, so that NumPy takes a picture of one array for that array."""
        return np.asarray(next(iter(self.arrays().values())), dtype)


@dataclass(frozen=True, eq=False)
class Matrix(Picture):
    """Counts `(classes, classes)`: rows are true classes, columns predicted ones.

    With `classes`, class numbers, it has these rows and columns only, and a last column for all other predictions.
    """

    counts: np.ndarray
    classes: np.ndarray | None = None
    title: str = field(default="Confusion matrix", kw_only=True)


@dataclass(frozen=True, eq=False)
class Bars(Picture):
    """One value per class, `(classes,)`; with `classes`, of the classes with these numbers only."""

    values: np.ndarray
    label: str = "accuracy"
    classes: np.ndarray | None = None
    title: str = field(default="Accuracy by class", kw_only=True)


@dataclass(frozen=True, eq=False)
class Reliability(Picture):
    """Bins of predictions, rows of (mean confidence, accuracy, count)."""

    bins: np.ndarray
    title: str = field(default="Reliability: accuracy against confidence", kw_only=True)


@dataclass(frozen=True, eq=False)
class Misclassified(Picture):
    """Rows of the split that are wrong, the most confident first, with their predicted and true classes; drawn for images."""

    rows: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    title: str = field(default="Misclassified, the most confident first: predicted (true)", kw_only=True)


@dataclass(frozen=True, eq=False)
class Scatter(Picture):
    """Predicted against true values, of the same shape."""

    predicted: np.ndarray
    true: np.ndarray
    title: str = field(default="Predicted against true", kw_only=True)


@dataclass(frozen=True, eq=False)
class Curve(Picture):
    """Points `(n, 2)`: false accept rate (drawn on a logarithmic axis) and true accept rate."""

    points: np.ndarray
    title: str = field(default="Verification: true accepts over false accepts", kw_only=True)


@dataclass(frozen=True, eq=False)
class ImageGrid(Picture):
    """Images `(n, height, width, 1 or 3)`, in [0, 1] or uint8."""

    pixels: np.ndarray
    film: bool = field(default=True, kw_only=True)


@dataclass(frozen=True, eq=False)
class Points(Picture):
    """Points in the plane `(n, 2)`: those that were made over those of the data."""

    made: np.ndarray
    real: np.ndarray
    title: str = field(default="Points: made ones over the data's", kw_only=True)
    film: bool = field(default=True, kw_only=True)


@dataclass(frozen=True, eq=False)
class Codes(Picture):
    """Codes of examples in the plane `(n, 2)`, their labels `(n,)`, and the names of the two axes."""

    points: np.ndarray
    labels: np.ndarray
    axes: Sequence[str] = ("", "")
    title: str = field(default="The codes of the examples", kw_only=True)
    film: bool = field(default=True, kw_only=True)


@dataclass(frozen=True, eq=False)
class Embeddings(Picture):
    """Embeddings in the plane: rows of (x, y, class number)."""

    points: np.ndarray
    title: str = field(default="Where the classes lie", kw_only=True)


@dataclass(frozen=True, eq=False)
class Neighbours(Picture):
    """`(queries, 1 + neighbours, 2)`: the query and its nearest rows of the split, and their classes; drawn for images."""

    rows: np.ndarray
    title: str = field(default="Nearest neighbours of the image on the left", kw_only=True)


@dataclass(frozen=True, eq=False)
class FrameAlignment(Picture):
    """What a CTC model says at each frame.

    spectrogram `(n, time, mels)`, posterior `(n, frames, classes)`, how many of each are real `(n, 2)`, names of the classes, a
    line for each recording.
    """

    spectrogram: np.ndarray
    posterior: np.ndarray
    frames: np.ndarray
    symbols: Sequence[str]
    titles: Sequence[str]
    title: str = field(default="What the model says at each frame of a recording (grey: nothing new)", kw_only=True)


@dataclass(frozen=True, eq=False)
class Attention(Picture):
    """Weights `(n, target, source)` with the tokens of both sides `(n, source)`, `(n, target)`; "" is padding."""

    weights: np.ndarray
    source: np.ndarray
    target: np.ndarray
    title: str = field(default="Attention: the source (above) at every token that is written (downwards)", kw_only=True)


@dataclass(frozen=True, eq=False)
class Forecasts(Picture):
    """Windows of a series: their rows in the split `(n,)`, forecasts and truth `(n, horizon, targets)`, quantiles or None."""

    rows: np.ndarray
    value: np.ndarray
    true: np.ndarray
    quantile: np.ndarray | None = None
    title: str = field(default="Forecasts", kw_only=True)


@dataclass(frozen=True)
class Notes:
    """Sentences for the report: what has gone wrong, what a number was measured with."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Rows:
    """A table for the report: a header and rows of cells."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""


def as_json(value: Any) -> Any:
    """A value of a report as JSON holds it."""
    if isinstance(value, Picture):
        arrays = {name: as_json(a) for name, a in value.arrays().items() if a is not None}
        return next(iter(arrays.values())) if len(arrays) == 1 else arrays
    if isinstance(value, Notes):
        return list(value.lines)
    if isinstance(value, Rows):
        return [list(map(str, row)) for row in value.rows]
    return np.asarray(value).tolist() if value is not None else None
