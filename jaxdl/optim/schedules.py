"""Learning-rate schedules: functions of the step, all of the form `peak · shape(step)`.

    schedule = schedules.warmup_cosine(peak=3e-4, steps=10_000)
    tx = adamw(schedule)

Step 0 is the first update. `peak`, `end`, `rate` and every other number may be a traced scalar, so one compiled program
serves, and `jax.vmap` sweeps, all of them. `end` is a learning rate, not a fraction of the peak. `reduce_on_plateau` is
no function of the step but a transformation; its memory lives in the optimizer's state and so in every checkpoint.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxdl.counts import checks_peak
from jaxdl.types import UserError

Knob = float | int | Array
"""A number: a Python one or a scalar array, possibly traced."""
Schedule = Callable[[Knob], Array]
"""step -> learning rate, the type that optax expects too."""


@checks_peak
def constant(peak: Knob) -> Schedule:
    """The same rate for ever: η(t) = peak.

    >>> float(constant(0.5)(7))
    0.5
    """
    return lambda step: peak * jnp.ones_like(_float(step))


def warmed_up(schedule: Schedule, warmup: Knob, *, start: Knob | None = None) -> Schedule:
    """Climb in a straight line for `warmup` steps, then follow `schedule`, whose step 0 is the end of the climb.

        η(t) = start + (η₀ - start) · t / warmup    t < warmup        η₀ = schedule(0)
        η(t) = schedule(t - warmup)                 afterwards

    Without `start` the climb begins at η₀ / (warmup + 1), so that no step is lost; PyTorch's `LinearLR` starts at
    `start_factor · peak`, Hugging Face's and optax's at 0 (`start=0.0`: the first update then changes nothing).
    """

    def rate(step):
        step, first = _float(step), schedule(0)
        low = first / (warmup + 1) if start is None else start
        climb = low + (first - low) * step / jnp.maximum(warmup, 1)
        return jnp.where(step < warmup, climb, schedule(jnp.maximum(step - warmup, 0)))

    return rate


def linear_warmup(peak: Knob, *, warmup: Knob, start: Knob | None = None) -> Schedule:
    """A straight line to the peak in `warmup` steps, then constant (see `warmed_up` for where it starts).

    >>> [round(float(linear_warmup(1.0, warmup=3)(t)), 2) for t in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return warmed_up(constant(peak), warmup, start=start)


@checks_peak
def step(peak: Knob, *, every: Knob, rate: Knob = 0.1) -> Schedule:
    """A staircase: η(t) = peak · rate^⌊t / every⌋ (`StepLR`).

    >>> [round(float(step(1.0, every=2, rate=0.5)(t)), 3) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return lambda step: peak * jnp.power(rate, jnp.floor(_float(step) / every))


@checks_peak
def multistep(peak: Knob, *, milestones: Sequence[Knob], rate: Knob = 0.1) -> Schedule:
    """A staircase with chosen edges: η(t) = peak · rate^(number of milestones ≤ t) (`MultiStepLR`).

    >>> [round(float(multistep(1.0, milestones=(1, 3))(t)), 2) for t in range(4)]
    [1.0, 0.1, 0.1, 0.01]
    """
    return lambda step: (
        peak * jnp.power(rate, _float(sum(jnp.where(_float(step) >= edge, 1, 0) for edge in milestones)))
    )


@checks_peak
def exponential(peak: Knob, *, rate: Knob, every: Knob = 1) -> Schedule:
    """η(t) = peak · rate^(t / every) (`ExponentialLR` with gamma = rate and every = 1).

    >>> round(float(exponential(1.0, rate=0.5, every=10)(5)), 4)  # √½
    0.7071
    """
    return lambda step: peak * jnp.power(rate, _float(step) / every)


@checks_peak
def polynomial(peak: Knob, *, steps: Knob, power: Knob = 1.0, end: Knob = 0.0) -> Schedule:
    """η(t) = end + (peak - end) · (1 - t/steps)^power; power 1 is linear decay (`PolynomialLR`).

    >>> float(polynomial(1.0, steps=4, power=2.0)(2))
    0.25
    """
    return lambda step: end + (peak - end) * jnp.power(1 - _progress(step, steps), power)


@checks_peak
def cosine(peak: Knob, *, steps: Knob, end: Knob = 0.0) -> Schedule:
    """Half a wave from peak to end: η(t) = end + (peak - end) · ½ (1 + cos π t/steps) (`CosineAnnealingLR`, then flat).

    >>> float(cosine(1.0, steps=10, end=0.5)(5))
    0.75
    """
    return lambda step: end + (peak - end) * 0.5 * (1 + jnp.cos(jnp.pi * _progress(step, steps)))


@checks_peak
def cosine_restarts(peak: Knob, *, period: Knob, growth: int = 1, shrink: Knob = 1.0, end: Knob = 0.0) -> Schedule:
    """SGDR: cosines one after another, each `growth` times as long and `shrink` times as high as the one before.

    η(t) = end + (peak·shrinkⁿ - end) · ½ (1 + cos π t_n/T_n)      T_n = period · growthⁿ, t_n = steps since restart n

    PyTorch's `CosineAnnealingWarmRestarts` has shrink = 1. `growth` is a whole number, fixed when the step is compiled.
    Source: Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5.

    >>> [round(float(cosine_restarts(1.0, period=2, growth=2)(t)), 2) for t in range(7)]
    [1.0, 0.5, 1.0, 0.85, 0.5, 0.15, 1.0]
    """
    if growth < 1:
        raise UserError(f"growth={growth}: a cycle cannot be shorter than the one before; use 1, 2, ...")

    def rate(step):
        step = _float(step)
        if growth == 1:
            n = jnp.floor(step / period)
            begin, length = n * period, period
        else:
            # the first step of each cycle, as far as a 31-bit step counter reaches; a logarithm would round at the edges
            begins = [period * float((growth**k - 1) // (growth - 1)) for k in range(32)]
            n = _float(sum(jnp.where(step >= first, 1, 0) for first in begins) - 1)
            length = period * jnp.power(float(growth), n)
            begin = (length - period) / (growth - 1)
        top = peak * jnp.power(shrink, n)
        return end + (top - end) * 0.5 * (1 + jnp.cos(jnp.pi * (step - begin) / length))

    return rate


@checks_peak
def one_cycle(
    peak: Knob, *, steps: Knob, warmup: Knob = 0.3, start_factor: Knob = 1 / 25, end_factor: Knob = 1e-4
) -> Schedule:
    """Up for a share `warmup` of the run, down for the rest, both on half a cosine wave (`OneCycleLR`).

    From `start = peak · start_factor` to the peak, then to `start · end_factor`. PyTorch also cycles the momentum against
    the rate (`cycle_momentum`), which a schedule of the rate alone cannot.
    Source: Smith & Topin 2017, arXiv:1708.07120, with fastai's cosines.

    >>> [round(float(one_cycle(1.0, steps=11)(t)), 4) for t in (0, 2, 10)]  # the peak is at 0.3 · steps - 1
    [0.04, 0.9603, 0.0]
    """

    def rate(step):
        step, top, last = _float(step), warmup * steps - 1, _float(steps - 1)
        start = peak * start_factor
        up = _wave(start, peak, step / jnp.maximum(top, 1e-9))
        down = _wave(peak, start * end_factor, (step - top) / (last - top))
        return jnp.where(step <= top, up, down)

    return rate


@checks_peak
def inverse_sqrt(peak: Knob, *, warmup: Knob, start: Knob | None = None) -> Schedule:
    """A straight line to the peak, then η(t) = peak · √(warmup / t): the Transformer's schedule.

    The paper's factor dim^-½ · warmup^-½ is the peak here. Source: Vaswani et al. 2017, arXiv:1706.03762, section 5.3.

    >>> float(inverse_sqrt(1.0, warmup=4)(16))
    0.5
    """

    def decay(after):
        return peak * jnp.sqrt(jnp.maximum(warmup, 1) / jnp.maximum(_float(after) + warmup, 1))

    return warmed_up(decay, warmup, start=start)


@checks_peak
def warmup_stable_decay(
    peak: Knob, *, steps: Knob, warmup: Knob, decay: Knob, end: Knob = 0.0, start: Knob | None = None
) -> Schedule:
    """WSD, a trapezoid: climb for `warmup` steps, stay at the peak, fall in a straight line over the last `decay` steps.

    The long flat part can be cut or prolonged without planning the run's length ahead.
    Source: Hu et al. 2024 (MiniCPM), arXiv:2404.06395, section 4.

    >>> [round(float(warmup_stable_decay(1.0, steps=8, warmup=1, decay=4)(t)), 2) for t in range(9)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    def flat_then_down(after):
        fallen = jnp.clip((_float(after) + warmup - (steps - decay)) / jnp.maximum(decay, 1), 0, 1)
        return peak + (end - peak) * fallen

    return warmed_up(flat_then_down, warmup, start=start)


def warmup_cosine(
    peak: Knob, *, steps: Knob, warmup: Knob | None = None, end: Knob = 0.0, start: Knob | None = None
) -> Schedule:
    """A straight line to the peak, then half a cosine wave to `end` at `steps`: today's default.

    `warmup` counts steps; left out, it is a twentieth of the run. Sources: Goyal et al. 2017, arXiv:1706.02677 (warm-up);
    Loshchilov & Hutter 2016, arXiv:1608.03983 (cosine).

    >>> [round(float(warmup_cosine(1.0, steps=5, warmup=1)(t)), 3) for t in range(6)]
    [0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    warmup = steps // 20 if warmup is None else warmup
    return warmed_up(cosine(peak, steps=steps - warmup, end=end), warmup, start=start)


class PlateauState(NamedTuple):
    """What `reduce_on_plateau` remembers."""

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
    """Shrink the learning rate when the loss stops falling: put it last, `optax.chain(adamw(lr), reduce_on_plateau())`.

    The mean of `every` values (the `value=` that the train step passes: its loss) is one observation; it is better
    if below `best · (1 - threshold)`. After more than `patience` observations in a row that are not,

        scale ← max(scale · factor, min_scale)        and the next `cooldown` observations are not counted as bad.

    A mini-batch loss is noisy: let `every` be about an epoch. As `ReduceLROnPlateau` in mode "min", "rel", but that the
    new rate holds from the very update that saw the value, and `min_scale` is relative to the schedule (optax's own version
    reduces one observation earlier).
    Errors: ValueError if `update` is called without `value=`.
    """

    def init(params: Any) -> PlateauState:
        bad, cooldown, count = (jnp.zeros((), jnp.int32) for _ in range(3))
        return PlateauState(_float(1.0), _float(jnp.inf), bad, cooldown, _float(0.0), count)

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
            raise UserError("value=None: reduce_on_plateau needs the loss, tx.update(grads, state, params, value=loss)")
        total = state.total + jax.lax.stop_gradient(jnp.asarray(value, state.total.dtype))
        state = state._replace(total=total, count=state.count + 1)
        state = jax.tree.map(lambda new, old: jnp.where(state.count >= every, new, old), observe(state), state)
        return jax.tree.map(lambda u: u * state.scale.astype(u.dtype), updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def _float(x: Any) -> Array:
    return jnp.asarray(x, jnp.result_type(float))


def _progress(step: Knob, steps: Knob) -> Array:
    """The share of the run that is over, in [0, 1]."""
    return jnp.clip(_float(step) / jnp.maximum(steps, 1), 0, 1)


def _wave(first: Knob, last: Knob, progress: Array) -> Array:
    """From first to last on half a cosine wave."""
    return last + (first - last) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0, 1)))
