"""From one example to a batch: row r draws from `fold_in(key, first_row() + r)` and from nothing else.

So what happens to an example depends neither on its neighbours nor on how the batch was cut into micro-batches.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Shaped

from jaxdl.tracing import first_row
from jaxdl.types import Augment, Batch, Key, UserError

IGNORE = -100
"""The label of what counts nowhere, as in `jaxdl.losses` and in PyTorch."""


def row_keys(key: Key, rows: int) -> Key:
    """One key for each of `rows` rows, `(rows,)`."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, first_row() + jnp.arange(rows))


def each_row(change: Callable[[Key, Shaped[Array, "..."]], Shaped[Array, "..."]]) -> Augment:
    """Lift `change(key, example) -> example` to `batch["x"]`."""

    def augment(key: Key, batch: Batch) -> Batch:
        x = batch["x"]
        return batch | {"x": jax.vmap(change)(row_keys(key, x.shape[0]), x).astype(x.dtype)}

    return augment


def is_map(batch: Batch) -> bool:
    """Whether `batch["y"]` has a value for each pixel of the images `batch["x"]`."""
    x, y = batch["x"], batch.get("y")
    return x.ndim == 4 and y is not None and y.ndim >= 3 and y.shape[:3] == x.shape[:3]


def label_map(batch: Batch) -> Int[Array, "batch height width"] | None:
    """`batch["y"]` where it is a label map, one class number for each pixel of the images `batch["x"]`; None for other labels.

    As int32, so that `IGNORE` fits whatever the map is stored as. Errors: ValueError for other targets of more than two axes
    (boxes, images): a transform could leave them where they were, without a word.
    """
    y = batch.get("y")
    if y is None or y.ndim < 3:
        return None
    if is_map(batch) and y.ndim == 3 and not jnp.issubdtype(y.dtype, jnp.inexact):
        return y.astype(jnp.int32)
    raise UserError(
        f"y is {y.dtype}{list(y.shape)} beside images x {list(batch['x'].shape)}: a transform that moves pixels can take only "
        "labels (batch,), rows (batch, values) or a map of integers (batch, height, width) along"
    )


def select_rows(hit: Bool[Array, "batch"], new: Batch, old: Batch) -> Batch:
    """Row by row, `new` where `hit`, else `old`."""
    return jax.tree.map(lambda n, o: jnp.where(jnp.expand_dims(hit, tuple(range(1, n.ndim))), n, o), new, old)


def chain(*augments: Augment) -> Augment:
    """One augmentation after the other; number i draws from `fold_in(key, i)`."""

    def augment(key: Key, batch: Batch) -> Batch:
        for i, step in enumerate(augments):
            batch = step(jax.random.fold_in(key, i), batch)
        return batch

    return augment


def sometimes(augment: Augment, p: float = 0.5) -> Augment:
    """Apply `augment`, one that keeps shapes and types, to each row with probability `p`."""

    def maybe(key: Key, batch: Batch) -> Batch:
        choose, draw = jax.random.split(key)
        hit = jax.vmap(lambda k: jax.random.bernoulli(k, p))(row_keys(choose, batch["x"].shape[0]))
        return select_rows(hit, augment(draw, batch), batch)

    return maybe
