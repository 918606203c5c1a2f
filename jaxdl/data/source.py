"""Position-addressed data: the batch of a step is a function of (seed, step), so resuming needs a number only.

An in-memory set lives on the device as raw arrays (images as uint8) and is an argument of the compiled step; the
order of an epoch is a keyed permutation evaluated at the positions a batch needs, not an array that is shuffled.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxdl.counts import check_counts
from jaxdl.data.arrays import as_array, check_batch, checked_splits
from jaxdl.data.files import read_npy
from jaxdl.data.order import balanced_rows, class_table, numbers_of_step, rows_of_step
from jaxdl.types import Batch, Data, UserError

SHOWN = 5
"""Unseen classes that a note lists by name."""


def keep(batch: Batch) -> Batch:
    return batch


@dataclass(frozen=True, eq=False)
class InMemory(Data):
    """A data set that fits into memory, as arrays by split and key.

    Args:
        splits: "train" and any of "validation", "test" -> {"x": (n, ...), "y": (n, ...), ...}, one length a split. Lists and
            whatever else `np.asarray` takes become arrays; names of classes in `y` become numbers, and `classes` keeps the
            names. Columns of other names, frames and rows: `jaxdl.data.table.columns.from_columns`.
        batch: examples in a training step; evaluation uses it too, and its result does not depend on it.
        prepare: raw batch -> float batch (uint8 images to [0, 1]); inside the compiled step, before augmentation.
        standardise: the last transformation, after augmentation (mean and standard deviation of the training split).
        name: what the report calls the set.
        split: one sentence on how the splits were made, for the report.
        classes: names of the classes where there are any.
        balanced: (m, k): every training batch holds k examples of each of m classes, m·k = `batch`; None: one epoch after
            another. See `balanced`.
        numbered: training batches also have `epoch` `(batch,)` and `lot` `(batch,)`, 32 random bits of (seed, example) that are
            the same in every epoch, for augmentations that depend on earlier ones (`augment.views.alternating_flip`).
    """

    splits: Mapping[str, Mapping[str, np.ndarray]]
    batch: int
    prepare: Callable[[Batch], Batch] = keep
    standardise: Callable[[Batch], Batch] = keep
    name: str = ""
    split: str = ""
    classes: tuple[str, ...] = ()
    balanced: tuple[int, int] | None = None
    numbered: bool = False
    resident: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        name = self.name or "the data"
        splits, classes = checked_splits(self.splits, self.classes, source=name)
        object.__setattr__(self, "splits", splits)
        object.__setattr__(self, "classes", classes)
        check_batch(self)
        if self.batch * self.size("train") >= 2**31:
            raise UserError(
                f"batch · examples = {self.batch * self.size('train')} passes 2³¹: stream this set from disk"
            )
        for each in ("prepare", "standardise"):
            if not callable(getattr(self, each)):
                raise UserError(f"{each} must be a function of a batch, got {getattr(self, each)!r}")
        if self.numbered and self.balanced is not None:
            raise UserError("numbered = True needs epochs, and balanced batches have none")
        if self.balanced is not None:
            if not (isinstance(self.balanced, tuple) and len(self.balanced) == 2):
                raise UserError(f"balanced = {self.balanced!r} must be two numbers: classes, and examples of each")
            check_counts(0, balanced=self.balanced[0])
            check_counts(0, balanced=self.balanced[1])
            self._check_balance(*self.balanced)

    def _check_balance(self, classes: int, examples: int) -> None:
        counts = self._by_class["class_count"]
        name = self.name or "the data"
        if min(classes, examples) < 1 or classes * examples != self.batch:
            raise UserError(f"balanced = {(classes, examples)} must be two numbers with the product {self.batch}")
        if classes > len(counts):
            raise UserError(f"{classes} classes a batch are more than the {len(counts)} that {name} trains on")
        if examples > 1 and counts.min() < 2:
            label = int(np.unique(self.splits["train"]["y"])[counts.argmin()])
            which = self.classes[label] if label < len(self.classes) else label
            raise UserError(f"{name}: class {which!r} has one training example, and a pair of it needs two")

    @cached_property
    def _by_class(self) -> dict[str, np.ndarray]:
        labels = self.splits["train"].get("y")
        if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise UserError(f"balanced batches need one class number y for each example of {self.name or 'the data'}")
        return class_table(labels)

    @cached_property
    def _balanced_source(self) -> dict[str, np.ndarray]:
        return {**self.splits["train"], **self._by_class}

    def notes_on(self, split: str) -> tuple[str, ...]:
        """The classes that have examples in this split and none in training, counted."""
        y, known = (self.splits[part].get("y") for part in (split, "train"))
        if y is None or known is None or y.ndim != 1 or y.dtype.kind not in "iu":
            return ()
        new, count = np.unique(y[~np.isin(y, known) & (y >= 0)], return_counts=True)
        if not len(new):
            return ()
        names = [repr(self.classes[i]) if i < len(self.classes) else str(i) for i in new[:SHOWN]]
        listed = ", ".join(names) + (", ..." if len(new) > SHOWN else "")
        return (f"{count.sum()} of {len(y)} examples are of a class never seen in training ({listed})",)

    def as_inputs(self, x: Any) -> np.ndarray:
        """Inputs as training takes them: whatever `np.asarray` does."""
        return as_array(x, "inputs")

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """An npy file as inputs to predict for."""
        if Path(path).suffix != ".npy":
            raise UserError(f"{path}: expected npy or npz, got {Path(path).suffix or 'no suffix'!r}")
        return {"x": np.asarray(read_npy(path))}

    def example(self) -> Batch:
        """One raw training batch of zeros, for shapes."""
        zeros = {"epoch": np.zeros(self.batch, np.int32), "lot": np.zeros(self.batch, np.uint32)}
        return super().example() | (zeros if self.numbered else {})

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, np.ndarray]:
        """What the compiled steps `start` … `stop`-1 read from: here always the whole training split."""
        return self.splits["train"] if self.balanced is None else self._balanced_source

    def train_batch(self, source: Mapping[str, Array], seed: Any, step: Any) -> Batch:
        """The raw batch of a step, gathered inside the compiled program."""
        if self.balanced is None:
            rows = rows_of_step(seed, step, self.batch, self.size("train"))
        else:
            rows = balanced_rows(seed, step, self.balanced, source)
            source = {key: source[key] for key in self.splits["train"]}
        gathered = {key: jnp.take(value, rows, axis=0, mode="clip") for key, value in source.items()}
        if self.numbered:
            gathered |= numbers_of_step(seed, step, rows, self.size("train"))
        return {**gathered, "mask": jnp.ones(self.batch, jnp.float32)}


@cache
def balanced(data: InMemory, *, classes: int, each: int) -> InMemory:
    """The same data in class-balanced batches: `each` examples of each of `classes` classes, for losses within a batch."""
    if not isinstance(data, InMemory):
        raise UserError(
            f"balanced batches need a set in memory, and {data.name or 'the data'} is {type(data).__name__}, "
            "which is read while training"
        )
    check_counts(classes=classes, each=each)
    return replace(data, batch=classes * each, balanced=(classes, each))


@cache
def with_numbers(data: InMemory) -> InMemory:
    """The same data with `epoch` and `lot` in its training batches, see `InMemory`."""
    if not isinstance(data, InMemory):
        raise UserError(
            f"numbered batches need a set in memory, and {data.name or 'the data'} is {type(data).__name__}"
        )
    return replace(data, numbered=True)
