"""Convolutions against the plain form (value, gradient, gradient of the gradient) and against PyTorch."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.arithmetic import padding_pairs
from jaxdl.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv, convolve, convolve_transpose
from jaxdl.layers.convolution_cpu import Geometry, plain
from jaxdl.layers.local import LocalConv

# sizes, kernel, strides, pads, dilation, groups, channels, features
CASES = {
    "3x3": ((7, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 4, 6),
    "3x3 stride 2": ((7, 8), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1, 4, 6),
    "1x1": ((5, 8), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, 4, 6),
    "1x1 stride 2": ((9, 8), (1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 1, 4, 6),
    "1x1 padded": ((6, 6), (1, 1), (1, 1), ((1, 0), (0, 0)), (1, 1), 1, 3, 5),
    "stride beyond kernel": ((6, 6), (2, 2), (4, 4), ((0, 0), (0, 0)), (1, 1), 1, 3, 5),
    "uneven": ((9, 11), (3, 2), (2, 3), ((0, 1), (2, 1)), (2, 1), 1, 4, 6),
    "grouped dilated strided": ((9, 11), (3, 2), (2, 2), ((3, 1), (2, 4)), (2, 3), 2, 4, 6),
    "groups taken together in twos": ((5, 4), (3, 3), (2, 1), ((1, 1), (1, 1)), (1, 1), 4, 128, 8),
    "depthwise": ((9, 7), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 4, 4, 4),
    "depthwise dilated": ((9, 11), (3, 3), (1, 1), ((1, 1), (4, 0)), (1, 2), 4, 4, 4),
    "depthwise stride 2, two each": ((9, 7), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 4, 4, 8),
    "smaller than its kernel": ((2, 2), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 4, 6),
    "1-D stride 3": ((12,), (5,), (3,), ((2, 2),), (1,), 1, 3, 5),
    "3-D": ((5, 4, 4), (3, 3, 3), (2, 1, 2), ((1, 1),) * 3, (1, 1, 1), 1, 2, 3),
}


def arrays(case, batch=2, dtype=np.float32):
    *geometry, channels, features = CASES[case]
    g = Geometry(*geometry)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, *g.sizes, channels)).astype(dtype)
    w = rng.normal(size=(*g.kernel, channels // g.groups, features)).astype(dtype)
    dy = rng.normal(size=(batch, *g.outputs, features)).astype(dtype)
    return g, x, w, dy


def ours(g):
    return partial(convolve, strides=g.strides, padding=g.pads, dilation=g.dilation, groups=g.groups)


def close(a, b, rtol=1e-6):
    """Within `rtol` of the largest value: float32 sums in another order."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradients_equal_the_plain_form(case):
    g, x, w, dy = arrays(case)

    def results(f, x, w, dy):
        y, pull = jax.vjp(f, x, w)
        return y, *pull(dy)

    mine = jax.jit(partial(results, ours(g)))(x, w, dy)
    theirs = jax.jit(partial(results, partial(plain, g)))(x, w, dy)
    for a, b in zip(mine, theirs, strict=True):
        close(a, b)


def test_an_image_smaller_than_its_kernel_is_not_taken_for_the_kernel():
    """XLA would swap the two, into a layout that it has only naive loops for (100x slower at 512 channels)."""
    g, x, w, _ = arrays("smaller than its kernel")
    program = jax.jit(ours(g)).lower(x, w).compile().as_text()
    assert "dim_labels=b01f_01io->b01f" in program
    assert "dim_labels=01fb" in jax.jit(partial(plain, g)).lower(x, w).compile().as_text()


@pytest.mark.parametrize(
    "case", ["3x3 stride 2", "1x1 stride 2", "grouped dilated strided", "depthwise stride 2, two each"]
)
def test_gradient_of_a_gradient_norm(case):
    """What a gradient penalty needs: differentiate |d loss/dx|² with respect to the kernel and the input."""
    g, x, w, dy = arrays(case)

    def penalty(f, x, w):
        return jnp.square(jax.grad(lambda x: (jnp.tanh(f(x, w)) * dy).sum())(x)).sum()

    mine = jax.jit(jax.grad(partial(penalty, ours(g)), (0, 1)))(x, w)
    theirs = jax.jit(jax.grad(partial(penalty, partial(plain, g)), (0, 1)))(x, w)
    for a, b in zip(mine, theirs, strict=True):
        close(a, b, 3e-6)  # three convolutions deep


@pytest.mark.parametrize("case", ["3x3 stride 2", "depthwise", "1x1"])
def test_a_population_equals_its_members(case):
    g, x, w, dy = arrays(case)
    ws = jnp.stack([w, 2 * w, -w])
    gradient = jax.grad(lambda w, x: (ours(g)(x, w) * dy).sum(), (0, 1))
    together = jax.jit(jax.vmap(gradient, (0, None)))(ws, x)
    for i, w in enumerate(ws):
        for a, b in zip(together, gradient(w, x), strict=True):
            close(a[i], b, 2e-6)
    assert "feature_group_count" not in jax.jit(jax.vmap(gradient, (0, None))).lower(ws, x).compile().as_text()


