"""Sharpness-aware minimization: an optimizer around any other."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxdl.optim.schedules import Knob
from jaxdl.types import UserError


def sam(
    tx: optax.GradientTransformation, *, rho: Knob = 0.05, adaptive: bool = False
) -> optax.GradientTransformationExtraArgs:
    """Descend by the gradient at the worst point nearby, which leads to flat minima; costs a second gradient.

        e = ρ g / ‖g‖                               w ← tx's step with ∇L(w + e)
        e = ρ w² g / ‖ |w| g ‖                      adaptive (ASAM): a neighbourhood that scales with the weights

    ‖·‖ is over all parameters together. `update` takes `grad_fn(params, i) -> gradient` of the same batch, as
    `optax.contrib.sam(opaque_mode=True)` does. What stands before `sam` in a chain sees only the first gradient, so clip
    inside: `sam(optax.chain(clip(norm=1.0), adamw(lr)))`.
    The state is that of `tx`. ρ is 0.05 to 0.2, ten times that when adaptive. When to use: generalization matters more than time.
    Errors: ValueError if `update` is called without `grad_fn=` or parameters.
    Source: Foret et al. 2020, arXiv:2010.01412, algorithm 1; Kwon et al. 2021, arXiv:2102.11600.
    """
    inner = optax.with_extra_args_support(tx)

    def update(updates: Any, state: Any, params: Any = None, *, grad_fn: Any = None, **extra: Any):
        if grad_fn is None or params is None:
            raise UserError("sam needs tx.update(updates, state, params, grad_fn=lambda params, i: gradient)")
        wide = jax.tree.map(lambda g: g.astype(jnp.promote_types(g.dtype, jnp.float32)), updates)
        slope = jax.tree.map(lambda g, w: abs(w) * g, wide, params) if adaptive else wide
        length = rho / (optax.tree.norm(slope) + 1e-12)
        uphill = jax.tree.map(lambda s, w: length * (abs(w) * s if adaptive else s), slope, params)
        return inner.update(grad_fn(optax.apply_updates(params, uphill), 0), state, params, grad_fn=grad_fn, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)
