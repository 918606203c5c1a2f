"""Learning-rate schedules: functions of the step, of the form `peak · shape(step)`.

    schedule = schedules.warmup_cosine(peak=3e-4, steps=10_000)
    tx = adamw(schedule)

Step 0 is the first update. All numbers may be traced, so that one compiled program serves all values and `jax.vmap` can sweep
them; a negative one is refused. `end` is a learning rate, not a fraction of the peak. `reduce_on_plateau` is in `plateau.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxdl.counts import check_count, check_numbers

Knob = float | int | Array
"""A number: of Python, or a scalar array that may be traced."""
Schedule = Callable[[Knob], Array]
"""Function from the step to the learning rate, as in optax."""


def constant(peak: Knob) -> Schedule:
    """Constant learning rate: η(t) = peak.

    >>> float(constant(0.5)(7))
    0.5
    """
    check_numbers(peak=peak)
    return lambda step: peak * jnp.ones_like(_float(step))


def warmed_up(schedule: Schedule, warmup: Knob, *, start: Knob | None = None) -> Schedule:
    """Linear warm-up for `warmup` steps, followed by `schedule` from its step 0.

        η(t) = start + (η₀ - start) · t / warmup    t < warmup        η₀ = schedule(0)
        η(t) = schedule(t - warmup)                 afterwards

    The default `start` is η₀ / (warmup + 1), so that the first update has an effect. PyTorch's `LinearLR` starts at
    `start_factor · peak`, Hugging Face and optax start at 0.
    """
    check_numbers(warmup=warmup, start=start)

    def rate(step):
        step, first = _float(step), schedule(0)
        low = first / (warmup + 1) if start is None else start
        climb = low + (first - low) * step / jnp.maximum(warmup, 1)
        return jnp.where(step < warmup, climb, schedule(jnp.maximum(step - warmup, 0)))

    return rate


def linear_warmup(peak: Knob, *, warmup: Knob, start: Knob | None = None) -> Schedule:
    """Linear warm-up to the peak in `warmup` steps, then constant; `start` is that of `warmed_up`.

    >>> [round(float(linear_warmup(1.0, warmup=3)(t)), 2) for t in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return warmed_up(constant(peak), warmup, start=start)


def step(peak: Knob, *, every: Knob, rate: Knob = 0.1) -> Schedule:
    """Step decay: η(t) = peak · rate^⌊t / every⌋, as PyTorch's `StepLR`.

    >>> [round(float(step(1.0, every=2, rate=0.5)(t)), 3) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    check_numbers(peak=peak, every=every, rate=rate)
    return lambda step: peak * jnp.power(rate, jnp.floor(_float(step) / every))


def multistep(peak: Knob, *, milestones: Sequence[Knob], rate: Knob = 0.1) -> Schedule:
    """Step decay at milestones: η(t) = peak · rate^(number of milestones ≤ t), as PyTorch's `MultiStepLR`.

    >>> [round(float(multistep(1.0, milestones=(1, 3))(t)), 2) for t in range(4)]
    [1.0, 0.1, 0.1, 0.01]
    """
    check_numbers(peak=peak, rate=rate, **{f"milestones[{i}]": edge for i, edge in enumerate(milestones)})
    return lambda step: (
        peak * jnp.power(rate, _float(sum(jnp.where(_float(step) >= edge, 1, 0) for edge in milestones)))
    )


def exponential(peak: Knob, *, rate: Knob, every: Knob = 1) -> Schedule:
    """Exponential decay: η(t) = peak · rate^(t / every), as PyTorch's `ExponentialLR` with gamma = rate and every = 1.

    >>> round(float(exponential(1.0, rate=0.5, every=10)(5)), 4)  # √½
    0.7071
    """
    check_numbers(peak=peak, rate=rate, every=every)
    return lambda step: peak * jnp.power(rate, _float(step) / every)


def polynomial(peak: Knob, *, steps: Knob, power: Knob = 1.0, end: Knob = 0.0) -> Schedule:
    """Polynomial decay: η(t) = end + (peak - end) · (1 - t/steps)^power, as PyTorch's `PolynomialLR`; power 1 is linear.

    >>> float(polynomial(1.0, steps=4, power=2.0)(2))
    0.25
    """
    check_numbers(peak=peak, steps=steps, power=power, end=end)
    return lambda step: end + (peak - end) * jnp.power(1 - _progress(step, steps), power)


def cosine(peak: Knob, *, steps: Knob, end: Knob = 0.0) -> Schedule:
    """Cosine decay: η(t) = end + (peak - end) · ½ (1 + cos π t/steps), then constant; PyTorch's `CosineAnnealingLR`.

    >>> float(cosine(1.0, steps=10, end=0.5)(5))
    0.75
    """
    check_numbers(peak=peak, steps=steps, end=end)
    return lambda step: _wave(peak, end, _progress(step, steps))


def cosine_restarts(peak: Knob, *, period: Knob, growth: int = 1, shrink: Knob = 1.0, end: Knob = 0.0) -> Schedule:
    """Cosine decay with restarts (SGDR). Each cycle is `growth` times as long and `shrink` times as high as the one before.

        η(t) = end + (peak·shrinkⁿ - end) · ½ (1 + cos π t_n/T_n)      T_n = period · growthⁿ, t_n = steps since restart n

    PyTorch's `CosineAnnealingWarmRestarts` has shrink = 1. `growth` is a whole number and cannot be traced.
    Source: Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5.

    >>> [round(float(cosine_restarts(1.0, period=2, growth=2)(t)), 2) for t in range(7)]
    [1.0, 0.5, 1.0, 0.85, 0.5, 0.15, 1.0]
    """
    check_count("growth", growth)
    check_numbers(peak=peak, period=period, shrink=shrink, end=end)

    def rate(step):
        step = _float(step)
        if growth == 1:
            n = jnp.floor(step / period)
            begin, length = n * period, period
        else:
            # the first step of each cycle, up to the 31 bits of the step; a logarithm would round at the restarts
            begins = [period * float((growth**k - 1) // (growth - 1)) for k in range(32)]
            n = _float(sum(jnp.where(step >= first, 1, 0) for first in begins) - 1)
            length = period * jnp.power(float(growth), n)
            begin = (length - period) / (growth - 1)
        top = peak * jnp.power(shrink, n)
        return end + (top - end) * 0.5 * (1 + jnp.cos(jnp.pi * (step - begin) / length))

    return rate


def one_cycle(
    peak: Knob, *, steps: Knob, warmup: Knob = 0.3, start_factor: Knob = 1 / 25, end_factor: Knob = 1e-4
) -> Schedule:
    """One-cycle schedule: half a cosine wave up to the peak, then one down to nearly 0, as PyTorch's `OneCycleLR`.

    It rises from `start = peak · start_factor` for the share `warmup` of the steps, then falls to `start · end_factor`. PyTorch
    also cycles the momentum (`cycle_momentum`); this schedule does not.
    Source: Smith & Topin 2017, arXiv:1708.07120, with the cosines of fastai.

    >>> [round(float(one_cycle(1.0, steps=11)(t)), 4) for t in (0, 2, 10)]  # the peak is at 0.3 · steps - 1
    [0.04, 0.9603, 0.0]
    """

    check_numbers(peak=peak, steps=steps, start_factor=start_factor, end_factor=end_factor)
    check_numbers(0, 1, warmup=warmup)

    def rate(step):
        step, top, last = _float(step), warmup * steps - 1, _float(steps - 1)
        start = peak * start_factor
        up = _wave(start, peak, step / jnp.maximum(top, 1e-9))
        down = _wave(peak, start * end_factor, (step - top) / (last - top))
        return jnp.where(step <= top, up, down)

    return rate


def inverse_sqrt(peak: Knob, *, warmup: Knob, start: Knob | None = None) -> Schedule:
    """Linear warm-up, then η(t) = peak · √(warmup / t): the schedule of the original Transformer.

    The peak of the paper is dim^-½ · warmup^-½. Source: Vaswani et al. 2017, arXiv:1706.03762, section 5.3.

    >>> float(inverse_sqrt(1.0, warmup=4)(16))
    0.5
    """

    check_numbers(peak=peak)

    def decay(after):
        return peak * jnp.sqrt(jnp.maximum(warmup, 1) / jnp.maximum(_float(after) + warmup, 1))

    return warmed_up(decay, warmup, start=start)


def warmup_stable_decay(
    peak: Knob, *, steps: Knob, warmup: Knob, decay: Knob, end: Knob = 0.0, start: Knob | None = None
) -> Schedule:
    """Warmup-stable-decay (WSD): linear warm-up, constant peak, linear decay to `end` in the last `decay` steps.

    The constant part can be shortened or extended during a run.
    Source: Hu et al. 2024 (MiniCPM), arXiv:2404.06395, section 4.

    >>> [round(float(warmup_stable_decay(1.0, steps=8, warmup=1, decay=4)(t)), 2) for t in range(9)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    check_numbers(peak=peak, steps=steps, decay=decay, end=end)

    def flat_then_down(after):
        fallen = jnp.clip((_float(after) + warmup - (steps - decay)) / jnp.maximum(decay, 1), 0, 1)
        return peak + (end - peak) * fallen

    return warmed_up(flat_then_down, warmup, start=start)


def warmup_cosine(
    peak: Knob, *, steps: Knob, warmup: Knob | None = None, end: Knob = 0.0, start: Knob | None = None
) -> Schedule:
    """Linear warm-up to the peak, then cosine decay to `end` at `steps`: the most common schedule.

    `warmup` is a number of steps, by default a twentieth of `steps`. Sources: Goyal et al. 2017, arXiv:1706.02677 (warm-up);
    Loshchilov & Hutter 2016, arXiv:1608.03983 (cosine).

    >>> [round(float(warmup_cosine(1.0, steps=5, warmup=1)(t)), 3) for t in range(6)]
    [0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    check_numbers(peak=peak, steps=steps, end=end, warmup=warmup)
    warmup = steps // 20 if warmup is None else warmup  # a short run may end within its warm-up
    return warmed_up(lambda step: _wave(peak, end, _progress(step, steps - warmup)), warmup, start=start)


def _float(x: Any) -> Array:
    return jnp.asarray(x, jnp.result_type(float))


def _progress(step: Knob, steps: Knob) -> Array:
    """Fraction of the steps that are done, in [0, 1]."""
    return jnp.clip(_float(step) / jnp.maximum(steps, 1), 0, 1)


def _wave(first: Knob, last: Knob, progress: Array) -> Array:
    """Half a cosine wave from first to last."""
    return last + (first - last) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0, 1)))
