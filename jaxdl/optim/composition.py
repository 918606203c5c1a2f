"""What every optimizer here is made of: a chain computed in float32, a learning rate that can be read back, clipping."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_numbers
from jaxdl.optim.schedules import Knob, PlateauState, Schedule
from jaxdl.types import UserError

Rate = Knob | Schedule
"""A learning rate: a number or a schedule."""


def compose(*parts: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """`optax.chain`, computed in float32 whatever the parameters are.

    In bfloat16 b2 = 0.999 is 1.0 and a second moment never moves; and a traced float32 knob would change the state's type
    after one step. Updates come out in float32; `optax.apply_updates` brings the parameters back to their own type.
    """
    chain = optax.with_extra_args_support(optax.chain(*parts))

    def widen(tree: Any) -> Any:
        return jax.tree.map(lambda x: x.astype(jnp.promote_types(x.dtype, jnp.float32)), tree)

    def update(updates, state, params=None, **extra):
        return chain.update(widen(updates), state, None if params is None else widen(params), **extra)

    return optax.GradientTransformationExtraArgs(lambda params: chain.init(widen(params)), update)


class LearningRateState(NamedTuple):
    """The number of updates so far and the learning rate of the latest (before the first: of the first)."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  (optax calls it so)
    value: Float[Array, ""]


def start_rate(lr: Rate) -> LearningRateState:
    """The state before the first update."""
    count = jnp.zeros((), jnp.int32)
    return LearningRateState(count, rate_at(lr, count))


def rate_at(lr: Rate, count: Knob) -> Float[Array, ""]:
    """The learning rate of update number `count`, of a schedule or a number."""
    check_numbers(learning_rate=None if callable(lr) else lr)
    return jnp.asarray(lr(count) if callable(lr) else lr, jnp.result_type(float))


def scale_by_learning_rate(lr: Rate) -> optax.GradientTransformation:
    """u ← -η(t) · u, the last part of most optimizers. It keeps η(t) in its state, where a logger finds it."""

    def update(updates, state, params=None):
        value = rate_at(lr, state.count)
        return jax.tree.map(lambda u: -value.astype(u.dtype) * u, updates), LearningRateState(state.count + 1, value)

    return optax.GradientTransformation(lambda params: start_rate(lr), update)


def current_learning_rate(opt_state: Any) -> Float[Array, ""] | None:
    """The learning rate of the latest update, wherever it lies in an optimizer's state; None if it is not there.

    Includes the scale of `reduce_on_plateau` and the distance that `prodigy` estimates; not the multipliers of groups.

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
    """All states of one kind in an optimizer's state, in the order of the tree."""
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, kind))
    return [node for node in nodes if isinstance(node, kind)]


def average(old: Any, new: Any, b: Knob) -> Any:
    """An exponential moving average, leaf by leaf: b · old + (1 - b) · new."""
    b = jnp.asarray(b, jnp.result_type(float))
    return jax.tree.map(lambda old, new: b.astype(old.dtype) * old + (1 - b).astype(old.dtype) * new, old, new)


def unbias(b: Knob, t: Int[Array, ""]) -> Float[Array, ""]:
    """1 - bᵗ, by which an average that began at zero is too small.

    In float32 the plain formula loses 5 of 7 digits at b = 0.999, t = 1 (optax has the error); this one is right to the last.

    >>> f"{float(unbias(0.999, 2)):.7f}"
    '0.0019990'
    """
    return -jnp.expm1(t * jnp.log(jnp.asarray(b, jnp.result_type(float))))


def squared(tree: Any) -> Any:
    """Every element times itself."""
    return jax.tree.map(jnp.square, tree)


def clip(*, norm: Knob | None = None, value: Knob | None = None) -> optax.GradientTransformation:
    """Gradient clipping: `optax.chain(clip(norm=1.0), adamw(lr))`; each element first if both are given.

        g ← min(max(g, -value), value)                      each element
        g ← g · min(1, norm / ‖g‖)                          ‖g‖ over all parameters together

    As PyTorch's `clip_grad_value_` and `clip_grad_norm_` (which adds 1e-6 to ‖g‖). Source: Pascanu et al. 2012, arXiv:1211.5063.
    Errors: ValueError if neither is given.

    >>> clipped, _ = clip(norm=1.0).update(jnp.array([3.0, 4.0]), clip(norm=1.0).init(None))
    >>> [round(float(g), 4) for g in clipped]
    [0.6, 0.8]
    """
    if norm is None and value is None:
        raise UserError("clip(): give norm=, value= or both")

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
    """The entry of a table of presets. Errors: ValueError with the names there are."""
    if preset not in presets:
        raise UserError(f"preset={preset!r}: choose {', '.join(map(repr, presets))}")
    return presets[preset]
