"""The weights that are evaluated, and the moving average of a training (`ema`).

    d_t = min(decay, (1 + t) / (10 + t))        a ← a + (1 - d_t) (w - a)        t: the updates applied so far, this one included

The average holds the parameters and the statistics that belong to them (collections that are reduced by "mean", such as batch
statistics), as timm's does: statistics of the raw weights do not fit averaged ones. Other collections ("sum", "example") and
whole numbers are copied, not averaged. The decay warms up, as TensorFlow's does, so that a short run does not evaluate its
initial weights. For a task with `averaged` (a GAN) only those parts are averaged, with their own statistics.

Schedule-free optimizers evaluate their own average x of the iterates (`optim.evaluation_params`), with the running statistics
unchanged: those are computed at y = b₁ x + (1 - b₁) z, close to x. If `ema` is set as well, the moving average is evaluated.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.types import Array, ModelState, Params, TrainState, Variables


def first_average(exp: Any, params: Params, model_state: ModelState) -> Any:
    """Return the average before the first step, as copies of the weights; None without `ema`."""
    return None if exp.ema is None else jax.tree.map(jnp.copy, averaged(exp, params, model_state))


def averaged(exp: Any, params: Params, model_state: ModelState) -> Any:
    """The part of the weights that an average holds."""
    if exp.follows.format == 1:
        return params
    names, reduce = exp.task.averaged, exp.task.reduce

    def own(tree: Mapping[str, Any]) -> Any:
        return tree if names is None else {name: tree[name] for name in names if name in tree}

    means = {name: own(tree) for name, tree in model_state.items() if reduce.get(name, "mean") == "mean"}
    return {"params": own(params), "model_state": means}


def next_average(exp: Any, old: TrainState, new: TrainState) -> Any:
    """The average after one applied update, from `old` to `new`."""
    if exp.follows.format == 1:
        names = exp.task.averaged
        ema = jax.tree.map(lambda a, w: a + (1 - exp.ema) * (w - a), old.ema, new.params)
        return ema if names is None else {**new.params, **{name: ema[name] for name in names}}
    t = (old.step - old.skipped + 1).astype(jnp.float32)
    rate = 1 - jnp.minimum(jnp.float32(exp.ema), (1 + t) / (10 + t))

    def moved(a: Array, w: Array) -> Array:
        return (a + rate * (w - a)).astype(w.dtype) if jnp.issubdtype(w.dtype, jnp.floating) else w

    return jax.tree.map(moved, old.ema, averaged(exp, new.params, new.model_state))


def evaluated(exp: Any, state: TrainState) -> Variables:
    """Return the averaged (params, model_state), which evaluation, early stopping and the best checkpoint use."""
    if exp.follows.format == 1:
        return state.ema, state.model_state
    return (
        within(state.params, state.ema["params"]),
        {name: within(tree, state.ema["model_state"].get(name, {})) for name, tree in state.model_state.items()},
    )


def within(raw: Any, part: Mapping[str, Any]) -> Any:
    """Return a tree with some top-level entries replaced."""
    return {**raw, **part} if isinstance(raw, Mapping) else (part or raw)
