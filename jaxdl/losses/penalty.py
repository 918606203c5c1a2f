"""Penalties on a tree of parameters: the only losses that are one scalar.

By default they count weights only, no biases and no norms; `mask` is another tree of booleans, or a function that
makes one from the parameters, or None for everything.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxdl.losses.precision import at_least_float32

Mask = Callable[[Any], Any] | Any
NOT_WEIGHTS = ("bias", "scale", "beta", "gamma", "slope")


def weights_only(params: Any) -> Any:
    """True for weights: arrays of two axes or more that are not named as a bias, a norm's scale or a learned slope.

    The name is asked too because layers stacked by a scan give a bias a second axis.

    >>> weights_only({"kernel": jnp.ones((2, 2)), "bias": jnp.ones((3, 2)), "offset": jnp.ones(2)})
    {'bias': False, 'kernel': True, 'offset': False}
    """

    def is_weight(path: tuple, leaf: Array) -> bool:
        name = str(getattr(path[-1], "key", getattr(path[-1], "name", ""))) if path else ""
        return jnp.ndim(leaf) >= 2 and name not in NOT_WEIGHTS

    return jax.tree_util.tree_map_with_path(is_weight, params)


def _penalty(of: Callable[[Array], Array], params: Any, mask: Mask) -> Array:
    if mask is None:
        mask = jax.tree.map(lambda leaf: True, params)
    elif callable(mask):
        mask = mask(params)
    terms = jax.tree.map(lambda leaf, counts: of(at_least_float32(leaf)).sum() if counts else 0.0, params, mask)
    return jnp.asarray(sum(jax.tree.leaves(terms)), jnp.float32)


def l1(params: Any, *, mask: Mask = weights_only) -> Float[Array, ""]:
    """Σ|w|: drives weights to exactly 0. Multiply by λ; the derivative at 0 is 0.

    >>> l1({"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([9.0])}).tolist()
    3.0
    """
    return _penalty(lambda w: w * jnp.sign(w), params, mask)  # jnp.abs has the derivative 1 at 0


def l2(params: Any, *, mask: Mask = weights_only) -> Float[Array, ""]:
    """Σw², the sheet's, without ½: keeps weights small. λ·l2 has the gradient 2λw; a torch `weight_decay` of 2λ.

    >>> l2({"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([9.0])}).tolist()
    5.0
    """
    return _penalty(jnp.square, params, mask)


def elastic_net(params: Any, *, lambda1: ArrayLike, lambda2: ArrayLike, mask: Mask = weights_only) -> Float[Array, ""]:
    """λ₁·Σ|w| + λ₂·Σw²: sparse like L1, stable for correlated inputs like L2 (Zou & Hastie 2005).

    scikit-learn's `ElasticNet(alpha, l1_ratio)` is λ₁ = α·ρ, λ₂ = ½·α·(1 - ρ) beside half the mean squared error.

    >>> elastic_net({"kernel": jnp.array([[1.0, -2.0]])}, lambda1=2.0, lambda2=0.5).tolist()
    8.5
    """
    lambda1, lambda2 = jnp.asarray(lambda1, jnp.float32), jnp.asarray(lambda2, jnp.float32)
    return lambda1 * l1(params, mask=mask) + lambda2 * l2(params, mask=mask)
