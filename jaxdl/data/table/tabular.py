"""Tables: four small real sets that come with scikit-learn, and any CSV file.

The arrays keep the raw values in their units, but for columns that float32 cannot hold (`encoder.offset_of`); `standardise` is
part of the compiled step, so that a prediction takes raw rows too. The split is fixed: see `split_rows`.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from jaxdl.data import files, prepare
from jaxdl.data.arrays import as_array, encoded_labels, is_text
from jaxdl.data.splits import split_rows
from jaxdl.data.table.cells import Table, assemble, of_cells
from jaxdl.data.table.csv import read_csv
from jaxdl.data.table.delimited import found_delimiter, header_of, line_of
from jaxdl.data.table.encoder import TableEncoder
from jaxdl.data.text.tokenizers import home
from jaxdl.types import UserError

Dates = Mapping[str, str] | Sequence[str]


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
    if x.ndim != 2 or len(x) != len(y):
        raise UserError(f"{name}: inputs must be (n, columns) and targets (n,), got {x.shape} and {y.shape}")
    prepare.check_inputs(x, source=name, columns=columns)
    names = tuple(columns) or tuple(f"column {i}" for i in range(x.shape[1]))
    if len({*names}) != x.shape[1]:
        raise UserError(f"{name}: {x.shape[1]} columns need as many different names, got {', '.join(names)}")
    rows, split = split_rows(x.astype(np.float32), y if classes else None, source=name)
    cells = dict(zip(names, x.T.astype(np.float64), strict=True))
    fitted = TableEncoder.fit(cells, rows["train"])
    encoder = TableEncoder(dict.fromkeys(names, math.nan), offsets=fitted.offsets)  # what is missing stays so
    return assemble(
        cells, y, rows, encoder, split=split, batch=batch, name=name, source=name, classes=classes, target=target
    )


def csv(
    path: str | Path,
    *,
    target: str,
    batch: int,
    kind: Literal["auto", "classes", "values"] = "auto",
    categorical: Sequence[str] = (),
    ignore: Sequence[str] = (),
    dates: Dates = (),
    encode: Literal["onehot", "codes"] = "onehot",
    delimiter: str | None = None,
    decimal: str = ".",
    thousands: str = "",
) -> Table:
    """A data set from a CSV file with a header.

    Columns of numbers are standardised with the training rows; missing cells and categories: see `TableEncoder`.

    Args:
        path: the file, in UTF-8.
        target: the column to predict; it may miss nothing.
        batch: examples in a training step.
        kind: whether the target is a class or a value; auto: a class if it holds names.
        categorical: columns that are names of categories, whatever they hold. Columns of words are anyway; but words of which
            most occur once, dates, and numbers in another notation are refused unless they are listed here or below.
        ignore: columns to leave out (row numbers, names, whatever gives the target away), whatever they hold.
        dates: columns of dates, which become days since 1970: ISO 8601 (2024-12-31, 2024-12-31 13:00), or a mapping of columns to
            formats of `strptime` such as "%d.%m.%Y".
        encode: categories one-hot in `x`, or as integers in `codes` for an embedding.
        delimiter, decimal, thousands: how the file is written, see `csv.read_csv`; a delimiter of None is found.
    """
    if kind not in ("auto", "classes", "values"):
        raise UserError(f"kind = {kind!r} is not one of auto, classes, values")
    if encode not in ("onehot", "codes"):
        raise UserError(f"encode = {encode!r} is not one of onehot, codes")
    path = files.existing(path)
    for name, names in (("categorical", categorical), ("ignore", ignore), ("dates", dates)):
        if isinstance(names, str):
            raise UserError(f"{name} = {names!r} must be a list of columns: [{names!r}]")
    stamp = path.stat().st_mtime_ns, path.stat().st_size, home()  # a file that was edited is read again
    form = tuple({"delimiter": delimiter, "decimal": decimal, "thousands": thousands}.items())
    days = tuple((dates if isinstance(dates, Mapping) else dict.fromkeys(dates, "")).items())
    return _csv(path, stamp, target, batch, kind, tuple(categorical), tuple(ignore), days, encode == "codes", form)


@cache
def _csv(path, stamp, target, batch, kind, categorical, ignore, dates, codes, form) -> Table:
    delimiter, dates = dict(form)["delimiter"] or found_delimiter(path), dict(dates)
    head = header_of(path, delimiter)
    for name in (*categorical, *ignore, *dates):
        if name not in head:
            raise UserError(f"{path}: has no column {name!r}; it has {', '.join(head)}")
    if target not in head:
        raise UserError(f"{path}: has no column {target!r} (target); it has {', '.join(head)}")
    cells = read_csv(
        path,
        names={*categorical, *dates, *([target] if kind == "classes" else [])} - {*ignore},
        columns=[name for name in head if name not in ignore],
        verbatim=(target,),
        **dict(form),
    )
    return of_cells(
        cells,
        target=target,
        batch=batch,
        kind=kind,
        codes=codes,
        categorical=categorical,
        dates=dates,
        name=path.stem,
        source=str(path),
        place=lambda row: f"line {line_of(path, row + 1, delimiter)}",
        format=dict(form),
    )


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
