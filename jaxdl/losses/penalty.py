"""Penalties on a tree of parameters; they return a scalar.

`mask` selects the parameters: a tree of booleans, a function that makes one from the parameters, or None for all. By default
it is that of weight decay (`jaxdl.parameters`), without biases, normalization parameters and position embeddings.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxdl.losses.precision import at_least_float32
from jaxdl.parameters import penalised

Mask = Callable[[Any], Any] | Any


def _penalty(of: Callable[[Array], Array], params: Any, mask: Mask) -> Array:
    if mask is None:
        mask = jax.tree.map(lambda leaf: True, params)
    elif callable(mask):
        mask = mask(params)
    terms = jax.tree.map(lambda leaf, counts: of(at_least_float32(leaf)).sum() if counts else 0.0, params, mask)
    return jnp.asarray(sum(jax.tree.leaves(terms)), jnp.float32)


def l1(params: Any, *, mask: Mask = penalised) -> Float[Array, ""]:
    """L1 penalty Σ|w|, which drives weights to exactly 0. The derivative at 0 is 0.

    >>> l1({"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([9.0])}).tolist()
    3.0
    """
    return _penalty(lambda w: w * jnp.sign(w), params, mask)  # jnp.abs has the derivative 1 at 0


def l2(params: Any, *, mask: Mask = penalised) -> Float[Array, ""]:
    """L2 penalty Σw², without a factor ½. λ·l2 has the gradient 2λw, that of PyTorch's `weight_decay=2λ`.

    >>> l2({"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([9.0])}).tolist()
    5.0
    """
    return _penalty(jnp.square, params, mask)


def elastic_net(params: Any, *, lambda1: ArrayLike, lambda2: ArrayLike, mask: Mask = penalised) -> Float[Array, ""]:
    """Elastic net penalty λ₁·Σ|w| + λ₂·Σw²: sparse as L1, stable for correlated inputs as L2. Source: Zou & Hastie 2005.

    scikit-learn's `ElasticNet(alpha, l1_ratio)` has λ₁ = α·ρ and λ₂ = ½·α·(1 - ρ), with half the mean squared error.

    >>> elastic_net({"kernel": jnp.array([[1.0, -2.0]])}, lambda1=2.0, lambda2=0.5).tolist()
    8.5
    """
    lambda1, lambda2 = jnp.asarray(lambda1, jnp.float32), jnp.asarray(lambda2, jnp.float32)
    return lambda1 * l1(params, mask=mask) + lambda2 * l2(params, mask=mask)