def test_no_naive_convolution_inside_a_loop():
    """Every convolution in a while body is channels last in both operands and the result, the form that runs fast there."""
    g, x, w, _ = arrays("3x3 stride 2", batch=4)

    def steps(w):
        def step(_, w):
            return w - 0.1 * jax.grad(lambda w: jnp.square(ours(g)(x, w)).sum())(w)

        return jax.lax.fori_loop(0, 3, step, w)

    text = jax.jit(steps).lower(w).compile().as_text()
    lines = [line for line in text.splitlines() if " convolution(" in line]
    assert all("dim_labels=b01f_01io->b01f" in line for line in lines), lines


def kernel_from_torch(weight, groups=1, transposed=False):
    """PyTorch's (out, in/g, *k), or (in, out/g, *k) of a transposed convolution, as the kernel of the layers here."""
    if not transposed:
        return np.moveaxis(weight, (0, 1), (-1, -2))
    channels, features, *kernel = weight.shape
    blocks = weight.reshape(groups, channels // groups, features, *kernel)
    kernel = np.moveaxis(blocks, (1, 0, 2), (-3, -2, -1)).reshape(*kernel, channels // groups, groups * features)
    return np.flip(kernel, range(kernel.ndim - 2))


TORCH = {
    "1-D": (1, {"stride": 2, "padding": 1, "dilation": 2}, 1),
    "2-D grouped": (2, {"stride": 2, "padding": 1}, 2),
    "3-D": (3, {"stride": 1, "padding": 1}, 1),
}


@pytest.mark.parametrize("transposed", [False, True], ids=["conv", "transposed"])
@pytest.mark.parametrize("case", TORCH)
def test_layers_equal_pytorch(case, transposed):
    torch = pytest.importorskip("torch")
    rank, options, groups = TORCH[case]
    name = f"Conv{'Transpose' if transposed else ''}{rank}d"
    extra = {"output_padding": 1} if transposed and options["stride"] > 1 else {}
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(4, 6, 3, groups=groups, **options, **extra)
    x = torch.randn(2, 4, *(7, 6, 5)[:rank], requires_grad=True)
    y = theirs(x)
    y.square().sum().backward()

    def to_last(a):
        return np.moveaxis(a.detach().numpy(), 1, -1)

    def loss(params, x):
        return jnp.square(mine.apply({"params": params}, x)).sum()

    layer = ConvTranspose if transposed else Conv
    mine = layer(
        6,
        3,
        strides=options["stride"],
        padding=options["padding"],
        dilation=options.get("dilation", 1),
        groups=groups,
        **extra,
    )
    params = {
        "kernel": kernel_from_torch(theirs.weight.detach().numpy(), groups, transposed),
        "bias": theirs.bias.detach().numpy(),
    }
    shapes = jax.eval_shape(mine.init, jax.random.key(0), to_last(x))["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes)
    value, (dp, dx) = jax.jit(jax.value_and_grad(loss, (0, 1)))(params, to_last(x))
    np.testing.assert_allclose(value, y.detach().square().sum().numpy(), rtol=1e-5)
    close(mine.apply({"params": params}, to_last(x)), to_last(y))
    close(dx, to_last(x.grad), 2e-6)
    close(dp["kernel"], kernel_from_torch(theirs.weight.grad.numpy(), groups, transposed), 2e-6)
    close(dp["bias"], theirs.bias.grad.numpy(), 2e-6)


@pytest.mark.parametrize("mode", ["reflect", "circular", "replicate"])
def test_padding_modes_equal_pytorch(mode):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Conv2d(2, 3, (3, 5), padding=(1, 2), padding_mode=mode, bias=False)
    x = torch.randn(1, 2, 6, 7)
    kernel = kernel_from_torch(theirs.weight.detach().numpy())
    mine = convolve(x.permute(0, 2, 3, 1).numpy(), kernel, padding=mode)
    close(mine, theirs(x).detach().permute(0, 2, 3, 1).numpy())


def test_same_is_tensorflows_and_not_the_default():
    """At stride 2 an even axis is padded on the right only, so the grid moves by one."""
    x = jnp.arange(8.0).reshape(1, 8, 1)
    middle = jnp.zeros((3, 1, 1)).at[1].set(1)
    assert convolve(x, middle, strides=2, padding="same")[0, :, 0].tolist() == [1, 3, 5, 7]
    assert convolve(x, middle, strides=2)[0, :, 0].tolist() == [0, 2, 4, 6]


def test_transposed_same_multiplies_the_size():
    x = jnp.ones((1, 5, 4, 2))
    assert convolve_transpose(x, jnp.ones((3, 3, 2, 1)), strides=(2, 3), padding="same").shape == (1, 10, 12, 1)
    generator = ConvTranspose(1)  # kernel 4, stride 2, padding 1
    assert jax.eval_shape(lambda: generator.init_with_output(jax.random.key(0), x)[0]).shape == (1, 10, 8, 1)


def test_separable_is_depthwise_then_pointwise():
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 4))
    layer = SeparableConv(5)
    params = layer.init(jax.random.key(1), x)["params"]
    assert jax.tree.map(jnp.shape, params) == {
        "depthwise": {"kernel": (3, 3, 1, 4)},
        "pointwise": {"kernel": (1, 1, 4, 5), "bias": (5,)},
    }
    product = jnp.einsum("hwc,cf->hwcf", params["depthwise"]["kernel"][:, :, 0], params["pointwise"]["kernel"][0, 0])
    close(layer.apply({"params": params}, x), convolve(x, product), 2e-6)


def test_depthwise_channels_do_not_mix():
    x = jax.random.normal(jax.random.key(0), (1, 5, 5, 3))
    layer = DepthwiseConv(multiplier=2)
    params = layer.init(jax.random.key(1), x)
    jacobian = jax.jacrev(lambda x: layer.apply(params, x).sum((0, 1, 2)))(x).sum((1, 2, 3))
    assert [[bool(v) for v in row] for row in jacobian != 0] == [[f // 2 == c for c in range(3)] for f in range(6)]


def test_local_convolution_with_shared_kernels_is_a_convolution():
    x = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 4))
    layer = LocalConv(4, 3, strides=2)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x)["params"]
    assert jax.tree.map(jnp.shape, shapes) == {"kernel": (4, 3, 27, 4), "bias": (4, 3, 4)}
    params = {"kernel": jnp.broadcast_to(kernel.reshape(27, 4), (4, 3, 27, 4)), "bias": jnp.zeros((4, 3, 4))}
    close(layer.apply({"params": params}, x), convolve(x, kernel, strides=2), 2e-6)


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [
        (Conv(512, 3, use_bias=False), (1, 3, 3, 64), 9 * 64),
        (Conv(512, 3, groups=4, use_bias=False), (1, 3, 3, 64), 9 * 16),
        (LocalConv(64, 3, use_bias=False), (1, 5, 5, 32), 9 * 32),
    ],
    ids=["dense", "grouped", "local"],
)
def test_kernels_start_with_variance_one_over_fan_in(layer, shape, fan_in):
    kernel = layer.init(jax.random.key(0), jnp.zeros(shape))["params"]["kernel"]
    assert abs(float(kernel.mean())) < 1e-3
    assert float(kernel.var() * fan_in) == pytest.approx(1, abs=0.02)


