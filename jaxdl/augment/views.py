"""Several views of each example, for self-supervised learning and for predictions; rotated images as additional classes."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.augment.rows import chain, is_map, label_map, row_keys, select_rows
from jaxdl.counts import check_count
from jaxdl.types import Augment, Batch, Key, UserError

Images = Float[Array, "batch height width channels"]


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


def mirrored_and_shifted(pixels: int = 1) -> Callable[[Images], tuple[Float[np.ndarray, "6"], Float[Array, "6 ..."]]]:
    """Views of images for a prediction, with the weights of their logits: `Classification(model, views=...)`.

        ½ · mean(x, mirrored x) + ½ · mean(both, shifted by `pixels` up and left, and down and right)

    The border is filled by reflection. The result is six views `(6, batch, height, width, channels)` and weights that sum to 1.
    Source: Jordan 2024, arXiv:2404.00498, section 3.6.
    """
    check_count("pixels", pixels)
    weights = np.array([1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8], np.float32)

    def views(x: Images) -> tuple[Float[np.ndarray, "6"], Float[Array, "6 ..."]]:
        height, width = x.shape[1:3]
        wide = jnp.pad(x, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="reflect")
        moved = [wide[:, at : at + height, at : at + width] for at in (0, 2 * pixels)]
        return weights, jnp.stack([view for image in (x, *moved) for view in (image, image[:, :, ::-1])])

    return views


def alternating_flip() -> Augment:
    """Mirror each image in every other epoch, beginning with the first or the second as a coin of (seed, example) says.

    So any two epochs in a row hold both forms of each image, where `image.flip` repeats one of them for half of the images. It
    needs data whose batches are numbered, `InMemory(..., numbered=True)`; a label map moves with its image.
    Source: Jordan 2024, arXiv:2404.00498, section 3.5.
    """

    def augment(key: Key, batch: Batch) -> Batch:
        del key
        if "lot" not in batch:
            raise UserError("alternating_flip needs data with numbered = True, to know epochs and examples")
        moved = {"x": batch["x"]} if (maps := label_map(batch)) is None else {"x": batch["x"], "y": maps}
        hit = (batch["lot"] + batch["epoch"].astype(jnp.uint32)) % 2 == 1
        return batch | select_rows(hit, {name: a[:, :, ::-1] for name, a in moved.items()}, moved)

    return augment
