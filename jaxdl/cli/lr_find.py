"""`lr-find EXPERIMENT`: train with a rising learning rate, plot the loss and suggest a learning rate.

The learning rate is the knob `lr`, which enters the compiled step as a scalar, so the ramp runs the program that training
will run. The schedule is held at its peak.
Source: Smith 2015, arXiv:1506.01186, section 3.3; the stopping rule and the smoothing follow Gugger's finder.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl.cli.options import open_experiment
from jaxdl.engine.step import select
from jaxdl.experiment import Experiment, ExperimentError
from jaxdl.optim.composition import LearningRateState, find_states
from jaxdl.runs.prepare import check_data, prepare
from jaxdl.setup import Setup

SMOOTH = 0.9
"""Decay of the moving average of the loss."""


@dataclass(frozen=True)
class Options:
    """Train with a learning rate that rises at every step, and suggest the one at which the loss falls fastest."""

    knob: str = "lr"
    """Name of the knob that is the learning rate."""
    ramp_steps: int = 100
    """Number of steps."""
    lowest: float = 1e-6
    """Learning rate of the first step."""
    highest: float = 10.0
    """Learning rate of the last step; the ramp ends earlier if the loss rises four-fold."""
    plot: Path = Path("lr_find.png")
    """File of the plot."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute."""


@dataclass(frozen=True)
class Ramp:
    """The loss at each learning rate of a ramp, smoothed, and the suggestion."""

    rate: np.ndarray
    loss: np.ndarray
    smooth: np.ndarray
    suggestion: float
    lowest: float
    """The rate of the lowest smoothed loss, which is already too large to train with."""


def run(args: Sequence[str]) -> int:
    setup, options = open_experiment(args, "lr-find", Options)
    ramp = ramp_of(
        setup,
        knob=options.knob,
        steps=options.ramp_steps,
        lowest=options.lowest,
        highest=options.highest,
        progress=sys.stderr.isatty(),
    )
    from jaxdl.record.pictures import learning_rate_ramp

    learning_rate_ramp(ramp.rate, ramp.loss, ramp.smooth, ramp.suggestion, options.plot, label=options.knob)
    print(f"try --{options.knob.replace('_', '-')} {ramp.suggestion:.1e}, where the loss falls fastest")
    print(f"the loss is lowest at {ramp.lowest:.1e}, the ramp ended at {ramp.rate[-1]:.1e}; plot: {options.plot}")
    return 0


def ramp_of(
    setup: Setup,
    *,
    knob: str = "lr",
    steps: int = 100,
    lowest: float = 1e-6,
    highest: float = 10.0,
    progress: bool = False,
) -> Ramp:
    """Train from the start for `steps` steps, at lowest · (highest / lowest)^(t / (steps - 1)) in step t."""
    if not 0 < lowest < highest:
        raise ExperimentError(f"--lowest {lowest:g} and --highest {highest:g}: needs 0 < lowest < highest")
    if steps < 10:
        raise ExperimentError(f"--ramp-steps {steps}: must be 10 or more, to show a slope")
    exp = setup.build()
    check_data(exp)
    program = prepare(setup, exp=exp)
    exp.task.notes(exp.data, program.predicted_shapes)  # refuses labels beyond the logits
    if knob not in program.knobs:
        raise ExperimentError(no_such_knob(setup, knob, program.knobs))
    state = program.init()
    peaks = peak_steps(exp, state)
    seed = int(exp.seed if exp.data_seed is None else exp.data_seed)
    draws = max(phase.repeats for phase in exp.task.phases)
    rates, losses, smoothed, average = [], [], [], 0.0
    for t in range(steps):
        rate = lowest * (highest / lowest) ** (t / (steps - 1))
        state = state.replace(
            opt_state=at_steps(state.opt_state, peaks), metrics=jax.tree.map(jnp.zeros_like, state.metrics)
        )
        source = program.place(exp.data.source(t * draws, (t + 1) * draws, seed))
        state, view = program.bound({knob: np.float32(rate)}).chunk(state, source, np.int32(1), np.int32(10))
        if "loss" not in view["metrics"]:
            raise ExperimentError(
                f"this task logs no `loss`, which lr-find needs; it logs {', '.join(view['metrics'])}"
            )
        total, weight = jax.device_get(view["metrics"]["loss"])
        loss = float(total / weight) if weight else float("nan")
        if not np.isfinite(loss):
            break
        average = SMOOTH * average + (1 - SMOOTH) * loss
        rates.append(rate)
        losses.append(loss)
        smoothed.append(average / (1 - SMOOTH ** (t + 1)))
        if progress:
            print(f"\r{knob} {rate:.1e}  loss {smoothed[-1]:.4g} ", end="", file=sys.stderr, flush=True)
        if smoothed[-1] > 4 * abs(min(smoothed)) and t > 10:
            break
    if progress:
        print(file=sys.stderr)
    if len(rates) < 5:
        raise ExperimentError(f"the loss is not finite at {knob} = {lowest:g}: give a lower --lowest")
    suggestion, best = suggest(np.array(rates), np.array(smoothed))
    return Ramp(np.array(rates), np.array(losses), np.array(smoothed), suggestion, best)


