"""Newer optimizers: Lion, NAdam, Adan and Prodigy.

Notation as in `optimizers.py`. Weight decay is decoupled, w ← w - η (step + λw), and 0 by default.
Muon and Adafactor are in `matrices.py`, schedule-free AdamW in `schedule_free.py`, SAM in `sharpness.py`.
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
    rate_at,
    scale_by_learning_rate,
    squared,
    start_rate,
    unbias,
    weight_decay,
)
from jaxdl.optim.groups import Mask
from jaxdl.optim.schedules import Knob
from jaxdl.parameters import decayed


def lion(
    lr: Rate, *, b1: Knob = 0.9, b2: Knob = 0.99, decay: Knob = 0.0, mask: Mask = decayed
) -> optax.GradientTransformationExtraArgs:
    """Lion: the sign of a momentum, so that every weight changes by η. It stores one buffer.

        w ← w - η (sign(b₁ m + (1 - b₁) g) + λ w)            m ← b₂ m + (1 - b₂) g

    Use a learning rate 3 to 10 times smaller than for AdamW and a decay larger by the same factor. The default decay of optax
    is 1e-3, that of timm 0. When to use: large batches, little memory.
    Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
    """
    check_numbers(0, 1, b1=b1, b2=b2)
    return compose(optax.scale_by_lion(b1, b2), weight_decay(decay, mask), scale_by_learning_rate(lr))


class NAdamState(NamedTuple):
    """State of `nadam`: the moments and the product of all μ so far."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  (optax calls it so)
    product: Float[Array, ""]
    mu: Any
    nu: Any


def nadam(
    lr: Rate,
    *,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    momentum_decay: Knob = 4e-3,
    decay: Knob = 0.0,
    mask: Mask = decayed,
) -> optax.GradientTransformationExtraArgs:
    """NAdam: Adam with Nesterov momentum.

        μₜ = b₁ (1 - ½ · 0.96^(t ψ))                         ψ = momentum_decay; μ rises towards b₁
        w ← w - η ((1 - μₜ) g / (1 - Πμ) + μₜ₊₁ m / (1 - μₜ₊₁ Πμ)) / (√v̂ + ε)

    As PyTorch with `decoupled_weight_decay`; optax's `nadam` has a constant μ.
    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2.
    """
    check_numbers(0, 1, b1=b1, b2=b2)
    check_numbers(eps=eps, momentum_decay=momentum_decay)

    def init(params):
        zeros = optax.tree.zeros_like
        return NAdamState(jnp.zeros((), jnp.int32), jnp.ones((), jnp.result_type(float)), zeros(params), zeros(params))

    def update(updates, state, params=None):
        t = state.count + 1
        now = b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        ahead = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        product = (state.product * now).astype(state.product.dtype)
        m, v = average(state.mu, updates, b1), average(state.nu, squared(updates), b2)
        of_g, of_m = (1 - now) / (1 - product), ahead / (1 - ahead * product)

        def step(g, m, v):
            return (of_g * g + of_m * m) / (jnp.sqrt(v / unbias(b2, t)) + eps)

        return jax.tree.map(step, updates, m, v), NAdamState(t, product, m, v)

    scale_by_nadam = optax.GradientTransformation(init, update)
    return compose(scale_by_nadam, weight_decay(decay, mask), scale_by_learning_rate(lr))


