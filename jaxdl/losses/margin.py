"""Softmax losses with an angular margin, for face recognition and other metric learning.

They take `cosines` `(batch, classes)` of the angles between an embedding and each class centre, which the head of the model
computes, and class numbers. They return one value per example: 0 for the ignored label -100, NaN for any other label that is
not a class. The margin makes the true class harder to predict in training. θ is the angle to the true class, s the scale:

    SphereFace cos(mθ)      ArcFace cos(θ + m)      CosFace cosθ - m      combined cos(m₁θ + m₂) - m₃
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from jaxdl.losses.classification import cross_entropy
from jaxdl.losses.labels import is_class
from jaxdl.losses.precision import at_least_float32
from jaxdl.types import UserError

Cosines = Float[Array, "batch classes"]
Labels = Int[Array, "batch"]
PerExample = Float[Array, "batch"]

Guard = Literal["linear", "monotone", "easy", "none"]
Gradient = Literal["exact", "straight_through"]


def combined_margin_logits(
    cosines: Cosines,
    labels: Labels,
    *,
    m1: ArrayLike = 1.0,
    m2: ArrayLike = 0.0,
    m3: ArrayLike = 0.0,
    scale: ArrayLike = 64.0,
    guard: Guard = "linear",
    gradient: Gradient = "exact",
) -> Cosines:
    """Logits with a margin: s·(cos(m₁θ + m₂) - m₃) for the true class, s·cosθ for the others, in float32.

    Args:
        scale: s, a number or one per example.
        guard: the logit where φ = m₁θ + m₂ exceeds π, beyond which cos φ rises again and would reward a larger angle:
            "linear": cosθ - m₂·sin m₂ (ArcFace's code, pytorch-metric-learning), meant for m₁ = 1;
            "monotone": (-1)ᵏ·cos φ - 2k with k = ⌊φ/π⌋ (SphereFace), continuous for every m₁;
            "easy": the margin only where θ < π/2, cosθ elsewhere;
            "none": cos φ (insightface).
        gradient: the derivative of the true class's logit with respect to its cosine:
            "exact": s·m₁·sin φ / sinθ, that of the formula (pytorch-metric-learning). θ is held 1e-3 away from 0 and π,
            where it would be infinite;
            "straight_through": s, as in insightface, which changes the logit outside of automatic differentiation.

    A row whose label is not a class has no margin.
    Source: Deng et al. 2018, arXiv:1801.07698, eq. 4.
    """
    cosines = at_least_float32(cosines)
    m1, m2, m3, scale = (jnp.asarray(v, cosines.dtype) for v in (m1, m2, m3, scale))
    labels = labels.astype(jnp.int32)
    truth = jnp.where(is_class(labels, cosines.shape[1]), labels, 0)[:, None]
    truth = jnp.take_along_axis(cosines, truth, axis=1)  # (batch, 1)
    edge = jnp.cos(jnp.asarray(1e-3, cosines.dtype))
    phi = m1 * jnp.arccos(jnp.clip(truth, -edge, edge)) + m2
    if guard == "linear":
        margined = jnp.where(phi <= jnp.pi, jnp.cos(phi), truth - m2 * jnp.sin(m2))
    elif guard == "monotone":
        turns = jnp.floor(jax.lax.stop_gradient(phi) / jnp.pi)
        margined = jnp.where(turns % 2 == 0, 1, -1) * jnp.cos(phi) - 2 * turns
    elif guard == "easy":
        margined = jnp.where(truth > 0, jnp.cos(phi), truth)
    elif guard == "none":
        margined = jnp.cos(phi)
    else:
        raise UserError(f"guard = {guard!r} must be 'linear', 'monotone', 'easy' or 'none'")
    if gradient == "straight_through":
        margined = truth + jax.lax.stop_gradient(margined - truth)
    elif gradient != "exact":
        raise UserError(f"gradient = {gradient!r} must be 'exact' or 'straight_through'")
    is_truth = jnp.arange(cosines.shape[1])[None] == labels[:, None]
    scale = jnp.broadcast_to(scale[:, None] if scale.ndim else scale, cosines.shape)
    return scale * jnp.where(is_truth, jnp.broadcast_to(margined - m3, cosines.shape), cosines)


def combined_margin(
    cosines: Cosines,
    labels: Labels,
    *,
    m1: ArrayLike = 1.0,
    m2: ArrayLike = 0.5,
    m3: ArrayLike = 0.0,
    scale: ArrayLike = 64.0,
    guard: Guard = "linear",
    gradient: Gradient = "exact",
) -> PerExample:
    """Cross-entropy of `combined_margin_logits`: the margins of SphereFace (m₁), ArcFace (m₂) and CosFace (m₃) together.

    The combined setting of the ArcFace paper is m₁ = 1, m₂ = 0.3, m₃ = 0.2.
    """
    logits = combined_margin_logits(cosines, labels, m1=m1, m2=m2, m3=m3, scale=scale, guard=guard, gradient=gradient)
    return cross_entropy(logits, labels)


def arcface(
    cosines: Cosines,
    labels: Labels,
    *,
    margin: ArrayLike = 0.5,
    scale: ArrayLike = 64.0,
    guard: Guard = "linear",
    gradient: Gradient = "exact",
) -> PerExample:
    """ArcFace loss: softmax cross-entropy with a margin of m radians added to the angle of the true class.

        -log( e^(s·cos(θ_y + m)) / (e^(s·cos(θ_y + m)) + Σ_(j≠y) e^(s·cosθ_j)) )

    The usual values are m = 0.5 rad (28.6° in pytorch-metric-learning) and s = 64. `guard` and `gradient` are those of
    `combined_margin_logits`; insightface has `guard="none", gradient="straight_through"`.
    Source: Deng et al. 2018, arXiv:1801.07698, eq. 3.

    >>> print(f"{jax.jit(arcface)(jnp.zeros((1, 2)), jnp.array([0]), scale=1.0).item():.4f}")  # log(1 + e^(sin 0.5))
    0.9613
    """
    return combined_margin(cosines, labels, m2=margin, scale=scale, guard=guard, gradient=gradient)


def cosface(cosines: Cosines, labels: Labels, *, margin: ArrayLike = 0.35, scale: ArrayLike = 64.0) -> PerExample:
    """CosFace loss: softmax cross-entropy with the margin on the cosine, s·(cosθ_y - m). It needs no guard.

    m is 0.35 in the paper and in pytorch-metric-learning, 0.40 in insightface.
    Source: Wang et al. 2018, arXiv:1801.09414, eq. 4.

    >>> print(f"{jax.jit(cosface)(jnp.zeros((1, 2)), jnp.array([0]), scale=1.0).item():.4f}")  # log(1 + e^0.35)
    0.8834
    """
    truth = jnp.arange(cosines.shape[1])[None] == labels[:, None]
    cosines = at_least_float32(cosines)
    margin, scale = jnp.asarray(margin, cosines.dtype), jnp.asarray(scale, cosines.dtype)
    return cross_entropy(scale * (cosines - margin * truth), labels)


def sphereface(cosines: Cosines, labels: Labels, *, margin: ArrayLike = 4.0, scale: ArrayLike = 30.0) -> PerExample:
    """SphereFace loss: the angle of the true class is multiplied by m, s·((-1)ᵏ·cos(mθ_y) - 2k), k = ⌊mθ_y/π⌋.

    A constant s is SphereFace-R. The original does not normalise the embedding: give its lengths as `scale` `(batch,)`.
    Source: Liu et al. 2017, arXiv:1704.08063, eq. 7.
    """
    return combined_margin(cosines, labels, m1=margin, m2=0.0, scale=scale, guard="monotone")
