"""Sharpness-aware minimization (SAM), which wraps another optimizer."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxdl.counts import check_numbers
from jaxdl.optim.schedules import Knob
from jaxdl.types import UserError


def sam(
    tx: optax.GradientTransformation, *, rho: Knob = 0.05, adaptive: bool = False
) -> optax.GradientTransformationExtraArgs:
    """Use the gradient at the point of highest loss nearby, which leads to flat minima. Each step costs a second gradient.

        e = ρ g / ‖g‖                               w ← step of tx with ∇L(w + e); ‖·‖ over all parameters together
        e = ρ w² g / ‖ |w| g ‖                      adaptive (ASAM): the distance scales with the weights

    Args:
        tx: the optimizer; its state is the state. A transformation before `sam` in a chain gets the first gradient only, so
            clip inside: `sam(optax.chain(clip(norm=1.0), adamw(lr)))`.
        rho: distance ρ, usually 0.05 to 0.2, ten times that for `adaptive`.

    `update` takes `grad_fn(params, i) -> gradient` of the same batch, as `optax.contrib.sam(opaque_mode=True)` does, and raises
    `UserError` without it. When to use: generalization matters more than time.
    Source: Foret et al. 2020, arXiv:2010.01412, algorithm 1; Kwon et al. 2021, arXiv:2102.11600.
    """
    check_numbers(rho=rho)
    inner = optax.with_extra_args_support(tx)

    def update(updates: Any, state: Any, params: Any = None, *, grad_fn: Any = None, **extra: Any):
        if grad_fn is None or params is None:
            raise UserError("sam needs grad_fn=: tx.update(updates, state, params, grad_fn=lambda params, i: gradient)")
        wide = jax.tree.map(lambda g: g.astype(jnp.promote_types(g.dtype, jnp.float32)), updates)
        slope = jax.tree.map(lambda g, w: abs(w) * g, wide, params) if adaptive else wide
        length = rho / (optax.tree.norm(slope) + 1e-12)
        uphill = jax.tree.map(lambda s, w: length * (abs(w) * s if adaptive else s), slope, params)
        return inner.update(grad_fn(optax.apply_updates(params, uphill), 0), state, params, grad_fn=grad_fn, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)
