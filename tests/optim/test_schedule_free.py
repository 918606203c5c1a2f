"""The average that schedule-free training evaluates, found anywhere in an optimizer's state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim
from jaxdl.optim import schedules

PARAMS = {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([0.5])}


def run(tx, steps=6):
    """(parameters, state, all z after the first) of a descent of ½ w²."""
    params, state, path = PARAMS, tx.init(PARAMS), []
    for _ in range(steps):
        updates, state = tx.update(params, state, params)
        params = optax.apply_updates(params, updates)
        path.append(optax.tree.get(state, "z"))
    return params, state, path


@pytest.mark.parametrize("constructor", [optim.schedule_free_sgd, optim.schedule_free_adamw])
def test_evaluates_the_mean_of_the_iterates(constructor):
    params, state, path = run(constructor(0.1, b1=0.7))
    x = optim.evaluation_params(state, params)
    for key in PARAMS:
        mean = sum(z[key] for z in path) / len(path)
        np.testing.assert_allclose(x[key], mean, rtol=1e-5)
        np.testing.assert_allclose(params[key], 0.7 * mean + 0.3 * path[-1][key], rtol=1e-5)


def test_warmup_weighs_the_average():
    """c = η²ₘₐₓ / Σ η²ₘₐₓ; a first rate of zero moves and weighs nothing."""
    tx = optim.schedule_free_sgd(schedules.linear_warmup(0.2, warmup=2, start=0.0), b1=0.7)
    params, state, path = run(tx, steps=4)
    weights = np.array([0.0, 0.1, 0.2, 0.2]) ** 2
    mean = sum(w * z["kernel"] for w, z in zip(weights, path, strict=True)) / weights.sum()
    np.testing.assert_allclose(optim.evaluation_params(state, params)["kernel"], mean, rtol=1e-5)
    np.testing.assert_allclose(optim.current_learning_rate(state), 0.2, rtol=1e-6)


def test_found_inside_other_transformations():
    tx = optax.chain(optim.clip(norm=10.0), optim.freeze(optim.schedule_free_sgd(0.1), "bias"))
    params, state, path = run(tx)
    x = jax.jit(optim.evaluation_params)(state, params)
    np.testing.assert_array_equal(x["bias"], PARAMS["bias"])
    np.testing.assert_allclose(x["kernel"], sum(z["kernel"] for z in path) / len(path), rtol=1e-5)


def test_keeps_the_type_of_the_parameters():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    tx = optim.schedule_free_adamw(0.1)
    x = optim.evaluation_params(tx.init(params), params)
    assert {leaf.dtype for leaf in jax.tree.leaves(x)} == {jnp.dtype("bfloat16")}


def test_others_are_left_alone():
    assert optim.evaluation_params(optim.adamw(0.1).init(PARAMS), PARAMS) is PARAMS
