"""`lr-find EXPERIMENT`: the real training step under a rising learning rate, a plot of the loss and a suggestion.

The learning rate is the knob `lr`, which enters the compiled step as a scalar: the ramp runs the very program that
training will run, and compiles nothing else. The schedule is held at its peak meanwhile.
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
"""How much of the smoothed loss is kept from one step to the next."""


@dataclass(frozen=True)
class Options:
    """The ramp."""

    knob: str = "lr"
    """The knob that is the learning rate."""
    ramp_steps: int = 100
    """Steps of the ramp, a batch each."""
    lowest: float = 1e-6
    """Where the ramp begins."""
    highest: float = 10.0
    """Where it ends, if the loss has not gone up four-fold before."""
    plot: Path = Path("lr_find.png")
    """The picture."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Where to compute."""


@dataclass(frozen=True)
class Ramp:
    """The loss at each learning rate of the ramp, smoothed, and what it suggests."""

    rate: np.ndarray
    loss: np.ndarray
    smooth: np.ndarray
    suggestion: float
    lowest: float
    """The rate of the lowest smoothed loss: already too large to train with."""


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
        raise ExperimentError(
            f"the ramp goes from --lowest {lowest:g} to --highest {highest:g}: take 0 < lowest < highest"
        )
    if steps < 10:
        raise ExperimentError(f"--ramp-steps {steps} are too few to see a slope: take 10 or more")
    exp = setup.build()
    check_data(exp)
    program = prepare(setup, exp=exp)
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
            raise ExperimentError(f"this task logs no `loss` but {', '.join(view['metrics'])}: nothing to ramp against")
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
        raise ExperimentError(f"the loss is not finite from {knob} = {lowest:g} on: begin with a lower --lowest")
    suggestion, best = suggest(np.array(rates), np.array(smoothed))
    return Ramp(np.array(rates), np.array(losses), np.array(smoothed), suggestion, best)


def suggest(rate: np.ndarray, smooth: np.ndarray) -> tuple[float, float]:
    """(where the smoothed loss falls fastest per decade, at most a third of the other; where it is lowest).

    Slopes are those of straight lines through half a decade, and count only once a tenth of the way down is done for good
    (what is before is noise) and until nine tenths are.

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
    """For each schedule in the optimizer's state, in the order of the tree: the step at which it is highest.

    The whole schedule is read by one compiled function: of an update nothing but the learning rate is asked for, and the
    compiler leaves the rest of it out.
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
    """Why `knob` cannot be ramped, and which could be."""
    known = setup.knobs
    others = [name for name in traced if name != "seed"]
    hint = f"; float knobs that can: {', '.join(others)} (--knob NAME)" if others else ""
    if knob not in known:
        return f"there is no knob {knob!r} to ramp{hint}"
    if type(known[knob]) is not float:
        return f"knob {knob!r} is {known[knob]!r}, no float, and cannot be ramped{hint}"
    return (
        f"knob {knob!r} decides something in Python (a shape, a branch, a number of steps): it cannot be ramped{hint}"
    )
