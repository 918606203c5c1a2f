"""What happens to arrays before anything is learned from them: checks, the split, and the scaling of inputs.

A split is a fixed draw: it depends on the rows alone, never on the seed of a run, so that two runs are compared on the same
examples. Means and standard deviations come from the training rows only.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from jaxdl.data.arrays import as_array, is_text
from jaxdl.types import Batch, UserError

FRACTIONS = {"train": 0.7, "validation": 0.15, "test": 0.15}


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


def split_rows(
    x: np.ndarray,
    strata: np.ndarray | None = None,
    fractions: Mapping[str, float] = FRACTIONS,
    *,
    source: str = "the data",
) -> tuple[dict[str, Int[np.ndarray, "rows"]], str]:
    """Rows by part, disjoint and complete, and a sentence for the report. Each stratum (class) is divided alike.

    Rows with equal inputs stay in one part: a test example that was trained on tests nothing. But where more than a tenth of the
    rows repeat others (a table of few categories), they are ordinary and are drawn like all.

    >>> rows, sentence = split_rows(np.arange(100.0))
    >>> sentence
    '70 train / 15 validation / 15 test: one random draw for every seed; equal rows stay together'
    """
    n = len(x)
    strata = np.zeros(n, int) if strata is None else np.asarray(strata)
    first: dict[bytes, int] = {}
    group = np.array([first.setdefault(_digest(row), i) for i, row in enumerate(x)], int)
    together = n - len(first) <= n / 10
    group = group if together else np.arange(n)
    # RandomState, because its stream is frozen: the same rows with every version of NumPy
    order = np.random.RandomState(0).permutation(np.flatnonzero(group == np.arange(n)))
    place = np.zeros(n)
    for stratum in np.unique(strata[order]):
        members = order[strata[order] == stratum]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    edges = np.cumsum(list(fractions.values()))
    part = np.searchsorted(edges[:-1] / edges[-1], place[group], side="right")
    rows = {name: np.flatnonzero(part == i) for i, name in enumerate(fractions)}
    empty = [name for name, members in rows.items() if not len(members)]
    if empty:
        raise UserError(f"{source}: {n} rows are too few, nothing is left for {' and '.join(empty)}")
    sizes = " / ".join(f"{len(members)} {name}" for name, members in rows.items())
    by_class = ", stratified by class" if len(np.unique(strata)) > 1 else ""
    repeats = "; equal rows stay together" if together else f"; {n - len(first)} rows repeat others"
    return rows, f"{sizes}: one random draw for every seed{by_class}{repeats}"


Arrays = dict[str, np.ndarray]


def with_all_parts(parts: Mapping[str, Arrays], *, source: str) -> tuple[dict[str, Arrays], str]:
    """Training, validation and test, and a sentence on them. Those that are not given are drawn from the training rows.

    A tenth for validation where there is a test set, else `FRACTIONS`; each class alike where `y` is one class number a row.
    """
    drawn = {part: share for part, share in FRACTIONS.items() if part not in parts or part == "train"}
    if len(drawn) == 1:
        return dict(parts), "train, validation and test as given"
    whole = parts["train"]
    labels = whole.get("y")
    strata = labels if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu" else None
    fractions = drawn if "test" in drawn else {"train": 0.9, "validation": 0.1}
    rows, sentence = split_rows(whole["x"], strata, fractions, source=source)
    made = {**parts, **{part: {key: value[r] for key, value in whole.items()} for part, r in rows.items()}}
    sentence += "".join(f"; {len(made[part]['x'])} {part} as given" for part in FRACTIONS if part not in rows)
    return {part: made[part] for part in FRACTIONS}, sentence


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


def _digest(row: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()
