"""The average that schedule-free training evaluates, found anywhere in an optimizer's state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim
from jaxdl.optim import schedules
from tests.programs import one_program

PARAMS = {"kernel": np.float32([[1.0, -2.0]]), "bias": np.float32([0.5])}


def run(tx, steps=6):
    """(parameters, what is evaluated, the learning rate, all z after the first) of a descent of ½ w²."""

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(params, state, params)
        return (optax.apply_updates(params, updates), state), optax.tree.get(state, "z")

    def descend(params):
        (params, state), path = jax.lax.scan(step, (params, tx.init(params)), length=steps)
        return params, optim.evaluation_params(state, params), optim.current_learning_rate(state), path

    return one_program(descend, PARAMS)


@pytest.mark.parametrize("constructor", [optim.schedule_free_sgd, optim.schedule_free_adamw])
def test_evaluates_the_mean_of_the_iterates(constructor):
    params, x, _, path = run(constructor(0.1, b1=0.7))
    for key in PARAMS:
        mean = path[key].mean(0)
        np.testing.assert_allclose(x[key], mean, rtol=1e-5)
        np.testing.assert_allclose(params[key], 0.7 * mean + 0.3 * path[key][-1], rtol=1e-5)


def test_warmup_weighs_the_average():
    """c = η²ₘₐₓ / Σ η²ₘₐₓ; a first rate of zero moves and weighs nothing."""
    tx = optim.schedule_free_sgd(schedules.linear_warmup(0.2, warmup=2, start=0.0), b1=0.7)
    _, x, rate, path = run(tx, steps=4)
    weights = np.array([0.0, 0.1, 0.2, 0.2]) ** 2
    mean = (weights[:, None, None] * path["kernel"]).sum(0) / weights.sum()
    np.testing.assert_allclose(x["kernel"], mean, rtol=1e-5)
    np.testing.assert_allclose(rate, 0.2, rtol=1e-6)


def test_found_inside_other_transformations():
    tx = optax.chain(optim.clip(norm=10.0), optim.freeze(optim.schedule_free_sgd(0.1), "bias"))
    _, x, _, path = run(tx)
    np.testing.assert_array_equal(x["bias"], PARAMS["bias"])
    np.testing.assert_allclose(x["kernel"], path["kernel"].mean(0), rtol=1e-5)


def test_keeps_the_type_of_the_parameters():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    tx = optim.schedule_free_adamw(0.1)
    x = jax.eval_shape(lambda params: optim.evaluation_params(tx.init(params), params), params)
    assert {leaf.dtype for leaf in jax.tree.leaves(x)} == {jnp.dtype("bfloat16")}


def test_others_are_left_alone():
    assert optim.evaluation_params(jax.eval_shape(optim.adamw(0.1).init, PARAMS), PARAMS) is PARAMS
