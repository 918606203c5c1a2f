"""Tables in memory: columns of cells, wherever they come from, become a data set with what a prediction needs."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxdl.data import prepare
from jaxdl.data.arrays import check_device, check_resolution
from jaxdl.data.source import InMemory
from jaxdl.data.splits import split_rows
from jaxdl.data.table.csv import read_csv
from jaxdl.data.table.delimited import empty_lines
from jaxdl.data.table.encoder import TableEncoder, doubtful, offset_of
from jaxdl.data.table.named import has_names, table_cells
from jaxdl.data.table.notation import parsed_number
from jaxdl.data.table.stamps import Place, as_days, at_row
from jaxdl.data.text.tokenizers import home
from jaxdl.data.walker import Note
from jaxdl.types import UserError


@dataclass(frozen=True, eq=False)
class Table(InMemory):
    """A set in memory whose inputs have named columns.

    `center` and `scale` are mean and standard deviation of the training targets of a regression (0 and 1 for classes): a
    network learns (y - center) / scale and answers in the units of y. Targets that float32 would merge are held less `offset`, as
    columns may be (`TableEncoder`): predictions and reports have it added again.
    """

    columns: tuple[str, ...] = ()
    target: str = ""
    center: float = 0.0
    scale: float = 1.0
    offset: float = 0.0
    encoder: TableEncoder = field(default_factory=lambda: TableEncoder({}))
    dates: Mapping[str, str] = field(default_factory=dict)
    format: Mapping[str, str] = field(default_factory=dict)
    """`delimiter`, `decimal` and `thousands` of the files that are read for predictions, see `csv.read_csv`."""
    unseen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """split -> sentences on its categories that training never saw."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that a prediction needs."""
        return (*self.encoder.medians, *self.encoder.categories)

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """The inputs of a CSV file with the columns of this set, for predictions; other columns may hold anything."""
        names = {*self.encoder.categories, *self.dates}
        cells = read_csv(path, names=names, columns=self.wanted, **self.format)
        if empty := empty_lines(path, self.format.get("delimiter")):
            where = f"line {empty[0]}" + (f" and {len(empty) - 1} more" if len(empty) > 1 else "")
            warnings.warn(f"{path}: {where}: empty, and left out: predictions are numbered without", Note, stacklevel=2)
        return self._encoded(cells, str(path))

    def as_inputs(self, x: Any) -> np.ndarray:
        """Rows of numbers; or a frame, a mapping of columns or a list of mappings with the columns of this set.

        In a column with an offset an array may hold its own values or those of `splits`, whichever they are nearer to.
        """
        if has_names(x):
            return self._encoded(
                table_cells(x, self.wanted, name="inputs", dates=self.dates, names=self.encoder.categories), "inputs"
            )["x"]
        x = super().as_inputs(x)
        offsets = np.array([self.encoder.offsets.get(name, 0.0) for name in self.columns])
        if not offsets.any() or x.shape[-1:] != offsets.shape:
            return x
        return np.where(np.abs(x - offsets) < np.abs(x), x - offsets, x)

    def in_units(self, values: Any) -> Any:
        if not self.offset:
            return values
        if isinstance(values, Mapping):
            return {k: np.asarray(v, np.float64) + self.offset if k == "value" else v for k, v in values.items()}
        return np.asarray(values, np.float64) + self.offset

    @property
    def merged(self) -> tuple[str, ...]:
        return (*self.encoder.offsets, *([self.target] if self.offset else ()))

    def _encoded(self, cells: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
        cells = with_days(cells, self.dates, source=source)
        inputs = self.encoder(cells, source=source)
        prepare.check_inputs(inputs["x"], source=source, columns=self.encoder.names)
        if unseen := self.encoder.unseen(cells):
            warnings.warn(f"{source}: {unseen}: for the model they are of no category", Note, stacklevel=4)
        return inputs

    def notes_on(self, split: str) -> tuple[str, ...]:
        return (*super().notes_on(split), *self.unseen.get(split, ()))


def with_days(
    cells: Mapping[str, np.ndarray], dates: Mapping[str, str], *, source: str, place: Place = at_row
) -> dict[str, np.ndarray]:
    """The columns, those of `dates` as days since 1970."""
    found = {name: form for name, form in dates.items() if name in cells}
    return {**cells, **{n: as_days(cells[n], f, source=f"{source}, {n!r}", place=place) for n, f in found.items()}}


def assemble(cells, y, rows, encoder, *, batch, name, source, classes, target, split, **rest) -> Table:
    """The arrays of each split, and what standardises them, from the values in float64."""
    if classes:
        y, offset = prepare.check_labels(y, classes=len(classes), source=source), 0.0
    else:
        y = np.asarray(y, np.float64)
        what = f"{source}, target {target!r}"
        prepare.check_inputs(y, source=what)
        offset = offset_of(y[rows["train"]])
        check_device(y - offset, source=what)
    parts = {part: {n: c[r] for n, c in cells.items()} for part, r in rows.items()}
    fitted = []
    for column, values in zip(encoder.medians, encoder.numbers(parts["train"], source=source), strict=True):
        check_resolution(values[:, None], source=source, columns=[column])
        fitted.append(prepare.statistics(values[:, None]))
    plain = len(encoder.names) - len(fitted)
    values = np.zeros(1) if classes else y[rows["train"]] - offset
    splits = {part: encoder(parts.pop(part), source=source) for part in rows}
    for part, arrays in splits.items():
        arrays["y"] = y[rows[part]] if classes else (y[rows[part]] - offset).astype(np.float32)
    less = {**encoder.offsets, **({target: offset} if offset else {})}
    return Table(
        splits=splits,
        batch=batch,
        standardise=prepare.Standardise(
            (*(one.mean[0] for one in fitted), *(0.0,) * plain), (*(one.std[0] for one in fitted), *(1.0,) * plain)
        ),
        name=name,
        split=split + "".join(f"; {column!r} is held less {value:.15g}" for column, value in less.items()),
        classes=tuple(classes),
        columns=encoder.names,
        target=target,
        center=float(values.mean()),
        scale=float(values.std()) or 1.0,
        offset=offset,
        encoder=encoder,
        **rest,
    )


def of_cells(
    cells: Mapping[str, np.ndarray],
    *,
    target: str,
    batch: int,
    name: str,
    source: str,
    kind: str = "auto",
    codes: bool = False,
    categorical: Sequence[str] = (),
    dates: Mapping[str, str] | None = None,
    rows: Mapping[str, Int[np.ndarray, "part"]] | None = None,
    split: str = "",
    place: Place = at_row,
    **rest: Any,
) -> Table:
    """A data set from columns of numbers (float64, NaN is missing) and of names ("" is missing); see `csv`.

    `rows` are those of each split, with `split`, a sentence on them; None: they are drawn. `place` says where a row stands.
    """
    dates = dict(dates or {})
    cells = with_days(cells, dates, source=source, place=place)
    y = cells[target]
    inputs = {column: values for column, values in cells.items() if column != target}
    if not inputs:
        raise UserError(f"{source}: has no column but the target {target!r}")
    missing = np.isnan(y) if y.dtype.kind == "f" else y == ""
    if missing.any():
        many, first = missing.sum(), place(int(missing.argmax()))
        raise UserError(f"{source}: the target {target!r} is missing in {many} rows, first in {first}")
    if kind == "values" and y.dtype.kind != "f":
        raise UserError(f"{source}: the target {target!r} holds names ({str(y[0])!r}), not values")
    check_words(cells, target, kind, (*categorical, *dates), source=source)
    classes = [] if y.dtype.kind == "f" else sorted(set(y.tolist()), key=_order)
    number = {label: i for i, label in enumerate(classes)}
    y = np.array([number[label] for label in y.tolist()]) if classes else y
    if len(classes) == 1:
        raise UserError(f"{source}: the target {target!r} has one class only, {classes[0]!r}")
    if rows is None:  # rows are compared as they stand there, so that the split knows nothing of the encoding
        rows, split = split_rows([*inputs.values()], y if classes else None, source=source)
    encoder = TableEncoder.fit(inputs, rows["train"], codes=codes)
    words = {column: inputs[column] for column in encoder.categories}
    found = {part: encoder.unseen({c: v[r] for c, v in words.items()}) for part, r in rows.items()}
    return assemble(
        inputs,
        y,
        rows,
        encoder,
        batch=batch,
        name=name,
        source=source,
        classes=classes,
        target=target,
        split=split,
        dates=dates,
        unseen={part: (sentence,) for part, sentence in found.items() if sentence},
        **rest,
    )


def check_words(cells: Mapping[str, np.ndarray], target: str, kind: str, known: Sequence[str], *, source: str) -> None:
    """UserError that names the columns of words that are hardly categories (`doubtful`).

    Not where a run is loaded, which may have learned from them.
    """
    if home() is not None:
        return
    words = {column: values for column, values in cells.items() if values.dtype.kind != "f" and column not in known}
    problems = {c: what for c, v in words.items() if (what := doubtful(v, notation=c != target or kind == "auto"))}
    if target in problems:
        raise UserError(f"{source}: the target {target!r} {problems[target]}: these are hardly classes")
    if problems:
        found = "; ".join(f"column {column!r} {what}" for column, what in problems.items())
        raise UserError(f"{source}: {found}: leave such columns out (ignore, x), or list them as categorical")


def _order(name: str) -> tuple[float, str]:
    """8, 9, 10, then words."""
    number = parsed_number(name)
    return (math.inf if number is None else number), name
