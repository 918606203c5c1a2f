"""Reduce the learning rate when the loss stops falling; unlike a schedule, it depends on the loss."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_numbers
from jaxdl.optim.schedules import Knob
from jaxdl.types import UserError


class PlateauState(NamedTuple):
    """State of `reduce_on_plateau`."""

    scale: Float[Array, ""]
    best: Float[Array, ""]
    bad: Int[Array, ""]
    cooldown: Int[Array, ""]
    total: Float[Array, ""]
    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  (optax calls it so)


def reduce_on_plateau(
    *,
    factor: Knob = 0.1,
    patience: Knob = 10,
    threshold: Knob = 1e-4,
    cooldown: Knob = 0,
    min_scale: Knob = 0.0,
    every: Knob = 1,
) -> optax.GradientTransformationExtraArgs:
    """Reduce the learning rate when the loss stops falling: `optax.chain(adamw(lr), reduce_on_plateau())`, last in a chain.

        scale ← max(scale · factor, min_scale)        after more than `patience` bad observations in a row

    Args:
        every: number of training losses whose mean is one observation; about an epoch, since the loss of a batch is noisy.
        threshold: an observation is bad unless it is below best · (1 - threshold).
        cooldown: number of observations after a reduction that are not counted as bad.
        min_scale: lowest scale, relative to the schedule.

    As PyTorch's `ReduceLROnPlateau` with mode "min" and threshold_mode "rel", except that the new rate already holds for the
    update with the last observation; optax's version reduces one observation earlier. `update` takes the loss as `value=` and
    raises `UserError` without it.
    """
    check_numbers(patience=patience, threshold=threshold, cooldown=cooldown, every=every)
    check_numbers(0, 1, factor=factor, min_scale=min_scale)

    def init(params: Any) -> PlateauState:
        bad, cooldown, count = (jnp.zeros((), jnp.int32) for _ in range(3))
        scale, best, total = (jnp.asarray(x, jnp.result_type(float)) for x in (1.0, jnp.inf, 0.0))
        return PlateauState(scale, best, bad, cooldown, total, count)

    def observe(state: PlateauState) -> PlateauState:
        value = state.total / every
        better = value < state.best * (1 - threshold)
        bad = jnp.where(better | (state.cooldown > 0), 0, state.bad + 1)
        reduce = bad > patience
        return PlateauState(
            scale=jnp.where(reduce, jnp.maximum(state.scale * factor, min_scale), state.scale).astype(
                state.scale.dtype
            ),
            best=jnp.where(better, value, state.best).astype(state.best.dtype),
            bad=jnp.where(reduce, 0, bad).astype(jnp.int32),
            cooldown=jnp.where(reduce, cooldown, jnp.maximum(state.cooldown - 1, 0)).astype(jnp.int32),
            total=jnp.zeros_like(state.total),
            count=jnp.zeros_like(state.count),
        )

    def update(updates, state, params=None, *, value=None, **extra):
        if value is None:
            raise UserError("reduce_on_plateau needs value=, the loss: tx.update(grads, state, params, value=loss)")
        total = state.total + jax.lax.stop_gradient(jnp.asarray(value, state.total.dtype))
        state = state._replace(total=total, count=state.count + 1)
        state = jax.tree.map(lambda new, old: jnp.where(state.count >= every, new, old), observe(state), state)
        return jax.tree.map(lambda u: u * state.scale.astype(u.dtype), updates), state

    return optax.GradientTransformationExtraArgs(init, update)
