"""The terms of the evidence lower bound (ELBO): a reconstruction plus a divergence, per example, in nats.

    -ELBO = -log p(x | z) + β·KL(q(z | x) ‖ p(z))

A sum over pixels and latents, not a mean: the balance of the two terms depends on it. The variance of a latent comes
as log σ², whose exponential overflows float32 above 88; bound it in the encoder.

With k samples of the latent the bound can be made tighter, and be a likelihood in the end (`importance_weighted`). Where the
latent is one of a table of codes (VQ-VAE) the divergence is a constant, and two distances keep codes and encoder together.
"""

import jax
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

    >>> jax.jit(kl_standard_normal)(jnp.array([[1.0, -1.0]]), jnp.zeros((1, 2))).tolist()
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

    >>> print(f"{jax.jit(bernoulli_reconstruction)(jnp.zeros((1, 784)), jnp.ones((1, 784))).item():.2f}")  # 784·log 2
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


def reparameterise(mean: Latent, log_variance: Latent, noise: Float[Array, "..."]) -> Array:
    """z = μ + σ·ε, ε from N(0, 1): a sample of N(μ, σ²) through which the gradient of μ and σ passes.

    `noise` is `(batch, *latent)`, or has axes in front of these, for several samples.
    """
    mean, log_variance = (jnp.broadcast_to(at_least_float32(a), noise.shape) for a in (mean, log_variance))
    return mean + jnp.exp(0.5 * log_variance) * noise


def log_prior_ratio(z: Float[Array, "..."], mean: Latent, log_variance: Latent) -> Float[Array, "*draws batch"]:
    """log p(z) - log q(z | x) for p = N(0, 1) and q = N(μ, σ²): minus this is the KL divergence in the mean over q.

        ½·Σ ((z - μ)²/σ² + log σ² - z²)

    >>> z = jnp.array([[2.0]])
    >>> jax.jit(log_prior_ratio)(z, z, jnp.zeros((1, 1))).tolist()  # log p(2) - log q(2)
    [-2.0]
    """
    latent = tuple(range(z.ndim - mean.ndim + 1, z.ndim))
    z, mean, log_variance = (jnp.broadcast_to(at_least_float32(a), z.shape) for a in (z, mean, log_variance))
    return 0.5 * (jnp.square(z - mean) * jnp.exp(-log_variance) + log_variance - jnp.square(z)).sum(latent)


def importance_weighted(log_weights: Float[Array, "samples *batch"]) -> Float[Array, "*batch"]:
    """The bound of k samples of the latent on -log p(x), from log w = log p(x | z) + log p(z) - log q(z | x).

        -log 1/k Σ_s w_s

    One sample gives the negative ELBO; more are never looser in the mean, and with k → ∞ it is -log p(x) itself.
    Source: Burda et al. 2016, arXiv:1509.00519, eq. 8 (IWAE); with many samples, the likelihood that papers report.

    >>> print(f"{jax.jit(importance_weighted)(jnp.log(jnp.array([[0.1], [0.3]]))).item():.4f}")  # -log 0.2
    1.6094
    """
    log_weights = at_least_float32(log_weights)
    return jnp.log(jnp.float32(len(log_weights))) - jax.nn.logsumexp(log_weights, axis=0)


def commitment(h: Latent, code: Latent) -> Float[Array, "batch"]:
    """Σ ‖h - sg(e)‖²: keeps what the encoder says near the codes e; sg passes no gradient.

    Source: van den Oord et al. 2017, arXiv:1711.00937, eq. 3, third term.
    """
    return _per_example(jnp.square(at_least_float32(h) - jax.lax.stop_gradient(at_least_float32(code))))


def codebook(h: Latent, code: Latent) -> Float[Array, "batch"]:
    """Σ ‖sg(h) - e‖²: moves the codes towards what they stand for (the second term there)."""
    return commitment(code, h)
