"""The terms of the evidence lower bound (ELBO): a reconstruction plus a divergence, per example, in nats.

    -ELBO = -log p(x | z) + β·KL(q(z | x) ‖ p(z))

A sum over pixels and latents, not a mean: the balance of the two terms depends on it. The variance of a latent comes
as log σ², whose exponential overflows float32 above 88; bound it in the encoder.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from jaxdl.losses.classification import binary_cross_entropy
from jaxdl.losses.precision import at_least_float32
from jaxdl.losses.regression import gaussian_nll

Latent = Float[Array, "batch *latent"]


def _per_example(values: Array) -> Array:
    return values.sum(tuple(range(1, values.ndim)))


def kl_standard_normal(mean: Latent, log_variance: Latent, *, free_bits: ArrayLike = 0.0) -> Float[Array, "batch"]:
    """KL(N(μ, σ²) ‖ N(0, 1)), summed over the latents.

        ½·Σ (σ² + μ² - 1 - log σ²)

    `free_bits` nats of every latent are free (Kingma et al. 2016), against latents that say nothing.
    Source: Kingma & Welling 2013, arXiv:1312.6114, appendix B.

    >>> kl_standard_normal(jnp.array([[1.0, -1.0]]), jnp.zeros((1, 2))).tolist()
    [1.0]
    """
    mean, log_variance = at_least_float32(mean), at_least_float32(log_variance)
    kl = 0.5 * (jnp.expm1(log_variance) - log_variance + jnp.square(mean))
    free = jnp.asarray(free_bits, kl.dtype)
    return _per_example(jnp.where(kl >= free, kl, free))


def kl_normal(
    mean: Latent, log_variance: Latent, *, prior_mean: Latent, prior_log_variance: Latent
) -> Float[Array, "batch"]:
    """KL(N(μ, σ²) ‖ N(μ₀, σ₀²)), summed over the latents: a learned prior (hierarchies, conditional VAEs).

    ½·Σ (σ²/σ₀² + (μ - μ₀)²/σ₀² - 1 - log σ²/σ₀²)
    """
    mean, log_variance, prior_mean, prior = map(at_least_float32, (mean, log_variance, prior_mean, prior_log_variance))
    ratio = log_variance - prior
    return _per_example(0.5 * (jnp.expm1(ratio) - ratio + jnp.square(mean - prior_mean) * jnp.exp(-prior)))


def bernoulli_reconstruction(
    logits: Float[Array, "batch *shape"], x: Num[Array, "batch *shape"]
) -> Float[Array, "batch"]:
    """-log p(x | z) of independent Bernoulli pixels: cross-entropy summed over the example; x in [0, 1].

    >>> print(f"{bernoulli_reconstruction(jnp.zeros((1, 784)), jnp.ones((1, 784)))[0]:.2f}")  # 784·log 2
    543.43
    """
    return _per_example(binary_cross_entropy(logits, x))


def gaussian_reconstruction(
    mean: Float[Array, "batch *shape"], x: Float[Array, "batch *shape"], *, log_variance: ArrayLike = 0.0
) -> Float[Array, "batch"]:
    """-log p(x | z) of independent normal pixels with its constant; log σ² is one number, fixed or learned."""
    spread = jnp.broadcast_to(jnp.asarray(log_variance, jnp.float32), mean.shape)
    return _per_example(gaussian_nll((mean, spread), x, full=True))


def negative_elbo(
    reconstruction: Float[Array, "batch"], kl: Float[Array, "batch"], *, beta: ArrayLike = 1.0
) -> Float[Array, "batch"]:
    """reconstruction + β·KL. β > 1 disentangles (Higgins et al. 2017); β from 0 to 1 over the first steps warms up."""
    return reconstruction + jnp.asarray(beta, kl.dtype) * kl
