"""What a model computes on its way: the output of every layer, for one input or a batch.

    taps = layer_outputs(model, run.weights, x)          # {"Conv_0": (1, 8, 8, 32), "BatchNorm_0": ...}

Works for any Linen model, without a change to it. Functions between the layers (an
activation, a pooling) are no layers of their own and are not among them.
"""

from collections.abc import Mapping
from typing import Any

import jax

from jaxdl.calling import called
from jaxdl.types import Array, Variables


def layer_outputs(model: Any, weights: Variables, x: Array, *, depth: int | None = None) -> dict[str, Array]:
    """Path of a layer -> its output, in the order in which the layers finish.

    Args:
        model: a Linen module.
        weights: (params, model_state), as `Run.weights` is.
        x: a batch as the model reads it: prepared and standardised (`model_input`).
        depth: how many levels of the tree of layers, 1: the model's own; None: all.

    A layer that is called several times has a number behind its later outputs: `Dense_0#1`. Outputs that are no single array
    (a carry, say) are left out, and so is the model's own output, which `model.apply` gives.
    """
    params, model_state = weights
    variables = {"params": params, **model_state}
    model, how = called(model, x, train=False)
    _, state = model.apply(variables, x, **how, capture_intermediates=True, mutable=["intermediates"])
    found: dict[str, Array] = {}
    walk(state["intermediates"], (), found)
    return {name: value for name, value in found.items() if depth is None or name.count("/") < depth}


def walk(tree: Mapping[str, Any], path: tuple[str, ...], found: dict[str, Array]) -> None:
    """Children before their parents, each with every call it had."""
    for name, child in tree.items():
        if isinstance(child, Mapping):
            walk(child, (*path, name), found)
    calls = tree.get("__call__", ())
    for i, value in enumerate(calls if path else ()):
        if isinstance(value, jax.Array):
            found["/".join(path) + (f"#{i}" if i else "")] = value


def model_input(experiment: Any, x: Any) -> Array:
    """Raw inputs (images as uint8, rows in their units) as the model reads them, by the data's own preparation."""
    data = experiment.data
    batch = data.standardise(data.prepare({"x": jax.numpy.asarray(x)}))
    return batch["x"]
