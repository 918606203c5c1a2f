"""Columns of a table -> rows of numbers, by what the training rows say."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from jaxdl.types import UserError

SHOWN = 5
"""Unseen categories that a note lists by name."""


@dataclass(frozen=True)
class TableEncoder:
    """Columns of a CSV file -> rows of numbers, with what the training rows say about missing values and categories.

    - a missing number becomes the median of the training rows, and a further column is 1 where it was missing (only for
      columns that miss values in training);
    - a category is one-hot over the categories of the training rows, in alphabetic order, with "" for a missing one. A category
      that training never saw is all zeros. With `codes` it is one integer: 0 for unseen, 1 … for the categories.
    """

    medians: Mapping[str, float]
    indicated: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    codes: bool = False

    @classmethod
    def fit(
        cls, columns: Mapping[str, np.ndarray], rows: Int[np.ndarray, "train"], *, codes: bool = False
    ) -> "TableEncoder":
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

    def unseen(self, columns: Mapping[str, np.ndarray]) -> str:
        """A sentence on the rows whose category no training row has; "" where there are none."""
        parts = []
        for name, known in self.categories.items():
            new, count = np.unique(columns[name][~np.isin(columns[name], known)], return_counts=True)
            if len(new):
                listed = ", ".join(repr(str(word)) for word in new[:SHOWN]) + (", ..." if len(new) > SHOWN else "")
                parts.append(
                    f"{count.sum()} of {len(columns[name])} rows have a {name} never seen in training ({listed})"
                )
        return "; ".join(parts)

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
        n = len(next(iter(columns.values())))
        stacked = [*numbers, *missing, *([] if self.codes else chosen)]
        x = np.stack(stacked, -1).astype(np.float32) if stacked else np.zeros((n, 0), np.float32)
        if not self.codes:
            return {"x": x}
        codes = [sum((columns[name] == c) * (i + 1) for i, c in enumerate(cs)) for name, cs in self.categories.items()]
        return {"x": x, "codes": np.stack(codes, -1).astype(np.int32) if codes else np.zeros((n, 0), np.int32)}
