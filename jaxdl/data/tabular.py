"""Tables: four small real sets that come with scikit-learn, and any CSV file.

The arrays keep the raw values in their units; `standardise` (mean and deviation of the training rows) is part of the
compiled step, so that a prediction takes raw rows too. The split is fixed: see `prepare.split_rows`.
"""

import gzip
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from jaxdl.data import files, prepare
from jaxdl.data.stream import InMemory
from jaxdl.types import UserError


@dataclass(frozen=True)
class TableEncoder:
    """Columns of a CSV file -> rows of numbers, with what the training rows say about missing values and categories.

    - a missing number becomes the median of the training rows, and a further column tells that it was missing (only for
      columns that miss values in training);
    - a category is one-hot over the categories of the training rows, in alphabetic order, "" (missing) being one of them where it
      occurs; an unseen category is all zeros. With `codes` it is one integer: 0 unseen, 1 … the categories.
    """

    medians: Mapping[str, float]
    indicated: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    codes: bool = False

    @classmethod
    def fit(
        cls, columns: Mapping[str, np.ndarray], rows: Int[np.ndarray, "train"], *, codes: bool = False
    ) -> "Encoder":
        """What the rows of the training split say."""
        numeric = {name: cells[rows] for name, cells in columns.items() if cells.dtype.kind == "f"}
        medians = {n: 0.0 if np.isnan(c).all() else float(np.nanmedian(c)) for n, c in numeric.items()}
        indicated = tuple(name for name, cells in numeric.items() if np.isnan(cells).any())
        categories = {n: tuple(np.unique(c[rows]).tolist()) for n, c in columns.items() if n not in numeric}
        return cls(medians, indicated, categories, codes)

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each column of `__call__`'s result."""
        missing = [f"{name} is missing" for name in self.indicated]
        chosen = [f"{name} = {c or 'missing'}" for name, cs in self.categories.items() for c in cs]
        return (*self.medians, *missing, *([] if self.codes else chosen))

    def __call__(self, columns: Mapping[str, np.ndarray], *, source: str) -> dict[str, np.ndarray]:
        """{"x": float32 (n, columns)} and, with `codes`, {"codes": int32 (n, categorical columns)}."""
        for name in (*self.medians, *self.categories):
            if name not in columns:
                raise UserError(f"{source}: has no column {name!r}")
            if (columns[name].dtype.kind == "f") != (name in self.medians):
                kind = "numbers" if name in self.medians else "names"
                raise UserError(f"{source}: column {name!r} held {kind} in training and does not here")
        numbers = [np.where(np.isnan(columns[name]), m, columns[name]) for name, m in self.medians.items()]
        missing = [np.isnan(columns[name]) for name in self.indicated]
        chosen = [columns[name] == c for name, cs in self.categories.items() for c in cs]
        for name, known in self.categories.items():
            if new := np.setdiff1d(columns[name], known).tolist():
                shown = f"{source}: {name} = {', '.join(new[:3])} is not in the training rows: encoded as none of them"
                print(f"note: {shown}", file=sys.stderr)
        n = len(next(iter(columns.values())))
        stacked = [*numbers, *missing, *([] if self.codes else chosen)]
        x = np.stack(stacked, -1).astype(np.float32) if stacked else np.zeros((n, 0), np.float32)
        if not self.codes:
            return {"x": x}
        codes = [sum((columns[name] == c) * (i + 1) for i, c in enumerate(cs)) for name, cs in self.categories.items()]
        return {"x": x, "codes": np.stack(codes, -1).astype(np.int32) if codes else np.zeros((n, 0), np.int32)}


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

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """The inputs of a CSV file with the columns of this set (a target column is not needed), for predictions."""
        names = self.encoder.categories if self.encoder else ()
        columns = files.read_csv(path, names=names, delimiter=self.delimiter)
        encoder = self.encoder or TableEncoder(dict.fromkeys(self.columns, float("nan")), (), {})
        inputs = encoder(columns, source=str(path))
        prepare.check_inputs(inputs["x"], source=str(path), columns=encoder.names)
        return inputs


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
    x, y = np.asarray(x, np.float32), np.asarray(y)
    if x.ndim != 2 or len(x) != len(y):
        raise UserError(f"{name}: inputs must be (n, columns) and targets (n,), got {x.shape} and {y.shape}")
    rows, split = prepare.split_rows(x, y if classes else None, source=name)
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

    Columns of numbers are standardised with the training rows; missing cells and categories: see `Encoder`.

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
    names = (*categorical, *ignore, *([target] if kind == "classes" else []))
    columns = files.read_csv(path, names=names, delimiter=delimiter)
    if target not in columns:
        raise UserError(f"{path}: has no column {target!r} (target); it has {', '.join(columns)}")
    y = columns[target]
    inputs = {name: cells for name, cells in columns.items() if name != target and name not in ignore}
    if not inputs:
        raise UserError(f"{path}: has no column but the target {target!r}")
    missing = np.isnan(y) if y.dtype.kind == "f" else y == ""
    if missing.any():
        where = f"missing in {missing.sum()} rows, first in row {missing.argmax()}"
        raise UserError(f"{path}: the target {target!r} is {where}")
    if kind == "values" and y.dtype.kind != "f":
        raise UserError(f"{path}: the target {target!r} holds names ({str(y[0])!r}), not values")
    classes = [] if y.dtype.kind == "f" else sorted(set(y.tolist()), key=_order)
    numbers = np.array([classes.index(name) for name in y]) if classes else y
    if len(classes) == 1:
        raise UserError(f"{path}: the target {target!r} has one class only, {classes[0]!r}")
    text = np.stack([cells.astype(str) for cells in inputs.values()], -1)  # the split knows nothing of the encoding
    rows, split = prepare.split_rows(text, numbers if classes else None, source=str(path))
    encoder = TableEncoder.fit(inputs, rows["train"], codes=codes)
    return _assemble(
        encoder(inputs, source=str(path)),
        numbers,
        rows,
        batch=batch,
        name=path.stem,
        columns=encoder.names,
        classes=classes,
        target=target,
        plain=len(encoder.names) - len(encoder.medians),
        split=split,
        encoder=encoder,
        delimiter=delimiter,
    )


def _order(name: str) -> tuple[float, str]:
    """8, 9, 10, then words."""
    return (math.inf if (number := files.parsed_number(name)) is None else number), name


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
    x, y = (bundled(f"diabetes_{part}.csv.gz", delimiter=None) for part in ("data_raw", "target"))
    return table(x, y, batch=batch, name="diabetes", columns=DIABETES, target="progression")


def _classes(file: str, name: str, columns: Sequence[str], classes: Sequence[str], target: str, batch: int) -> Table:
    rows = bundled(file, skip=1)
    x, y = rows[:, :-1], rows[:, -1].astype(np.int32)
    return table(x, y, batch=batch, name=name, columns=columns, classes=classes, target=target)


def bundled(file: str, *, delimiter: str | None = ",", skip: int = 0) -> np.ndarray:
    """The numbers of a file in `bundled/`."""
    path = files.existing(Path(__file__).parent / "bundled" / file)
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return np.loadtxt(lines, delimiter=delimiter, skiprows=skip)
