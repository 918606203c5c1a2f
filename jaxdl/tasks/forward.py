"""Calling a Flax module as a pure function of parameters and model state."""

from typing import Any

import jax.numpy as jnp

from jaxdl.calling import called, contract
from jaxdl.types import Array, Key, ModelState, Params, UserError, Variables


def initialise(model: Any, key: Key, *inputs: Any, **options: Any) -> Variables:
    """Initial parameters, and every other collection of a model, in evaluation mode."""
    if isinstance(model, type) or not (hasattr(model, "init") and hasattr(model, "apply")):
        raise UserError(
            f"model must be a Linen module, such as MLP(features=(64,), classes=10), got {_described(model)}"
        )
    model, how = called(model, *inputs, train=False, **options)
    try:
        variables = dict(model.init({"params": key, "dropout": key}, *inputs, **how))
    except Exception as error:
        if not type(error).__module__.startswith("flax.") and "must be passed to the constructor" not in str(error):
            raise
        raise UserError(f"{contract(model)}: {str(error).splitlines()[0]}") from error
    return variables.pop("params", {}), variables


def _described(model: Any) -> str:
    kind = model if isinstance(model, type) else type(model)
    if any(base.__module__.startswith("flax.nnx") for base in kind.__mro__):
        return (
            f"the NNX module {kind.__name__}: write from_nnx({kind.__name__}, ...) with its arguments but rngs "
            "(from jaxdl.models.nnx import from_nnx)"
        )
    return f"the class {kind.__name__}: write {kind.__name__}(...)" if kind is model else f"a {kind.__name__}"


def forward(
    model: Any, params: Params, model_state: ModelState, *inputs: Any, key: Key, train: bool, **options: Any
) -> tuple[Any, ModelState]:
    """The model's output and its new state (unchanged in evaluation)."""
    model, how = called(model, *inputs, train=train, **options)
    variables = {"params": params, **model_state}
    if not (train and model_state):
        return model.apply(variables, *inputs, rngs={"dropout": key}, **how), model_state
    outputs, new = model.apply(variables, *inputs, rngs={"dropout": key}, mutable=list(model_state), **how)
    return outputs, {**model_state, **new}


def one_each(loss: Array, shape: tuple[int, ...]) -> Array:
    """Return the loss, or raise UserError unless it has the given shape: a loss that is reduced would ignore mask and weights."""
    if loss.shape != shape:
        hint = ": do not reduce it" if loss.ndim < len(shape) else ""
        raise UserError(f"loss must give one value per example, shape {shape}, got {loss.shape}{hint}")
    return loss


def weighted_mean(values: Array, weight: Array) -> tuple[Array, tuple[Array, Array]]:
    """Σ w·v / Σ w (0 where all weights are 0) and the pair (Σ w·v, Σ w) that is added up over batches."""
    total, count = jnp.sum(values * weight), jnp.sum(weight)
    return total / jnp.maximum(count, jnp.finfo(jnp.float32).tiny), (total, count)
