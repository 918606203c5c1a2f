"""Calling a Linen model as a pure function of parameters and model state."""

from typing import Any

import jax.numpy as jnp

from jaxdl.types import Array, Key, ModelState, Params, UserError, Variables


def initialise(model: Any, key: Key, *inputs: Any, **options: Any) -> Variables:
    """Fresh parameters and every other collection of a model, in evaluation mode."""
    if isinstance(model, type) or not (hasattr(model, "init") and hasattr(model, "apply")):
        got = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise UserError(f"model must be a Linen module, such as MLP(features=(64,), classes=10), got {got}")
    variables = dict(model.init({"params": key, "dropout": key}, *inputs, train=False, **options))
    return variables.pop("params", {}), variables


def forward(
    model: Any, params: Params, model_state: ModelState, *inputs: Any, key: Key, train: bool, **options: Any
) -> tuple[Any, ModelState]:
    """The model's output and its new state (unchanged in evaluation)."""
    variables = {"params": params, **model_state}
    if not (train and model_state):
        return model.apply(variables, *inputs, train=train, rngs={"dropout": key}, **options), model_state
    outputs, new = model.apply(
        variables, *inputs, train=True, rngs={"dropout": key}, mutable=list(model_state), **options
    )
    return outputs, {**model_state, **new}


def one_each(loss: Array, shape: tuple[int, ...]) -> Array:
    """A loss, if it has the shape that it is averaged over: a mean of means would leave mask and weights without effect."""
    if loss.shape != shape:
        hint = ": do not reduce it" if loss.ndim < len(shape) else ""
        raise UserError(f"loss must give one value per example, shape {shape}, got {loss.shape}{hint}")
    return loss


def weighted_mean(values: Array, weight: Array) -> tuple[Array, tuple[Array, Array]]:
    """Σ w·v / Σ w (0 where all weights are 0) and the pair (Σ w·v, Σ w) that is added up over batches."""
    total, count = jnp.sum(values * weight), jnp.sum(weight)
    return total / jnp.maximum(count, jnp.finfo(jnp.float32).tiny), (total, count)
