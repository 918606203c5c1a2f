"""Mixup and CutMix: mix pairs of examples of a batch and their labels.

The partner of row r is row `batch-1-r`, which is as good as a random permutation because batches are shuffled. Partners are in
the same micro-batch or on the same device, so unlike other augmentations the result depends on the division of the batch. A
row whose partner is padding does not change.

`mode` is the scope of one λ: all rows ("batch"), a row and its partner ("pair"), or one row ("elem"). The first two conserve the
mean label of the batch exactly, the third on average.

Integer labels become distributions over `classes`, also where nothing is mixed; float labels (distributions or regression
targets) are mixed as they are. λ = 1 changes nothing; `alpha` = 0, which may be traced, means λ = 1.

Of a row whose integer label is `ignore` only `x` is mixed. The mixture has the label of the labelled half, and the share of that
half as its weight in `batch["mask"]`, which tasks multiply into their sums. So a labelled row has the total weight 1, a mixture
of two ignored rows 0, and the loss is the mean over labelled rows.

CutMix pastes the box of the partner into maps `(batch, height, width, ...)`, which have a value for each pixel, as well; maps of
integers become int32. Mixup mixes maps of floats and refuses maps of integers.
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxdl.augment.rows import IGNORE, is_map, row_keys, select_rows
from jaxdl.counts import check_count, check_numbers
from jaxdl.types import Augment, Batch, Key, Number, UserError

Mode = Literal["batch", "pair", "elem"]


def mode_keys(key: Key, rows: int, mode: Mode) -> Key:
    """Return a key for each λ: `(1,)` for the mode "batch", otherwise `(rows,)`, equal for partners in the mode "pair"."""
    if mode == "batch":
        return key[None]
    if mode not in ("pair", "elem"):
        raise UserError(f"mode = {mode!r} must be 'batch', 'pair' or 'elem'")
    keys, row = row_keys(key, rows), jnp.arange(rows)
    return keys[jnp.minimum(row, rows - 1 - row)] if mode == "pair" else keys


def beta(key: Key, alpha: Number) -> Float[Array, ""]:
    """Draw λ ~ Beta(α, α), or 1 where α is 0."""
    alpha = jnp.asarray(alpha, jnp.float32)
    safe = jnp.where(alpha > 0, alpha, 1.0)
    return jnp.where(alpha > 0, jax.random.beta(key, safe, safe), 1.0)


def draw_share(key: Key, alpha: float, p: float) -> Float[Array, ""]:
    """Draw λ ~ Beta(α, α) with probability `p`, otherwise 1."""
    choose, draw = jax.random.split(key)
    return jnp.where(jax.random.bernoulli(choose, p), beta(draw, alpha), 1.0)


def distributions(labels: Array, classes: int | None, smoothing: float) -> Float[Array, "batch ..."]:
    """Convert labels to distributions: one-hot if they are integers, and smoothed if there are `classes`.

    An integer that is not a class becomes NaN.
    """
    if not jnp.issubdtype(labels.dtype, jnp.floating):
        if classes is None:
            raise UserError(f"mixing integer labels needs their number of classes: classes=10, got {classes}")
        labels = labels.astype(jnp.int32)
        exists = (labels >= 0) & (labels < classes)
        one = exists[..., None].astype(jnp.float32)
        missing = 1 - one / one  # 0, or NaN by 0/0: --debug-nans would stop at a constant NaN
        labels = jax.nn.one_hot(labels, classes) + missing
    if classes is None:
        if not isinstance(smoothing, int | float) or smoothing:
            raise UserError(f"smoothing = {smoothing} needs classes, the number of classes")
        return labels
    return labels + jnp.asarray(smoothing, labels.dtype) * (1 / classes - labels)


def mixed_labels(
    batch: Batch, share: Float[Array, "rows"], classes: int | None, smoothing: float, ignore: int
) -> Batch:
    """Return `y` and `mask` of the mixed batch: λ·y + (1-λ)·y', where ignored labels have no weight.

    With several labels per row none is ignored.
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
    """Return λ·v + (1-λ)·v of the partner, in a form that is exactly v for λ = 1."""
    share = jnp.expand_dims(share, tuple(range(1, values.ndim))).astype(values.dtype)
    return share * values + (1 - share) * values[::-1]


def full_share(batch: Batch, share: Float[Array, "rows"]) -> Float[Array, "rows"]:
    """Return λ, or 1 where the partner is padding."""
    return jnp.where(batch["mask"][::-1] > 0, share, 1.0) if "mask" in batch else share


