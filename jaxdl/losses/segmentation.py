"""Losses for segmentation that measure the overlap of regions; `cross_entropy` of every pixel is the other usual one."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from jaxdl.losses.labels import is_class, or_nan, zero_or_one
from jaxdl.losses.precision import at_least_float32
from jaxdl.types import UserError


def dice(
    probabilities: Float[Array, "batch *space"], labels: Num[Array, "batch *space"], *, smooth: ArrayLike = 1.0
) -> Float[Array, "batch"]:
    """Soft Dice loss of a binary mask: one minus the overlap of the predicted and the true region, for each example.

        1 - (2·Σ p·y + s) / (Σ p + Σ y + s)

    For segmentation of small regions. An integer label other than 0 and 1 gives NaN.
    Source: Milletari et al. 2016, arXiv:1606.04797, with sums in the denominator instead of sums of squares.
    """
    p, y, axes = at_least_float32(probabilities), zero_or_one(labels), tuple(range(1, jnp.ndim(labels)))
    smooth = jnp.asarray(smooth, p.dtype)
    return 1 - (2 * (p * y).sum(axes) + smooth) / (p.sum(axes) + y.sum(axes) + smooth)


def softmax_dice(
    logits: Float[Array, "batch *space classes"],
    labels: Int[Array, "batch *space"],
    *,
    smooth: ArrayLike = 1.0,
    ignore: int = -100,
) -> Float[Array, "batch"]:
    """Soft Dice loss of semantic segmentation: the mean over classes of `dice`, one value per example.

        1 - 1/K Σ_c (2·Σ p_c·[y = c] + s) / (Σ p_c + Σ [y = c] + s)        p = softmax(logits), sums over the pixels

    Pixels labelled `ignore` are left out; any other label that is not a class gives NaN.
    Source: Milletari et al. 2016, arXiv:1606.04797; Sudre et al. 2017, arXiv:1707.03237.

    >>> print(f"{jax.jit(softmax_dice)(jnp.zeros((1, 2, 2)), jnp.array([[0, 1]])).item():.4f}")  # p = 1/2 everywhere
    0.3333
    """
    if labels.shape != logits.shape[:-1]:
        raise UserError(f"labels for logits {logits.shape} must be {logits.shape[:-1]}, got {labels.shape}")
    keep, axes = labels != ignore, tuple(range(1, labels.ndim))
    known = (~keep | is_class(labels, logits.shape[-1])).all(axes)
    p = jax.nn.softmax(at_least_float32(logits)) * keep[..., None]
    y = jax.nn.one_hot(jnp.where(keep, labels, -1), logits.shape[-1], dtype=p.dtype)
    smooth = jnp.asarray(smooth, p.dtype)
    overlap = (2 * (p * y).sum(axes) + smooth) / (p.sum(axes) + y.sum(axes) + smooth)
    return or_nan(known, 1 - overlap.mean(-1))