class AdanState(NamedTuple):
    """State of `adan`: moments of the gradient, of its change and of the square, and the previous gradient."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  (optax calls it so)
    m: Any
    v: Any
    n: Any
    previous: Any


def adan(
    lr: Rate,
    *,
    b1: Knob = 0.98,
    b2: Knob = 0.92,
    b3: Knob = 0.99,
    eps: Knob = 1e-8,
    decay: Knob = 0.0,
    mask: Mask = decayed,
) -> optax.GradientTransformationExtraArgs:
    """Adan: Adam with Nesterov momentum computed from differences of gradients.

        d = g - g_previous  (0 at t = 1)
        m ← b₁ m + (1 - b₁) g      v ← b₂ v + (1 - b₂) d      n ← b₃ n + (1 - b₃) (g + b₂ d)²
        w ← w - η ((m̂ + b₂ v̂) / (√n̂ + ε) + λ w)

    As the authors' code and timm with `no_prox=True`. optax 0.2.8 multiplies d and v̂ by 1 - b₂, because it combines the
    notation of the paper (β₂ = 1 - b₂) with the values of the code. When to use: vision transformers with large learning rates.
    Source: Xie et al. 2022, arXiv:2208.06677, algorithm 1.
    """
    check_numbers(0, 1, b1=b1, b2=b2, b3=b3, eps=eps)

    def init(params):
        zeros = [optax.tree.zeros_like(params) for _ in range(4)]
        return AdanState(jnp.zeros((), jnp.int32), *zeros)

    def update(updates, state, params=None):
        t = state.count + 1
        change = jax.tree.map(lambda g, old: jnp.where(t == 1, 0, g - old), updates, state.previous)
        m, v = average(state.m, updates, b1), average(state.v, change, b2)
        n = average(state.n, squared(jax.tree.map(lambda g, d: g + b2 * d, updates, change)), b3)
        c1, c2, c3 = unbias(b1, t), unbias(b2, t), unbias(b3, t)
        step = jax.tree.map(lambda m, v, n: (m / c1 + b2 * v / c2) / (jnp.sqrt(n / c3) + eps), m, v, n)
        return step, AdanState(t, m, v, n, updates)

    scale_by_adan = optax.GradientTransformation(init, update)
    return compose(scale_by_adan, weight_decay(decay, mask), scale_by_learning_rate(lr))


class ProdigyState(NamedTuple):
    """State of `prodigy`: `rate.value` is d · η, the effective learning rate, and `distance` is d."""

    rate: LearningRateState
    distance: Float[Array, ""]
    numerator: Float[Array, ""]
    mu: Any
    nu: Any
    total: Any
    start: Any


def prodigy(
    lr: Rate = 1.0,
    *,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    b3: Knob | None = None,
    eps: Knob = 1e-8,
    initial: Knob = 1e-6,
    growth: Knob = 1.0,
    decay: Knob = 0.0,
    mask: Mask = decayed,
) -> optax.GradientTransformationExtraArgs:
    """Prodigy: Adam with an automatic learning rate d, which grows to the distance from the start to the solution.

        r ← b₃ r + (d/d₀) d η ⟨g, w₀ - w⟩        s ← b₃ s + (d/d₀) d η g          b₃ = √b₂
        m ← b₁ m + (1 - b₁) d g                  v ← b₂ v + (1 - b₂) d² g²
        w ← w - η d (m / (√v + d' ε) + λ w)      d' = max(d, growth · r / ‖s‖₁), the d of the next update

    `lr` should be 1, or a schedule with peak 1. As the package of the authors; optax's version also has Adam's bias correction.
    When to use: without a search for the learning rate. Source: Mishchenko & Defazio 2023, arXiv:2306.06101, algorithm 4.
    """
    check_numbers(lr=lr, eps=eps, initial=initial, growth=growth, decay=decay)
    check_numbers(0, 1, b1=b1, b2=b2, b3=b3)
    b3 = b2**0.5 if b3 is None else b3

    def init(params):
        d0 = jnp.asarray(initial, jnp.result_type(float))
        mu, nu, total = (optax.tree.zeros_like(params) for _ in range(3))
        begin = jax.tree.map(lambda p: jnp.array(p, copy=True), params)
        rate = start_rate(lr)
        return ProdigyState(rate._replace(value=rate.value * d0), d0, jnp.zeros_like(d0), mu, nu, total, begin)

    def update(updates, state, params=None):
        d, eta = state.distance, rate_at(lr, state.rate.count)
        weight = (d / initial) * d * eta
        travelled = optax.tree.vdot(updates, optax.tree.sub(state.start, params))
        numerator = b3 * state.numerator + weight * travelled
        scaled = jax.tree.map(lambda g: d * g, updates)
        mu, nu = average(state.mu, scaled, b1), average(state.nu, squared(scaled), b2)
        total = jax.tree.map(lambda s, g: b3 * s + weight * g, state.total, updates)
        size = optax.tree.norm(total, ord=1)
        estimate = jnp.where(size > 0, growth * numerator / jnp.where(size > 0, size, 1), d)
        distance = jnp.maximum(d, estimate)
        shrink = jax.tree.map(lambda p, on: decay * p if on else jnp.zeros_like(p), params, mask(params))
        step = jax.tree.map(
            lambda m, v, s: -d * eta * (m / jnp.maximum(jnp.sqrt(v) + distance * eps, 1e-38) + s), mu, nu, shrink
        )
        rate = LearningRateState(state.rate.count + 1, d * eta)
        return step, ProdigyState(rate, distance, numerator, mu, nu, total, state.start)

    return compose(optax.GradientTransformation(init, update))
