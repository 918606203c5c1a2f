"""An experiment as pure functions of its knobs: what `program.py` compiles.

`config` is called again inside each trace, with the float knobs and the seed as scalars: everything that depends on a knob
(schedule, rates, keys) is traced with it, so a changed learning rate compiles nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxdl.engine import stopping
from jaxdl.engine.parallel import Plan
from jaxdl.engine.step import add, as_computed, cast, init_state, prepared_batch, rules_of, train_step
from jaxdl.tracing import rows_from
from jaxdl.types import Array, Batch, Best, TrainState, Variables

Knobs = Mapping[str, Any]


def candidates(knobs: Knobs) -> dict[str, np.generic]:
    """The knobs that may enter a program as scalars: floats, and the seed."""
    floats = {name: np.float32(value) for name, value in knobs.items() if type(value) is float}
    seed = knobs.get("seed")
    return floats | ({"seed": np.int32(seed)} if type(seed) is int else {})


@dataclass(frozen=True)
class Members:
    """Lift a single-run function to a population: every argument that is not named gets a leading member axis.

    "together" is `vmap`, over all members at once. "in turn" is `lax.map`, one member after the other in one compiled
    program, which is often faster on a CPU. On a `mesh` (of one axis, "members") each device runs its own members
    independently.
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
        """Run a function of many members on every device, for the members of that device."""
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
    """Select `new` where the condition holds, else `old`; the key never changes."""
    chosen = jax.tree.map(lambda a, b: jnp.where(condition, a, b), new.replace(key=None), old.replace(key=None))
    return chosen.replace(key=old.key)


def view_of(state: TrainState) -> dict[str, Any]:
    """Return copies of the few numbers that the host reads after a chunk; the state itself is donated to the next chunk."""
    view = {"step": state.step, "bad": state.bad, "skipped": state.skipped, "metrics": state.metrics}
    return jax.tree.map(jnp.copy, view)