def test_bfloat16_in_bfloat16_out():
    x, w = jnp.ones((1, 4, 4, 2), jnp.bfloat16), jnp.ones((3, 3, 2, 2), jnp.bfloat16)
    y, pull = jax.vjp(convolve, x, w)
    assert y.dtype == jnp.bfloat16
    assert [a.dtype for a in pull(y)] == [jnp.bfloat16, jnp.bfloat16]


def test_symmetric_padding_keeps_odd_kernels_size():
    for k, d in ((1, 1), (3, 1), (3, 2), (5, 3)):
        ((low, high),) = padding_pairs("symmetric", (k,), (1,), (d,))
        g = Geometry((20,), (k,), (1,), ((low, high),), (d,), 1)
        assert g.outputs == (20,)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: convolve(x, jnp.ones((3, 2, 4))), "takes (batch, 1 axes, channels)"),
        (lambda x: convolve(x, jnp.ones((3, 3, 2, 4)), groups=2), "groups=2"),
        (lambda x: convolve(x, jnp.ones((9, 9, 2, 4)), padding="valid"), "kernel_size=(9, 9)"),
        (lambda x: convolve_transpose(x, jnp.ones((3, 3, 2, 4)), padding="reflect"), "has no transpose"),
        (lambda x: convolve_transpose(x, jnp.ones((3, 3, 2, 4)), strides=2, output_padding=2), "output_padding=2"),
        (lambda x: Conv(3, groups=2).init(jax.random.key(0), x), "groups=2 must divide"),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call(jnp.ones((1, 5, 5, 2)))


def test_the_fast_forms_are_the_ones_a_cpu_runs():
    """Lowered for a CPU the depthwise convolution has no convolution left; for a GPU it is the plain one."""
    g, x, w, _ = arrays("depthwise")
    traced = jax.jit(ours(g)).trace(x, w)
    assert "stablehlo.convolution" not in traced.lower(lowering_platforms=("cpu",)).as_text()
    assert "stablehlo.convolution" in traced.lower(lowering_platforms=("cuda",)).as_text()
    compiled = jax.jit(ours(g)).lower(x, w).compile().as_text()
    assert "conditional" not in compiled  # the choice is made before the program runs
