"""Named columns, wherever they come from: frames, Hugging Face data sets, PyTorch data sets, lists of rows, mappings."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.data.arrays import as_cells
from jaxdl.types import UserError

Name = str | int
"""Of a column; a number where rows are tuples, as those of a PyTorch data set."""


def column_names(source: Any) -> list[Name] | None:
    """The names of the columns; None where a value has none."""
    if isinstance(source, Mapping):
        return list(source)
    for attribute in ("column_names", "columns"):  # of Hugging Face and Arrow, of pandas and polars
        if (names := getattr(source, attribute, None)) is not None:
            return list(names)
    if isinstance(source, str | np.ndarray) or not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        return None
    row = source[0] if len(source) else None
    return list(row) if isinstance(row, Mapping) else list(range(len(row))) if isinstance(row, tuple) else None


def has_names(source: Any) -> bool:
    """Whether a value is a table of columns by name, rather than an array."""
    names = column_names(source)
    return bool(names) and isinstance(names[0], str)


def columns_of(source: Any, wanted: Sequence[Name], *, name: str) -> dict[Name, Any]:
    """Some columns, each as the source holds it. A source of rows is read once."""
    names = column_names(source)
    if names is None:
        raise UserError(f"{name}: expected columns by name or rows (mappings, tuples), got {type(source).__name__}")
    for column in wanted:
        if column not in names:
            raise UserError(f"{name}: has no column {column!r}; it has {', '.join(map(str, names))}")
    by_column = isinstance(source, Mapping) or hasattr(source, "columns") or hasattr(source, "column_names")
    if by_column:
        return {column: source[column] for column in wanted}
    rows = [source[i] for i in range(len(source))]
    return {column: [row[column] for row in rows] for column in wanted}


def table_cells(
    source: Any, wanted: Sequence[Name], *, name: str, dates: Collection[Name] = (), names: Collection[Name] = ()
) -> dict[str, np.ndarray]:
    """Columns of a table as `csv.read_csv` gives them; those of `dates` as they are, those of `names` as strings."""
    made = {}
    for column, values in columns_of(source, wanted, name=name).items():
        if column in dates:
            made[str(column)] = np.asarray(values)
            continue
        cells = as_cells(values, f"{name}: {column}")
        if column in names and cells.dtype.kind == "f":
            cells = np.array(["" if np.isnan(cell) else f"{cell:.15g}" for cell in cells.tolist()], object)
        made[str(column)] = cells
    return made
