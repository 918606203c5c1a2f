"""An experiment as compiled functions of its knobs: `init`, `chunk` (many steps), `evaluate`, `predict`, `stop`.

The float knobs and the seed enter as scalars, so a changed learning rate compiles nothing; `config` is called again inside
the trace, and everything that depends on a knob (schedule, rates, keys) is traced with it.
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxdl.train import stopping
from jaxdl.train.parallel import Plan, Timed
from jaxdl.train.step import add, as_computed, cast, init_state, prepare, train_step
from jaxdl.types import Array, Batch, Best, TrainState, Variables, rows_from

Knobs = Mapping[str, Any]


def candidates(knobs: Knobs) -> dict[str, np.generic]:
    """The knobs that may enter a program as scalars: floats, and the seed."""
    floats = {name: np.float32(value) for name, value in knobs.items() if type(value) is float}
    seed = knobs.get("seed")
    return floats | ({"seed": np.int32(seed)} if type(seed) is int else {})


@dataclass(frozen=True)
class Members:
    """Turns a function of one member into that of a population: every argument gets a first axis, but those named.

    "together": `vmap`, one program over all members at once. "in turn": `lax.map`, one member after the other inside
    one compiled program, which is often faster on a CPU. Over a `mesh` (of one axis, "members") each device runs the
    function on its own members, and never waits for the others.
    """

    mode: Literal["together", "in turn"] = "together"
    mesh: Mesh | None = None

    def __call__(self, function: Callable[..., Any], **shared: int) -> Callable[..., Any]:
        def axes(count: int) -> tuple[int | None, ...]:
            return tuple(None if i in shared.values() else 0 for i in range(count))

        def together(*arguments: Any) -> Any:
            return jax.vmap(function, in_axes=axes(len(arguments)))(*arguments)

        def in_turn(*arguments: Any) -> Any:
            own = {i: a for i, a in enumerate(arguments) if i not in shared.values()}
            return jax.lax.map(lambda row: function(*(row.get(i, a) for i, a in enumerate(arguments))), own)

        return self.spread(together if self.mode == "together" else in_turn, **shared)

    def spread(self, function: Callable[..., Any], **shared: int) -> Callable[..., Any]:
        """A function of many members, on each device for the members that live there."""
        if self.mesh is None:
            return function

        def spread(*arguments: Any) -> Any:
            specs = tuple(P() if i in shared.values() else P("members") for i in range(len(arguments)))
            mapped = jax.shard_map(function, mesh=self.mesh, in_specs=specs, out_specs=P("members"), check_vma=False)
            return mapped(*arguments)

        return spread


def going(state: TrainState, max_bad: Array) -> Array:
    """Whether a member still trains: neither stopped early nor diverged."""
    fine = state.bad < max_bad
    return fine if state.best is None else fine & ~state.best.stopped


def where(condition: Array, new: TrainState, old: TrainState) -> TrainState:
    """`new` where the condition holds; the key, which never changes, is passed by."""
    chosen = jax.tree.map(lambda a, b: jnp.where(condition, a, b), new.replace(key=None), old.replace(key=None))
    return chosen.replace(key=old.key)


def view_of(state: TrainState) -> dict[str, Any]:
    """The few numbers the host reads after a chunk, as copies: the state itself is donated to the next."""
    view = {"step": state.step, "bad": state.bad, "skipped": state.skipped, "metrics": state.metrics}
    return jax.tree.map(jnp.copy, view)


class Program:
    """The compiled functions of one experiment for any values of its traced knobs.

    Args:
        build: knobs -> Experiment; called inside every trace with the traced knobs (values absent: the static ones).
        data: the data object, the same for every value of the traced knobs.
        traced: the knobs that enter as scalars (as arrays of one value a member, for a population).
        plan: devices and compiler.
        members: None for one run; else how its functions become those of a population, one member a row of every knob.
    """

    def __init__(
        self,
        build: Callable[[Knobs], Any],
        data: Any,
        traced: Knobs,
        plan: Plan = Plan(),
        members: Members | None = None,
    ):
        self.build, self.data, self.plan = build, data, plan
        self.traced = {name: jax.ShapeDtypeStruct(np.shape(value), value.dtype) for name, value in traced.items()}
        self.members = members
        self.each = members or (lambda function, **_: function)
        like = data.blank_source() if hasattr(data, "blank_source") else data.source(0, 1, 0)
        held = jax.dtypes.canonicalize_dtype  # what jax holds of float64
        self.source_shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, held(a.dtype)), dict(like))
        self._step = jax.jit(self.step, static_argnames="axis")  # traced once, found again by every chunk
        self._init = jax.jit(self.one_init)
        self._placed: dict[int, tuple[Any, Any]] = {}

    def place(self, source: Any) -> Any:
        """A source on the device; an in-memory split is put there once and stays."""
        if not self.data.resident:
            return self.plan.put(source, rows=getattr(self.data, "by_row", False))
        if id(source) not in self._placed:
            self._placed[id(source)] = (source, self.plan.put(dict(source)))
        return self._placed[id(source)][1]

    def data_leaves(self) -> list[Any]:
        """The arrays of the data that the experiment has inside a trace: they must not depend on a traced knob."""
        found: list[Any] = []

        def look(knobs: Knobs) -> None:
            found.extend(jax.tree.leaves(dict(getattr(self.build(knobs).data, "splits", {}))))

        jax.eval_shape(look, self.traced)
        return found

    @property
    def compile_seconds(self) -> float:
        """Spent on compiling so far, by all the functions below."""
        return sum(part.seconds for part in vars(self).values() if isinstance(part, Timed))

    # -- pure functions ------------------------------------------------------------------------------------------------
    def bare(self, knobs: Knobs) -> TrainState:
        """The initial state, without the accumulators of metrics."""
        return init_state(self.build(knobs))

    def step(self, knobs: Knobs, state: TrainState, source: Any, axis: str | None = None) -> tuple[TrainState, Any]:
        """One train step and its metrics."""
        exp = self.build(knobs)
        seed = exp.seed if exp.data_seed is None else exp.data_seed

        def batch_at(draw: Array) -> Batch:
            batch = self.data.train_batch(source, seed, draw)
            return self.plan.constrain(batch) if axis is None else self.plan.local(batch)

        with self.plan.sequence():
            return train_step(exp, state, batch_at, axis)

    def one_init(self, knobs: Knobs) -> TrainState:
        state = self.bare(knobs)
        _, shapes = jax.eval_shape(partial(self._step, axis=None), knobs, state, self.source_shapes)
        return state.replace(metrics=jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes))

    def one_step(self, knobs: Knobs, state: TrainState, source: Any) -> TrainState:
        new, metrics = self._step(knobs, state.replace(metrics={}), source, axis=self.plan.axis)
        return new.replace(metrics=add(state.metrics, metrics))

    def one_chunk(
        self, knobs: Knobs, state: TrainState, source: Any, n: Array, max_bad: Array
    ) -> tuple[TrainState, dict[str, Any]]:
        """`n` steps in one loop whose length is an argument: the same program, hence the same bits, at any length."""

        def unfinished(carry: tuple[Array, TrainState]) -> Array:
            return (carry[0] < n) & going(carry[1], max_bad)

        def body(carry: tuple[Array, TrainState]) -> tuple[Array, TrainState]:
            return carry[0] + 1, self.one_step(knobs, carry[1], source)

        _, state = jax.lax.while_loop(unfinished, body, (jnp.int32(0), state))
        return state, view_of(state)

    def joint_chunk(
        self, knobs: Knobs, state: TrainState, source: Any, n: Array, max_bad: Array
    ) -> tuple[TrainState, dict[str, Any]]:
        """The same for a population whose members step together; one that stopped or diverged stays as it is."""

        def alive(knobs: Knobs, state: TrainState, source: Any) -> TrainState:
            return where(going(state, max_bad), self.one_step(knobs, state, source), state)

        step, still = jax.vmap(alive, in_axes=(0, 0, None)), jax.vmap(lambda state: going(state, max_bad))

        def unfinished(carry: tuple[Array, TrainState]) -> Array:
            return (carry[0] < n) & still(carry[1]).any()

        def body(carry: tuple[Array, TrainState]) -> tuple[Array, TrainState]:
            return carry[0] + 1, step(knobs, carry[1], source)

        _, state = jax.lax.while_loop(unfinished, body, (jnp.int32(0), state))
        return state, view_of(state)

    @property
    def run_chunk(self) -> Callable[..., Any]:
        if self.members is None:
            return self.one_chunk
        if self.members.mode == "together":
            return self.members.spread(self.joint_chunk, source=2, n=3, max_bad=4)
        return self.each(self.one_chunk, source=2, n=3, max_bad=4)

    def one_weights(self, knobs: Knobs, state: TrainState) -> Variables:
        """What is evaluated: the average, where there is one."""
        return self.build(knobs).eval_weights(state)

    def one_norms(self, knobs: Knobs, state: TrainState) -> Array:
        return jnp.sqrt(sum(jnp.sum(jnp.square(a.astype(jnp.float32))) for a in jax.tree.leaves(state.params)))

    def one_evaluate(self, knobs: Knobs, weights: Variables, source: Any, index: Array, before: Array) -> Any:
        """Sums and weights of the metrics over the batches `index`, and all outputs with their targets and masks. There is one
        key, and rows are numbered on (from `before`): what a task draws for a row does not depend on the batch size."""
        params, model_state = as_computed(exp := self.build(knobs), weights)
        observe = getattr(exp.task, "observe", exp.task.predict)

        def body(i: Array) -> tuple[Any, Any]:
            batch = prepare(exp, self.plan.constrain(self.data.eval_batch(source, i)))
            key = jax.random.key(0)
            with self.plan.sequence(), rows_from(before + i * batch["mask"].shape[0]):
                _, (_, metrics) = exp.task.objective(params, model_state, batch, key, jnp.int32(0), train=False)
                outputs = observe(params, model_state, batch, key)
            return metrics, {"outputs": cast(outputs, "float32"), "y": batch.get("y"), "mask": batch["mask"]}

        metrics, gathered = jax.lax.map(body, index)
        return jax.tree.map(lambda a: a.sum(0), metrics), gathered

    def one_predict(self, knobs: Knobs, weights: Variables, batch: Batch) -> Any:
        weights = as_computed(exp := self.build(knobs), weights)
        return cast(exp.task.predict(*weights, prepare(exp, batch), jax.random.key(0)), "float32")

    def one_stop(self, knobs: Knobs, best: Best, value: Array, step: Array, weights: Variables) -> Best:
        exp = self.build(knobs)
        return stopping.update(exp.stop, exp.select[1], best, value, step, weights)

    # -- shapes --------------------------------------------------------------------------------------------------------
    @cached_property
    def shapes(self) -> TrainState:
        """The state as shapes, with where its parts live: what a checkpoint is restored into."""
        shapes = jax.eval_shape(self.each(self._init), self.traced)
        if not self.plan.sharded:
            return shapes
        return jax.tree.map(
            lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), shapes, self.plan.shardings(shapes)
        )

    def sharding(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Where the result of a function of the state lives (None on one device)."""
        return self.plan.shardings(jax.eval_shape(function, *arguments)) if self.plan.sharded else None

    # -- compiled functions --------------------------------------------------------------------------------------------
    @cached_property
    def init(self) -> Any:
        """knobs -> the first state, born where it lives."""
        one = self.each(self._init)
        return self.plan.compile(one, out=self.sharding(one, self.traced))

    @cached_property
    def chunk(self) -> Any:
        """(knobs, state, source, steps, bad steps allowed) -> (state, view); the state is donated."""
        return self.plan.compile_chunk(self.run_chunk, self.shapes)

    @cached_property
    def weights(self) -> Any:
        one = self.each(self.one_weights)
        return self.plan.compile(one, out=self.sharding(one, self.traced, self.shapes))

    @cached_property
    def norms(self) -> Any:
        return self.plan.compile(self.each(self.one_norms))

    @cached_property
    def evaluate(self) -> Any:
        """(knobs, weights, source, batch numbers, rows before) -> (sums and weights, outputs with targets and masks)."""
        return self.plan.compile(self.each(self.one_evaluate, source=2, index=3, before=4))

    @cached_property
    def predict(self) -> Any:
        return self.plan.compile(self.each(self.one_predict, batch=2))

    @cached_property
    def stop(self) -> Any:
        """(knobs, what early stopping knows, value, step, weights) -> what it knows then."""
        out = jax.tree.map(lambda a: a.sharding, self.shapes.best) if self.plan.sharded else None
        return self.plan.compile(self.each(self.one_stop, step=3), out=out)


