"""Losses of the critic and the generator of a GAN, and gradient penalties for the critic.

Logits are the raw outputs of the critic, large for real examples. An `AdversarialLoss` is an argument of the task:
`hinge.critic(real, fake)` and `hinge.generator(fake)` return one value per example.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxdl.counts import check_numbers
from jaxdl.losses.precision import at_least_float32
from jaxdl.tracing import row_numbers

Examples = Float[Array, "batch *shape"]
PerExample = Float[Array, "batch"]

Logits = Float[Array, "*batch"]
Critic = Callable[[Array], Array]
"""Function from a batch of examples to one logit for each. Examples must not interact (no batch normalization)."""


@dataclass(frozen=True)
class AdversarialLoss:
    """A pair of losses: the critic's, of the logits of real and fake examples, and the generator's, of fake ones."""

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
"""Critic -log σ(r) - log(1 - σ(f)), generator -log σ(f). Source: Goodfellow et al. 2014, arXiv:1406.2661, section 3.

>>> print(f"{nonsaturating.critic(jnp.array(0.0), jnp.array(0.0)):.4f}")       # 2·log 2: both probabilities are ½
1.3863
"""

minimax = AdversarialLoss(real=lambda r: jax.nn.softplus(-r), fake=jax.nn.softplus, fool=lambda f: -jax.nn.softplus(f))
"""As `nonsaturating`, but the generator minimises log(1 - σ(f)), whose gradient vanishes when the critic is good.

For demonstration; use `nonsaturating` for training.
"""

least_squares = AdversarialLoss(
    real=lambda r: 0.5 * jnp.square(r - 1), fake=lambda f: 0.5 * jnp.square(f), fool=lambda f: 0.5 * jnp.square(f - 1)
)
"""Critic ½(r - 1)² + ½f², generator ½(f - 1)². Source: Mao et al. 2016, arXiv:1611.04076, eq. 9."""

hinge = AdversarialLoss(real=lambda r: jax.nn.relu(1 - r), fake=lambda f: jax.nn.relu(1 + f), fool=jnp.negative)
"""Critic max(0, 1 - r) + max(0, 1 + f), generator -f; used by SNGAN and BigGAN. Source: Lim & Ye 2017, arXiv:1705.02894."""

wasserstein = AdversarialLoss(real=jnp.negative, fake=jnp.positive, fool=jnp.negative)
"""Critic f - r, generator -f. The critic must be Lipschitz: add `gradient_penalty`. Source: Arjovsky et al. 2017."""


def _gradient_norm_squared(critic: Critic, x: Examples) -> PerExample:
    """‖∇D(x)‖² of every example, from one gradient of the sum of the logits."""
    gradient = at_least_float32(jax.grad(lambda x: at_least_float32(critic(x)).sum())(x))
    return jnp.square(gradient).sum(tuple(range(1, x.ndim)))


def gradient_penalty(
    critic: Critic, real: Examples, fake: Examples, *, key: jax.Array, target: ArrayLike = 1.0
) -> PerExample:
    """Gradient penalty of WGAN-GP at points between real and fake examples; the usual weight is 10.

        (‖∇D(x̂)‖ - target)²        x̂ = u·real + (1 - u)·fake,  u ~ U(0, 1) for each example

    Source: Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1.

    >>> penalty = jax.jit(lambda real, fake, key: gradient_penalty(lambda x: 3 * x[:, 0], real, fake, key=key))
    >>> penalty(jnp.ones((2, 4)), jnp.zeros((2, 4)), jax.random.key(0)).tolist()
    [4.0, 4.0]
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, row_numbers(real.shape[0]))  # the same for any micro-batches
    u = jax.vmap(lambda key: jax.random.uniform(key, dtype=real.dtype))(keys)
    u = jnp.broadcast_to(u.reshape(-1, *(1,) * (real.ndim - 1)), real.shape)
    squared = _gradient_norm_squared(critic, u * real + (1 - u) * fake)
    norm = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)  # no NaN where the critic is flat
    return jnp.square(norm - jnp.asarray(target, norm.dtype))


def r1(critic: Critic, real: Examples, *, gamma: ArrayLike = 10.0) -> PerExample:
    """R1 gradient penalty ½·γ·‖∇D(x)‖² at real examples. At fake examples it is R2.

    The paper uses γ = 10; StyleGAN2 scales γ with the resolution. Source: Mescheder et al. 2018, arXiv:1801.04406, eq. 9.

    >>> jax.jit(lambda real: r1(lambda x: 3 * x[:, 0], real, gamma=2.0))(jnp.ones((2, 4))).tolist()
    [9.0, 9.0]
    """
    check_numbers(gamma=gamma)
    squared = _gradient_norm_squared(critic, real)
    return 0.5 * jnp.asarray(gamma, squared.dtype) * squared
