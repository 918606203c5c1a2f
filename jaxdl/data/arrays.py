"""Values as Python has them, as the arrays that a device takes: lists, tensors, names of classes, 64-bit numbers.

A device computes in 32 bits. What would become another number there is refused, with its row and its value.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.counts import check_count
from jaxdl.types import UserError

COARSE = 0.01
"""Share of the standard deviation of a column that float32 may round away."""
CHUNK = 2**20
"""Values that are checked at once, so that a large array is not copied."""
MISSING = ("None", "nan", "NaN", "<NA>", "NaT", "")
"""How the cells that are missing show in a column of objects."""
FEW = 10
"""Classes that labels may always name."""
INPUTS = ("image", "images", "img", "pixel_values", "features", "inputs", "input", "text", "data")
TARGETS = ("label", "labels", "target", "targets", "class", "mask")
"""Names that other libraries give to inputs and targets."""


def aligned_empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An array without values that begins at a multiple of 64 bytes, which JAX on a CPU shares in place of copying it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(dtype).reshape(shape)


def taken_rows(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`x[rows]` as an `aligned_empty` array."""
    return np.take(x, rows, axis=0, out=aligned_empty((len(rows), *x.shape[1:]), x.dtype), mode="clip")


def check_batch(data: Any) -> None:
    """Raise UserError unless the batch of a data set is a whole number of its training examples."""
    examples = data.size("train")
    check_count("batch", "None" if data.batch is None else data.batch, 0)
    if not 1 <= data.batch <= examples:
        name = data.name or "the data"
        raise UserError(f"batch = {data.batch} must lie between 1 and {examples}, the training examples of {name}")


