"""Several changed copies of each example: what self-supervised losses compare."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxdl.augment.rows import chain, is_map, row_keys
from jaxdl.types import Augment, Batch, Key, UserError


def several(*augments: Augment, views: int = 2) -> Augment:
    """`views` copies of each example, each changed by all `augments` with draws of its own: x `(batch, views, ...)`.

    The last augmentation of an experiment: none after it knows of the new axis. Copy v draws from `fold_in(key, v)`. Label
    maps are refused, since the copies would be moved and the one map not.
    """
    if views < 1:
        raise UserError(f"views = {views} must be 1 or more")
    change = chain(*augments)

    def augment(key: Key, batch: Batch) -> Batch:
        if is_map(batch):
            raise UserError(f"several views cannot share one map, y {list(batch['y'].shape)}: leave views.several out")
        copies = [change(jax.random.fold_in(key, v), batch)["x"] for v in range(views)]
        return batch | {"x": jnp.stack(copies, axis=1)}

    return augment


def quarter_turns(classes: int, *, turns: Sequence[int] = (0, 1, 2, 3)) -> Augment:
    """Each image turned by some quarters of a circle, drawn from `turns`, and what is turned is a class of its own.

        y ← y + classes · i        i the place in `turns`: so many times as many classes to train on

    For square images and an embedding that is to know classes it was never shown; not where a turned image is still the same,
    or is one of the classes that are held back (a 6 after a half turn is a 9: leave 2 out).
    Source: Santoro et al. 2016, arXiv:1605.06065, section 4.1 (Omniglot).
    """

    def augment(key: Key, batch: Batch) -> Batch:
        x, y = batch["x"], batch["y"]
        if x.shape[1] != x.shape[2]:
            raise UserError(f"a quarter turn needs square images, got {x.shape[1]}x{x.shape[2]}")
        drawn = jax.vmap(lambda k: jax.random.randint(k, (), 0, len(turns)))(row_keys(key, len(x)))
        every = jnp.stack([jnp.rot90(x, t, axes=(1, 2)) for t in turns])
        return batch | {"x": every[drawn, jnp.arange(len(x))], "y": y + (classes * drawn).astype(y.dtype)}

    return augment
