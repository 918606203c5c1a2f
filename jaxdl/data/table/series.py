"""Time series: windows of one or many variables, from arrays or CSV files.

A window is `lookback` rows to read and the `horizon` rows behind them to forecast. The rows are cut into training, validation
and test in the order of time. Inputs of a later part may look back over its border, as a forecaster in use would; targets lie
inside their own part, means and deviations come from the training rows alone, so nothing that is tested on was learned from.

Only the series is kept in memory and on the device: a window is its number, gathered inside the compiled step.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.counts import check_counts
from jaxdl.data import files, prepare
from jaxdl.data.arrays import as_array, check_resolution
from jaxdl.data.order import rows_of_step
from jaxdl.data.source import InMemory
from jaxdl.data.splits import FRACTIONS, borders
from jaxdl.data.table.csv import read_csv
from jaxdl.data.table.delimited import line_of
from jaxdl.data.table.stamps import Place, check_time
from jaxdl.types import Batch, UserError

Fill = Literal["previous"] | None


@dataclass(frozen=True, eq=False)
class SeriesWindows(InMemory):
    """Windows over the rows of a series: `x` `(lookback, columns)` and `y` `(horizon, targets)`, in their units.

    Args:
        lookback, horizon: rows to read, rows to forecast.
        columns: names, those that are forecast first.
        center, scale: mean and standard deviation of each target over the training rows.
        fill: what happens to missing values of files that are read for predictions.
        time: the column of such files that must advance steadily; None: none is looked at.

    `splits` are views of the series, not copies of its windows.
    """

    lookback: int = 1
    horizon: int = 1
    columns: tuple[str, ...] = ()
    center: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    fill: Fill = None
    time: str | None = None
    format: Mapping[str, Any] = field(default_factory=dict)
    """How such files are written, see `csv.read_csv`."""
    rows: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    """split -> {"series": its rows, `lookback` earlier ones first}."""

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, np.ndarray]:
        return self.rows["train"]

    def train_batch(self, source: Mapping[str, Array], seed: Any, step: Any) -> Batch:
        first = rows_of_step(seed, step, self.batch, self.size("train"))
        return {**self.gather(source["series"], first), "mask": jnp.ones(self.batch, jnp.float32)}

    def eval_sources(self, split: str) -> Iterator[tuple[int, Mapping[str, np.ndarray]]]:
        yield -(-self.size(split) // self.batch), self.rows[split]

    def eval_batch(self, source: Mapping[str, Array], index: Any) -> Batch:
        count = len(source["series"]) - self.lookback - self.horizon + 1
        first = index * self.batch + jnp.arange(self.batch, dtype=jnp.int32)
        gathered = self.gather(source["series"], jnp.minimum(first, count - 1))
        return {**gathered, "mask": (first < count).astype(jnp.float32)}

    def gather(self, series: Float[Array, "rows columns"], first: Array) -> Batch:
        """The windows that begin at the rows `first`."""
        windows = series[first[:, None] + jnp.arange(self.lookback + self.horizon)[None]]
        return {"x": windows[:, : self.lookback], "y": windows[:, self.lookback :, : len(self.center)]}

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """The last `lookback` rows of a CSV file with the columns of this set: what comes behind them is the forecast."""
        table = timed(path, self.time, self.columns, self.format)
        values = filled(
            chosen_columns(table, self.columns, source=str(path)),
            self.columns,
            self.fill,
            source=str(path),
            place=counted_rows(path),
        )
        if len(values) < self.lookback:
            raise UserError(f"{path}: has {len(values)} rows, the model reads {self.lookback}")
        return {"x": values[-self.lookback :].astype(np.float32)[None]}


def windows(
    series: Float[np.ndarray, "rows columns"],
    *,
    lookback: int,
    horizon: int,
    batch: int,
    columns: Sequence[str] = (),
    targets: int | None = None,
    parts: Sequence[float] = (0.7, 0.1, 0.2),
    fill: Fill = None,
    name: str = "series",
) -> SeriesWindows:
    """A data set of the windows of one array, `(rows,)` or `(rows, columns)`.

    Args:
        lookback, horizon: rows to read, rows to forecast.
        batch: windows in a training step.
        columns: names.
        targets: how many of the first columns are forecast; None: all.
        parts: shares of training, validation and test, or their numbers of rows; rows behind them are left out.
        fill: "previous" puts the last value in the place of a missing one (a line between both neighbours would tell of the
            future); None: a missing value is an error.
        name: what the report calls the set.

    >>> data = windows(np.arange(20.0), lookback=3, horizon=2, batch=4, parts=(10, 5, 5))
    >>> data.splits["validation"]["x"][0, :, 0].tolist(), data.splits["validation"]["y"][0, :, 0].tolist()
    ([7.0, 8.0, 9.0], [10.0, 11.0])
    """
    values = as_array(series, name)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.shape[1] or values.dtype.kind not in "fiu":
        raise UserError(
            f"{name}: a series must be numbers (rows,) or (rows, columns), got {values.dtype} {values.shape}"
        )
    columns = tuple(columns) or tuple(f"series {i}" for i in range(values.shape[1]))
    if len(columns) != values.shape[1]:
        raise UserError(f"{name}: {len(columns)} names for {values.shape[1]} columns")
    check_counts(lookback=lookback, horizon=horizon, batch=batch, targets=targets)
    targets = len(columns) if targets is None else targets
    if not 1 <= targets <= len(columns):
        raise UserError(f"{name}: targets = {targets} must lie between 1 and {len(columns)}, the columns")
    values = filled(values.astype(np.float64), columns, fill, source=name)
    edges = borders(len(values), lookback, horizon, parts, source=name)
    fitted = prepare.statistics(values[: edges[1]])
    check_resolution(values[: edges[1]], source=name, columns=columns)
    values = np.ascontiguousarray(values, np.float32)
    rows, splits = {}, {}
    for part, start, stop in zip(FRACTIONS, edges, edges[1:], strict=False):
        piece = values[max(start - lookback, 0) : stop]
        view = np.lib.stride_tricks.sliding_window_view(piece, lookback + horizon, axis=0).swapaxes(1, 2)
        rows[part] = {"series": piece}
        splits[part] = {"x": view[:, :lookback], "y": view[:, lookback:, :targets]}
    counts = " / ".join(f"{len(splits[part]['x'])} {part}" for part in splits)
    places = ", ".join(f"{part} rows {edges[i] + 1}-{edges[i + 1]}" for i, part in enumerate(splits))
    return SeriesWindows(
        splits=splits,
        batch=batch,
        standardise=fitted,
        name=name,
        split=f"{counts} windows; targets in {places}, in the order of time; inputs may look back over a border",
        lookback=lookback,
        horizon=horizon,
        columns=columns,
        center=fitted.mean[:targets],
        scale=fitted.std[:targets],
        fill=fill,
        rows=rows,
    )


def csv(
    path: str | Path,
    *,
    lookback: int,
    horizon: int,
    batch: int,
    columns: Sequence[str] = (),
    targets: Sequence[str] = (),
    time: str | None = None,
    parts: Sequence[float] = (0.7, 0.1, 0.2),
    fill: Fill = None,
    delimiter: str | None = None,
    decimal: str = ".",
    thousands: str = "",
) -> SeriesWindows:
    """A data set of the windows of a CSV file with a header, its rows in the order of time.

    Args:
        path: the file, in UTF-8.
        columns: which to read; none: all columns of numbers.
        targets: which of them to forecast; none: all that are read.
        time: a column of dates or numbers that must advance by one and the same step, see `check_time`: a missing row is found
            there, also in files that are read for predictions.
        lookback, horizon, batch, parts, fill: as in `windows`.
        delimiter, decimal, thousands: how the file is written, see `csv.read_csv`; a delimiter of None is found.
    """
    path = files.existing(path)
    stamp = path.stat().st_mtime_ns, path.stat().st_size  # a file that was edited is read again
    form = (("delimiter", delimiter), ("decimal", decimal), ("thousands", thousands))
    return _csv(path, stamp, lookback, horizon, batch, tuple(columns), tuple(targets), time, tuple(parts), fill, form)


@cache
def _csv(path, stamp, lookback, horizon, batch, columns, targets, time, parts, fill, form) -> SeriesWindows:
    table = timed(path, time, {*columns, *targets} if columns else None, dict(form))
    names = columns or tuple(name for name, cells in table.items() if cells.dtype.kind == "f" and name != time)
    if not names:
        raise UserError(f"{path}: has no column of numbers")
    targets = tuple(dict.fromkeys(targets))
    names = tuple(dict.fromkeys((*targets, *names)))
    values = filled(
        chosen_columns(table, names, source=str(path)), names, fill, source=path.name, place=counted_rows(path)
    )
    options = dict(lookback=lookback, horizon=horizon, batch=batch, parts=parts, fill=fill)
    data = windows(values, columns=names, targets=len(targets) or None, name=path.name, **options)
    return replace(data, time=time, format=dict(form))


def sunspots(*, lookback: int, horizon: int, batch: int) -> SeriesWindows:
    """Monthly mean sunspot numbers from January 1749 to June 2009; a cycle takes about 132 months.

    70 % of the months are for training (to 1931), 10 % for validation (to 1957), the rest for test. Source: National Geophysical
    Data Center, public domain; see `bundled/make_sunspots.py`.
    """
    return csv(files.BUNDLED / "sunspots.csv", lookback=lookback, horizon=horizon, batch=batch, time="month")


# -- checks -----------------------------------------------------------------------------------------------------------


def chosen_columns(table: Mapping[str, np.ndarray], names: Sequence[str], *, source: str) -> np.ndarray:
    """Columns of a table side by side; UserError where one is missing or holds no numbers."""
    for name in names:
        if name not in table:
            raise UserError(f"{source}: has no column {name!r}; it has {', '.join(table)}")
        if table[name].dtype.kind != "f":
            raise UserError(f"{source}: column {name!r} holds {str(table[name][0])!r}, not numbers")
    return np.stack([table[name] for name in names], -1)


def filled(
    values: np.ndarray,
    columns: Sequence[str],
    fill: Fill,
    *,
    source: str,
    place: Place = lambda row: f"row {row + 1}",
) -> np.ndarray:
    """The values without gaps: an error names the first row (counted from 1) that misses one, or it is filled as asked."""
    if fill not in (None, "previous"):
        raise UserError(f"fill = {fill!r} is not 'previous' or None")
    bad = ~np.isfinite(values)
    if not bad.any():
        return values
    last = np.maximum.accumulate(np.where(bad, -1, np.arange(len(values))[:, None]), axis=0)
    if fill == "previous" and last.min() >= 0:
        return np.take_along_axis(values, last, axis=0)
    row, column = np.argwhere(bad)[0]  # where any gap has nothing before it, the first one is such
    begun = (last >= 0).all(1)
    hint = "fill = 'previous' repeats the value before"
    if last[row, column] < 0:
        hint = "there is nothing before it to fill in: "
        hint += (
            f"begin the file at {place(int(begun.argmax()))}" if begun.any() else "leave out columns without any value"
        )
    raise UserError(f"{source}: {place(row)} has no value in {columns[column]!r} ({bad.sum()} gaps in all): {hint}")


def timed(
    path: str | Path, time: str | None, columns: Collection[str] | None, form: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Some columns of a CSV file, or all, and its column `time`, if one is named, which advances steadily."""
    some = None if columns is None else {*columns, *([time] if time else [])}
    table = read_csv(path, columns=some, **form)
    if time is not None and time not in table:
        raise UserError(f"{path}: has no column {time!r}; it has {', '.join(table)}")
    if time is not None:
        check_time(table[time], source=f"{path}, column {time!r}", place=counted_rows(path))
    return table


def counted_rows(path: str | Path) -> Place:
    """The rows of a CSV file counted from 1, its empty lines among them."""
    return lambda row: f"row {line_of(path, int(row) + 1) - 1}"
