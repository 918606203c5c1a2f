"""Schedule-free optimizers, which average the iterates instead of lowering the learning rate.

Training updates y; the model to evaluate is x, which `evaluation_params` computes from the state of the optimizer.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_numbers
from jaxdl.optim.composition import (
    LearningRateState,
    Rate,
    average,
    compose,
    find_states,
    rate_at,
    squared,
    start_rate,
    unbias,
    weight_decay,
)
from jaxdl.optim.groups import Mask
from jaxdl.optim.schedules import Knob
from jaxdl.parameters import decayed


class ScheduleFreeState(NamedTuple):
    """State of `schedule_free`: the iterate z and the weights of the average."""

    rate: LearningRateState
    highest: Float[Array, ""]
    weights: Float[Array, ""]
    b1: Float[Array, ""]
    z: Any


def schedule_free(lr: Rate, *, b1: Knob = 0.9, power: Knob = 2.0) -> optax.GradientTransformation:
    """Last part of a schedule-free optimizer, in place of `scale_by_learning_rate`; u is its input.

        z ← z - η u           x ← (1 - c) x + c z           y = b₁ x + (1 - b₁) z           c = ηₘₐₓ^power / Σ ηₘₐₓ^power

    The parameters are y, where gradients are computed. x, where the model is evaluated, follows from y and z and is not stored:
    y ← y + c (z - y) + η (b₁ (1 - c) - 1) u. `lr` should be constant after a warm-up (`schedules.linear_warmup`).
    Source: Defazio et al. 2024, arXiv:2405.15682, eqs. 3-5.
    """
    check_numbers(lr=lr, power=power)
    check_numbers(0, 1, b1=b1)

    def init(params):
        highest, weights = jnp.zeros((), jnp.result_type(float)), jnp.zeros((), jnp.result_type(float))
        z = jax.tree.map(lambda p: jnp.array(p, copy=True), params)  # a separate buffer, because both are donated
        return ScheduleFreeState(start_rate(lr), highest, weights, jnp.asarray(b1, weights.dtype), z)

    def update(updates, state, params=None):
        eta = rate_at(lr, state.rate.count)
        highest = jnp.maximum(state.highest, eta)
        weight = highest**power
        weights = state.weights + weight
        c = jnp.where(weights > 0, weight / jnp.where(weights > 0, weights, 1), 0)
        pull = eta * (b1 * (1 - c) - 1)
        step = jax.tree.map(lambda y, z, u: c * (z - y) + pull * u, params, state.z, updates)
        z = jax.tree.map(lambda z, u: z - eta * u, state.z, updates)
        rate = LearningRateState(state.rate.count + 1, eta)
        return step, ScheduleFreeState(rate, highest, weights, state.b1, z)

    return optax.GradientTransformation(init, update)


class SecondMomentState(NamedTuple):
    """State of Adam without the first moment."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  (optax calls it so)
    nu: Any

    @classmethod
    def start(cls, params: Any) -> "SecondMomentState":
        return cls(jnp.zeros((), jnp.int32), optax.tree.zeros_like(params))


def schedule_free_sgd(
    lr: Rate, *, b1: Knob = 0.9, decay: Knob = 0.0, mask: Mask = decayed, power: Knob = 2.0
) -> optax.GradientTransformationExtraArgs:
    """Schedule-free SGD: u = g + λ y in `schedule_free`. A good learning rate is 10 to 50 times that of SGD."""
    return compose(weight_decay(decay, mask), schedule_free(lr, b1=b1, power=power))


def schedule_free_adamw(
    lr: Rate,
    *,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    decay: Knob = 0.0,
    mask: Mask = decayed,
    power: Knob = 2.0,
) -> optax.GradientTransformationExtraArgs:
    """Schedule-free AdamW: u = g / (√v̂ + ε) + λ y in `schedule_free`, whose average replaces the first moment.

    As the package of the authors; optax's version uses the learning rate of the next step. A good learning rate is 1 to 10
    times that of AdamW. When to use: the length of the run is not known in advance.
    Source: Defazio et al. 2024, arXiv:2405.15682, algorithm 1.
    """
    check_numbers(0, 1, b2=b2, eps=eps)

    def second_moment(updates, state, params=None):
        t = state.count + 1
        nu = average(state.nu, squared(updates), b2)
        step = jax.tree.map(lambda g, v: g / (jnp.sqrt(v / unbias(b2, t)) + eps), updates, nu)
        return step, SecondMomentState(t, nu)

    return compose(
        optax.GradientTransformation(SecondMomentState.start, second_moment),
        weight_decay(decay, mask),
        schedule_free(lr, b1=b1, power=power),
    )


def evaluation_params(opt_state: Any, params: Any) -> Any:
    """Return the parameters to evaluate: x of each schedule-free optimizer in the state, otherwise `params`.

        x = (y - (1 - b₁) z) / b₁

    >>> from jaxdl.optim import adamw, evaluation_params
    >>> params = {"w": jnp.ones(2)}
    >>> evaluation_params(adamw(1e-3).init(params), params) is params
    True
    """
    for state in find_states(opt_state, ScheduleFreeState):
        b1 = state.b1

        def mean_iterate(y, z, b1=b1):
            if isinstance(z, optax.MaskedNode):  # trained by another optimizer
                return y
            return ((y - (1 - b1) * z) / b1).astype(y.dtype)

        params = jax.tree.map(mean_iterate, params, state.z)
    return params