class Traced:
    """The functions of one experiment for any values of its traced knobs.

    Args:
        exp: the experiment, built with the knobs as Python numbers; used for all that no traced knob changes (data, steps).
        build: traced knobs -> Experiment; called inside every trace.
        knobs: the values of the traced knobs (arrays of one value a member, for a population); here only their shapes matter.
        plan: devices and compiler.
        members: None for one run; else how its functions become those of a population, one member a row of every knob.
    """

    def __init__(
        self,
        exp: Any,
        build: Callable[[Knobs], Any],
        knobs: Knobs,
        plan: Plan = Plan(),
        members: Members | None = None,
    ):
        self.exp, self.build, self.plan, self.members = exp, build, plan, members
        self.data = exp.data
        self.traced = {name: jax.ShapeDtypeStruct(np.shape(value), value.dtype) for name, value in knobs.items()}
        self.each = members or (lambda function, **_: function)
        # jaxlib 0.10 waits for ever on a CPU where as many batched factorizations (orthogonal matrices) meet as it has cores
        self.each_init = replace(members, mode="in turn") if members else self.each
        data = exp.data
        like = data.blank_source()
        held = jax.dtypes.canonicalize_dtype  # what jax holds of float64
        self.source_shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, held(a.dtype)), dict(like))
        self._step = jax.jit(self.step, static_argnames="axis")  # traced once, found again by every chunk
        self._init = jax.jit(self.one_init)

    def data_leaves(self) -> list[Any]:
        """The arrays of the data that the experiment has inside a trace: they must not depend on a traced knob."""
        found: list[Any] = []

        def look(knobs: Knobs) -> None:
            found.extend(jax.tree.leaves(dict(self.build(knobs).data.splits)))

        jax.eval_shape(look, self.traced)
        return found

    def step(self, knobs: Knobs, state: TrainState, source: Any, axis: str | None = None) -> tuple[TrainState, Any]:
        """One train step and its metrics."""
        exp = self.build(knobs)
        seed = exp.seed if exp.data_seed is None else exp.data_seed

        def batch_at(draw: Array) -> Batch:
            batch = self.data.train_batch(source, seed, draw)
            return self.plan.constrain(batch) if axis is None else self.plan.local(batch)

        with self.plan.sequence(), rules_of(exp):
            return train_step(exp, state, batch_at, axis)

    def one_init(self, knobs: Knobs) -> TrainState:
        state = init_state(self.build(knobs))
        _, shapes = jax.eval_shape(partial(self._step, axis=None), knobs, state, self.source_shapes)
        return state.replace(metrics=jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes))

    def one_step(self, knobs: Knobs, state: TrainState, source: Any) -> TrainState:
        new, metrics = self._step(knobs, state.replace(metrics={}), source, axis=self.plan.axis)
        return new.replace(metrics=add(state.metrics, metrics))

    def one_chunk(
        self, knobs: Knobs, state: TrainState, source: Any, n: Array, max_bad: Array
    ) -> tuple[TrainState, dict[str, Any]]:
        """Run `n` steps in a loop whose length is an argument, so that one program, with the same bits, serves every length."""

        def unfinished(carry: tuple[Array, TrainState]) -> Array:
            return (carry[0] < n) & going(carry[1], max_bad)

        def body(carry: tuple[Array, TrainState]) -> tuple[Array, TrainState]:
            return carry[0] + 1, self.one_step(knobs, carry[1], source)

        _, state = jax.lax.while_loop(unfinished, body, (jnp.int32(0), state))
        return state, view_of(state)

    def joint_chunk(
        self, knobs: Knobs, state: TrainState, source: Any, n: Array, max_bad: Array
    ) -> tuple[TrainState, dict[str, Any]]:
        """Run `n` steps of a population "together"; a member that stopped or diverged does not change."""

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
        """Return the weights that are evaluated: the average, if there is one."""
        return self.build(knobs).eval_weights(state)

    def one_norms(self, knobs: Knobs, state: TrainState) -> Array:
        return jnp.sqrt(sum(jnp.sum(jnp.square(a.astype(jnp.float32))) for a in jax.tree.leaves(state.params)))

    def one_evaluate(
        self, knobs: Knobs, weights: Variables, source: Any, index: Array, before: Array, report: bool = True
    ) -> Any:
        """Sums and weights of the metrics over the batches `index`; with `report` also all outputs with their targets and masks,
        and what the task illustrates. There is one key, and rows are numbered on (from `before`): what a task draws for a row
        does not depend on the batch size."""
        params, model_state = as_computed(exp := self.build(knobs), weights)
        key, names = jax.random.key(0), exp.task.targets

        def batch_at(i: Array) -> Batch:
            return prepared_batch(exp, self.plan.constrain(self.data.eval_batch(source, i)))

        def body(i: Array) -> tuple[Any, Any]:
            batch = batch_at(i)
            with self.plan.sequence(), rules_of(exp), rows_from(before + i * batch["mask"].shape[0]):
                _, (_, metrics) = exp.task.objective(params, model_state, batch, key, jnp.int32(0), train=False)
                outputs = exp.task.observe(params, model_state, batch, key) if report else None
            if not report:
                return metrics, None
            targets = batch.get(names[0]) if len(names) == 1 else {name: batch.get(name) for name in names}
            return metrics, {"outputs": cast(outputs, "float32"), "targets": targets, "mask": batch["mask"]}

        def illustrated() -> Any:
            with self.plan.sequence(), rows_from(0):
                return cast(exp.task.illustrate(params, model_state, batch_at(index[0]), key), "float32")

        metrics, gathered = jax.lax.map(body, index)
        metrics = jax.tree.map(lambda a: a.sum(0), metrics)
        if not report:
            return metrics
        shapes = jax.eval_shape(illustrated)
        nothing = lambda: jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        shown = jax.lax.cond(before == 0, illustrated, nothing) if shapes else {}
        return metrics, gathered, shown

    def one_metrics(self, knobs: Knobs, weights: Variables, source: Any, index: Array, before: Array) -> Any:
        """The metrics alone."""
        return self.one_evaluate(knobs, weights, source, index, before, report=False)

    def one_predict(self, knobs: Knobs, weights: Variables, batch: Batch) -> Any:
        weights = as_computed(exp := self.build(knobs), weights)
        return cast(exp.task.predict(*weights, prepared_batch(exp, batch), jax.random.key(0)), "float32")

    def one_stop(self, knobs: Knobs, best: Best, value: Array, step: Array, weights: Variables) -> Best:
        exp = self.build(knobs)
        return stopping.update(exp.stop, exp.select[1], best, value, step, weights)
