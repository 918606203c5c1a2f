"""Normalisation against PyTorch and by the property that defines each."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    RMSNorm,
    SpectralNorm,
    WeightNorm,
    moments,
)


def data(shape=(6, 5, 4, 8), seed=0):
    return np.random.default_rng(seed).normal(3, 2, shape).astype(np.float32)


def started(layer, x):
    """Variables with random scale and bias, so that a test sees them."""
    variables = layer.init(jax.random.key(0), x, train=False)
    params = variables.get("params", {})
    leaves, tree = jax.tree.flatten(params)
    leaves = [a + 0.5 * jax.random.normal(jax.random.key(i), a.shape) for i, a in enumerate(leaves)]
    return {**variables, "params": jax.tree.unflatten(tree, leaves)}


def first(a):
    return np.moveaxis(a, -1, 1)


def copied(module, params):
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        for name, value in params.items():
            getattr(module, {"scale": "weight"}.get(name, name)).copy_(torch.tensor(np.asarray(value)))
    return module


def pytorch_norm(name):
    torch = pytest.importorskip("torch")
    return {
        "layer": lambda: torch.nn.LayerNorm(8),
        "rms": lambda: torch.nn.RMSNorm(8, eps=1e-6),
        "group": lambda: torch.nn.GroupNorm(4, 8),
        "instance": lambda: torch.nn.InstanceNorm2d(8),
    }[name]()


NORMS = {"layer": LayerNorm(), "rms": RMSNorm(), "group": GroupNorm(groups=4), "instance": InstanceNorm()}


@pytest.mark.parametrize("name", NORMS)
def test_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    x, layer = data(), NORMS[name]
    variables = started(layer, x)
    module = copied(pytorch_norm(name), variables["params"])
    channels_last = name in ("layer", "rms")
    t = torch.tensor(x if channels_last else first(x), requires_grad=True)
    y = module(t)
    y.pow(3).sum().backward()
    to = np.asarray if channels_last else partial(np.moveaxis, source=1, destination=-1)

    def loss(x):
        return (layer.apply(variables, x, train=True) ** 3).sum()

    np.testing.assert_allclose(layer.apply(variables, x, train=True), to(y.detach().numpy()), rtol=1e-5, atol=1e-5)
    dx = to(t.grad.numpy())
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(x), dx, rtol=0, atol=1e-5 * np.abs(dx).max())


def test_batch_norm_is_pytorchs_in_training_and_evaluation():
    torch = pytest.importorskip("torch")
    layer, x = BatchNorm(), data()
    variables = started(layer, x)
    module = copied(torch.nn.BatchNorm2d(8), variables["params"])
    for i in range(3):
        x = data(seed=i)
        t = torch.tensor(first(x), requires_grad=True)
        y = module(t)
        y.pow(3).sum().backward()

        def loss(params, x, variables=variables):
            y, new = layer.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
            return (y**3).sum(), (y, new)

        (dparams, dx), (mine, new) = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(variables["params"], x)
        variables = {**variables, **new}
        np.testing.assert_allclose(first(mine), y.detach().numpy(), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(first(dx), t.grad.numpy(), rtol=0, atol=1e-5 * t.grad.abs().max().item())
        for name, grad in (("scale", module.weight.grad), ("bias", module.bias.grad)):
            np.testing.assert_allclose(dparams[name], grad.numpy(), rtol=1e-5, atol=1e-3)
        module.zero_grad()
    stats = variables["batch_stats"]
    np.testing.assert_allclose(stats["mean"], module.running_mean.numpy(), rtol=1e-6)
    np.testing.assert_allclose(stats["var"], module.running_var.numpy(), rtol=1e-6)
    module.eval()
    expected = module(torch.tensor(first(x))).detach().numpy()
    np.testing.assert_allclose(first(layer.apply(variables, x, train=False)), expected, rtol=1e-5, atol=1e-5)


def test_running_statistics_keep_the_momentum_and_the_unbiased_variance():
    x = data((50, 8))
    _, new = BatchNorm(momentum=0.75).init_with_output(jax.random.key(0), x, train=False)
    _, new = BatchNorm(momentum=0.75).apply(new, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(new["batch_stats"]["mean"], 0.25 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(new["batch_stats"]["var"], 0.75 + 0.25 * x.var(0, ddof=1), rtol=1e-5)


def test_synchronised_over_the_axis_data():
    """Four devices with a quarter of the batch each: outputs, statistics and gradients of the whole batch."""
    layer, x = BatchNorm(), data((8, 3, 8))
    variables = started(layer, x)

    def run(x):
        return layer.apply(variables, x, train=True, mutable=["batch_stats"])

    def loss(x):
        return (run(x)[0] ** 3).sum()

    whole, stats = run(x)
    parts, part_stats = jax.jit(jax.vmap(run, axis_name="data"))(x.reshape(4, 2, 3, 8))
    np.testing.assert_allclose(parts.reshape(x.shape), whole, rtol=1e-5, atol=1e-5)
    for a, b in zip(jax.tree.leaves(part_stats), jax.tree.leaves(stats), strict=True):
        np.testing.assert_allclose(a, np.broadcast_to(b, a.shape), rtol=1e-6)
    alone, _ = jax.jit(jax.vmap(run))(x.reshape(4, 2, 3, 8))
    assert float(jnp.abs(alone.reshape(x.shape) - whole).max()) > 0.1
    total = jax.jit(jax.grad(lambda x: jax.vmap(loss, axis_name="data")(x).sum()))(x.reshape(4, 2, 3, 8))
    np.testing.assert_allclose(total.reshape(x.shape), jax.jit(jax.grad(loss))(x), rtol=1e-4, atol=1e-4)


def test_masked_rows_count_nowhere():
    x = data((6, 3, 8))
    padded = np.concatenate([x, np.full((2, 3, 8), 1e3, np.float32)])
    mask = np.array([1.0] * 6 + [0.0] * 2, np.float32)
    for a, b in zip(moments(padded, mask), moments(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    layer = BatchNorm()
    variables = started(layer, x)
    y, new = layer.apply(variables, padded, train=True, mask=mask, mutable=["batch_stats"])
    expected, stats = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(y[:6], expected, rtol=1e-5, atol=1e-5)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), new, stats)


def test_variance_survives_a_large_mean():
    x = 1e4 + data((64, 8)).astype(np.float64)
    _, var, _ = moments(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(var, x.astype(np.float32).astype(np.float64).var(0), rtol=1e-4)


def test_frozen_uses_running_statistics_and_learns_nothing():
    x = data()
    variables = started(BatchNorm(), x)
    frozen = BatchNorm(frozen=True)
    y = frozen.apply(variables, x, train=True)  # nothing mutable is needed
    np.testing.assert_array_equal(y, BatchNorm().apply(variables, x, train=False))
    grads = jax.grad(lambda p: frozen.apply({**variables, "params": p}, x, train=True).sum())(variables["params"])
    assert all(float(jnp.abs(g).max()) == 0 for g in jax.tree.leaves(grads))


@pytest.mark.parametrize("layer", [*NORMS.values(), BatchNorm()], ids=[*NORMS, "batch"])
def test_bfloat16_keeps_its_type_and_float32_its_statistics(layer):
    x = jnp.asarray(data(), jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x, train=False)
    y, new = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    assert all(a.dtype == jnp.float32 for a in jax.tree.leaves(new))
    wide = layer.apply(variables, x.astype(jnp.float32), train=True, mutable=["batch_stats"])[0]
    np.testing.assert_allclose(y.astype(jnp.float32), wide, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", NORMS)
def test_only_batch_norm_depends_on_the_rest_of_the_batch(name):
    x, layer = data(), NORMS[name]
    variables = started(layer, x)
    np.testing.assert_allclose(
        layer.apply(variables, x, train=True)[:2], layer.apply(variables, x[:2], train=True), rtol=1e-6, atol=1e-6
    )


def test_batch_norm_in_training_needs_mutable_statistics():
    x = data()
    variables = started(BatchNorm(), x)
    from flax.errors import ModifyScopeVariableError

    with pytest.raises(ModifyScopeVariableError):
        BatchNorm().apply(variables, x, train=True)


def test_weight_norm_starts_as_the_kernel_and_then_has_length_scale():
    x = data((4, 8))
    layer = Dense(5, kernel_map=WeightNorm)
    params = layer.init(jax.random.key(0), x)["params"]
    plain = Dense(5).apply({"params": {k: params[k] for k in ("kernel", "bias")}}, x)
    np.testing.assert_allclose(layer.apply({"params": params}, x), plain, rtol=1e-5)
    scaled = {**params, "kernel": 7 * params["kernel"], "kernel_map": {"scale": 2 * params["kernel_map"]["scale"]}}
    np.testing.assert_allclose(layer.apply({"params": scaled}, x), 2 * plain, rtol=1e-5)


def test_spectral_norm_finds_the_largest_singular_value():
    x = data((1, 6, 6, 4))
    layer = Conv(8, kernel_map=partial(SpectralNorm, steps=1))
    variables = layer.init(jax.random.key(0), x)
    run = jax.jit(lambda v: layer.apply(v, x, train=True, mutable=["spectral_stats"])[1])
    for _ in range(60):
        variables = {**variables, **run(variables)}
    assert jax.tree.map(jnp.shape, variables["spectral_stats"]) == {"kernel_map": {"u": (8,), "v": (36,)}}
    kernel = variables["params"]["kernel"]
    state = {"spectral_stats": variables["spectral_stats"]["kernel_map"]}
    normalised = SpectralNorm().apply(state, kernel, train=False)
    assert np.linalg.svd(normalised.reshape(-1, 8), compute_uv=False)[0] == pytest.approx(1, abs=1e-4)
    assert np.linalg.svd(kernel.reshape(-1, 8), compute_uv=False)[0] > 1.1


def test_spectral_norm_is_pytorchs():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.utils.spectral_norm(torch.nn.Linear(6, 4, bias=False))
    w, u = module.weight_orig.detach().numpy().T, module.weight_u.numpy().copy()
    module(torch.ones(1, 6))
    module.weight.square().mul(torch.arange(24.0).reshape(4, 6)).sum().backward()
    weights = np.arange(24.0, dtype=np.float32).reshape(4, 6).T
    state = {"spectral_stats": {"u": u, "v": np.zeros(6, np.float32)}}

    def loss(w):
        y, new = SpectralNorm().apply(state, w, train=True, mutable=["spectral_stats"])
        return (jnp.square(y) * weights).sum(), (y, new)

    grad, (y, new) = jax.grad(loss, has_aux=True)(jnp.asarray(w))
    np.testing.assert_allclose(y, module.weight.detach().numpy().T, rtol=1e-5)
    np.testing.assert_allclose(new["spectral_stats"]["u"], module.weight_u.numpy(), rtol=1e-5)
    np.testing.assert_allclose(grad, module.weight_orig.grad.numpy().T, rtol=1e-4, atol=1e-4)


def test_group_norm_says_which_groups_divide():
    with pytest.raises(ValueError, match="groups=3 does not divide 8 channels"):
        GroupNorm(groups=3).init(jax.random.key(0), data())
