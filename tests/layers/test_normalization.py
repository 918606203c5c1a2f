"""Normalisation against PyTorch and by the property that defines each."""

from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ModifyScopeVariableError

from jaxdl.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    RMSNorm,
    SpectralNorm,
    moments,
)
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)


def data(shape=(6, 5, 4, 8), seed=0):
    return np.random.default_rng(seed).normal(3, 2, shape).astype(np.float32)


def started(layer, x):
    """Variables with random scale and bias around where they start, so that a test sees them."""
    shapes = jax.eval_shape(partial(layer.init, train=False), KEY, x)
    random = np.random.default_rng(1)
    ones = lambda path, a: np.full(a.shape, path[-1].key in ("scale", "var"), a.dtype)
    variables = jax.tree_util.tree_map_with_path(ones, shapes)
    noisy = lambda a: a + 0.5 * random.normal(size=a.shape).astype(a.dtype)
    return {**variables, "params": jax.tree.map(noisy, variables.get("params", {}))}


def first(a):
    return np.moveaxis(a, -1, 1)


def last(a):
    return np.moveaxis(a, 1, -1)


def copied(torch, module, params):
    with torch.no_grad():
        for name, value in params.items():
            getattr(module, {"scale": "weight"}.get(name, name)).copy_(torch.tensor(value))
    return module


NORMS = {"layer": LayerNorm(), "rms": RMSNorm(), "group": GroupNorm(groups=4), "instance": InstanceNorm()}
EVERY = {**NORMS, "batch": BatchNorm()}
PYTORCHS = {
    "layer": lambda nn: nn.LayerNorm(8),
    "rms": lambda nn: nn.RMSNorm(8, eps=1e-6),
    "group": lambda nn: nn.GroupNorm(4, 8),
    "instance": lambda nn: nn.InstanceNorm2d(8),
}


@cache
def facts(name):
    """Of one norm in training: the output, its gradient, that of a part of the batch, that of bfloat16."""
    layer, x = EVERY[name], data()

    def run(variables, x):
        apply = lambda x: layer.apply(variables, x, train=True, mutable=["batch_stats"])
        narrow = x.astype(jnp.bfloat16)
        (narrow_y, new), (wide_y, _) = apply(narrow), apply(narrow.astype(jnp.float32))
        out = {"narrow": narrow_y, "new": new, "wide": wide_y}
        if name != "batch":
            gradient = jax.grad(lambda x: (apply(x)[0] ** 3).sum())(x)
            out |= {"y": apply(x)[0], "dx": gradient, "part": apply(x[:2])[0]}
        return out

    return one_program(run, started(layer, x), x)


@pytest.mark.parametrize("name", NORMS)
def test_equals_pytorch(name, oracle):
    channels_last = name in ("layer", "rms")

    @oracle
    def theirs(torch):
        module = copied(torch, PYTORCHS[name](torch.nn), started(NORMS[name], data())["params"])
        t = torch.tensor(data() if channels_last else first(data()), requires_grad=True)
        y = module(t)
        y.pow(3).sum().backward()
        return {"y": y, "dx": t.grad}

    to = np.asarray if channels_last else last
    np.testing.assert_allclose(facts(name)["y"], to(theirs["y"]), rtol=1e-5, atol=1e-5)
    dx = to(theirs["dx"])
    np.testing.assert_allclose(facts(name)["dx"], dx, rtol=0, atol=1e-5 * np.abs(dx).max())


