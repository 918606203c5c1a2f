"""Several views of each example for self-supervised learning, and rotated images as additional classes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxdl.augment.rows import chain, is_map, row_keys
from jaxdl.counts import check_count
from jaxdl.types import Augment, Batch, Key, UserError


def several(*augments: Augment, views: int = 2) -> Augment:
    """Make `views` copies of each example, each changed by all `augments` independently: x becomes `(batch, views, ...)`.

    It must be the last augmentation of an experiment, because of the new axis. View v draws from `fold_in(key, v)`. Raises
    `UserError` for label maps, since the views are moved differently.
    """
    check_count("views", views)
    change = chain(*augments)

    def augment(key: Key, batch: Batch) -> Batch:
        if is_map(batch):
            raise UserError(f"views.several cannot be used with label maps, got y of shape {batch['y'].shape}")
        copies = [change(jax.random.fold_in(key, v), batch)["x"] for v in range(views)]
        return batch | {"x": jnp.stack(copies, axis=1)}

    return augment


def quarter_turns(classes: int, *, turns: Sequence[int] = (0, 1, 2, 3)) -> Augment:
    """Rotate each image by a random multiple of 90° from `turns`, where each rotation of a class is a new class.

        y ← y + classes · i        i: index of the rotation in `turns`, so there are len(turns) times as many classes

    For square images in metric learning with unseen classes. Leave out rotations that do not change an image, or that make it
    an image of a held-out class (a 6 rotated by 180° is a 9).
    Source: Santoro et al. 2016, arXiv:1605.06065, section 4.1 (Omniglot).
    """

    check_count("classes", classes)

    def augment(key: Key, batch: Batch) -> Batch:
        x, y = batch["x"], batch["y"]
        if x.shape[1] != x.shape[2]:
            raise UserError(f"quarter_turns needs square images, got {x.shape[1]}x{x.shape[2]}")
        drawn = jax.vmap(lambda k: jax.random.randint(k, (), 0, len(turns)))(row_keys(key, len(x)))
        every = jnp.stack([jnp.rot90(x, t, axes=(1, 2)) for t in turns])
        return batch | {"x": every[drawn, jnp.arange(len(x))], "y": y + (classes * drawn).astype(y.dtype)}

    return augment
