"""Terms of the evidence lower bound (ELBO) of variational autoencoders, for each example, in nats.

    -ELBO = -log p(x | z) + β·KL(q(z | x) ‖ p(z))

They are sums over pixels and latent dimensions, not means, because the balance of the two terms depends on it. Variances are
given as log σ²; its exponential overflows float32 above 88, so bound it in the encoder.

`importance_weighted` is a tighter bound from several samples of the latent. For a VQ-VAE, whose divergence is constant,
`commitment` and `codebook` keep the encoder and the codes together.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from jaxdl.counts import check_numbers
from jaxdl.losses.classification import binary_cross_entropy
from jaxdl.losses.precision import at_least_float32
from jaxdl.losses.regression import gaussian_nll

PerExample = Float[Array, "batch"]
Pixels = Float[Array, "batch *shape"]

Latent = Float[Array, "batch *latent"]


def _per_example(values: Array) -> Array:
    return values.sum(tuple(range(1, values.ndim)))


def kl_standard_normal(mean: Latent, log_variance: Latent, *, free_bits: ArrayLike = 0.0) -> PerExample:
    """KL divergence KL(N(μ, σ²) ‖ N(0, 1)), summed over the latent dimensions.

        ½·Σ (σ² + μ² - 1 - log σ²)

    Each latent dimension costs at least `free_bits` nats (Kingma et al. 2016), which keeps dimensions from being unused.
    Source: Kingma & Welling 2013, arXiv:1312.6114, appendix B.

    >>> jax.jit(kl_standard_normal)(jnp.array([[1.0, -1.0]]), jnp.zeros((1, 2))).tolist()
    [1.0]
    """
    check_numbers(free_bits=free_bits)
    mean, log_variance = at_least_float32(mean), at_least_float32(log_variance)
    kl = 0.5 * (jnp.expm1(log_variance) - log_variance + jnp.square(mean))
    free = jnp.asarray(free_bits, kl.dtype)
    return _per_example(jnp.where(kl >= free, kl, free))


def kl_normal(mean: Latent, log_variance: Latent, *, prior_mean: Latent, prior_log_variance: Latent) -> PerExample:
    """KL divergence KL(N(μ, σ²) ‖ N(μ₀, σ₀²)) from a learned prior, summed over the latent dimensions.

    ½·Σ (σ²/σ₀² + (μ - μ₀)²/σ₀² - 1 - log σ²/σ₀²)
    """
    mean, log_variance, prior_mean, prior = map(at_least_float32, (mean, log_variance, prior_mean, prior_log_variance))
    ratio = log_variance - prior
    return _per_example(0.5 * (jnp.expm1(ratio) - ratio + jnp.square(mean - prior_mean) * jnp.exp(-prior)))


def bernoulli_reconstruction(logits: Pixels, x: Num[Array, "batch *shape"]) -> PerExample:
    """Reconstruction loss -log p(x | z) of independent Bernoulli pixels: binary cross-entropy, summed; x is in [0, 1].

    >>> print(f"{jax.jit(bernoulli_reconstruction)(jnp.zeros((1, 784)), jnp.ones((1, 784))).item():.2f}")  # 784·log 2
    543.43
    """
    return _per_example(binary_cross_entropy(logits, x))


def gaussian_reconstruction(mean: Pixels, x: Pixels, *, log_variance: ArrayLike = 0.0) -> PerExample:
    """Reconstruction loss -log p(x | z) of independent normal pixels; `log_variance` is one number, fixed or learned."""
    spread = jnp.broadcast_to(jnp.asarray(log_variance, jnp.float32), mean.shape)
    return _per_example(gaussian_nll((mean, spread), x, full=True))


def negative_elbo(reconstruction: PerExample, kl: PerExample, *, beta: ArrayLike = 1.0) -> PerExample:
    """Negative ELBO: reconstruction + β·KL.

    β > 1 is the β-VAE (Higgins et al. 2017); a β that rises from 0 to 1 during the first steps is a warm-up.
    """
    return reconstruction + jnp.asarray(beta, kl.dtype) * kl


def reparameterise(mean: Latent, log_variance: Latent, noise: Float[Array, "..."]) -> Array:
    """Return a sample z = μ + σ·ε of N(μ, σ²) that is differentiable in μ and σ.

    `noise` is ε ~ N(0, 1) of shape `(batch, *latent)`, or with further leading axes for several samples.
    """
    mean, log_variance = (jnp.broadcast_to(at_least_float32(a), noise.shape) for a in (mean, log_variance))
    return mean + jnp.exp(0.5 * log_variance) * noise


def log_prior_ratio(z: Float[Array, "..."], mean: Latent, log_variance: Latent) -> Float[Array, "*draws batch"]:
    """Return log p(z) - log q(z | x) for p = N(0, 1) and q = N(μ, σ²). Its mean over q is minus the KL divergence.

        ½·Σ ((z - μ)²/σ² + log σ² - z²)

    >>> z = jnp.array([[2.0]])
    >>> jax.jit(log_prior_ratio)(z, z, jnp.zeros((1, 1))).tolist()  # log p(2) - log q(2)
    [-2.0]
    """
    latent = tuple(range(z.ndim - mean.ndim + 1, z.ndim))
    z, mean, log_variance = (jnp.broadcast_to(at_least_float32(a), z.shape) for a in (z, mean, log_variance))
    return 0.5 * (jnp.square(z - mean) * jnp.exp(-log_variance) + log_variance - jnp.square(z)).sum(latent)


def importance_weighted(log_weights: Float[Array, "samples *batch"]) -> Float[Array, "*batch"]:
    """Importance-weighted bound on -log p(x) from k samples of the latent (IWAE).

        -log 1/k Σ_s w_s        log w = log p(x | z) + log p(z) - log q(z | x)

    One sample gives the negative ELBO. More samples give a tighter bound on average, and for k → ∞ it is -log p(x); papers
    report it with many samples as the likelihood. Source: Burda et al. 2016, arXiv:1509.00519, eq. 8.

    >>> print(f"{jax.jit(importance_weighted)(jnp.log(jnp.array([[0.1], [0.3]]))).item():.4f}")  # -log 0.2
    1.6094
    """
    log_weights = at_least_float32(log_weights)
    return jnp.log(jnp.float32(len(log_weights))) - jax.nn.logsumexp(log_weights, axis=0)


def commitment(h: Latent, code: Latent) -> PerExample:
    """Commitment loss Σ ‖h - sg(e)‖² of a VQ-VAE: keeps the encoder outputs h near the codes e; sg stops the gradient.

    Source: van den Oord et al. 2017, arXiv:1711.00937, eq. 3, third term.
    """
    return _per_example(jnp.square(at_least_float32(h) - jax.lax.stop_gradient(at_least_float32(code))))


def codebook(h: Latent, code: Latent) -> PerExample:
    """Codebook loss Σ ‖sg(h) - e‖² of a VQ-VAE: moves the codes towards the encoder outputs; the second term of eq. 3."""
    return commitment(code, h)