def test_batch_norm_is_pytorchs_in_training_and_evaluation(oracle):
    layer, start = BatchNorm(), started(BatchNorm(), data())

    @oracle
    def theirs(torch):
        module, said = copied(torch, torch.nn.BatchNorm2d(8), start["params"]), {}
        for i in range(3):
            t = torch.tensor(first(data(seed=i)), requires_grad=True)
            y = module(t)
            y.pow(3).sum().backward()
            said |= {f"{i}/y": y, f"{i}/dx": t.grad, f"{i}/scale": module.weight.grad, f"{i}/bias": module.bias.grad}
            module.weight.grad = module.bias.grad = None
        module.eval()
        evaluated = module(torch.tensor(first(data(seed=2))))
        return said | {"mean": module.running_mean, "var": module.running_var, "evaluated": evaluated}

    def loss(params, stats, x):
        y, new = layer.apply({"params": params, **stats}, x, train=True, mutable=["batch_stats"])
        return (y**3).sum(), (y, new)

    def run(variables, batches):
        def step(stats, x):
            gradients, (y, new) = jax.grad(loss, (0, 2), has_aux=True)(variables["params"], stats, x)
            return new, (gradients, y)

        stats, seen = jax.lax.scan(step, {"batch_stats": variables["batch_stats"]}, batches)
        return stats["batch_stats"], seen, layer.apply({**variables, **stats}, batches[-1], train=False)

    stats, ((dparams, dx), y), evaluated = one_program(run, start, np.stack([data(seed=i) for i in range(3)]))
    for i in range(3):
        np.testing.assert_allclose(first(y[i]), theirs[f"{i}/y"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(first(dx[i]), theirs[f"{i}/dx"], rtol=0, atol=1e-5 * np.abs(theirs[f"{i}/dx"]).max())
        for name in ("scale", "bias"):
            np.testing.assert_allclose(dparams[name][i], theirs[f"{i}/{name}"], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(stats["mean"], theirs["mean"], rtol=1e-6)
    np.testing.assert_allclose(stats["var"], theirs["var"], rtol=1e-6)
    np.testing.assert_allclose(first(evaluated), theirs["evaluated"], rtol=1e-5, atol=1e-5)


def test_running_statistics_keep_the_momentum_and_the_unbiased_variance():
    layer, x = BatchNorm(momentum=0.75), data((50, 8))

    def run(x):
        _, start = layer.init_with_output(KEY, x, train=False)
        return layer.apply(start, x, train=True, mutable=["batch_stats"])[1]["batch_stats"]

    new = one_program(run, x)
    np.testing.assert_allclose(new["mean"], 0.25 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(new["var"], 0.75 + 0.25 * x.var(0, ddof=1), rtol=1e-5)


def test_synchronised_over_the_axis_data():
    """Four devices with a quarter of the batch each: outputs, statistics and gradients of the whole batch."""
    layer, x = BatchNorm(), data((8, 3, 8))
    parts = x.reshape(4, 2, 3, 8)

    def run(variables, x, parts):
        apply = lambda x: layer.apply(variables, x, train=True, mutable=["batch_stats"])
        loss = lambda x: (apply(x)[0] ** 3).sum()
        total = lambda x: jax.vmap(loss, axis_name="data")(x).sum()
        return {
            "whole": (*apply(x), jax.grad(loss)(x)),
            "parts": (*jax.vmap(apply, axis_name="data")(parts), jax.grad(total)(parts)),
            "alone": jax.vmap(apply)(parts)[0],
        }

    got = one_program(run, started(layer, x), x, parts)
    (whole, stats, gradient), (y, part_stats, of_parts) = got["whole"], got["parts"]
    np.testing.assert_allclose(y.reshape(x.shape), whole, rtol=1e-5, atol=1e-5)
    for a, b in zip(jax.tree.leaves(part_stats), jax.tree.leaves(stats), strict=True):
        np.testing.assert_allclose(a, np.broadcast_to(b, a.shape), rtol=1e-6)
    assert np.abs(got["alone"].reshape(x.shape) - whole).max() > 0.1
    np.testing.assert_allclose(of_parts.reshape(x.shape), gradient, rtol=1e-4, atol=1e-4)


def test_masked_rows_count_nowhere():
    layer, x = BatchNorm(), data((6, 3, 8))
    padded = np.concatenate([x, np.full((2, 3, 8), 1e3, np.float32)])
    mask = np.array([1.0] * 6 + [0.0] * 2, np.float32)

    def run(variables, x, padded, mask):
        apply = partial(layer.apply, variables, train=True, mutable=["batch_stats"])
        y, new = apply(padded, mask=mask)
        return (moments(padded, mask), y[:6], new), (moments(x), *apply(x))

    (found, y, new), (expected_moments, expected, stats) = one_program(run, started(layer, x), x, padded, mask)
    for a, b in zip(found, expected_moments, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    chex.assert_trees_all_close(new, stats, rtol=1e-6)


def test_variance_survives_a_large_mean():
    x = (1e4 + data((64, 8)).astype(np.float64)).astype(np.float32)
    _, var, _ = one_program(moments, x)
    np.testing.assert_allclose(var, x.astype(np.float64).var(0), rtol=1e-4)


def test_frozen_uses_running_statistics_and_learns_nothing():
    x, frozen = data(), BatchNorm(frozen=True)

    def run(variables, x):
        y = frozen.apply(variables, x, train=True)  # nothing mutable is needed
        total = lambda p: frozen.apply({**variables, "params": p}, x, train=True).sum()
        return y, BatchNorm().apply(variables, x, train=False), jax.grad(total)(variables["params"])

    y, expected, grads = one_program(run, started(BatchNorm(), x), x)
    np.testing.assert_array_equal(y, expected)
    assert all(np.abs(g).max() == 0 for g in jax.tree.leaves(grads))


@pytest.mark.parametrize("name", EVERY)
def test_bfloat16_keeps_its_type_and_float32_its_statistics(name):
    got = facts(name)
    assert got["narrow"].dtype == jnp.bfloat16
    assert all(a.dtype == np.float32 for a in jax.tree.leaves(got["new"]))
    np.testing.assert_allclose(got["narrow"].astype(np.float32), got["wide"], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", NORMS)
def test_only_batch_norm_depends_on_the_rest_of_the_batch(name):
    np.testing.assert_allclose(facts(name)["y"][:2], facts(name)["part"], rtol=1e-6, atol=1e-6)


def test_batch_norm_in_training_needs_mutable_statistics():
    with pytest.raises(ModifyScopeVariableError):
        jax.eval_shape(partial(BatchNorm().apply, train=True), started(BatchNorm(), data()), data())


def test_group_norm_says_which_groups_divide():
    with pytest.raises(UserError, match=r"groups = 3 .*8"):
        jax.eval_shape(GroupNorm(groups=3).init, KEY, data((2, 5, 3, 8)))
    jax.eval_shape(GroupNorm(groups=4).init, KEY, data((2, 5, 3, 8)))  # which asks for nothing of the other axes


def test_spectral_norm_is_pytorchs(oracle):
    @oracle
    def theirs(torch):
        module = torch.nn.utils.spectral_norm(torch.nn.Linear(6, 4, bias=False))
        start = {"w": module.weight_orig.detach().clone(), "u": module.weight_u.clone()}
        module(torch.ones(1, 6))
        module.weight.square().mul(torch.arange(24.0).reshape(4, 6)).sum().backward()
        return start | {"y": module.weight, "new": module.weight_u, "gradient": module.weight_orig.grad}

    weights = np.arange(24.0, dtype=np.float32).reshape(4, 6).T
    state = {"spectral_stats": {"u": theirs["u"], "v": np.zeros(6, np.float32)}}

    def loss(w, state):
        y, new = SpectralNorm().apply(state, w, train=True, mutable=["spectral_stats"])
        return (jnp.square(y) * weights).sum(), (y, new)

    grad, (y, new) = one_program(jax.grad(loss, has_aux=True), theirs["w"].T, state)
    np.testing.assert_allclose(y, theirs["y"].T, rtol=1e-5)
    np.testing.assert_allclose(new["spectral_stats"]["u"], theirs["new"], rtol=1e-5)
    np.testing.assert_allclose(grad, theirs["gradient"].T, rtol=1e-4, atol=1e-4)
