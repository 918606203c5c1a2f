"""Tables: four small real sets that come with scikit-learn, and any CSV file.

The arrays keep the raw values in their units; `standardise` is part of the compiled step, so that a prediction takes raw rows
too. The split is fixed: see `split_rows`.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from jaxdl.data import files, prepare
from jaxdl.data.arrays import as_array, check_device, encoded_labels, is_text
from jaxdl.data.source import InMemory
from jaxdl.data.splits import split_rows
from jaxdl.data.table.csv import read_csv
from jaxdl.data.table.encoder import TableEncoder
from jaxdl.data.table.named import has_names, table_cells
from jaxdl.data.table.notation import parsed_number
from jaxdl.types import UserError


@dataclass(frozen=True, eq=False)
class Table(InMemory):
    """A set in memory whose inputs have named columns.

    `center` and `scale` are mean and standard deviation of the training targets of a regression (0 and 1 for classes): a
    network learns (y - center) / scale and answers in the units of y.
    """

    columns: tuple[str, ...] = ()
    target: str = ""
    center: float = 0.0
    scale: float = 1.0
    encoder: TableEncoder | None = None
    delimiter: str = ","
    unseen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """split -> sentences on its categories that training never saw."""

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """The inputs of a CSV file with the columns of this set (a target column is not needed), for predictions."""
        names = self.encoder.categories if self.encoder else ()
        return self._encoded(read_csv(path, names=names, delimiter=self.delimiter), str(path))

    def as_inputs(self, x: Any) -> np.ndarray:
        """Rows of numbers; or a frame, a mapping of columns or a list of mappings with the columns of this set."""
        if not has_names(x):
            return super().as_inputs(x)
        wanted = (*self.encoder.medians, *self.encoder.categories) if self.encoder else self.columns
        return self._encoded(table_cells(x, wanted, name="inputs"), "inputs")["x"]

    def _encoded(self, cells: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
        encoder = self.encoder or TableEncoder(dict.fromkeys(self.columns, float("nan")), (), {})
        inputs = encoder(cells, source=source)
        prepare.check_inputs(inputs["x"], source=source, columns=encoder.names)
        if unseen := encoder.unseen(cells):
            warnings.warn(f"{source}: {unseen}: for the model they are of no category", stacklevel=4)
        return inputs

    def notes_on(self, split: str) -> tuple[str, ...]:
        return (*super().notes_on(split), *self.unseen.get(split, ()))


def table(
    x: Float[np.ndarray, "n columns"],
    y: np.ndarray,
    *,
    batch: int,
    name: str,
    columns: Sequence[str] = (),
    classes: Sequence[str] = (),
    target: str = "",
) -> Table:
    """A data set of the rows of two arrays: 70 % training, 15 % validation, 15 % test.

    Args:
        x: inputs in their units, all finite.
        y: (n,) class numbers where `classes` are given, else values.
        batch: examples in a training step.
        name: what the report calls the set.
        columns: names of the columns of `x`.
        classes: names of the classes; none: regression.
        target: the name of what is predicted.
    """
    x, y = as_array(x, f"{name}: x"), as_array(y, f"{name}: y")
    if is_text(x):
        raise UserError(f"{name}: x holds text; columns of names are taken by jaxdl.data.table.columns.from_columns")
    if is_text(y):
        numbers, classes = encoded_labels({"y": y}, classes, source=name)
        y = numbers["y"]
    check_device(x, source=name, columns=columns)
    x = x.astype(np.float32)
    if x.ndim != 2 or len(x) != len(y):
        raise UserError(f"{name}: inputs must be (n, columns) and targets (n,), got {x.shape} and {y.shape}")
    rows, split = split_rows(x, y if classes else None, source=name)
    inputs = {"x": x}
    return _assemble(
        inputs, y, rows, split=split, batch=batch, name=name, columns=columns, classes=classes, target=target
    )


def _assemble(inputs, y, rows, *, batch, name, columns, classes, target, plain=0, **rest) -> Table:
    """`plain`: how many of the last columns are 0 or 1 and stay so."""
    prepare.check_inputs(inputs["x"], source=name, columns=columns)
    if classes:
        y = prepare.check_labels(y, classes=len(classes), source=name)
    else:
        check_device(y.astype(np.float64), source=f"{name}, target {target!r}")
        y = y.astype(np.float32)
        prepare.check_inputs(y, source=f"{name}, target {target!r}")
    values = y[rows["train"]].astype(np.float64)
    center, scale = (0.0, 1.0) if classes else (float(values.mean()), float(values.std()) or 1.0)
    numeric = inputs["x"].shape[1] - plain
    fitted = prepare.statistics(inputs["x"][rows["train"]][:, :numeric])
    return Table(
        splits={part: {k: v[r] for k, v in (inputs | {"y": y}).items()} for part, r in rows.items()},
        batch=batch,
        standardise=prepare.Standardise(fitted.mean + (0.0,) * plain, fitted.std + (1.0,) * plain),
        name=name,
        classes=tuple(classes),
        columns=tuple(columns),
        target=target,
        center=center,
        scale=scale,
        **rest,
    )


def csv(
    path: str | Path,
    *,
    target: str,
    batch: int,
    kind: Literal["auto", "classes", "values"] = "auto",
    categorical: Sequence[str] = (),
    ignore: Sequence[str] = (),
    encode: Literal["onehot", "codes"] = "onehot",
    delimiter: str = ",",
) -> Table:
    """A data set from a CSV file with a header.

    Columns of numbers are standardised with the training rows; missing cells and categories: see `TableEncoder`.

    Args:
        path: the file, in UTF-8.
        target: the column to predict; it may miss nothing.
        batch: examples in a training step.
        kind: whether the target is a class or a value; auto: a class if it holds names.
        categorical: columns of numbers that are names of categories; columns of words are anyway.
        ignore: columns to leave out (row numbers, names, whatever gives the target away).
        encode: categories one-hot in `x`, or as integers in `codes` for an embedding.
        delimiter: between cells.
    """
    if kind not in ("auto", "classes", "values"):
        raise UserError(f"kind = {kind!r} is not one of auto, classes, values")
    if encode not in ("onehot", "codes"):
        raise UserError(f"encode = {encode!r} is not one of onehot, codes")
    path = files.existing(path)
    stamp = path.stat().st_mtime_ns, path.stat().st_size  # a file that was edited is read again
    return _csv(path, stamp, target, batch, kind, tuple(categorical), tuple(ignore), encode == "codes", delimiter)


@cache
def _csv(path, stamp, target, batch, kind, categorical, ignore, codes, delimiter) -> Table:
    names = (*categorical, *ignore, target)
    names = names if kind == "classes" else names[:-1]
    cells = read_csv(path, names=names, delimiter=delimiter)
    if target not in cells:
        raise UserError(f"{path}: has no column {target!r} (target); it has {', '.join(cells)}")
    kept = {name: values for name, values in cells.items() if name not in ignore}
    return of_cells(
        kept, target=target, batch=batch, kind=kind, codes=codes, name=path.stem, source=str(path), delimiter=delimiter
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
    rows: Mapping[str, Int[np.ndarray, "part"]] | None = None,
    split: str = "",
    **rest: Any,
) -> Table:
    """A data set from columns of numbers (float64, NaN is missing) and of names ("" is missing); see `csv`.

    `rows` are those of each split, with `split`, a sentence on them; None: they are drawn.
    """
    y = cells[target]
    inputs = {column: values for column, values in cells.items() if column != target}
    if not inputs:
        raise UserError(f"{source}: has no column but the target {target!r}")
    missing = np.isnan(y) if y.dtype.kind == "f" else y == ""
    if missing.any():
        many, first = missing.sum(), missing.argmax()
        raise UserError(f"{source}: the target {target!r} is missing in {many} rows, first in row {first}")
    if kind == "values" and y.dtype.kind != "f":
        raise UserError(f"{source}: the target {target!r} holds names ({str(y[0])!r}), not values")
    classes = [] if y.dtype.kind == "f" else sorted(set(y.tolist()), key=_order)
    numbers = np.array([classes.index(label) for label in y]) if classes else y
    if len(classes) == 1:
        raise UserError(f"{source}: the target {target!r} has one class only, {classes[0]!r}")
    if rows is None:  # rows are compared as text, so that the split knows nothing of the encoding
        text = np.stack([values.astype(str) for values in inputs.values()], -1)
        rows, split = split_rows(text, numbers if classes else None, source=source)
    encoder = TableEncoder.fit(inputs, rows["train"], codes=codes)
    for column, median in encoder.medians.items():
        filled = np.where(np.isnan(inputs[column]), median, inputs[column])
        check_device(filled, source=f"{source}, column {column!r}")
    found = {part: encoder.unseen({c: v[r] for c, v in inputs.items()}) for part, r in rows.items()}
    return _assemble(
        encoder(inputs, source=source),
        numbers,
        rows,
        batch=batch,
        name=name,
        columns=encoder.names,
        classes=classes,
        target=target,
        plain=len(encoder.names) - len(encoder.medians),
        split=split,
        encoder=encoder,
        unseen={part: (sentence,) for part, sentence in found.items() if sentence},
        **rest,
    )


def _order(name: str) -> tuple[float, str]:
    """8, 9, 10, then words."""
    number = parsed_number(name)
    return (math.inf if number is None else number), name


BREAST_CANCER = tuple(
    f"{kind} {feature}" if kind != "error" else f"{feature} error"
    for kind in ("mean", "error", "worst")
    for feature in (
        *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points"),
        *("symmetry", "fractal dimension"),
    )
)
DIABETES = ("age", "sex", "bmi", "bp", "tc", "ldl", "hdl", "tch", "ltg", "glu")
WINE = (
    *("alcohol", "malic acid", "ash", "alcalinity of ash", "magnesium", "total phenols", "flavanoids"),
    *("nonflavanoid phenols", "proanthocyanins", "color intensity", "hue", "od280/od315 of diluted wines", "proline"),
)
IRIS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")


@cache
def breast_cancer(*, batch: int = 32) -> Table:
    """569 breast tumours, 30 measures of their cell nuclei: malignant (0) or benign (1).

    Source: Wolberg, Street, Mangasarian 1995, Wisconsin diagnostic breast cancer, as scikit-learn ships it.
    """
    return _classes("breast_cancer.csv", "breast cancer", BREAST_CANCER, ("malignant", "benign"), "diagnosis", batch)


@cache
def wine(*, batch: int = 16) -> Table:
    """178 Italian wines of three cultivars, 13 chemical measures. Source: Forina et al. 1991, as scikit-learn ships it."""
    return _classes("wine_data.csv", "wine", WINE, ("class 0", "class 1", "class 2"), "cultivar", batch)


@cache
def iris(*, batch: int = 16) -> Table:
    """150 iris flowers of three species, 4 lengths. Source: Fisher 1936, as scikit-learn ships it."""
    return _classes("iris.csv", "iris", IRIS, ("setosa", "versicolor", "virginica"), "species", batch)


@cache
def diabetes(*, batch: int = 32) -> Table:
    """442 patients, 10 measures in their units, and the progression of their diabetes a year later (25 to 346).

    The raw values: scikit-learn's default version is scaled with the statistics of all rows, test rows included.
    Source: Efron et al. 2004, "Least angle regression", as scikit-learn ships it.
    """
    x, y = (files.bundled(f"diabetes_{part}.csv.gz", delimiter=None) for part in ("data_raw", "target"))
    return table(x, y, batch=batch, name="diabetes", columns=DIABETES, target="progression")


def _classes(file: str, name: str, columns: Sequence[str], classes: Sequence[str], target: str, batch: int) -> Table:
    rows = files.bundled(file, skip=1)
    x, y = rows[:, :-1], rows[:, -1].astype(np.int32)
    return table(x, y, batch=batch, name=name, columns=columns, classes=classes, target=target)