def traceable(exp: Any, knobs: Knobs) -> tuple[dict[str, np.generic], dict[str, str]]:
    """The candidates that one init and one step can take as scalars, and why each of the others cannot.

    A knob that decides a shape, a number of steps, a branch in Python or the data cannot be traced: tried by `jax.eval_shape`.
    """
    wanted = candidates(knobs)
    if not problem_of(Program(exp.origin.build, exp.data, wanted), exp):
        return wanted, {}
    problems = {n: problem_of(Program(exp.origin.build, exp.data, {n: value}), exp) for n, value in wanted.items()}
    return {n: value for n, value in wanted.items() if not problems[n]}, {n: p for n, p in problems.items() if p}


def problem_of(program: Program, exp: Any) -> str:
    """Why a program cannot take its knobs as scalars; empty if it can.

    The experiment was built with these knobs as numbers, so whatever goes wrong with scalars in their place is due to that.
    """
    try:
        if any(isinstance(a, jax.core.Tracer) for a in program.data_leaves()):
            return "the data are made from it"
        shapes = jax.eval_shape(program._init, program.traced)
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
        return (
            f"Python needs its value at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else str(error)
        )
    as_numbers = jax.eval_shape(lambda: init_state(exp))
    parts = ("params", "model_state", "opt_state", "ema", "best")
    same = all(described(getattr(shapes, part)) == described(getattr(as_numbers, part)) for part in parts)
    return "" if same else "Python looks at its type or value, and builds something else"


def described(shapes: Any) -> Any:
    leaves, structure = jax.tree.flatten(shapes)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
