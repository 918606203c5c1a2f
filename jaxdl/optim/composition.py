"""Parts of all optimizers: chains computed in float32, learning rate, weight decay, moving averages, gradient clipping."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_numbers
from jaxdl.optim.groups import Mask
from jaxdl.optim.plateau import PlateauState
from jaxdl.optim.schedules import Knob, Schedule
from jaxdl.types import UserError

Rate = Knob | Schedule
"""A learning rate: a number or a schedule."""


def compose(*parts: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Chain transformations as `optax.chain` does, computed in float32 for parameters of any type.

    In bfloat16, b2 = 0.999 would round to 1.0 and the second moment never change; and a traced float32 number would change the
    type of the state after one step. Updates are float32; `optax.apply_updates` converts them to the type of the parameters.
    """
    chain = optax.with_extra_args_support(optax.chain(*parts))

    def widen(tree: Any) -> Any:
        return jax.tree.map(lambda x: x.astype(jnp.promote_types(x.dtype, jnp.float32)), tree)

    def update(updates, state, params=None, **extra):
        return chain.update(widen(updates), state, None if params is None else widen(params), **extra)

    return optax.GradientTransformationExtraArgs(lambda params: chain.init(widen(params)), update)


class LearningRateState(NamedTuple):
    """Number of updates so far, and the learning rate of the last one (before the first update, that of the first)."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  (optax calls it so)
    value: Float[Array, ""]


def start_rate(lr: Rate) -> LearningRateState:
    """Return the state before the first update."""
    count = jnp.zeros((), jnp.int32)
    return LearningRateState(count, rate_at(lr, count))


def rate_at(lr: Rate, count: Knob) -> Float[Array, ""]:
    """Return the learning rate of update number `count`, from a schedule or a number."""
    return jnp.asarray(lr(count) if callable(lr) else lr, jnp.result_type(float))


def scale_by_learning_rate(lr: Rate) -> optax.GradientTransformation:
    """Multiply by the negative learning rate, u ← -η(t) · u: the last part of most optimizers.

    The state holds η(t), which `current_learning_rate` finds for the log. Raises `UserError` for a negative number.
    """
    check_numbers(lr=lr)

    def update(updates, state, params=None):
        value = rate_at(lr, state.count)
        return jax.tree.map(lambda u: -value.astype(u.dtype) * u, updates), LearningRateState(state.count + 1, value)

    return optax.GradientTransformation(lambda params: start_rate(lr), update)


def weight_decay(decay: Knob, mask: Mask) -> optax.GradientTransformation:
    """Add λ·w to the update of the parameters that `mask` selects. Raises `UserError` for a negative λ."""
    check_numbers(decay=decay)
    return optax.add_decayed_weights(decay, mask)


def current_learning_rate(opt_state: Any) -> Float[Array, ""] | None:
    """Return the learning rate of the last update from the state of an optimizer, or None if the state does not hold it.

    It includes the scale of `reduce_on_plateau` and the distance that `prodigy` estimates, but no multipliers of groups.

    >>> from jaxdl.optim import adamw, current_learning_rate
    >>> float(current_learning_rate(adamw(0.5).init({"w": jnp.ones(2)})))
    0.5
    """
    rates = find_states(opt_state, LearningRateState)
    if not rates:
        return None
    value = rates[0].value
    for plateau in find_states(opt_state, PlateauState):
        value = value * plateau.scale
    return value


def find_states(opt_state: Any, kind: type) -> list:
    """Return all states of one type within the state of an optimizer, in the order of the tree."""
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, kind))
    return [node for node in nodes if isinstance(node, kind)]


def average(old: Any, new: Any, b: Knob) -> Any:
    """Update an exponential moving average of each leaf: b · old + (1 - b) · new."""
    b = jnp.asarray(b, jnp.result_type(float))
    return jax.tree.map(lambda old, new: b.astype(old.dtype) * old + (1 - b).astype(old.dtype) * new, old, new)


def unbias(b: Knob, t: Int[Array, ""]) -> Float[Array, ""]:
    """Return 1 - bᵗ, the bias correction of a moving average that began at zero.

    In float32 the plain formula, which optax uses, loses 5 of 7 digits at b = 0.999, t = 1; this one is exact to the last digit.

    >>> f"{float(unbias(0.999, 2)):.7f}"
    '0.0019990'
    """
    return -jnp.expm1(t * jnp.log(jnp.asarray(b, jnp.result_type(float))))


def squared(tree: Any) -> Any:
    """Square every element of a tree."""
    return jax.tree.map(jnp.square, tree)


def clip(*, norm: Knob | None = None, value: Knob | None = None) -> optax.GradientTransformation:
    """Clip gradients: `optax.chain(clip(norm=1.0), adamw(lr))`.

        g ← min(max(g, -value), value)                      each element, first if both are given
        g ← g · min(1, norm / ‖g‖)                          ‖g‖ over all parameters together

    As PyTorch's `clip_grad_value_` and `clip_grad_norm_` (which adds 1e-6 to ‖g‖). Raises `UserError` if neither is given.
    Source: Pascanu et al. 2012, arXiv:1211.5063.

    >>> clipped, _ = clip(norm=1.0).update(jnp.array([3.0, 4.0]), clip(norm=1.0).init(None))
    >>> [round(float(g), 4) for g in clipped]
    [0.6, 0.8]
    """
    if norm is None and value is None:
        raise UserError("clip() needs norm=, value= or both")
    check_numbers(norm=norm, value=value)

    def clipped(grads, params):
        if value is not None:
            low, high = -value, value
            grads = jax.tree.map(lambda g: jnp.clip(g, low, high), grads)
        if norm is not None:
            length = optax.tree.norm(grads)
            shrink = jnp.where(length > norm, norm / jnp.where(length > 0, length, 1), 1)
            grads = jax.tree.map(lambda g: g * shrink, grads)
        return grads

    return compose(optax.stateless(clipped))


def known_preset(preset: str, presets: Any) -> Any:
    """Return the entry of a table of presets. Raises `UserError` with the names of all presets for another one."""
    if preset not in presets:
        raise UserError(f"preset = {preset!r} must be one of {', '.join(map(repr, presets))}")
    return presets[preset]