def check_mix(alpha: Number, classes: int | None, p: Number, smoothing: Number) -> None:
    """`UserError` unless the arguments of `mixup` and `cutmix` are numbers in their ranges."""
    check_count("classes", classes)
    check_numbers(alpha=alpha)
    check_numbers(0, 1, p=p, smoothing=smoothing)


def mixup(
    alpha: float = 0.2,
    classes: int | None = None,
    *,
    mode: Mode = "batch",
    p: float = 1.0,
    smoothing: float = 0.0,
    ignore: int = IGNORE,
) -> Augment:
    """Mixup: x ← λ·x + (1-λ)·x', y ← λ·y + (1-λ)·y' with λ ~ Beta(α, α), with probability `p`.

    `x` must be floats (embeddings rather than tokens). `smoothing` is the label smoothing.
    Source: Zhang et al. 2017, arXiv:1710.09412; modes as in timm.
    """
    check_mix(alpha, classes, p, smoothing)

    def augment(key: Key, batch: Batch) -> Batch:
        x = batch["x"]
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise UserError(f"mixup needs x of floats, got {x.dtype}: divide images by 255, mix embeddings of tokens")
        if is_map(batch) and not jnp.issubdtype(batch["y"].dtype, jnp.floating):
            raise UserError(f"mixup cannot mix a label map, y of shape {batch['y'].shape}: use cutmix")
        share = jax.vmap(lambda k: draw_share(k, alpha, p))(mode_keys(key, x.shape[0], mode))
        share = jnp.broadcast_to(full_share(batch, share), x.shape[:1])
        return batch | {"x": with_partner(x, share)} | mixed_labels(batch, share, classes, smoothing, ignore)

    return augment


def random_box(
    key: Key, sizes: tuple[int, ...], alpha: float, p: float, minmax: tuple[float, float] | None
) -> Bool[Array, "..."]:
    """Draw a mask that is True in a box of about a share 1-λ of the cells, with a random centre, cut at the borders.

    With `minmax`, each side is drawn uniformly between two shares of the size and the box is not cut.
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
    """CutMix: paste a box of the partner into x; y ← λ·y + (1-λ)·y', where λ is the share of cells that are kept.

    The box has the share 1-λ₀ of the cells, with λ₀ ~ Beta(α, α), before it is cut at the borders. `minmax` draws its sides
    between two shares of the size instead. `x` has one or more axes between batch and channels: images or series.
    Source: Yun et al. 2019, arXiv:1905.04899.
    """
    check_mix(alpha, classes, p, smoothing)
    check_numbers(0, 1, minmax=minmax)

    def augment(key: Key, batch: Batch) -> Batch:
        x = batch["x"]
        sizes = x.shape[1:-1]
        if not sizes:
            raise UserError(f"cutmix needs x of shape (batch, ..., channels), got {x.shape}: use mixup")
        boxes = jax.vmap(lambda k: random_box(k, sizes, alpha, p, minmax))(mode_keys(key, x.shape[0], mode))
        if "mask" in batch:
            boxes = boxes & jnp.expand_dims(batch["mask"][::-1] > 0, tuple(range(1, boxes.ndim)))
        mixed = batch | {"x": jnp.where(boxes[..., None], x[::-1], x)}
        if is_map(batch):
            if not isinstance(smoothing, int | float) or smoothing:
                raise UserError(f"smoothing = {smoothing} must be 0 for label maps: smooth them in the loss")
            y = batch["y"] if jnp.issubdtype(batch["y"].dtype, jnp.floating) else batch["y"].astype(jnp.int32)
            return mixed | {"y": jnp.where(jnp.expand_dims(boxes, tuple(range(3, y.ndim))), y[::-1], y)}
        kept = 1 - boxes.sum(tuple(range(1, boxes.ndim))) / math.prod(sizes)
        kept = jnp.broadcast_to(kept, x.shape[:1])
        return mixed | mixed_labels(batch, kept, classes, smoothing, ignore)

    return augment


def switch(first: Augment, second: Augment, *, p: float = 0.5, mode: Mode = "batch") -> Augment:
    """Apply `second` with probability `p`, otherwise `first`, usually `mixup` and `cutmix`; `mode` is the scope of one draw.

    Both must give the same shapes and types (the same `classes`). In the mode "batch" only one is computed.
    """
    check_numbers(0, 1, p=p)

    def augment(key: Key, batch: Batch) -> Batch:
        choose, draw = jax.random.split(key)
        rows = batch["x"].shape[0]
        pick = jax.vmap(lambda k: jax.random.bernoulli(k, p))(mode_keys(choose, rows, mode))
        if mode == "batch":
            return lax.cond(pick[0], second, first, draw, batch)
        return select_rows(pick, second(draw, batch), first(draw, batch))

    return augment
