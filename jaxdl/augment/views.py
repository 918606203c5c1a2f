"""Several changed copies of each example: what self-supervised losses compare."""

import jax
import jax.numpy as jnp

from jaxdl.augment.rows import chain
from jaxdl.types import Augment, Batch, Key


def several(*augments: Augment, views: int = 2) -> Augment:
    """`views` copies of each example, each changed by all `augments` with draws of its own: x `(batch, views, ...)`.

    The last augmentation of an experiment: none after it knows of the new axis. Copy v draws from `fold_in(key, v)`.
    """
    if views < 1:
        raise ValueError(f"views = {views} must be 1 or more")
    change = chain(*augments)

    def augment(key: Key, batch: Batch) -> Batch:
        copies = [change(jax.random.fold_in(key, v), batch)["x"] for v in range(views)]
        return batch | {"x": jnp.stack(copies, axis=1)}

    return augment
