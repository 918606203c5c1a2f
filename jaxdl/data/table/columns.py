"""Data sets of one's own from named columns, whichever library holds them.

from_columns(frame, y="species", batch=32)                                     pandas, polars, a mapping of columns
from_columns(load_dataset("mnist"), x="image", y="label", batch=64)            Hugging Face
from_columns({"train": MNIST(".", train=True), "test": MNIST(".", train=False)}, x=0, y=1, batch=64)         PyTorch
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.data import prepare
from jaxdl.data.arrays import as_array, check_device, checked_splits, missing_names
from jaxdl.data.image.vision import Images
from jaxdl.data.source import InMemory
from jaxdl.data.splits import with_all_parts
from jaxdl.data.table.named import Name, column_names, columns_of, table_cells
from jaxdl.data.table.tabular import of_cells
from jaxdl.types import UserError

PARTS = ("train", "validation", "test")


def from_columns(
    source: Any,
    *,
    x: Name | Sequence[Name] | None = None,
    y: Name | Sequence[Name],
    batch: int,
    name: str = "data",
    classes: Sequence[str] = (),
    categorical: Sequence[str] = (),
    dates: Mapping[str, str] | Sequence[str] = (),
) -> InMemory:
    """A data set in memory from columns: those of a frame, of a Hugging Face or PyTorch data set, of a list of rows.

    What the column `x` holds decides how a model reads it: images (uint8 of three axes or more, pictures of PIL, floats of four
    axes) are brought to [0, 1] and standardised by channel; other floats are standardised by column; integers are tokens and stay
    as they are. Several columns are a table, with categories one-hot, as `tabular.csv` makes it.

    Args:
        source: the whole set, of which 70 % are for training and 15 % each for validation and test; or a mapping of "train" and
            any of "validation" and "test" to sets, in which case the missing parts are drawn from "train".
        x: the column of inputs, or several; None: all but `y`.
        y: the column of targets: values, class numbers, names of classes, or lists of names (one example may have several);
            or several columns of 0 and 1, one a label.
        batch: examples in a training step.
        name: what the report calls the set.
        classes: names of the classes; where there are none, those that the source or the labels give.
        categorical, dates: columns of a table, as of `tabular.csv`.

    Raises:
        UserError: for columns that are not there, rows of several shapes, and values that are neither numbers nor names.
    """
    parts = {**source} if isinstance(source, Mapping) and "train" in source and y not in source else {"train": source}
    if unknown := [part for part in parts if part not in PARTS]:
        raise UserError(f"{name}: split {unknown[0]!r} is not one of {', '.join(PARTS)}: rename it, or leave it out")
    names = column_names(parts["train"])
    if names is None:
        raise UserError(f"{name}: expected columns by name or rows, got {type(parts['train']).__name__}")
    targets = [y] if isinstance(y, str | int) else list(y)
    if not targets or (x is None and len(names) <= len(targets)):
        raise UserError(f"{name}: needs inputs and targets, got the columns {', '.join(map(str, names))} and y = {y!r}")
    if x is None:
        x = [column for column in names if column not in targets]
        x = x[0] if len(x) == 1 else x
    for column in (*([x] if isinstance(x, str | int) else x), *targets):
        if column not in names:
            raise UserError(f"{name}: has no column {column!r}; {missing_names(names)}")
    if not isinstance(x, str | int):
        days = {**dates} if isinstance(dates, Mapping) else dict.fromkeys(dates, "")
        for column in (*categorical, *days):
            if column not in (*x, *targets):
                raise UserError(f"{name}: has no column {column!r} among {', '.join(map(str, (*x, *targets)))}")
        return _table(parts, list(x), y, batch=batch, name=name, categorical=tuple(categorical), dates=days)
    made, given = {}, tuple(classes)
    for part, one in parts.items():
        columns = columns_of(one, [x, *targets], name=f"{name}, {part}")
        where = f"{name}, {part}: "
        made[part] = {"x": channels_last(columns[x], f"{where}{x}"), "y": columns[targets[0]]}
        if len(targets) > 1 or not isinstance(y, str | int):
            made[part]["y"] = np.stack([as_array(columns[target], f"{where}{target}") for target in targets], -1)
            given = given or tuple(map(str, targets))
    if lists := [made[part]["y"] for part in made if _lists_of_names(made[part]["y"])]:
        given = given or tuple(sorted({str(label) for rows in lists for row in rows for label in row}))
        made = {part: {**one, "y": several_hot(one["y"], given, name=f"{name}, {part}")} for part, one in made.items()}
    arrays, given = checked_splits(made, given or _class_names(parts["train"], y), source=name)
    arrays = {
        part: {key: as_float32(v, f"{name}, {part}: {key}") for key, v in one.items()} for part, one in arrays.items()
    }
    splits, sentence = with_all_parts(arrays, source=name)
    train = splits["train"]["x"]
    common: dict[str, Any] = {"batch": batch, "name": name, "split": sentence, "classes": given}
    if is_image(train):
        splits = {
            part: {**one, "x": one["x"][..., None] if train.ndim == 3 else one["x"]} for part, one in splits.items()
        }
        top = 255.0 if train.dtype == np.uint8 else 1.0
        fitted = prepare.statistics(splits["train"]["x"], maximum=top)
        return Images(splits, prepare=prepare.Scale(top), standardise=fitted, maximum=top, **common)
    if train.dtype.kind != "f":
        return InMemory(splits, **common)
    flat = train.ndim == 1  # one number an example: a column of one
    splits = {part: {**one, "x": one["x"][:, None] if flat else one["x"]} for part, one in splits.items()}
    return InMemory(splits, standardise=prepare.statistics(splits["train"]["x"]), **common)


def _table(
    parts: Mapping[str, Any],
    x: list[Name],
    y: Any,
    *,
    batch: int,
    name: str,
    categorical: Sequence[str],
    dates: Mapping[str, str],
) -> InMemory:
    """Several columns of inputs and one of targets."""
    if not isinstance(y, str | int):
        raise UserError(f"{name}: a table has one target column, got {', '.join(map(str, y))}; give one column as x")
    each = {
        part: table_cells(one, [*x, y], name=f"{name}, {part}", dates=dates, names=categorical)
        for part, one in parts.items()
    }
    for part, columns in each.items():
        lengths = {column: len(values) for column, values in columns.items()}
        if len({*lengths.values()}) > 1:
            raise UserError(f"{name}, {part}: columns must have one length, got {lengths}")
    joined = {}
    for column in each["train"]:
        if len({part[column].dtype.kind == "f" for part in each.values()}) > 1:
            raise UserError(f"{name}: column {column!r} holds numbers in one split and names in another")
        joined[column] = np.concatenate([part[column] for part in each.values()])
    common: dict[str, Any] = {"target": str(y), "batch": batch, "name": name, "source": name}
    common |= {"categorical": categorical, "dates": dates}
    if len(parts) == 1:
        return of_cells(joined, **common)
    ends = np.cumsum([len(one[str(y)]) for one in each.values()])
    rows = {part: np.arange(stop - len(each[part][str(y)]), stop) for part, stop in zip(each, ends, strict=True)}
    made, split = with_all_parts({part: {"x": r} for part, r in rows.items()}, source=name)
    return of_cells(joined, rows={part: one["x"] for part, one in made.items()}, split=split, **common)


def is_image(x: np.ndarray) -> bool:
    """Pixels `(n, height, width)` or with channels: bytes; or floats of four axes."""
    return (x.dtype == np.uint8 and x.ndim in (3, 4)) or (x.dtype.kind == "f" and x.ndim == 4)


def as_float32(values: np.ndarray, source: str) -> np.ndarray:
    """Finite values of float64 as the device holds them; any other array as it is."""
    prepare.check_inputs(values, source=source)
    check_device(values, source=source)
    return values.astype(np.float32) if values.dtype == np.float64 else values


def channels_last(rows: Any, name: str) -> np.ndarray:
    """A column as an array; tensors of PyTorch have their channels first, `(channels, height, width)`, and are turned."""
    tensors = len(rows) and hasattr(rows[0], "detach") and rows[0].ndim == 3
    array = as_array(rows, name)
    return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if tensors else array


def _lists_of_names(rows: Any) -> bool:
    if isinstance(rows, np.ndarray) and rows.dtype != object:
        return False
    return any(isinstance(row, list | tuple | set) and all(isinstance(one, str) for one in row) for row in rows)


def several_hot(rows: Sequence[Sequence[str]], classes: Sequence[str], *, name: str = "labels") -> np.ndarray:
    """Lists of names as `(n, classes)` of 0 and 1, int32.

    >>> several_hot([["cat"], [], ["dog", "cat"]], ("cat", "dog")).tolist()
    [[1, 0], [0, 0], [1, 1]]
    """
    place = {label: i for i, label in enumerate(classes)}
    made = np.zeros((len(rows), len(classes)), np.int32)
    for i, row in enumerate(rows):
        for label in row:
            if label not in place:
                raise UserError(f"{name}: label {label!r} of row {i} is not one of {', '.join(classes)}")
            made[i, place[label]] = 1
    return made


def _class_names(source: Any, y: Any) -> tuple[str, ...]:
    """The names that a Hugging Face or a torchvision data set has for its class numbers."""
    features = getattr(source, "features", None)
    feature = features.get(y) if isinstance(features, Mapping) else None
    names = getattr(feature, "names", None) or (getattr(source, "classes", None) if y == 1 else None)
    return tuple(map(str, names or ()))
