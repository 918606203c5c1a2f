"""Calling a Flax module as a pure function of parameters and model state."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.calling import called, contract
from jaxdl.types import Array, Batch, Key, ModelState, Params, Task, UserError, Variables


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
    if (got := getattr(loss, "shape", None)) != shape:
        hint = ": do not reduce it" if got is not None and len(got) < len(shape) else ""
        raise UserError(
            f"loss must give one value per example, shape {shape}, got {loss if got is None else got}{hint}"
        )
    return loss


def with_penalty(loss: Array, penalty: Callable[[Params], Array] | None, params: Params, *, train: bool) -> Array:
    """The loss plus the penalty of the parameters, in training."""
    if penalty is None or not train:
        return loss
    if getattr(added := penalty(params), "shape", None) != ():
        raise UserError(f"penalty must give one number, got {getattr(added, 'shape', added)}")
    return loss + added


def weighted_mean(values: Array, weight: Array) -> tuple[Array, tuple[Array, Array]]:
    """Σ w·v / Σ w (0 where all weights are 0) and the pair (Σ w·v, Σ w) that is added up over batches."""
    total, count = jnp.sum(values * weight), jnp.sum(weight)
    return total / jnp.maximum(count, jnp.finfo(jnp.float32).tiny), (total, count)


class Supervised(Task):
    """Base of the tasks that train one model on inputs `x` with one loss: the checks of their fields, and `init`."""

    model: Any
    loss: Callable[..., Array]

    def __post_init__(self) -> None:
        check_function("loss", self.loss, 2)
        if (penalty := getattr(self, "penalty", None)) is not None:
            check_function("penalty", penalty, 1)
        metric: Any = self.metric
        if not (isinstance(metric, tuple) and len(metric) == 2 and metric[1] in ("max", "min")):
            raise UserError(f"metric = {metric!r} must be a name and a direction, such as ('loss', 'min')")

    def init(self, key: Key, batch: Batch) -> Variables:
        return initialise(self.model, key, batch["x"])


def check_function(name: str, value: Any, arguments: int) -> None:
    """Raise UserError unless a value is a function that can be called with this many arguments."""
    if not callable(value):
        raise UserError(f"{name} must be a function, got {value!r}")
    try:
        inspect.signature(value).bind(*[None] * arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} must be a function of {arguments} argument{'s' * (arguments > 1)}: {error}") from None


def check_class_weights(weights: Any, classes: int | None) -> None:
    """Raise UserError unless weights are None or one positive number per class."""
    if weights is None:
        return
    try:
        known = np.asarray([float(w) for w in weights if not isinstance(w, jax.Array)])
    except (TypeError, ValueError):
        raise UserError(f"class_weights = {weights!r} must be one positive number per class") from None
    if classes is not None and len(weights) != classes:
        raise UserError(f"class_weights has {len(weights)} numbers for {classes} classes")
    if not (np.isfinite(known) & (known > 0)).all():
        raise UserError(f"class_weights = {weights!r} must be positive and finite")
