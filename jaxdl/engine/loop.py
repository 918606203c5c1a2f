"""The training loop on the host: chunks of steps between edges (log, evaluation, checkpoint, stop) of an absolute grid.

Nothing numerical happens here: the compiled chunk takes its length as an argument, so how the run is cut, interrupted and
resumed leaves no trace in its bits.
"""

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from jaxdl.counts import check_count, check_numbers
from jaxdl.engine.callbacks import Callbacks
from jaxdl.engine.diagnosis import Trace, find_nan
from jaxdl.engine.distributed import agree, beat
from jaxdl.engine.evaluate import evaluate, evaluate_members, means
from jaxdl.engine.program import Program
from jaxdl.engine.signals import Interruption
from jaxdl.record.checkpoint import Checkpoints, digest
from jaxdl.record.processes import anywhere
from jaxdl.types import TrainState, UserError, Variables

CHUNK_SECONDS = 0.25
"""Target duration of a chunk of steps: how long a progress bar and a Ctrl-C wait."""

SAVE_SECONDS = 60.0
"""Seconds between checkpoints at most, whatever `checkpoint_every` says: what a crash may cost."""


class Diverged(Exception):
    """The loss or the gradient was not finite for too many steps."""


class Events(Protocol):
    """The listener of a loop: `line` gets every line of the log, `progress` the metrics after each chunk, `pictures` the
    arrays of each evaluation's report."""

    def line(self, line: dict[str, Any]) -> None: ...
    def progress(self, step: int, metrics: Mapping[str, float]) -> None: ...
    def pictures(self, step: int, report: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Limits:
    """The run options of the loop; none of them changes a result.

    Args:
        log_every: steps between lines of the log (means over the steps since the last line); None: 50, in a short run
            fewer, so that it has 50 lines, and before them lines at the steps 1, 2, 4, 8, ..., where the loss changes fastest.
        checkpoint_every: steps between checkpoints; None: at every best evaluation, every minute and at the end.
        stop_at: pause after this step, with a checkpoint, as if interrupted.
        max_bad: steps in a row with a loss or gradient that is not finite before the run gives up.
        profile: record what the device does in a few chunks of steps, into the folder that `fit` is given.
        watchdog: end the process after this many seconds without progress; None: 300 where there are several processes.
    """

    log_every: int | None = None
    checkpoint_every: int | None = None
    stop_at: int | None = None
    max_bad: int = 10
    profile: bool = False
    watchdog: float | None = None

    def __post_init__(self) -> None:
        for name in ("log_every", "checkpoint_every", "stop_at", "max_bad"):
            check_count(name, getattr(self, name))
        check_numbers(1e-3, watchdog=self.watchdog)


@dataclass
class Outcome:
    """The result of a training loop."""

    state: TrainState
    reason: str
    """"finished", "stopped early", "paused" (at `stop_at`) or "interrupted"."""
    signal: int | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    compile_seconds: float = 0.0
    train_seconds: float = 0.0

    def whole(self) -> "Outcome":
        """Return self, or raise KeyboardInterrupt if a signal ended the run, for callers that cannot use a partial result."""
        if self.signal is not None:
            raise KeyboardInterrupt(f"stopped by {signal.Signals(self.signal).name}")
        return self


def next_edge(step: int, grids: tuple[int | None, ...], last: int) -> int:
    """The next step that is a multiple of any grid, at most `last`.

    >>> next_edge(100, (30, None, 64), 200), next_edge(192, (50,), 195)
    (120, 195)
    """
    return min([(step // grid + 1) * grid for grid in grids if grid] + [last])


def is_early(step: int, every: int) -> bool:
    """Whether a step is a power of two below `every`.

    >>> [step for step in range(100) if is_early(step, 50)]
    [1, 2, 4, 8, 16, 32]
    """
    return 0 < step < every and step.bit_count() == 1


def nothing(sums: jax.Array) -> jax.Array:
    """Return zeros in the shape and place of the sums."""
    zeros = np.zeros(sums.shape, sums.dtype)
    return jax.make_array_from_callback(sums.shape, sums.sharding, lambda index: zeros[index])


def fit(
    program: Program,
    state: TrainState,
    *,
    events: Events,
    checkpoints: Checkpoints | None = None,
    callbacks: Callbacks | None = None,
    limits: Limits = Limits(),
    traces: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Train from `state` (step 0 or restored) to the end, an early stop, a pause or a signal.

    `callbacks` see the weights and may stop the run; `events` calls them. With `limits.profile` a trace of a few
    chunks is written to the folder `traces`.
    """
    exp = program.exp
    callbacks = callbacks or Callbacks()
    callbacks.weights = lambda: program.weights(state)
    mode = exp.select[1]
    split = "validation" if "validation" in exp.data.splits else None
    step, last = int(np.max(state.step)), min(exp.steps, limits.stop_at or exp.steps)
    every = limits.log_every or max(1, min(50, exp.steps // 50))
    early = 1 if limits.log_every else every
    outcome = Outcome(state, "finished")
    best = None  # the best value so far; of a population, that of its best member
    if checkpoints is not None and checkpoints.best is not None:
        best = checkpoints.meta(checkpoints.best)["metric"]
    saved_at, saved_step = clock(), step if step else None
    seed = int(np.ravel(exp.seed if exp.data_seed is None else exp.data_seed)[0])
    draws = max(phase.repeats for phase in exp.task.phases)

    def source(first: int, stop: int) -> Any:
        return program.place(exp.data.source(first * draws, stop * draws, seed))

    def save(value: float | None) -> None:
        nonlocal saved_at, saved_step
        if checkpoints is None or saved_step == step:
            return
        beat(step, "saving")
        events.line({"kind": "checkpoint", "step": step, "digest": digest(state)})
        checkpoints.save(step, state, meta={"seed": seed}, metric=value)
        saved_at, saved_step = clock(), step

    with Interruption() as interruption, Trace(traces if limits.profile else None) as trace:
        began, compiled, interrupted = clock(), program.compile_seconds, None
        beat(step, "compiling")
        state, view = program.chunk(state, source(step, step + 1), np.int32(0), np.int32(limits.max_bad))
        jax.block_until_ready(view)
        length, value = 1, None
        while step < last:
            if state.best is not None and bool(np.all(state.best.stopped | (state.bad >= limits.max_bad))):
                outcome.reason = "stopped early"  # in a population some may have diverged instead
                break
            edge = next_edge(step, (every, exp.evaluation_step, limits.checkpoint_every), last)
            edge = min(edge, 1 << step.bit_length()) if step < early else edge
            room = max(1, exp.data.span(step * draws) // draws)
            n, interrupted, stop = agree(
                min(edge - step, length, room), interruption.signal, callbacks.stopped is not None
            )
            if interrupted is not None:
                break
            if stop:
                outcome.reason = "stopped early"
                events.line({"kind": "note", "step": step, "note": f"stopped by a callback: {callbacks.stopped}"})
                break
            beat(step, "training")
            trace.chunk()
            tick, before = clock(), state
            state, view = program.chunk(state, source(step, step + n), np.int32(n), np.int32(limits.max_bad))
            view = jax.device_get(view)
            took = max(clock() - tick, 1e-6)
            length = max(1, min(int(n * CHUNK_SECONDS / took), 4 * n))
            ended = view["bad"] >= limits.max_bad
            step = int(view["step"]) if np.ndim(view["step"]) == 0 else step + n
            if jax.config.jax_debug_nans and program.members is None and view["bad"]:
                raise Diverged(find_nan(program, before, source(step - n, step), n))
            if np.all(ended) and program.members is None:
                events.line({"kind": "diverged", "step": step})
                raise Diverged(
                    f"the loss or its gradient was not finite in {limits.max_bad} steps in a row, up to step {step}"
                )
            current = means(view["metrics"])
            events.progress(step, {name: float(np.mean(value)) for name, value in current.items()})
            if step % every == 0 or step == exp.steps or is_early(step, early):
                norm = {"parameter_norm": np.asarray(program.norms(state)), "skipped": view["skipped"]}
                events.line({"kind": "train", "step": step, **current, **norm})
                state = state.replace(metrics=jax.tree.map(nothing, state.metrics))
            if step % exp.evaluation_step == 0 or step == exp.steps:
                value, state = _assess(program, state, step, split, events, outcome)
                better = value is not None and not np.isnan(value)
                better = better and (best is None or (value > best if mode == "max" else value < best))
                if better:
                    best = value
                    save(value)
            planned = limits.checkpoint_every and step % limits.checkpoint_every == 0
            if planned or anywhere(
                clock() - saved_at > SAVE_SECONDS
            ):  # one clock differs from another: all save or none
                save(value if step % exp.evaluation_step == 0 else None)
        if program.members is None and step == exp.steps and (problem := failure(program, state)):
            events.line({"kind": "diverged", "step": step})
            raise Diverged(problem)
        if interrupted is not None:
            outcome.reason, outcome.signal = "interrupted", interrupted
        elif outcome.reason == "finished" and step < exp.steps:
            outcome.reason = "paused"
        jax.block_until_ready(state)
        outcome.compile_seconds = program.compile_seconds - compiled
        outcome.train_seconds = clock() - began - outcome.compile_seconds
        save(value if step and step % exp.evaluation_step == 0 else None)
        if checkpoints is not None:
            checkpoints.wait()
    outcome.state = state
    return outcome


def failure(program: Program, state: TrainState) -> str:
    """Why a run that came to its last step has learned nothing all the same; "" if it has."""
    if int(state.skipped) >= int(state.step):
        return f"the loss or its gradient was not finite in any of the {int(state.step)} steps: all were skipped"
    good = state.best is not None and program.exp.stop.restore_best and bool(np.isfinite(state.best.value))
    lost = not good and not np.isfinite(np.asarray(program.norms(state)))
    return "the parameters are not finite: the learning rate, or an update, was not" if lost else ""


def _assess(
    program: Program,
    state: TrainState,
    step: int,
    split: str | None,
    events: Events,
    outcome: Outcome,
) -> tuple[float | None, TrainState]:
    """Evaluate on the validation split, log it and update early stopping. Return the selecting metric and the state."""
    if split is None:
        return None, state
    beat(step, "evaluating")
    weights = program.weights(state)
    if program.members is None:
        number, every = -(-step // program.exp.evaluation_step), program.exp.task.report_every
        reported = number % every == 0 or step == program.exp.steps
        evaluation = evaluate(program, weights, split, report=reported)
        result, noted = evaluation.metrics, evaluation.note
        events.pictures(step, evaluation.report)
    else:
        evaluations, reported = evaluate_members(program, weights, split), True
        results, noted = [e.metrics for e in evaluations], any(e.note for e in evaluations)
        result = {name: [r.get(name, float("nan")) for r in results] for name in {n: 0 for r in results for n in r}}
    line = {"kind": "eval", "step": step, "split": split, **result}
    events.line(line)
    outcome.history.append(line)
    if noted and program.members is None:
        events.line({"kind": "note", "step": step, "note": noted})
    name, mode = program.exp.select
    if name not in result and not reported:  # a metric of the report waits for the next one
        return None, state
    value = np.asarray(result.get(name, np.full(np.shape(state.step), np.nan)), np.float32)
    if name not in result and not noted and all(np.isfinite(v).all() for v in result.values()):
        raise UserError(f"metric {name!r} is not among those of the evaluation: {', '.join(sorted(result))}")
    if state.best is not None:
        state = state.replace(best=program.stop(state.best, value, np.int32(step), weights))
    finite = value[np.isfinite(value)]
    return (float(finite.max() if mode == "max" else finite.min()) if finite.size else None), state


def chosen_weights(program: Program, state: TrainState) -> Variables:
    """Return the weights of a finished run: the best of early stopping, else the last, averaged if the experiment averages."""
    last = program.weights(state)
    if state.best is None or not program.exp.stop.restore_best:
        return last
    seen = np.isfinite(state.best.value)
    if seen.all():
        return state.best.weights
    pick = lambda a, b: np.where(seen.reshape(seen.shape + (1,) * (np.ndim(a) - seen.ndim)), a, b)
    return jax.tree.map(pick, state.best.weights, last)
