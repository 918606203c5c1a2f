"""Pairs of sequences in buckets of similar length: little padding, few shapes, and still a batch is a function of (seed, step).

The plan of an epoch is made on the host from the lengths alone. Every bucket is shuffled and cut into windows of `window`
batches; what does not fill a window moves on to the next longer bucket, where it fits, and the rest of the longest ends the
epoch. The windows come in random order. So an epoch reads every pair exactly once, and each bucket compiles one program.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxdl.counts import check_counts
from jaxdl.data.arrays import check_batch
from jaxdl.data.order import permute
from jaxdl.data.source import keep
from jaxdl.types import Batch, Data, UserError

Rows = Int[np.ndarray, "draws rows"]


def as_int32(batch: Batch) -> Batch:
    """Tokens are stored as small as they are."""
    return {k: v.astype(jnp.int32) if k in ("x", "y") else v for k, v in batch.items()}


def token_lengths(tokens: Int[np.ndarray, "n time"], pad: int) -> Int[np.ndarray, "n"]:
    """How many tokens stand before the padding.

    >>> token_lengths(np.array([[5, 6, 0], [0, 0, 0]]), 0).tolist()
    [2, 0]
    """
    real = tokens != pad
    return np.where(real.any(1), tokens.shape[1] - real[:, ::-1].argmax(1), 0)


def edges_of(lengths: Int[np.ndarray, "n"], buckets: int) -> list[int]:
    """The longest of each of at most `buckets` classes of lengths, which minimise Σ padded length.

    Exact, by dynamic programming over the lengths that occur: best_k(j) = min_i best_(k-1)(i) + (n_(i+1) + … + n_j) · ℓ_j.

    >>> edges_of(np.array([2, 2, 3, 9, 10]), 2), edges_of(np.array([4, 4]), 3)
    ([3, 10], [4])
    """
    values, counts = np.unique(lengths, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])
    best = below * np.concatenate([[0], values])  # one bucket for the first j lengths
    cuts = []
    for _ in range(min(buckets, len(values)) - 1):
        cost = best[:, None] + (below[None, 1:] - below[:, None]) * values[None]
        cost = np.where(
            np.arange(len(values) + 1)[:, None] <= np.arange(len(values))[None], cost, np.iinfo(np.int64).max
        )
        cuts.append(np.concatenate([[0], cost.argmin(0)]))
        best = np.concatenate([[0], cost.min(0)])
    end, edges = len(values), []
    for cut in reversed(cuts):
        edges.append(int(values[end - 1]))
        end = int(cut[end])
        if not end:
            return edges[::-1]
    return [int(values[end - 1]), *edges[::-1]]


@dataclass(frozen=True, eq=False)
class Buckets(Data):
    """Source sequences `x` and target sequences `y`, padded to the longest of each split, read in batches of similar length.

    Args:
        splits: "train" and any of "validation", "test" -> {"x": (n, source), "y": (n, target)}, integers.
        batch: pairs in a training step; evaluation uses it too, and its result does not depend on it.
        buckets: maximum number of buckets; each has its own shape, and the borders minimise the total padding.
        window: batches of one bucket in a row, which one array on the device serves.
        pad: the token that is none.
        name, split, tokenizers: what the report calls the set, how it was split, what the run folder keeps.
    """

    splits: Mapping[str, Mapping[str, np.ndarray]]
    batch: int
    buckets: int = 4
    window: int = 8
    pad: int = 0
    name: str = ""
    split: str = ""
    tokenizers: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Batch], Batch] = as_int32
    standardise: Callable[[Batch], Batch] = keep
    classes: tuple[str, ...] = field(default=(), init=False)
    resident: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        check_counts(buckets=self.buckets, window=self.window)
        check_batch(self)

    @cached_property
    def members(self) -> tuple[tuple[Int[np.ndarray, "n"], int, int], ...]:
        """Of each bucket: the pairs, and the longest source and target among them and those of the shorter buckets."""
        train = self.splits["train"]
        x, y = (token_lengths(train[key], self.pad) for key in ("x", "y"))
        longer = np.maximum(x, y)
        edges = edges_of(longer, self.buckets)
        parts = [np.flatnonzero((longer > low) & (longer <= high)) for low, high in pairwise([-1, *edges])]
        shapes = [(max(int(x[longer <= edge].max()), 1), max(int(y[longer <= edge].max()), 1)) for edge in edges]
        return tuple((part, *shape) for part, shape in zip(parts, shapes, strict=True))

    @property
    def shape(self) -> tuple[int, int]:
        """The longest source and target of the training split."""
        return self.members[-1][1:]

    @cached_property
    def counts(self) -> tuple[tuple[int, ...], int]:
        """Full windows of each bucket, and the pairs that are left for the end of the epoch."""
        full, left = [], 0
        for part, *_ in self.members:
            windows, left = divmod(left + len(part), self.window * self.batch)
            full.append(windows)
        return tuple(full), left

    @property
    def steps_per_epoch(self) -> int:
        full, left = self.counts
        return sum(full) * self.window + -(-left // self.batch)

    def plan(self, seed: int, epoch: int) -> list[tuple[int, Rows]]:
        """The windows of an epoch in order: (bucket, pairs of each draw), -1 where there is none."""
        made, windows, left = self._plans, [], np.zeros(0, int)
        if (seed, epoch) in made:
            return made[seed, epoch]
        numbers, cut = len(self.members) + 1, self.window * self.batch
        for i, (part, *_) in enumerate(self.members):
            pool = np.concatenate([left, part])
            pool = pool[permute(seed, np.full(len(pool), epoch * numbers + i), np.arange(len(pool)), len(pool))]
            full = len(pool) // cut * cut
            windows += [(i, rows) for rows in pool[:full].reshape(-1, self.window, self.batch)]
            left = pool[full:]
        if windows:
            n = len(windows)
            order = permute(seed, np.full(n, epoch * numbers + numbers - 1), np.arange(n), n)
            windows = [windows[i] for i in order]
        if len(left):  # shared out evenly: no step learns from a handful
            parts = np.array_split(left, -(-len(left) // self.batch))
            rows = np.stack([np.pad(part, (0, self.batch - len(part)), constant_values=-1) for part in parts])
            windows.append((len(self.members) - 1, rows))
        made.clear()  # one epoch is read at a time
        made[seed, epoch] = windows
        return windows

    @cached_property
    def _plans(self) -> dict[tuple[int, int], list[tuple[int, Rows]]]:
        return {}

    def example(self) -> Batch:
        """One raw batch of zeros, of the longest bucket."""
        train, (source, target) = self.splits["train"], self.shape
        zeros = {k: np.zeros((self.batch, n), train[k].dtype) for k, n in (("x", source), ("y", target))}
        return {**zeros, "mask": np.ones(self.batch, np.float32)}

    def span(self, draw: int) -> int:
        """How many draws from this one on its window has; the order of the windows does not matter for that."""
        at, full = draw % self.steps_per_epoch, sum(self.counts[0]) * self.window
        return self.window - at % self.window if at < full else self.steps_per_epoch - at

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, np.ndarray]:
        """The window that draws `start` … `stop`-1 lie in, zero-filled to one shape a bucket."""
        epoch, at = divmod(start, self.steps_per_epoch)
        windows = self.plan(seed, epoch)
        bucket, rows = windows[min(at // self.window, len(windows) - 1)]
        if stop - start > self.span(start):
            raise UserError(f"draws {start} … {stop - 1} pass the end of a window: ask `span` first")
        rows = np.pad(rows, ((0, self.window - len(rows)), (0, 0)), constant_values=-1)
        mask, train = rows >= 0, self.splits["train"]
        cut = {
            k: np.where(mask[..., None], train[k][rows, :n], self.pad).astype(train[k].dtype)
            for k, n in zip(("x", "y"), self.members[bucket][1:], strict=True)
        }
        return {**cut, "mask": mask.astype(np.float32), "first": np.int32(start - at % self.window)}

    def train_batch(self, source: Mapping[str, Array], seed: Any, draw: Any) -> Batch:
        """The raw batch of a draw, picked inside the compiled program."""
        return {k: source[k][draw - source["first"]] for k in ("x", "y", "mask")}
