"""Softmax losses with a margin: classes as directions on a sphere, the true one handicapped while training.

They take cosines `(batch, classes)` between an embedding and each class centre, which a head of the model gives, and
class numbers; one value per example, as in `cross_entropy`: 0 for a label of -100, which is ignored, and NaN for any other
that is no class. θ is the angle to the true class, s the scale:

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

Guard = Literal["linear", "monotone", "easy", "none"]
Gradient = Literal["exact", "straight_through"]


def combined_margin_logits(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, "batch"],
    *,
    m1: ArrayLike = 1.0,
    m2: ArrayLike = 0.0,
    m3: ArrayLike = 0.0,
    scale: ArrayLike = 64.0,
    guard: Guard = "linear",
    gradient: Gradient = "exact",
) -> Float[Array, "batch classes"]:
    """s · (cos(m₁θ + m₂) - m₃ for the true class, cosθ for the others). Float32; `scale` may be one per example.

    A row whose label is no class has no margin; its loss is NaN, or 0 for a label of -100.

    `guard`, where φ = m₁θ + m₂ exceeds π and cos φ would rise again, rewarding a worse angle:
    - "linear": cosθ - m₂·sin m₂ there (ArcFace's own code, pytorch-metric-learning); meant for m₁ = 1;
    - "monotone": (-1)ᵏ·cos φ - 2k with k = ⌊φ/π⌋ (SphereFace): continuous for every m₁;
    - "easy": the margin only where θ < π/2, cosθ elsewhere ("easy margin");
    - "none": cos φ as it is (insightface).

    `gradient`, of the true class's logit with respect to its cosine:
    - "exact": s·m₁·sin φ / sinθ, the derivative of the formula (pytorch-metric-learning). θ is held 1e-3 from 0
      and π, where it would be infinite;
    - "straight_through": s. insightface changes the logit outside of autograd, so its gradient takes no notice of
      the margin but for the softmax's.
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
        raise UserError(f"guard is {guard!r}, need 'linear', 'monotone', 'easy' or 'none'")
    if gradient == "straight_through":
        margined = truth + jax.lax.stop_gradient(margined - truth)
    elif gradient != "exact":
        raise UserError(f"gradient is {gradient!r}, need 'exact' or 'straight_through'")
    is_truth = jnp.arange(cosines.shape[1])[None] == labels[:, None]
    scale = jnp.broadcast_to(scale[:, None] if scale.ndim else scale, cosines.shape)
    return scale * jnp.where(is_truth, jnp.broadcast_to(margined - m3, cosines.shape), cosines)


def combined_margin(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, "batch"],
    *,
    m1: ArrayLike = 1.0,
    m2: ArrayLike = 0.5,
    m3: ArrayLike = 0.0,
    scale: ArrayLike = 64.0,
    guard: Guard = "linear",
    gradient: Gradient = "exact",
) -> Float[Array, "batch"]:
    """Cross-entropy of `combined_margin_logits`: SphereFace's, ArcFace's and CosFace's margins at once.

    The paper's combined setting is m₁ = 1, m₂ = 0.3, m₃ = 0.2.
    """
    logits = combined_margin_logits(cosines, labels, m1=m1, m2=m2, m3=m3, scale=scale, guard=guard, gradient=gradient)
    return cross_entropy(logits, labels)


def arcface(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, "batch"],
    *,
    margin: ArrayLike = 0.5,
    scale: ArrayLike = 64.0,
    guard: Guard = "linear",
    gradient: Gradient = "exact",
) -> Float[Array, "batch"]:
    """Face recognition: the true class must win although its angle counts m radians more.

        -log( e^(s·cos(θ_y + m)) / (e^(s·cos(θ_y + m)) + Σ_(j≠y) e^(s·cosθ_j)) )

    m = 0.5 rad (28.6° in pytorch-metric-learning), s = 64. `guard` and `gradient` are explained in
    `combined_margin_logits`; insightface is `guard="none", gradient="straight_through"`.
    Source: Deng et al. 2018, arXiv:1801.07698, eq. 3.

    >>> print(f"{jax.jit(arcface)(jnp.zeros((1, 2)), jnp.array([0]), scale=1.0).item():.4f}")  # log(1 + e^(sin 0.5))
    0.9613
    """
    return combined_margin(cosines, labels, m2=margin, scale=scale, guard=guard, gradient=gradient)


def cosface(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, "batch"],
    *,
    margin: ArrayLike = 0.35,
    scale: ArrayLike = 64.0,
) -> Float[Array, "batch"]:
    """ArcFace with the margin on the cosine, s·(cosθ_y - m): easier to train, no guard needed.

    m = 0.35 in the paper and pytorch-metric-learning, 0.40 in insightface.
    Source: Wang et al. 2018, arXiv:1801.09414, eq. 4.

    >>> print(f"{jax.jit(cosface)(jnp.zeros((1, 2)), jnp.array([0]), scale=1.0).item():.4f}")  # log(1 + e^0.35)
    0.8834
    """
    truth = jnp.arange(cosines.shape[1])[None] == labels[:, None]
    cosines = at_least_float32(cosines)
    margin, scale = jnp.asarray(margin, cosines.dtype), jnp.asarray(scale, cosines.dtype)
    return cross_entropy(scale * (cosines - margin * truth), labels)


def sphereface(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, "batch"],
    *,
    margin: ArrayLike = 4.0,
    scale: ArrayLike = 30.0,
) -> Float[Array, "batch"]:
    """The first of the family: the angle to the true class counts m times, s·((-1)ᵏ·cos(mθ_y) - 2k), k = ⌊mθ_y/π⌋.

    The paper does not normalise the embedding: give its lengths as `scale` `(batch,)`. s = 30 normalises (SphereFace-R).
    Source: Liu et al. 2017, arXiv:1704.08063, eq. 7.
    """
    return combined_margin(cosines, labels, m1=margin, m2=0.0, scale=scale, guard="monotone")
