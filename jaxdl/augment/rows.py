"""Augmentation of batches from functions of one example. Row r draws from `fold_in(key, first_row() + r)`.

So the result for an example depends neither on the other examples nor on the division into micro-batches.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Shaped

from jaxdl.counts import check_numbers
from jaxdl.tracing import first_row
from jaxdl.types import Augment, Batch, Key, UserError

IGNORE = -100
"""Label that the losses ignore, as in PyTorch."""


def row_keys(key: Key, rows: int) -> Key:
    """Return one key for each of `rows` rows."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, first_row() + jnp.arange(rows))


def each_row(change: Callable[[Key, Shaped[Array, "..."]], Shaped[Array, "..."]]) -> Augment:
    """Apply `change(key, example) -> example` to each example of `batch["x"]`."""

    def augment(key: Key, batch: Batch) -> Batch:
        x = batch["x"]
        return batch | {"x": jax.vmap(change)(row_keys(key, x.shape[0]), x).astype(x.dtype)}

    return augment


def is_map(batch: Batch) -> bool:
    """Return whether `batch["y"]` has a value for each pixel of the images `batch["x"]`."""
    x, y = batch["x"], batch.get("y")
    return x.ndim == 4 and y is not None and y.ndim >= 3 and y.shape[:3] == x.shape[:3]


def label_map(batch: Batch) -> Int[Array, "batch height width"] | None:
    """Return `batch["y"]` as int32 if it is a label map, one class number for each pixel of the images; None for other labels.

    Raises `UserError` for other targets of more than two axes, such as boxes and images, which would not be moved.
    """
    y = batch.get("y")
    if y is None or y.ndim < 3:
        return None
    if is_map(batch) and y.ndim == 3 and not jnp.issubdtype(y.dtype, jnp.inexact):
        return y.astype(jnp.int32)
    raise UserError(
        f"y {y.dtype} {y.shape} cannot be moved with images {batch['x'].shape}: it must be labels (batch,), "
        "rows (batch, values) or a map of integers (batch, height, width)"
    )


def select_rows(hit: Bool[Array, "batch"], new: Batch, old: Batch) -> Batch:
    """Return the rows of `new` where `hit`, otherwise those of `old`."""
    return jax.tree.map(lambda n, o: jnp.where(jnp.expand_dims(hit, tuple(range(1, n.ndim))), n, o), new, old)


def chain(*augments: Augment) -> Augment:
    """Apply augmentations one after the other; number i draws from `fold_in(key, i)`."""

    def augment(key: Key, batch: Batch) -> Batch:
        for i, step in enumerate(augments):
            batch = step(jax.random.fold_in(key, i), batch)
        return batch

    return augment


def sometimes(augment: Augment, p: float = 0.5) -> Augment:
    """Apply `augment`, which must keep shapes and types, to each row with probability `p`."""
    check_numbers(0, 1, p=p)

    def maybe(key: Key, batch: Batch) -> Batch:
        choose, draw = jax.random.split(key)
        hit = jax.vmap(lambda k: jax.random.bernoulli(k, p))(row_keys(choose, batch["x"].shape[0]))
        return select_rows(hit, augment(draw, batch), batch)

    return maybe
