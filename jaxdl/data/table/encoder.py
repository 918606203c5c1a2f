"""Columns of a table -> rows of numbers, by what the training rows say."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from jaxdl.data.arrays import FEW, check_device
from jaxdl.data.table.csv import MISSING
from jaxdl.data.table.notation import notation_of
from jaxdl.types import UserError

SHOWN = 5
"""Unseen categories that a note lists by name."""
DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?([ T].*)?|\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})( .*)?")


@dataclass(frozen=True)
class TableEncoder:
    """Columns of a table -> rows of numbers, with what the training rows say about missing values and categories.

    - a missing number becomes the median of the training rows, and a further column is 1 where it was missing (only for
      columns that miss values in training);
    - a column of `offsets` is held less this constant, its median, since float32 would merge its values (see `offset_of`);
    - a category is one-hot over the categories of the training rows, in alphabetic order, with "" for a missing one. A category
      that training never saw is all zeros. With `codes` it is one integer: 0 for unseen, 1 … for the categories.
    """

    medians: Mapping[str, float]
    indicated: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    codes: bool = False
    offsets: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def fit(
        cls, columns: Mapping[str, np.ndarray], rows: Int[np.ndarray, "train"], *, codes: bool = False
    ) -> "TableEncoder":
        """What the rows of the training split say."""
        numeric = {name: cells[rows] for name, cells in columns.items() if cells.dtype.kind == "f"}
        given = {name: cells[~np.isnan(cells)] for name, cells in numeric.items()}
        medians = {name: float(np.median(cells)) if len(cells) else 0.0 for name, cells in given.items()}
        indicated = tuple(name for name, cells in numeric.items() if len(given[name]) < len(cells))
        words = {n: set(c[rows].tolist()) for n, c in columns.items() if n not in numeric}
        order = lambda cell: (cell not in MISSING, cell)  # in its place also where "NA" stands in quotes
        categories = {name: tuple(sorted(cells, key=order)) for name, cells in words.items()}
        offsets = {name: offset for name, cells in given.items() if (offset := offset_of(cells))}
        return cls(medians, indicated, categories, codes, offsets)

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each column of `__call__`'s result."""
        missing = [f"{name} is missing" for name in self.indicated]
        chosen = [f"{name} = {c or 'missing'}" for name, cs in self.categories.items() for c in cs]
        return (*self.medians, *missing, *([] if self.codes else chosen))

    def unseen(self, columns: Mapping[str, np.ndarray]) -> str:
        """A sentence on the rows whose category no training row has; "" where there are none."""
        parts = []
        for name, known in self.categories.items():
            if new := Counter(cell for cell in columns[name].tolist() if cell not in {*known}):
                listed = ", ".join(map(repr, sorted(new)[:SHOWN])) + (", ..." if len(new) > SHOWN else "")
                count = f"{new.total()} of {len(columns[name])} rows"
                parts.append(f"{count} have a {name} never seen in training ({listed})")
        return "; ".join(parts)

    def numbers(self, columns: Mapping[str, np.ndarray], *, source: str) -> Iterable[Float[np.ndarray, "n"]]:
        """The columns of numbers one after another, float64: nothing is missing, less its offset."""
        for name, median in self.medians.items():
            if columns[name].dtype.kind != "f":
                raise UserError(f"{source}: column {name!r} held numbers in training and does not here")
            yield np.where(np.isnan(columns[name]), median, columns[name]) - self.offsets.get(name, 0.0)

    def __call__(self, columns: Mapping[str, np.ndarray], *, source: str) -> dict[str, np.ndarray]:
        """{"x": float32 (n, columns)} and, with `codes`, {"codes": int32 (n, categorical columns)}."""
        for name in (*self.medians, *self.categories):
            if name not in columns:
                raise UserError(f"{source}: has no column {name!r}")
        n = len(next(iter(columns.values())))
        x = np.zeros((n, len(self.names)), np.float32)
        for i, values in enumerate(self.numbers(columns, source=source)):
            check_device(values, source=f"{source}, column {self.names[i]!r}", coarse=False)
            x[:, i] = values
        first = len(self.medians)
        for name in self.indicated:
            x[:, first] = np.isnan(columns[name])
            first += 1
        codes = np.zeros((n, len(self.categories)), np.int32)
        for i, (name, known) in enumerate(self.categories.items()):
            if columns[name].dtype.kind == "f":
                raise UserError(f"{source}: column {name!r} held names in training and does not here")
            place = {cell: code for code, cell in enumerate(known, 1)}
            codes[:, i] = [place.get(cell, 0) for cell in columns[name].tolist()]
            if not self.codes:
                seen = codes[:, i] > 0
                x[seen, first + codes[seen, i] - 1] = 1
                first += len(known)
        return {"x": x, "codes": codes} if self.codes else {"x": x}


def offset_of(values: Float[np.ndarray, "n"]) -> float:
    """The median of values that float32 would merge and that it tells apart once the median is subtracted; else 0.

    Seconds since 1970, identifiers, pressures: they vary little around a large number. No value is nearer to 0 than to it.

    >>> offset_of(1.6e9 + np.arange(5.0)), offset_of(np.array([2000.0, 2001.0]))
    (1600000002.0, 0.0)
    """
    with np.errstate(over="ignore"):
        if not len(values) or (values.astype(np.float32) == values).all():
            return 0.0
    median = float(np.median(values))
    if 4 * np.abs(values - median).max() > abs(median):
        return 0.0
    with np.errstate(over="ignore"):
        merged, apart = (len(np.unique(v.astype(np.float32))) for v in (values, values - median))
    return median if apart > merged else 0.0


def doubtful(cells: np.ndarray, *, notation: bool = True) -> str:
    """Why strings are hardly categories, three of them, and what to do; "" where they may be categories.

    Most of them occur once (names, identifiers); with `notation` also dates, and numbers in another notation.
    """
    counts = Counter(cell for cell in cells.tolist() if cell)
    once = sum(count == 1 for count in counts.values())
    listed = ", ".join(map(repr, sorted(counts)[:3]))
    if notation and (hint := notation_of(counts)):
        return f"holds {listed}, {hint}"
    if notation and counts and all(map(DATE.fullmatch, counts)):
        return f"holds {listed}, dates: dates = makes numbers of them"
    if len(counts) > FEW and 2 * once > len(counts):
        return f"holds {len(counts)} different strings, {once} of them once ({listed})"
    return ""