def as_array(value: Any, name: str) -> np.ndarray:
    """What `np.asarray` makes of a value, one row an example; an array is returned as it is.

    Raises:
        UserError: for rows of several shapes, and for what is neither numbers nor names: objects, dates, complex numbers.
    """
    if np.ma.is_masked(value):
        raise UserError(f"{name} has masked values: fill them first, value.filled(...)")
    if type(value) not in (np.ndarray, np.memmap):
        listed = hasattr(value, "__len__") and hasattr(value, "__getitem__") and not hasattr(value, "__array__")
        try:
            value = np.asarray(
                [_plain(row) for row in value] if listed and not isinstance(value, str | bytes) else value
            )
        except (ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{name}: rows must be numbers of one shape ({error})") from None
    if value.ndim == 0:
        raise UserError(f"{name} must have one row for each example, got {value.item()!r}")
    if value.dtype.kind == "O":
        value = _of_objects(value, name)
    if value.dtype.kind == "S":
        value = np.char.decode(value, "utf-8", "replace")
    if value.dtype.itemsize > 8 and value.dtype.kind == "f":
        raise UserError(f"{name} must be numbers of at most 64 bits, got {value.dtype}: convert them, x.astype(float)")
    if value.dtype.kind in "Ubiuf" or jnp.issubdtype(value.dtype, jnp.floating):  # bfloat16 is of a kind of its own
        return value
    hints = {
        "c": ": give the real and the imaginary part as two columns",
        "M": ": give numbers, such as days since the first; in a table dates = makes them",
        "m": ": give numbers, such as seconds",
    }
    raise UserError(f"{name} must be numbers, got {value.dtype}{hints.get(value.dtype.kind, '')}")


def _plain(row: Any) -> Any:
    """A row as NumPy takes it: images of PIL and tensors become arrays."""
    return np.asarray(row) if hasattr(row, "__array_interface__") or hasattr(row, "__array__") else row


def _of_objects(value: np.ndarray, name: str) -> np.ndarray:
    """An array of Python objects as numbers or names, where all of them are of one kind."""
    for row, one in enumerate(value.reshape(len(value), -1)):
        for cell in one:
            if not isinstance(cell, str | int | float | np.generic | np.ndarray | list | tuple):
                raise UserError(f"{name}: row {row} holds {str(cell)!r} ({type(cell).__name__}), which is no number")
    words = sum(isinstance(cell, str) for cell in value.reshape(-1))
    if words not in (0, value.size):
        raise UserError(f"{name}: {words} of {value.size} values are text; give numbers, or names for all")
    try:
        plain = np.array(value.tolist())
    except ValueError as error:
        raise UserError(f"{name}: rows must have one shape ({error})") from None
    if plain.dtype.kind == "O":
        raise UserError(f"{name} must be numbers, got objects such as {value.reshape(-1)[0]!r}")
    return plain


def is_text(value: np.ndarray) -> bool:
    return value.dtype.kind == "U"


def checked_splits(
    splits: Mapping[str, Mapping[str, Any]], classes: Sequence[str] = (), *, source: str
) -> tuple[dict[str, dict[str, np.ndarray]], tuple[str, ...]]:
    """The arrays of every split, and the names of the classes.

    Names among the targets `y` become class numbers, in the order of `classes`, or of the alphabet where there are none.

    Raises:
        UserError: where a split has no "x", where arrays differ in length, or where splits differ in the shape of a row.
    """
    if not isinstance(splits, Mapping):
        raise UserError(f"splits must map 'train', 'validation', 'test' to arrays by name, got {type(splits).__name__}")
    if "train" not in splits:
        raise UserError(f"splits need 'train', got {', '.join(map(repr, splits)) or 'none'}")
    made = {}
    for split, arrays in splits.items():
        if split in ("val", "valid", "dev") and "validation" not in splits:
            raise UserError(f"split {split!r} of {source} must be called 'validation'")
        if not isinstance(arrays, Mapping):
            raise UserError(
                f"{source}, {split}: expected arrays by name, {{'x': ..., 'y': ...}}, got {type(arrays).__name__}; frames, rows "
                "and other libraries' data sets are taken by jaxdl.data.table.columns.from_columns"
            )
        if other := [name for name in (split, *arrays) if not isinstance(name, str)]:
            raise UserError(f"{source}: names of splits and arrays must be text, got {other[0]!r}")
        if "x" not in arrays:
            raise UserError(f"{source}, {split}: {missing_names(arrays)}")
        made[split] = {key: as_array(value, f"{source}, {split}: {key}") for key, value in arrays.items()}
        lengths = {key: len(value) for key, value in made[split].items()}
        if len(set(lengths.values())) != 1 or 0 in [value.size for value in made[split].values()]:
            raise UserError(f"split {split!r} of {source} needs arrays of one length > 0: {lengths}")
        if absent := [key for key in made["train"] if key not in made[split]]:
            raise UserError(f"{source}: {split} has no {', '.join(absent)}, which train has")
        for key, value in made[split].items():
            shape, like = value.shape[1:], made["train"].get(key, value).shape[1:]
            if shape != like and (key == "x" or len(shape) == len(like)):
                raise UserError(f"{source}: {key} has rows of shape {shape} in {split}, of {like} in train")
    targets = {split: arrays["y"] for split, arrays in made.items() if "y" in arrays}
    if any(is_text(y) for y in targets.values()):
        numbers, classes = encoded_labels(targets, classes, source=source)
        made = {split: {**arrays, "y": numbers[split]} if "y" in arrays else arrays for split, arrays in made.items()}
    for split, arrays in made.items():
        for key, value in arrays.items():
            if is_text(value):
                raise UserError(
                    f"{source}, {split}: {key} holds text ({str(value.reshape(-1)[0])[:40]!r}): models read numbers; "
                    "jaxdl.data.text.text_classes encodes texts, jaxdl.data.table.tabular columns of names"
                )
    return made, tuple(map(str, classes))


def missing_names(names: Iterable[Any]) -> str:
    """What to do about arrays that are not called x and y.

    >>> missing_names(["image", "label"])
    "needs x and y, got image, label: rename them, or jaxdl.data.table.columns.from_columns(..., x='image', y='label')"
    """
    names = [str(name) for name in names]
    x = next((name for name in INPUTS if name in names), names[0] if names else "")
    y = next((name for name in TARGETS if name in names and name != x), names[-1] if len(names) > 1 else "")
    hint = f": rename them, or jaxdl.data.table.columns.from_columns(..., x={x!r}, y={y!r})" if x and y else ""
    return f"needs x and y, got {', '.join(names) or 'nothing'}{hint}"


def encoded_labels(
    targets: Mapping[str, np.ndarray], classes: Sequence[str] = (), *, source: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Names of classes by split -> class numbers int32 by split, and the names in their order.

    >>> encoded_labels({"train": np.array(["dog", "cat"]), "test": np.array(["cow"])}, source="pets")
    ({'train': array([2, 0], dtype=int32), 'test': array([1], dtype=int32)}, ('cat', 'cow', 'dog'))
    """
    for split, y in targets.items():
        if not is_text(y):
            raise UserError(f"{source}: labels are names in another split and {y.dtype} in {split}")
    names = {split: np.asarray(y, str) for split, y in targets.items()}
    known = tuple(classes) or class_names(names, source=source)
    order = np.argsort(known)
    numbers = {}
    for split, y in names.items():
        place = np.minimum(np.searchsorted(known, y, sorter=order), len(known) - 1)
        numbers[split] = order[place].astype(np.int32)
        wrong = np.asarray(known)[numbers[split]] != y
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0])
            raise UserError(
                f"{source}, {split}: label {str(y[wrong][0])!r} of row {row} is not one of {', '.join(known)}"
            )
    return numbers, known


def class_names(targets: Mapping[str, np.ndarray], *, source: str) -> tuple[str, ...]:
    """The names of the classes among labels by split: the names there are, or "0" … of class numbers.

    Raises UserError for what are hardly classes: names of which there are more than half as many as labels (and more than `FEW`),
    numbers that count more classes than there are labels.

    >>> class_names({"train": np.array([0, 2])[:, None], "test": np.array([1])}, source="s")
    ('0', '1', '2')
    """
    values, counts = np.unique(np.concatenate([y.ravel() for y in targets.values()]), return_counts=True)
    text = is_text(values)
    most = len(values) if text else int(values.max(initial=0)) + 1
    if most > max(FEW, counts.sum() / 2 if text else counts.sum()):
        some = ", ".join(repr(value.item()) for value in values[:3])
        what = "give the classes" if text else f"number the {len(values)} that occur from 0 on"
        raise UserError(f"{source}: labels {some}, … of {counts.sum()} examples make {most} classes: {what}")
    return tuple(map(str, values if text else range(most)))


def check_device(values: np.ndarray, *, source: str, columns: Sequence[str] = (), coarse: bool = True) -> None:
    """Raise UserError that names the first value which the device would hold as another one.

    A device holds int64 as int32, which wraps around, and float64 as float32, which is infinite beyond 3.4e38 and cannot tell
    apart the values of a column that varies little around a large number (dates in seconds, identifiers), which `coarse` checks.
    """
    held = jax.dtypes.canonicalize_dtype(values.dtype) if values.dtype.kind in "iuf" and values.itemsize > 4 else None
    if held is None or held == values.dtype:
        return
    for start in range(0, len(values), rows := max(1, CHUNK * len(values) // max(1, values.size))):
        part = values[start : start + rows]
        with np.errstate(over="ignore", invalid="ignore"):
            cast = part.astype(held)
            bad = np.isfinite(part) & ~np.isfinite(cast) if held.kind == "f" else cast != part
        if bad.any():
            row, *place = (int(i) for i in np.argwhere(bad)[0])
            where = f"row {start + row}" + (f", position {tuple(place)}" if place else "")
            became = cast[(row, *place)]
            raise UserError(f"{source}: {part[(row, *place)]} in {where} would become {became} on the device ({held})")
    if held.kind == "f" and coarse:
        check_resolution(values, source=source, columns=columns)


def check_resolution(values: np.ndarray, *, source: str, columns: Sequence[str] = ()) -> None:
    """Raise UserError for a column (along the last axis; a vector is one) that float32 would round to a few values."""
    flat = values.reshape(len(values), -1) if values.ndim < 2 else values.reshape(-1, values.shape[-1])
    mean, deviation = flat.mean(0, dtype=np.float64), flat.std(0, dtype=np.float64)
    largest = np.maximum(flat.max(0), -flat.min(0))
    with np.errstate(over="ignore", invalid="ignore"):
        coarse = np.spacing(largest.astype(np.float32)) > COARSE * deviation
    coarse &= deviation > 1e-12 * largest  # else it is a constant
    if coarse.any():
        i = int(coarse.argmax())
        which = repr(columns[i]) if i < len(columns) else f"column {i}" if flat.shape[1] > 1 else "it"
        raise UserError(
            f"{source}: {which} varies by {deviation[i]:.3g} around {mean[i]:.10g}, too little for float32: subtract a constant "
            "from it, or leave it out (dates, identifiers)"
        )


def as_cells(value: Any, name: str) -> np.ndarray:
    """A column of a table: float64 with NaN where a value is missing, or names with "" where one is missing."""
    category = (
        str(getattr(value, "dtype", "")) == "category"
    )  # of pandas: the values may be numbers, and name categories
    cells = np.asarray(value, object if category or isinstance(value, list | tuple) else None)
    if cells.dtype.kind != "O":
        cells = as_array(cells, name)
        return cells if is_text(cells) else cells.astype(np.float64)
    given = [cell.item() if isinstance(cell, np.generic) else cell for cell in cells.reshape(len(cells)).tolist()]
    given = [None if cell is None or str(cell) in MISSING else cell for cell in given]
    kinds = {type(cell) for cell in given if cell is not None}
    numbers = all(issubclass(kind, int | float | Decimal) for kind in kinds)
    if numbers and not category:
        return np.array([np.nan if cell is None else cell for cell in given], np.float64)
    if numbers or all(issubclass(kind, str) for kind in kinds):
        return np.array(["" if cell is None else str(cell) for cell in given])
    raise UserError(
        f"{name} must hold numbers, or names; it holds {', '.join(sorted(kind.__name__ for kind in kinds))}"
    )
