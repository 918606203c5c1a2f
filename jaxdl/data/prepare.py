"""What happens to arrays before anything is learned from them: checks, the split, and the scaling of inputs.

A split is a fixed draw: it depends on the rows alone, never on the seed of a run, so that two runs are compared on the same
examples. Means and standard deviations come from the training rows only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from jaxdl.data.arrays import as_array, is_text
from jaxdl.types import Batch, UserError


def check_inputs(x: np.ndarray, *, source: str, columns: Sequence[str] = ()) -> None:
    """`ValueError` that names the first row (and its column) with a value that is not finite."""
    if x.dtype.kind not in "fc":
        return
    bad = ~np.isfinite(x)
    if bad.any():
        row, *place = (int(i) for i in np.argwhere(bad)[0])
        column = f", column {columns[place[0]]!r}" if columns else f", position {tuple(place)}" if place else ""
        value = x[(row, *place)]
        raise UserError(f"{source}: {bad.sum()} values are not finite, the first ({value}) in row {row}{column}")


def check_labels(y: np.ndarray, *, classes: int, source: str, ignored: bool = False) -> Int[np.ndarray, "n"]:
    """The labels as int32; `ValueError` names the first that is no whole number from 0 to classes - 1.

    With `ignored`, -1 marks an example without a label.
    """
    y = as_array(y, f"{source}: labels")
    if y.ndim != 1 or is_text(y):
        raise UserError(f"{source}: labels must be class numbers (n,), got {y.dtype} {y.shape}")
    with np.errstate(invalid="ignore"):
        bad = (y < (-1 if ignored else 0)) | (y >= classes) | (y != np.floor(y))
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{source}: label {y[row]} of row {row} is not one of 0 … {classes - 1}{' or -1' if ignored else ''}"
        )
    return y.astype(np.int32)


@dataclass(frozen=True)
class Scale:
    """Raw values to [0, 1]: x / maximum, in float32; 255 for images of uint8."""

    maximum: float

    def __call__(self, batch: Batch) -> Batch:
        return {**batch, "x": jnp.asarray(batch["x"], jnp.float32) / self.maximum}


@dataclass(frozen=True)
class Standardise:
    """(x - mean) / std along the last axis (channels or columns), with the numbers of the training rows.

    In the type of `x`, so that a lower precision stays as it is.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, batch: Batch) -> Batch:
        x = batch["x"]
        mean, std = (jnp.broadcast_to(jnp.asarray(v, x.dtype), x.shape) for v in (self.mean, self.std))
        return {**batch, "x": (x - mean) / std}


def statistics(x: np.ndarray, *, maximum: float = 1.0) -> Standardise:
    """Mean and standard deviation of each channel or column of the training rows `x`, in units of `maximum`.

    Where all values are equal the deviation is 1, so that such a column becomes 0.
    """
    columns = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    if x.dtype == np.uint8:  # exact, and without a copy in floating point
        pieces = np.array_split(columns, 1 + columns.size // 2**20)  # bincount copies to int64: keep that in the cache
        count = sum(np.stack([np.bincount(c, minlength=256) for c in p.T]) for p in pieces) / len(columns)
        mean = count @ np.arange(256.0)
        std = np.sqrt(np.maximum(count @ np.arange(256.0) ** 2 - mean**2, 0))
    else:
        mean, std = columns.mean(0, dtype=np.float64), columns.std(0, dtype=np.float64)
    std = np.where(std > 1e-12 * (1 + np.abs(mean)), std, maximum)
    return Standardise(tuple((mean / maximum).tolist()), tuple((std / maximum).tolist()))
