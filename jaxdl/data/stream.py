"""Position-addressed data: the batch of a step is a function of (seed, step), so resuming needs a number only.

An in-memory set lives on the device as raw arrays (images as uint8) and is an argument of the compiled step; the
order of an epoch is a keyed permutation evaluated at the positions a batch needs, not an array that is shuffled.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

from jaxdl.types import Batch

ROUNDS = 6


def _mix(h: Any) -> Any:
    """The 32-bit finaliser of MurmurHash3 (public domain): every input bit reaches every output bit."""
    h = (h ^ (h >> 16)) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> 13)) * np.uint32(0xC2B2AE35)
    return h ^ (h >> 16)


def permute(seed: Int[Array, ""], epoch: Int[Array, "*n"], position: Int[Array, "*n"], size: int) -> Int[Array, "*n"]:
    """Where `position` of an epoch points to: for each (seed, epoch) a permutation of 0 … size-1.

    A Feistel network over the digits (L, R) of the position in base (a, b), a·b ≥ size:

        L ← L + F_r(R) mod a,   then   R ← R + F_r(L) mod b,   six rounds

    is a bijection of 0 … a·b-1 whatever F is; a result beyond `size` is sent round again (cycle walking), which keeps it a
    bijection of 0 … size-1. With a ≈ b ≈ √size that is rare. Works on NumPy and on jax arrays with the same result.
    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains".

    >>> permute(0, np.zeros(5, int), np.arange(5), 5).tolist()
    [0, 3, 2, 1, 4]
    """
    traced = any(isinstance(value, jax.Array) for value in (seed, epoch, position))
    xp = jnp if traced else np
    a = math.isqrt(size - 1) + 1
    b = -(-size // a)
    shape = np.shape(position)
    position, epoch, seed = (
        xp.broadcast_to(xp.asarray(value).astype(np.uint32), shape) for value in (position, epoch, seed)
    )
    keys = [_mix(_mix(_mix(seed + np.uint32(0x9E3779B9)) + epoch) + np.uint32(r + 1)) for r in range(ROUNDS)]

    def encrypt(value: UInt32[Array, "*n"]) -> UInt32[Array, "*n"]:
        left, right = value // np.uint32(b), value % np.uint32(b)
        for r, key in enumerate(keys):
            if r % 2 == 0:
                left = (left + _mix(right + key) % np.uint32(a)) % np.uint32(a)
            else:
                right = (right + _mix(left + key) % np.uint32(b)) % np.uint32(b)
        return left * np.uint32(b) + right

    def beyond(value: UInt32[Array, "*n"]) -> Any:
        return (value >= np.uint32(size)).any()

    def again(value: UInt32[Array, "*n"]) -> UInt32[Array, "*n"]:
        return xp.where(value >= np.uint32(size), encrypt(value), value)

    value = encrypt(position)
    if traced:
        value = jax.lax.while_loop(beyond, again, value)
    else:
        while beyond(value):
            value = again(value)
    return value.astype(np.int32)


def rows_of_step(seed: Any, step: Any, batch: int, size: int) -> Int[Array, "batch"]:
    """The examples of a step: positions step·batch … of one endless sequence of epochs, each a full permutation."""
    xp = jnp if isinstance(step, jax.Array) or isinstance(seed, jax.Array) else np
    # step = q·size + r keeps every product below size·batch: int32 is enough for any number of steps
    q, r = step // size, step % size
    position = r * batch + xp.arange(batch, dtype=np.int32)
    return permute(seed, q * batch + position // size, position % size, size)


def keep(batch: Batch) -> Batch:
    return batch


@dataclass(frozen=True, eq=False)
class InMemory:
    """A data set that fits into memory, as NumPy arrays by split and key.

    Args:
        splits: "train" and any of "validation", "test" -> {"x": (n, ...), "y": (n, ...), ...}, one length a split.
        batch: examples in a training step; evaluation uses it too, and its result does not depend on it.
        prepare: raw batch -> float batch (uint8 images to [0, 1]); inside the compiled step, before augmentation.
        standardise: the last transformation, after augmentation (mean and standard deviation of the training split).
        name: what the report calls the set.
        split: one sentence on how the splits were made, for the report.
        classes: names of the classes where there are any.
    """

    splits: Mapping[str, Mapping[str, np.ndarray]]
    batch: int
    prepare: Callable[[Batch], Batch] = keep
    standardise: Callable[[Batch], Batch] = keep
    name: str = ""
    split: str = ""
    classes: tuple[str, ...] = ()
    resident: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        if "train" not in self.splits:
            raise ValueError(f"splits need 'train', got {sorted(self.splits)}")
        for name, arrays in self.splits.items():
            lengths = {key: len(value) for key, value in arrays.items()}
            if len(set(lengths.values())) != 1 or 0 in lengths.values():
                raise ValueError(
                    f"split {name!r} of {self.name or 'the data'} needs arrays of one length > 0: {lengths}"
                )
        if not 1 <= self.batch <= self.size("train"):
            raise ValueError(
                f"batch = {self.batch} must lie between 1 and {self.size('train')}, "
                f"the training examples of {self.name or 'the data'}"
            )
        if self.batch * self.size("train") >= 2**31:
            raise ValueError(
                f"batch · examples = {self.batch * self.size('train')} passes 2³¹: stream this set from disk"
            )

    def size(self, split: str) -> int:
        """Number of examples of a split."""
        if split not in self.splits:
            raise ValueError(f"split = {split!r} is not one of {', '.join(self.splits)}")
        return len(next(iter(self.splits[split].values())))

    @property
    def steps_per_epoch(self) -> int:
        """Steps that read each training example about once (exactly once where the batch divides the set)."""
        return max(1, self.size("train") // self.batch)

    def example(self) -> Batch:
        """One raw batch of zeros, for shapes."""
        zeros = {k: np.zeros((self.batch, *v.shape[1:]), v.dtype) for k, v in self.splits["train"].items()}
        return {**zeros, "mask": np.ones(self.batch, np.float32)}

    def source(self, start: int, stop: int, seed: int) -> Mapping[str, np.ndarray]:
        """What the compiled steps `start` … `stop`-1 read from: here always the whole training split."""
        return self.splits["train"]

    def span(self, step: int) -> int:
        """How many steps from `step` on one source may serve: any number, where the source is the whole split."""
        return sys.maxsize

    def train_batch(self, source: Mapping[str, Array], seed: Any, step: Any) -> Batch:
        """The raw batch of a step, gathered inside the compiled program."""
        rows = rows_of_step(seed, step, self.batch, self.size("train"))
        gathered = {key: jnp.take(value, rows, axis=0, mode="clip") for key, value in source.items()}
        return {**gathered, "mask": jnp.ones(self.batch, jnp.float32)}

    def eval_sources(self, split: str) -> Iterator[tuple[int, Mapping[str, np.ndarray]]]:
        """(number of batches, arrays) in order; here one pair."""
        yield -(-self.size(split) // self.batch), self.splits[split]

    def eval_batch(self, source: Mapping[str, Array], index: Any) -> Batch:
        """Batch `index` of a split in its stored order; rows past the end repeat the last one with mask 0."""
        size = len(next(iter(source.values())))
        rows = index * self.batch + jnp.arange(self.batch, dtype=jnp.int32)
        gathered = {key: jnp.take(value, jnp.minimum(rows, size - 1), axis=0) for key, value in source.items()}
        return {**gathered, "mask": (rows < size).astype(jnp.float32)}
