"""Multiply-adds of a function, counted from its jaxpr: nothing is compiled, nothing runs.

Counted are matrix products and convolutions, as torchvision's and the papers' figures do; everything elementwise is free.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from jaxdl.calling import called
from jaxdl.counts import unknown_model
from jaxdl.layers.linear_maps import FORMS


def multiply_adds(function: Callable[..., Any], *inputs: Any) -> int:
    """Multiply-adds of `function(*inputs)`; inputs may be `jax.ShapeDtypeStruct`s.

    A matrix product (m, k) x (k, n) counts m·k·n, a convolution outputs · k² · in/groups. Loops count as often as they run
    (a `while` of unknown length once); of a conditional the dearest branch, of forms chosen by platform the plain one.

    >>> import jax.numpy as jnp
    >>> multiply_adds(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 5)))
    30
    """
    return count(jax.make_jaxpr(function)(*inputs).jaxpr)


def count(jaxpr: core.Jaxpr) -> int:
    """The same for a jaxpr that is there already."""
    platform = {v for eqn in jaxpr.eqns if eqn.primitive.name == "platform_index" for v in eqn.outvars}
    total = 0
    for eqn in jaxpr.eqns:
        name, params = eqn.primitive.name, eqn.params
        if name == "dot_general":
            (contracting, _), _ = params["dimension_numbers"]
            shape = eqn.invars[0].aval.shape
            total += prod(eqn.outvars[0].aval.shape) * prod(shape[axis] for axis in contracting)
        elif name == "conv_general_dilated":
            kernel, spec = eqn.invars[1].aval.shape, params["dimension_numbers"].rhs_spec
            # spec: where the kernel has its outputs, its inputs, then its spatial axes
            per_output = prod(kernel[axis] for axis in spec[1:])
            total += prod(eqn.outvars[0].aval.shape) * per_output // params["batch_group_count"]
        elif eqn.primitive in FORMS:
            form = partial(FORMS[eqn.primitive], **params)
            total += multiply_adds(form, *(jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars))
        elif name == "cond":
            branches = [count(branch.jaxpr) for branch in params["branches"]]
            total += branches[-1] if eqn.invars[0] in platform else max(branches)
        else:
            times = params["length"] if name == "scan" else 1
            total += times * sum(count(inner) for inner in _inside(params))
    return total


def _inside(params: dict[str, Any]):
    """Every jaxpr among an equation's parameters."""
    for value in params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, core.ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, core.Jaxpr):
                yield part


def counts(model: Any, image: Sequence[int], sequences: int = 0) -> dict[str, int]:
    """Parameters, batch statistics and multiply-adds of any model on one image.

    With `sequences=n` the model reads n arrays of tokens and `image` is (time,). One abstract trace of `init` gives all
    three; auxiliary heads, which `init` makes, count as well.
    """
    x = jax.ShapeDtypeStruct((1, *image), jnp.int32 if sequences else jnp.float32)
    inputs = (x,) * max(sequences, 1)
    model, how = called(model, *inputs, train=False)
    init = jax.make_jaxpr(lambda key, *inputs: model.init(key, *inputs, **how), return_shape=True)
    jaxpr, variables = init(jax.random.key(0), *inputs)
    size = {name: sum(leaf.size for leaf in jax.tree.leaves(tree)) for name, tree in variables.items()}
    adds = count(jaxpr.jaxpr)
    return {"params": size.get("params", 0), "batch_stats": size.get("batch_stats", 0), "multiply_adds": adds}


def rows(models: Mapping[str, Any], names: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """One dictionary per model of a catalog (entries with `build`, `input`, `source`), of all or the named ones.

    Keys: `name`, `params`, `batch_stats`, `multiply_adds`, `input`, `source`. Raises ValueError for an unknown name.
    """
    for name in models if names is None else names:
        if name not in models:
            raise unknown_model(name, models)
        entry = models[name]
        numbers = counts(entry.build(), entry.input, entry.sequences)
        yield {"name": name, **numbers, "input": list(entry.input), "source": entry.source}
