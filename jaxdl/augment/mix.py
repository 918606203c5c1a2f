"""Mixing two examples of a batch and their labels: mix-up and cut-mix.

The partner of row r is row `batch-1-r`: batches are shuffled, so the mirror image is as good as a random permutation and
costs nothing. Partners come from the batch the function sees: under micro-batching or pmap that is the local part, so
unlike other augmentations the result depends on how a batch is cut. A row whose partner is padding stays as it is.

`mode` says who shares a λ: all rows (`batch`; it depends on the key only, so on every device it is the same), a row and its
partner (`pair`), or nobody (`elem`). In the first two the mean label of the batch is conserved exactly, in the third on average.

Integer labels become distributions over `classes` whether or not anything is mixed, so a program has one shape; float
labels (distributions or regression targets) are mixed as they are. λ = 1 changes nothing, and `alpha` = 0, which may be
a traced 0, means λ = 1.

A row whose integer label is `ignore` takes part with its `x` only: a mixture has the label of its labelled half and that
half's share as its weight in `batch["mask"]`, by which every task weighs its sums. So a labelled row counts 1 in all, a mixture
of two ignored rows 0, and the loss is the mean over labelled rows, mixed or not.

Maps `(batch, height, width, ...)`, with a value for each pixel of an image: cut-mix pastes the box of the partner's map (of
integers as int32; -100 travels as it is), and the rows keep their weight. Mix-up mixes maps of floats and refuses those of
integers: it would need a distribution and a weight for each pixel.
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxdl.augment.rows import IGNORE, is_map, row_keys, select_rows
from jaxdl.types import Augment, Batch, Key, Number, UserError

Mode = Literal["batch", "pair", "elem"]


def mode_keys(key: Key, rows: int, mode: Mode) -> Key:
    """A key for each λ: `(1,)` for the whole batch or `(rows,)`, where partners share one if `mode` is pair."""
    if mode == "batch":
        return key[None]
    if mode not in ("pair", "elem"):
        raise UserError(f"mode must be batch, pair or elem, got {mode!r}")
    keys, row = row_keys(key, rows), jnp.arange(rows)
    return keys[jnp.minimum(row, rows - 1 - row)] if mode == "pair" else keys


def beta(key: Key, alpha: Number) -> Float[Array, ""]:
    """λ ~ Beta(α, α); 1 where α is 0 (where λ is 0 or 1 in the limit, and means "off" to everybody)."""
    alpha = jnp.asarray(alpha, jnp.float32)
    safe = jnp.where(alpha > 0, alpha, 1.0)
    return jnp.where(alpha > 0, jax.random.beta(key, safe, safe), 1.0)


def draw_share(key: Key, alpha: float, p: float) -> Float[Array, ""]:
    """λ ~ Beta(α, α) with probability `p`, else 1."""
    choose, draw = jax.random.split(key)
    return jnp.where(jax.random.bernoulli(choose, p), beta(draw, alpha), 1.0)


def distributions(labels: Array, classes: int | None, smoothing: float) -> Float[Array, "batch ..."]:
    """Labels as something that can be mixed: one-hot where they are integers, smoothed where there are classes.

    An integer that is no class becomes NaN.
    """
    if not jnp.issubdtype(labels.dtype, jnp.floating):
        if classes is None:
            raise UserError(f"classes must be given to mix {labels.dtype} labels, got None; pass classes=K")
        labels = labels.astype(jnp.int32)
        exists = (labels >= 0) & (labels < classes)
        one = exists[..., None].astype(jnp.float32)
        missing = 1 - one / one  # 0, or NaN by 0/0 where it is needed: a constant is what --debug-nans would find
        labels = jax.nn.one_hot(labels, classes) + missing
    if classes is None:
        if not isinstance(smoothing, int | float) or smoothing:
            raise UserError(f"smoothing needs classes, got smoothing={smoothing} and classes=None")
        return labels
    return labels + jnp.asarray(smoothing, labels.dtype) * (1 / classes - labels)


def mixed_labels(
    batch: Batch, share: Float[Array, "rows"], classes: int | None, smoothing: float, ignore: int
) -> Batch:
    """`y` and `mask` of a batch whose rows keep the share λ of themselves: λ·y + (1-λ)·y', without what is ignored.

    Where a row has several labels none is ignored.
    """
    labels = batch["y"]
    if jnp.issubdtype(labels.dtype, jnp.floating) or labels.ndim > 1:
        return {"y": with_partner(distributions(labels, classes, smoothing), share)}
    counts = labels != ignore
    y = distributions(jnp.where(counts, labels, 0), classes, smoothing)
    own, other = share * counts, (1 - share) * counts[::-1]
    weight = own + other
    own = jnp.where(weight > 0, own / jnp.where(weight > 0, weight, 1), 1)
    mask = batch["mask"] if "mask" in batch else jnp.ones(len(labels), jnp.float32)
    return {"y": with_partner(y, own), "mask": mask * weight}


def with_partner(values: Float[Array, "batch ..."], share: Float[Array, "rows"]) -> Float[Array, "batch ..."]:
    """λ·v + (1-λ)·v of the partner, written so that λ = 1 gives v bit for bit."""
    share = jnp.expand_dims(share, tuple(range(1, values.ndim))).astype(values.dtype)
    return share * values + (1 - share) * values[::-1]


def full_share(batch: Batch, share: Float[Array, "rows"]) -> Float[Array, "rows"]:
    """λ, but 1 where the partner is padding."""
    return jnp.where(batch["mask"][::-1] > 0, share, 1.0) if "mask" in batch else share


def mixup(
    alpha: float = 0.2,
    classes: int | None = None,
    *,
    mode: Mode = "batch",
    p: float = 1.0,
    smoothing: float = 0.0,
    ignore: int = IGNORE,
) -> Augment:
    """x ← λ·x + (1-λ)·x', y ← λ·y + (1-λ)·y' with λ ~ Beta(α, α), in a share `p` of the cases.

    Any float `x` (mix embeddings, not tokens). `smoothing` is that of the labels, which is part of the usual recipe.
    Source: Zhang et al. 2017, arXiv:1710.09412; modes as in timm.
    """

    def augment(key: Key, batch: Batch) -> Batch:
        x = batch["x"]
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise UserError(f"mixup needs a float x, got {x.dtype}; divide images by 255, mix embeddings of tokens")
        if is_map(batch) and not jnp.issubdtype(batch["y"].dtype, jnp.floating):
            raise UserError(f"mixup cannot mix a label map, y {list(batch['y'].shape)}: take cutmix, which pastes it")
        share = jax.vmap(lambda k: draw_share(k, alpha, p))(mode_keys(key, x.shape[0], mode))
        share = jnp.broadcast_to(full_share(batch, share), x.shape[:1])
        return batch | {"x": with_partner(x, share)} | mixed_labels(batch, share, classes, smoothing, ignore)

    return augment


def random_box(
    key: Key, sizes: tuple[int, ...], alpha: float, p: float, minmax: tuple[float, float] | None
) -> Bool[Array, "..."]:
    """True inside a box of about a share 1-λ of the cells, centred anywhere and cut off at the borders.

    With `minmax` each side is instead uniform between two shares of the size and the box lies wholly inside.
    """
    choose, draw, place = jax.random.split(key, 3)
    share = beta(draw, alpha)
    hits = []
    for axis, size in enumerate(sizes):
        at = jax.random.uniform(jax.random.fold_in(place, axis))
        if minmax is None:
            width = jnp.floor(size * (1 - share) ** (1 / len(sizes)))
            start = jnp.floor(at * size) - jnp.floor(width / 2)
        else:
            side = jax.random.uniform(jax.random.fold_in(draw, axis), minval=minmax[0], maxval=minmax[1])
            width = jnp.floor(size * side) * (jnp.asarray(alpha) > 0)
            start = jnp.floor(at * (size - width + 1))
        position = jnp.arange(size)
        hits.append((position >= start) & (position < start + width))
    inside = jnp.stack(jnp.meshgrid(*hits, indexing="ij")).all(0)
    return inside & jax.random.bernoulli(choose, p)


def cutmix(
    alpha: float = 1.0,
    classes: int | None = None,
    *,
    mode: Mode = "batch",
    p: float = 1.0,
    smoothing: float = 0.0,
    minmax: tuple[float, float] | None = None,
    ignore: int = IGNORE,
) -> Augment:
    """Paste a box of the partner into x; y ← λ·y + (1-λ)·y' with λ the share of cells kept, exactly.

    The box aims at a share 1-λ₀ with λ₀ ~ Beta(α, α) and is cut off at the borders. `x` has one or more axes between
    batch and channels: images, series. A map is pasted like `x`.
    `minmax` draws the sides between two shares of the size instead.
    Source: Yun et al. 2019, arXiv:1905.04899.
    """

    def augment(key: Key, batch: Batch) -> Batch:
        x = batch["x"]
        sizes = x.shape[1:-1]
        if not sizes:
            raise UserError(f"cutmix needs x (batch, ..., channels) with axes to cut, got shape {x.shape}; use mixup")
        boxes = jax.vmap(lambda k: random_box(k, sizes, alpha, p, minmax))(mode_keys(key, x.shape[0], mode))
        if "mask" in batch:
            boxes = boxes & jnp.expand_dims(batch["mask"][::-1] > 0, tuple(range(1, boxes.ndim)))
        mixed = batch | {"x": jnp.where(boxes[..., None], x[::-1], x)}
        if is_map(batch):
            if not isinstance(smoothing, int | float) or smoothing:
                raise UserError(
                    f"cutmix pastes a map as it is: smooth its labels in the loss, got smoothing={smoothing}"
                )
            y = batch["y"] if jnp.issubdtype(batch["y"].dtype, jnp.floating) else batch["y"].astype(jnp.int32)
            return mixed | {"y": jnp.where(jnp.expand_dims(boxes, tuple(range(3, y.ndim))), y[::-1], y)}
        kept = 1 - boxes.sum(tuple(range(1, boxes.ndim))) / math.prod(sizes)
        kept = jnp.broadcast_to(kept, x.shape[:1])
        return mixed | mixed_labels(batch, kept, classes, smoothing, ignore)

    return augment


def switch(first: Augment, second: Augment, *, p: float = 0.5, mode: Mode = "batch") -> Augment:
    """`second` with probability `p`, else `first`: for the whole batch, a pair or a row. Usually mix-up and cut-mix.

    Both must keep shapes and types the same way (so give both the same `classes`). For a whole batch only one is computed.
    """

    def augment(key: Key, batch: Batch) -> Batch:
        choose, draw = jax.random.split(key)
        rows = batch["x"].shape[0]
        pick = jax.vmap(lambda k: jax.random.bernoulli(k, p))(mode_keys(choose, rows, mode))
        if mode == "batch":
            return lax.cond(pick[0], second, first, draw, batch)
        return select_rows(pick, second(draw, batch), first(draw, batch))

    return augment
