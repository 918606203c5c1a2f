"""Every number of every optimizer can be traced and swept; its state is made of arrays that can be saved and donated."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim
from jaxdl.types import UserError
from tests.optim.test_optimizers import START
from tests.programs import one_program
from tests.tables import rows

# name -> (constructor, every number it takes)
LR = {"lr": 0.05}
DECAY = LR | {"decay": 0.1}
MOMENTS = DECAY | {"b1": 0.8, "b2": 0.9, "eps": 1e-6}
OPTIMIZERS = {
    "sgd": (optim.sgd, DECAY),
    "momentum": (optim.momentum, DECAY | {"b": 0.8}),
    "nesterov": (optim.nesterov, DECAY | {"b": 0.8}),
    "adagrad": (optim.adagrad, DECAY | {"initial": 0.05, "eps": 1e-6}),
    "rmsprop": (optim.rmsprop, DECAY | {"b2": 0.9, "eps": 1e-6, "momentum": 0.5}),
    "adam": (optim.adam, MOMENTS),
    "adamw": (optim.adamw, MOMENTS),
    "lamb": (optim.lamb, MOMENTS | {"max_norm": 0.7}),
    "lion": (optim.lion, DECAY | {"b1": 0.8, "b2": 0.9}),
    "nadam": (optim.nadam, MOMENTS | {"momentum_decay": 0.01}),
    "adan": (optim.adan, MOMENTS | {"b3": 0.95}),
    "muon": (optim.muon, MOMENTS | {"b": 0.8, "adam_scale": 0.5}),
    "adafactor": (
        optim.adafactor,
        DECAY | {"decay_power": 0.7, "clip_rms": 1.2, "min_rms": 1e-2, "eps": 1e-6},
    ),
    "prodigy": (optim.prodigy, MOMENTS | {"lr": 1.0, "b3": 0.95, "initial": 0.01, "growth": 0.9}),
    "schedule_free_adamw": (optim.schedule_free_adamw, MOMENTS | {"power": 1.0}),
    "schedule_free_sgd": (optim.schedule_free_sgd, DECAY | {"b1": 0.8, "power": 1.0}),
    "sam": (lambda *, lr, rho, decay: optim.sam(optim.adamw(lr, decay=decay), rho=rho), DECAY | {"rho": 0.1}),
    "clip": (
        lambda *, lr, norm, value: optax.chain(optim.clip(norm=norm, value=value), optim.sgd(lr)),
        LR | {"norm": 1.0, "value": 0.4},
    ),
    "plateau": (
        lambda *, lr, **knobs: optax.chain(optim.sgd(lr), optim.reduce_on_plateau(**knobs)),
        LR | {"factor": 0.5, "patience": 2.0, "threshold": 0.1, "cooldown": 1.0, "min_scale": 0.1, "every": 2.0},
    ),
    "groups": (
        lambda *, lr, k, rate: optax.chain(
            optim.adamw(lr), optim.scale_groups({"kernel": k}), optim.scale_layers(rate, depth=1)
        ),
        LR | {"k": 0.5, "rate": 0.9},
    ),
}


def quadratic(params):
    """½ ‖w - 1‖², each axis with its own curvature."""
    curvature = jnp.array([1.0, 0.5, 0.2])
    return sum(0.5 * jnp.sum(jnp.broadcast_to(curvature, w.shape) * (w - 1) ** 2) for w in jax.tree.leaves(params))


def train(tx, steps=40):
    """The losses and the parameters along the way, and the last state."""
    tx = optax.with_extra_args_support(tx)

    def body(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(quadratic)(params)
        extra = {"value": value, "grad_fn": lambda params, i: jax.grad(quadratic)(params)}
        updates, state = tx.update(grads, state, params, **extra)
        params = optax.apply_updates(params, updates)
        return (params, state), (value, params)

    params = jax.tree.map(jnp.asarray, START)
    (params, state), (values, path) = jax.lax.scan(body, (params, tx.init(params)), length=steps)
    return values, path, state


@rows(
    {name: name for name in OPTIMIZERS},
    default=["momentum", "adamw", "lion", "schedule_free_sgd", "sam", "clip", "plateau"],
    name="name",
)
def test_every_number_is_traceable(name):
    make, knobs = OPTIMIZERS[name]

    def compare(traced):
        rates = jnp.stack([traced["lr"], traced["lr"] / 2])
        return train(make(**knobs)), jax.vmap(lambda lr: train(make(**{**traced, "lr": lr})))(rates)

    baked, (values, path, state) = one_program(compare, jax.tree.map(np.float32, knobs))
    assert values[0, -1] < 0.95 * values[0, 0], "it does not descend"
    # the first five steps: later a rounded sign may part the ways of Lion
    chex.assert_trees_all_close(first(5, baked[1]), first(5, jax.tree.map(lambda x: x[0], path)), atol=2e-6, rtol=1e-7)
    chex.assert_trees_all_equal_shapes_and_dtypes(baked[2], jax.tree.map(lambda x: x[0], state))
    assert not np.allclose(*values), "the learning rate changes nothing"


def first(steps, path):
    return jax.tree.map(lambda x: x[:steps], path)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if callable(getattr(optim, name, None))])
def test_the_table_holds_every_number(name):
    parameters = inspect.signature(getattr(optim, name)).parameters.values()
    numbers = {p.name for p in parameters if "Array" in str(p.annotation) and "tuple" not in str(p.annotation)}
    assert numbers == set(OPTIMIZERS[name][1]) - ({"lr", "decay"} if name in ("sam", "clip") else set())


@pytest.mark.parametrize("bad", [-1e-3, float("nan"), float("inf"), True, "0.1"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_no_number_or_negative_is_refused(name, bad):
    make, knobs = OPTIMIZERS[name]
    for knob in knobs:
        with pytest.raises(UserError, match=f"^{'kernel' if knob == 'k' else knob} = {bad!r} "):
            make(**{**knobs, knob: bad})


@pytest.mark.parametrize("bad", [0, -1, 2.5, float("nan"), True, "3"])
def test_counts_that_are_no_counts(bad):
    with pytest.raises(UserError, match=r"^iterations = "):
        optim.muon(0.1, iterations=bad)
    with pytest.raises(UserError, match=r"^depth = "):
        optim.scale_layers(0.5, depth=bad)
    with pytest.raises(UserError, match=r"^growth = "):
        optim.schedules.cosine_restarts(1.0, period=10, growth=bad)


@pytest.mark.programs(20, "the state is made eagerly: two of its arrays must not share a buffer")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state(name):
    make, knobs = OPTIMIZERS[name]
    params = jax.tree.map(jnp.asarray, START)
    state = make(**knobs).init(params)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state)), "not only arrays"
    assert all(leaf.size for leaf in jax.tree.leaves(state)), "an empty array, which Orbax cannot save"
    zero = make(**jax.tree.map(lambda _: 0.0, knobs)).init(params)
    assert jax.tree.structure(zero) == jax.tree.structure(state), "the structure depends on values"
    buffers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((params, state))]
    assert len(set(buffers)) == len(buffers), "a buffer twice, which cannot be donated"
    assert optim.current_learning_rate(state) is not None


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_bfloat16_parameters_keep_float32_statistics(name):
    make, knobs = OPTIMIZERS[name]

    def step(params, knobs):
        tx = optax.with_extra_args_support(make(**knobs))
        state = tx.init(params)

        def grad_fn(params, i):
            return jax.tree.map(jnp.ones_like, params)

        updates, after = tx.update(grad_fn(params, 0), state, params, value=jnp.ones((), jnp.bfloat16), grad_fn=grad_fn)
        return state, after, optax.apply_updates(params, updates)

    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), START)
    before, after, params = jax.eval_shape(step, params, jax.tree.map(jnp.float32, knobs))
    assert jax.tree.map(lambda x: x.dtype, before) == jax.tree.map(lambda x: x.dtype, after)
    assert not any(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(after))
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(params))
