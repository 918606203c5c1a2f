"""Losses of the two players of a GAN, and the penalties that keep the critic smooth.

`logits` are the critic's raw outputs, large for "real". Each `AdversarialLoss` is a value a task takes:
`hinge.critic(real, fake)` and `hinge.generator(fake)`, one value per example.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxdl.losses.precision import at_least_float32
from jaxdl.tracing import row_numbers

Logits = Float[Array, "*batch"]
Critic = Callable[[Array], Array]
"""A batch of examples -> one logit each, every example on its own (no batch normalization), parameters closed over."""


@dataclass(frozen=True)
class AdversarialLoss:
    """What the critic minimises on (real, fake) logits, and the generator on fake logits."""

    real: Callable[[Array], Array]
    fake: Callable[[Array], Array]
    fool: Callable[[Array], Array]

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return self.real(at_least_float32(real)) + self.fake(at_least_float32(fake))

    def generator(self, fake: Logits) -> Logits:
        return self.fool(at_least_float32(fake))


nonsaturating = AdversarialLoss(
    real=lambda r: jax.nn.softplus(-r), fake=jax.nn.softplus, fool=lambda f: jax.nn.softplus(-f)
)
"""critic -log σ(r) - log(1 - σ(f)), generator -log σ(f). Source: Goodfellow et al. 2014, arXiv:1406.2661, section 3.

>>> print(f"{nonsaturating.critic(jnp.array(0.0), jnp.array(0.0)):.4f}")       # 2·log 2: at a draw
1.3863
"""

minimax = AdversarialLoss(real=lambda r: jax.nn.softplus(-r), fake=jax.nn.softplus, fool=lambda f: -jax.nn.softplus(f))
"""As above, but the generator minimises log(1 - σ(f)), which saturates when the critic wins: to show, not to use."""

least_squares = AdversarialLoss(
    real=lambda r: 0.5 * jnp.square(r - 1), fake=lambda f: 0.5 * jnp.square(f), fool=lambda f: 0.5 * jnp.square(f - 1)
)
"""critic ½(r - 1)² + ½f², generator ½(f - 1)². Source: Mao et al. 2016, arXiv:1611.04076, eq. 9."""

hinge = AdversarialLoss(real=lambda r: jax.nn.relu(1 - r), fake=lambda f: jax.nn.relu(1 + f), fool=jnp.negative)
"""critic max(0, 1 - r) + max(0, 1 + f), generator -f. Source: Lim & Ye 2017, arXiv:1705.02894; SNGAN, BigGAN."""

wasserstein = AdversarialLoss(real=jnp.negative, fake=jnp.positive, fool=jnp.negative)
"""critic f - r, generator -f; needs a Lipschitz critic: `gradient_penalty`. Source: Arjovsky et al. 2017."""


def _gradient_norm_squared(critic: Critic, x: Float[Array, "batch *shape"]) -> Float[Array, "batch"]:
    """‖∇D(x)‖² of every example; the sum's gradient holds each example's own."""
    gradient = at_least_float32(jax.grad(lambda x: at_least_float32(critic(x)).sum())(x))
    return jnp.square(gradient).sum(tuple(range(1, x.ndim)))


def gradient_penalty(
    critic: Critic,
    real: Float[Array, "batch *shape"],
    fake: Float[Array, "batch *shape"],
    *,
    key: jax.Array,
    target: ArrayLike = 1.0,
) -> Float[Array, "batch"]:
    """(‖∇D(x̂)‖ - 1)² between real and fake, x̂ = u·real + (1 - u)·fake, u ~ U(0, 1) per example; weigh it by 10.

    Source: Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1.

    >>> penalty = jax.jit(lambda real, fake, key: gradient_penalty(lambda x: 3 * x[:, 0], real, fake, key=key))
    >>> penalty(jnp.ones((2, 4)), jnp.zeros((2, 4)), jax.random.key(0)).tolist()
    [4.0, 4.0]
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, row_numbers(real.shape[0]))  # however the batch is cut
    u = jax.vmap(lambda key: jax.random.uniform(key, dtype=real.dtype))(keys)
    u = jnp.broadcast_to(u.reshape(-1, *(1,) * (real.ndim - 1)), real.shape)
    squared = _gradient_norm_squared(critic, u * real + (1 - u) * fake)
    norm = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)  # no NaN where the critic is flat
    return jnp.square(norm - jnp.asarray(target, norm.dtype))


def r1(critic: Critic, real: Float[Array, "batch *shape"], *, gamma: ArrayLike = 10.0) -> Float[Array, "batch"]:
    """½·γ·‖∇D(x)‖² at real examples (at fake ones it is R2): the critic is flat where the data are.

    Source: Mescheder et al. 2018, arXiv:1801.04406, eq. 9 (γ = 10; StyleGAN2 scales it with the resolution).

    >>> jax.jit(lambda real: r1(lambda x: 3 * x[:, 0], real, gamma=2.0))(jnp.ones((2, 4))).tolist()
    [9.0, 9.0]
    """
    squared = _gradient_norm_squared(critic, real)
    return 0.5 * jnp.asarray(gamma, squared.dtype) * squared