def suggest(rate: np.ndarray, smooth: np.ndarray) -> tuple[float, float]:
    """(the rate at which the smoothed loss falls fastest per decade, at most a third of the second; the rate of its minimum).

    Slopes are of straight lines through half a decade. They count where the loss has come down by a tenth to nine tenths of
    its whole descent; before that is noise.

    >>> rate = np.logspace(-4, 0, 41)
    >>> smooth = -np.tanh(2 * np.log10(rate / 1e-2)) + 9 * np.maximum(0, np.log10(rate / 1e-1)) ** 2
    >>> [f"{found:.0e}" for found in suggest(rate, smooth)]
    ['1e-02', '1e-01']
    """
    best = int(np.argmin(smooth))
    decades = np.log10(rate)
    top = float(np.median(smooth[: max(1, len(smooth) // 5)]))
    done = (top - smooth) / max(top - smooth[best], 1e-12)
    begun = max(np.flatnonzero(done[: best + 1] < 0.1), default=-1)
    slopes = []
    for i in range(best + 1):
        near = np.abs(decades - decades[i]) <= 0.25
        on_the_way = i > begun and done[i] <= 0.9 and near.sum() > 2
        slopes.append(np.polyfit(decades[near], smooth[near], 1)[0] if on_the_way else np.inf)
    steepest = int(np.argmin(slopes))
    if not np.isfinite(slopes[steepest]):
        return float(rate[best] / 10), float(rate[best])
    return float(min(rate[steepest], rate[best] / 3)), float(rate[best])


def peak_steps(exp: Experiment, state: Any) -> list[int]:
    """The step at which each schedule in the optimizer's state is highest, in the order of the tree.

    One compiled function evaluates the whole schedule; the compiler drops everything of the update but the learning rate.
    """
    peaks: list[int] = []
    for name, opt_state in sorted(state.opt_state.items()):
        phase = next(phase for phase in exp.task.phases if phase.optimizer == name)
        params = select(state.params, phase.params)
        schedules = len(find_states(opt_state, LearningRateState))

        def rates(step: jax.Array, name: str = name, params: Any = params, n: int = schedules) -> list[jax.Array]:
            moved = at_steps(state.opt_state[name], [step] * n)
            tx = optax.with_extra_args_support(exp.optimizers[name])
            _, new = tx.update(params, moved, params, value=jnp.float32(0), grad=params, grad_fn=lambda p, *_: p)
            return [found.value for found in find_states(new, LearningRateState)]

        peaks += [int(np.argmax(curve)) for curve in jax.jit(jax.vmap(rates))(jnp.arange(exp.steps))]
    return peaks


def at_steps(opt_state: Any, steps: Sequence[Any]) -> Any:
    """The optimizer's state with its schedules moved to these steps."""
    left = iter(steps)

    def move(node: Any) -> Any:
        return node._replace(count=jnp.int32(next(left))) if isinstance(node, LearningRateState) else node

    return jax.tree.map(move, opt_state, is_leaf=lambda node: isinstance(node, LearningRateState))


def no_such_knob(setup: Setup, knob: str, traced: dict[str, Any]) -> str:
    """The error for a knob that cannot be ramped, with those that can."""
    known = setup.knobs
    others = [name for name in traced if name != "seed"]
    hint = f"; float knobs that can: {', '.join(others)} (--knob NAME)" if others else ""
    if knob not in known:
        return f"--knob {knob}: config has no such knob{hint}"
    if type(known[knob]) is not float:
        return f"--knob {knob}: its value {known[knob]!r} is not a float{hint}"
    return f"--knob {knob}: `config` uses its value in Python (for a shape, a branch, a number of steps), so it cannot vary{hint}"
