"""The one train step: phases, micro-batches, precision, the non-finite guard and EMA, for every task.

Everything here is pure and traced: `init_state` and `train_step` are what `program.py` compiles.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl import parameters
from jaxdl.engine import average, stopping
from jaxdl.engine.keys import unrolled
from jaxdl.tracing import recomputing, rows_from
from jaxdl.types import Array, Batch, Key, Metrics, Params, Phase, TrainState, UserError, Variables


def select(params: Params, names: tuple[str, ...] | None) -> Params:
    """The top-level entries of the parameters that a phase updates (None: all)."""
    if names is None:
        return params
    missing = [name for name in names if name not in params]
    if missing:
        raise UserError(f"a phase updates {missing}, but the parameters are {sorted(params)}")
    return {name: params[name] for name in names}


def cast(tree: Any, precision: str) -> Any:
    """Floating-point leaves in the precision of the computation; the stored parameters stay float32."""
    dtype = jnp.dtype(precision)
    return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)


def as_computed(exp: Any, weights: Variables) -> Variables:
    """Weights as the model reads them, in training and after it: parameters in its precision, statistics as they are."""
    return cast(weights[0], exp.precision), weights[1]


def prepared_batch(exp: Any, batch: Batch, key: Key | None = None) -> Batch:
    """Raw batch -> what the model reads: prepare, augment (only with a key: in training), standardise, cast."""
    batch = checked(exp.data.prepare, batch, exp.data.prepare(batch), "data's function")
    if key is not None:
        for i, augment in enumerate(exp.augment):
            batch = checked(augment, batch, augment(jax.random.fold_in(key, i), batch))
    batch = checked(exp.data.standardise, batch, exp.data.standardise(batch), "data's function")
    return {**batch, "x": cast(batch["x"], exp.precision)}


def checked(function: Callable[..., Any], before: Batch, after: Any, kind: str = "augmentation") -> Batch:
    """Return the batch that a function made, or raise UserError unless it has the same entries with as many rows."""
    name = getattr(function, "__qualname__", type(function).__name__).split(".<locals>")[0]
    if not isinstance(after, Mapping):
        raise UserError(f"{kind} {name} must give back the batch, a dict, got {type(after).__name__}")
    for entry in [name for name in ("x", "y", "mask") if name in before]:
        if entry not in after:
            raise UserError(f"{kind} {name} must keep {entry!r} in the batch, got {sorted(after)}")
        rows, got = np.shape(before[entry])[0], np.shape(after[entry])[0]  # symbolic in an export
        if got != rows:
            raise UserError(f"{kind} {name} must keep the {rows} rows of {entry!r}, got {got}")
    return after


def add(a: Metrics, b: Metrics) -> Metrics:
    """Add two sets of metrics by name; a name that only one of them has is kept."""
    return {
        name: tuple(jnp.add(p, q) for p, q in zip(a[name], b[name], strict=True))
        if name in a and name in b
        else (a.get(name) or b[name])
        for name in {**a, **b}
    }


def init_state(exp: Any) -> TrainState:
    """The state before the first step; `metrics` is filled in by the program, which knows their names."""
    with rules_of(exp):
        return _init_state(exp)


def rules_of(exp: Any) -> AbstractContextManager[None]:
    """Apply, inside a trace, the parameter masks of the format that a run began with (`jaxdl/formats.py`)."""
    return parameters.searched_in_paths(exp.follows.format == 1)


def _init_state(exp: Any) -> TrainState:
    init_key, run_key = jax.random.split(jax.random.key(exp.seed))
    batch = prepared_batch(exp, {name: jnp.asarray(value) for name, value in exp.data.example().items()})
    params, model_state = exp.task.init(unrolled(init_key), {**batch, "x": cast(batch["x"], "float32")})
    opt_state: dict[str, Any] = {}
    for phase in exp.task.phases:
        if phase.optimizer not in exp.optimizers:
            raise UserError(f"phase {phase.name!r} wants optimizer {phase.optimizer!r}, got {sorted(exp.optimizers)}")
        opt_state[phase.optimizer] = exp.optimizers[phase.optimizer].init(select(params, phase.params))
    state = TrainState(
        step=jnp.int32(0),
        params=params,
        model_state=model_state,
        opt_state=opt_state,
        ema=average.first_average(exp, params, model_state),
        key=run_key,
        bad=jnp.int32(0),
        skipped=jnp.int32(0),
        metrics={},
        best=None,
    )
    if exp.stop is not None:
        state = state.replace(best=stopping.start(exp.eval_weights(state), exp.select[1]))
    return state


def leaner(objective: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """Return `objective` with rematerialisation: it stores less for the backward pass and recomputes the rest.

    The inputs of the blocks that the model marks (`recompute_block`) are stored; for a model that marks none, the results of
    matrix products and convolutions.
    """
    with recomputing() as blocks:
        jax.eval_shape(objective, *arguments)

    def by_block(*arguments: Any) -> Any:
        with recomputing():
            return objective(*arguments)

    def costly(primitive: Any, *_: Any, **__: Any) -> bool:
        return primitive.name in ("dot_general", "conv_general_dilated", "conv_forward", "conv_input_gradient")

    return by_block if blocks else jax.checkpoint(objective, policy=costly)


def gradient(
    exp: Any, phase: Phase, state: TrainState, batch: Batch, key: Key, axis: str | None
) -> tuple[Array, Params, Any, Metrics, Callable[..., Any]]:
    """Loss, gradient, new model state and metrics of one phase: in `accumulate` micro-batches, over all devices of `axis`."""
    parts = exp.accumulate
    rows = batch["mask"].shape[0]
    if rows % parts:
        raise UserError(f"accumulate = {parts} must divide the batch of {rows}")
    carried = [name for name in state.model_state if exp.task.reduce.get(name) == "example"]
    if parts > 1 and carried:
        raise UserError(f"accumulate = {parts} cannot cut {carried[0]!r}, which carries on every row of the batch")
    offset = 0 if axis is None else jax.lax.axis_index(axis) * rows

    def objective(trained: Params, model_state: Any, part: Batch, first: Any) -> Any:
        params = {**state.params, **trained} if phase.params is not None else trained
        with rows_from(first, parts):
            loss, (new_state, metrics) = phase.objective(
                cast(params, exp.precision), model_state, part, key, state.step, train=True
            )
        return loss.astype(jnp.float32), (new_state, metrics)

    trained = select(state.params, phase.params)
    # row i, i + parts, ... are micro-batch i: of a batch cut over devices, each device then holds its part of all of them
    split = jax.tree.map(lambda a: a.reshape(rows // parts, parts, *a.shape[1:]).swapaxes(0, 1), batch)
    if exp.remat:
        objective = leaner(objective, trained, state.model_state, jax.tree.map(lambda a: a[0], split), offset)
    grad_of = jax.value_and_grad(objective, has_aux=True)

    def weighted(trained: Params, model_state: Any, part: Batch, first: Any) -> Any:
        """Loss and gradient times the weight of the examples they are the mean of."""
        (loss, (model_state, metrics)), grads = grad_of(trained, model_state, part, first)
        weight = metrics["loss"][1] if "loss" in metrics else part["mask"].sum()
        return (jax.tree.map(lambda g: g * weight, (loss, grads)), weight), model_state, metrics

    def summed(trained: Params) -> Any:
        """The same over all micro-batches and devices: sums of loss and gradients, and of the weights they are divided by."""

        def micro(carry: Any, indexed: tuple[Array, Batch]) -> tuple[Any, Metrics]:
            sums, model_state = carry
            i, part = indexed
            new, model_state, metrics = weighted(trained, model_state, part, offset + i)
            return (jax.tree.map(jnp.add, sums, new), model_state), metrics

        zeros = ((jnp.float32(0), jax.tree.map(jnp.zeros_like, trained)), jnp.float32(0))
        (sums, model_state), stacked = jax.lax.scan(micro, (zeros, state.model_state), (jnp.arange(parts), split))
        metrics = jax.tree.map(lambda a: a.sum(0), stacked)
        if axis is not None:
            sums, metrics = jax.lax.psum((sums, metrics), axis)
            reduce = {"mean": jax.lax.pmean, "sum": jax.lax.psum}
            model_state = {
                name: reduce[how](value, axis) if (how := exp.task.reduce.get(name, "mean")) in reduce else value
                for name, value in model_state.items()
            }
        return sums, model_state, metrics

    def all_of(trained: Params) -> Any:
        if parts == 1 and axis is None:
            (loss, (model_state, metrics)), grads = grad_of(trained, state.model_state, batch, offset)
        else:
            ((loss, grads), weight), model_state, metrics = summed(trained)
            loss, grads = jax.tree.map(lambda a: a / jnp.maximum(weight, 1e-12), (loss, grads))
        return loss, grads, model_state, metrics

    def grad_fn(params: Params, *_: Any) -> Params:
        """The gradient of the same batch at other parameters, for optimizers such as SAM."""
        return all_of(params)[1]

    return *all_of(trained), grad_fn


def run_phase(
    exp: Any, phase: Phase, state: TrainState, batch: Batch, key: Key, axis: str | None
) -> tuple[TrainState, Metrics, Array]:
    """Run one update of one phase. Return the state, the metrics and whether all values were finite."""
    loss, grads, model_state, metrics, grad_fn = gradient(exp, phase, state, batch, key, axis)
    norm = optax.tree.norm(grads)
    trained = select(state.params, phase.params)
    tx = optax.with_extra_args_support(exp.optimizers[phase.optimizer])
    updates, opt_state = tx.update(
        grads, state.opt_state[phase.optimizer], trained, value=loss, grad=grads, grad_fn=grad_fn
    )
    updated = optax.apply_updates(trained, updates)
    params = {**state.params, **updated} if phase.params is not None else updated
    prefix = f"{phase.name}_" if phase.name else ""
    metrics = {**metrics, f"{prefix}gradient_norm": (norm, jnp.float32(1))}
    state = state.replace(
        params=params, model_state=model_state, opt_state={**state.opt_state, phase.optimizer: opt_state}
    )
    return state, metrics, jnp.isfinite(loss) & jnp.isfinite(norm)


def train_step(
    exp: Any, state: TrainState, batch_at: Callable[[Array], Batch], axis: str | None = None
) -> tuple[TrainState, Metrics]:
    """Run one train step: every phase in turn, each repeat on its own batch. A step that is not finite is counted and skipped.

    Args:
        exp: the Experiment, its float knobs possibly traced.
        batch_at: draw -> raw batch; step t reads draws t·n … t·n+n-1 where n is the largest `repeats` of the phases.
        axis: the name of the device axis under pmap.
    """
    draws = max(phase.repeats for phase in exp.task.phases)
    key = jax.random.fold_in(state.key, state.step)
    new, metrics, ok = state, {}, jnp.bool_(True)
    for i, phase in enumerate(exp.task.phases):

        def once(r: Any, new: TrainState, i: int = i, phase: Phase = phase) -> tuple[TrainState, Metrics, Array]:
            draw_key = jax.random.fold_in(key, r)
            raw = batch_at(state.step * draws + r)
            first = 0 if axis is None else jax.lax.axis_index(axis) * raw["mask"].shape[0]
            with rows_from(first):
                batch = prepared_batch(exp, raw, jax.random.fold_in(draw_key, 0))
            return run_phase(exp, phase, new, batch, jax.random.fold_in(draw_key, 1 + i), axis)

        if phase.repeats == 1:
            new, phase_metrics, finite = once(0, new)
        else:

            def body(carry: TrainState, r: Array, once: Callable[..., Any] = once) -> tuple[TrainState, Any]:
                carry, phase_metrics, finite = once(r, carry)
                return carry, (phase_metrics, finite)

            new, (phase_metrics, finite) = jax.lax.scan(body, new, jnp.arange(phase.repeats))
            phase_metrics, finite = jax.tree.map(lambda a: a.sum(0), phase_metrics), finite.all()
        metrics, ok = add(metrics, phase_metrics), ok & finite
    if exp.ema is not None:
        new = new.replace(ema=average.next_average(exp, state, new))
    metrics = {**metrics, **exp.monitor(new)}
    kept = jax.tree.map(lambda a, b: jnp.where(ok, a, b), new.replace(key=None), state.replace(key=None))
    metrics = jax.tree.map(lambda a: jnp.where(ok, a, jnp.zeros_like(a)), metrics)  # a mean over the good steps
    return kept.replace(
        key=state.key,
        step=state.step + 1,
        bad=jnp.where(ok, 0, state.bad + 1),
        skipped=state.skipped + (1 - ok.astype(jnp.int32)),
    ), metrics


def rehearse(exp: Any) -> TrainState:
    """Trace one initialization and one step with the knobs as Python numbers, and return the shapes of the first state.

    A layer, loss or augmentation that checks a value (a dropout rate of 2) does so here: inside the compiled program the knobs
    are traced and have no values.
    """

    def once(raw: Batch) -> tuple[TrainState, list[Array]]:
        state, key = init_state(exp), jax.random.key(0)
        batch = prepared_batch(exp, raw, key)
        with rules_of(exp):
            losses = [
                p.objective(state.params, state.model_state, batch, key, state.step, train=True)[0]
                for p in exp.task.phases
            ]
        return state, losses

    return jax.eval_shape(once, {name: np.asarray(value) for name, value in exp.data.example().items()})[0]
