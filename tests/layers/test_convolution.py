"""The convolution layers against PyTorch, their padding, parameters, starts and errors."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv, convolve, convolve_transpose
from jaxdl.layers.local import LocalConv
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(a, b, rtol=1e-6):
    """Within `rtol` of the largest value: float32 sums in another order."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


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
def test_layers_equal_pytorch(case, transposed, oracle):
    rank, options, groups = TORCH[case]
    extra = {"output_padding": 1} if transposed and options["stride"] > 1 else {}
    x = normal(2, *(7, 6, 5)[:rank], 4)
    first = lambda a: np.moveaxis(a, -1, 1)
    last = lambda a: np.moveaxis(a, 1, -1)

    @oracle
    def theirs(torch):
        module = getattr(torch.nn, f"Conv{'Transpose' if transposed else ''}{rank}d")
        module = module(4, 6, 3, groups=groups, **options, **extra)
        t = torch.tensor(first(x), requires_grad=True)
        y = module(t)
        y.square().sum().backward()
        gradients = {f"d{name}": p.grad for name, p in module.named_parameters()}
        return {"y": y, "dx": t.grad, **module.state_dict(), **gradients}

    mine = (ConvTranspose if transposed else Conv)(
        6,
        3,
        strides=options["stride"],
        padding=options["padding"],
        dilation=options.get("dilation", 1),
        groups=groups,
        **extra,
    )

    def loss(params, x):
        y = mine.apply({"params": params}, x)
        return jnp.square(y).sum(), y

    params = {"kernel": kernel_from_torch(theirs["weight"], groups, transposed), "bias": theirs["bias"]}
    shapes = jax.eval_shape(mine.init, KEY, x)["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes)
    (value, y), (dp, dx) = one_program(jax.value_and_grad(loss, (0, 1), has_aux=True), params, x)
    np.testing.assert_allclose(value, np.square(theirs["y"]).sum(), rtol=1e-5)
    close(y, last(theirs["y"]))
    close(dx, last(theirs["dx"]), 2e-6)
    close(dp["kernel"], kernel_from_torch(theirs["dweight"], groups, transposed), 2e-6)
    close(dp["bias"], theirs["dbias"], 2e-6)


@pytest.mark.parametrize("mode", ["reflect", "circular", "replicate"])
def test_padding_modes_equal_pytorch(mode, oracle):
    x = normal(1, 6, 7, 2)

    @oracle
    def theirs(torch):
        module = torch.nn.Conv2d(2, 3, (3, 5), padding=(1, 2), padding_mode=mode, bias=False)
        return {"y": module(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1), "weight": module.weight}

    mine = one_program(lambda x, w: convolve(x, w, padding=mode), x, kernel_from_torch(theirs["weight"]))
    close(mine, theirs["y"])


def test_same_is_tensorflows_and_not_the_default():
    """At stride 2 an even axis is padded on the right only, so the grid moves by one."""
    x, middle = np.arange(8, dtype=np.float32).reshape(1, 8, 1), np.float32([0, 1, 0]).reshape(3, 1, 1)
    same, default = one_program(
        lambda x, w: [convolve(x, w, strides=2, padding="same"), convolve(x, w, strides=2)], x, middle
    )
    assert same[0, :, 0].tolist() == [1, 3, 5, 7]
    assert default[0, :, 0].tolist() == [0, 2, 4, 6]


def test_transposed_same_multiplies_the_size():
    x, w = np.ones((1, 5, 4, 2), np.float32), np.ones((3, 3, 2, 1), np.float32)
    same = lambda x, w: convolve_transpose(x, w, strides=(2, 3), padding="same")
    assert jax.eval_shape(same, x, w).shape == (1, 10, 12, 1)
    generator = ConvTranspose(1)  # kernel 4, stride 2, padding 1
    assert jax.eval_shape(lambda: generator.init_with_output(KEY, x)[0]).shape == (1, 10, 8, 1)


def test_separable_is_depthwise_then_pointwise():
    layer, x = SeparableConv(5), normal(2, 6, 6, 4)
    shapes = jax.eval_shape(layer.init, KEY, x)["params"]
    assert jax.tree.map(jnp.shape, shapes) == {
        "depthwise": {"kernel": (3, 3, 1, 4)},
        "pointwise": {"kernel": (1, 1, 4, 5), "bias": (5,)},
    }
    depthwise, pointwise = normal(3, 3, 1, 4, seed=1), normal(1, 1, 4, 5, seed=2)
    params = {"depthwise": {"kernel": depthwise}, "pointwise": {"kernel": pointwise, "bias": np.zeros(5, np.float32)}}
    product = np.einsum("hwc,cf->hwcf", depthwise[:, :, 0], pointwise[0, 0])
    run = lambda params, x, product: [layer.apply({"params": params}, x), convolve(x, product)]
    close(*one_program(run, params, x, product), 2e-6)


def test_depthwise_channels_do_not_mix():
    layer, x = DepthwiseConv(multiplier=2), normal(1, 5, 5, 3)

    def run(x):
        params = layer.init(KEY, x)
        return jax.jacrev(lambda x: layer.apply(params, x).sum((0, 1, 2)))(x).sum((1, 2, 3)) != 0

    assert one_program(run, x).tolist() == [[f // 2 == c for c in range(3)] for f in range(6)]


def test_local_convolution_with_shared_kernels_is_a_convolution():
    x, kernel = normal(2, 7, 6, 3), normal(3, 3, 3, 4, seed=1)
    shapes = jax.eval_shape(LocalConv(4, 3, strides=2).init, KEY, x)["params"]
    assert jax.tree.map(jnp.shape, shapes) == {"kernel": (4, 3, 27, 4), "bias": (4, 3, 4)}
    params = {"kernel": np.tile(kernel.reshape(27, 4), (4, 3, 1, 1)), "bias": np.zeros((4, 3, 4), np.float32)}

    def run(params, x, kernel):
        """`"same"` pads the two axes by different numbers here, `"symmetric"` by the same."""
        options = [{"strides": 2, "padding": padding} for padding in ("symmetric", "same")]
        return [(LocalConv(4, 3, **o).apply({"params": params}, x), convolve(x, kernel, **o)) for o in options]

    for ours, shared in one_program(run, params, x, kernel):
        close(ours, shared, 2e-6)


def test_an_output_of_one_element_is_the_sum_of_products():
    x, kernel = normal(1, 3, 4, 2), normal(3, 4, 2, 1, seed=1)
    y = one_program(lambda x, w: convolve(x, w, padding="valid"), x, kernel)
    close(y, (x[0] * kernel[..., 0]).sum().reshape(1, 1, 1, 1))
    with pytest.raises(UserError, match=re.escape("(4, 4)")):
        convolve(x, normal(4, 4, 2, 1), padding="valid")


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
    start = lambda key: layer.init(key, jnp.zeros(shape))["params"]["kernel"]  # what only the output needs is not run
    kernel = one_program(start, KEY)
    assert abs(kernel.mean()) < 1e-3
    assert kernel.var() * fan_in == pytest.approx(1, abs=0.02)


def test_bfloat16_in_bfloat16_out():
    def run(x, w):
        y, pull = jax.vjp(convolve, x, w)
        return y, *pull(y)

    shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, jnp.bfloat16)
    assert {a.dtype for a in jax.eval_shape(run, shape(1, 4, 4, 2), shape(3, 3, 2, 2))} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: convolve(x, np.ones((3, 2, 4))), "(1, 5, 5, 2)"),
        (lambda x: convolve(x, np.ones((3, 3, 2, 4)), groups=2), "groups = 2 "),
        (lambda x: convolve(x, np.ones((9, 9, 2, 4)), padding="valid"), "kernel_size = (9, 9) "),
        (lambda x: convolve_transpose(x, np.ones((3, 3, 2, 4)), padding="reflect"), "padding = 'reflect' "),
        (lambda x: convolve_transpose(x, np.ones((3, 3, 2, 4)), strides=2, output_padding=2), "output_padding = 2 "),
        (lambda x: Conv(3, groups=2).init(KEY, x), "groups = 2 "),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(UserError, match=re.escape(words)):
        call(np.ones((1, 5, 5, 2)))
