"""Convolutions over one, two or three axes, channels last, with kernels `(*kernel, in, out)` as in Linen.

The layers call the pure functions `convolve` and `convolve_transpose`. These and their gradients of any order, as of a
gradient penalty, consist of three bilinear maps. Each map has a plain form and a fast one for CPUs (`convolution_cpu.py`), which
is chosen when the program is lowered. Forward and reverse mode differentiation both work (`linear_maps.py`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from jaxdl.counts import check_count
from jaxdl.layers import convolution_cpu as cpu
from jaxdl.layers.arithmetic import Padding, padding_pairs, per_axis, transposed_output_size
from jaxdl.layers.convolution_cpu import Geometry, plain
from jaxdl.layers.linear_maps import LinearMap
from jaxdl.types import UserError

Images = Float[Array, "batch *spatial channels"]
Maps = Float[Array, "batch *outputs features"]
Kernel = Float[Array, "*kernel channels_per_group features"]

Sizes = int | Sequence[int]
Initializer = Callable[..., Any]
KernelMap = Callable[..., nn.Module] | None
"""Constructor of a module `(kernel, *, train) -> kernel` that is applied to the kernel of a layer: `SpectralNorm`,
`WeightNorm`, `partial(DropConnect, rate=0.5)`."""

lecun = nn.initializers.lecun_normal()


# -- the three bilinear maps ------------------------------------------------------------------------------------------


def _plain_input(g: Geometry, dy: Array, w: Array) -> Array:
    x = jax.ShapeDtypeStruct((dy.shape[0], *g.sizes, w.shape[-2] * g.groups), dy.dtype)
    return jax.linear_transpose(lambda x: plain(g, x, w), x)(dy)[0]


def _plain_kernel(g: Geometry, x: Array, dy: Array) -> Array:
    w = jax.ShapeDtypeStruct((*g.kernel, x.shape[-1] // g.groups, dy.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda w: plain(g, x, w), w)(dy)[0]


# y = forward(x, w), dx = input_gradient(dy, w), dw = kernel_gradient(x, dy): the derivatives of each of these bilinear maps are
# the two others, of the cotangent and the other array.
_forward = LinearMap("conv_forward", plain, partial(cpu.batched, cpu.forward_convolution))
_input_gradient = LinearMap("conv_input_gradient", _plain_input, partial(cpu.batched, cpu.input_gradient))
_kernel_gradient = LinearMap("conv_kernel_gradient", _plain_kernel, partial(cpu.batched, cpu.kernel_gradient))
_forward.transposes(left=(_input_gradient, True), right=(_kernel_gradient, False))
_input_gradient.transposes(left=(_forward, True), right=(_kernel_gradient, True))
_kernel_gradient.transposes(left=(_input_gradient, False), right=(_forward, False))


# -- pure functions ---------------------------------------------------------------------------------------------------


def convolve(
    x: Images,
    kernel: Kernel,
    *,
    strides: Sizes = 1,
    padding: Padding = "symmetric",
    dilation: Sizes = 1,
    groups: int = 1,
) -> Maps:
    """Convolution (as in deep learning: cross-correlation).

        y[n, o, j] = Σ_t Σ_i x[n, o·s + t·d - p, i] · w[t, i, j]

    `padding` is that of `arithmetic.padding_pairs`; `"reflect"`, `"circular"` and `"replicate"` extend the input with its own
    values instead of zeros. With `groups`, an output channel depends on the input channels of its group only.

    >>> convolve(jnp.ones((1, 3, 3, 1)), jnp.ones((3, 3, 1, 1)))[0, :, :, 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    size, strides, dilation = _checked(x, kernel, strides, dilation, groups)
    rank, pads = len(size), padding_pairs(padding, size, strides, dilation, x.shape[1:-1])
    if padding in ("reflect", "circular", "replicate"):
        mode = {"circular": "wrap", "replicate": "edge"}.get(str(padding), str(padding))
        x, pads = jnp.pad(x, ((0, 0), *pads, (0, 0)), mode=mode), ((0, 0),) * rank
    g = Geometry(x.shape[1:-1], size, strides, pads, dilation, groups)
    if min(g.outputs) < 1:
        raise UserError(f"kernel_size = {size} with dilation {dilation} is larger than {g.sizes} with padding {pads}")
    return _forward(g, *promote_dtype(x, kernel, dtype=None))


def convolve_transpose(
    x: Images,
    kernel: Kernel,
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    output_padding: Sizes | int = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Maps:
    """Transposed convolution, which enlarges the spatial axes by the stride: the transpose of `convolve` as a map of its input.

        out = (in - 1)·s - 2p + d·(k - 1) + output_padding + 1

    The kernel is `(*kernel, in/groups, out)` as in Linen and is not flipped: `y[o] = Σ_t x̂[o + t]·w[t]` for the input x̂ with
    s - 1 zeros between its elements. To convert PyTorch's `(in, out/groups, *kernel)`, move its first two axes to the end and
    flip the spatial axes. `"same"` gives the size in·s.

    >>> convolve_transpose(jnp.ones((1, 2, 1)), jnp.array([1.0, 2.0, 3.0])[:, None, None], strides=2)[0, :, 0].tolist()
    [3.0, 2.0, 4.0, 2.0, 1.0]
    """
    size, strides, dilation = _checked(x, kernel, strides, dilation, groups)
    rank = len(size)
    if padding in ("reflect", "circular", "replicate"):
        raise UserError(f"padding = {padding!r} must be 'symmetric', 'valid', 'same' or numbers")
    extra = (output_padding,) * rank if isinstance(output_padding, int) else tuple(output_padding)
    if padding == "same":
        outputs = tuple(n * s for n, s in zip(x.shape[1:-1], strides, strict=True))
        pads = padding_pairs(padding, size, strides, dilation, outputs)
    else:
        pads = padding_pairs(padding, size, strides, dilation)
        outputs = tuple(map(transposed_output_size, x.shape[1:-1], size, strides, pads, dilation, extra))
    g = Geometry(outputs, size, strides, pads, dilation, groups)
    if g.outputs != x.shape[1:-1] or min(outputs) < 1:
        raise UserError(
            f"output_padding = {output_padding} must be smaller than strides {strides} or dilation {dilation}"
        )
    # the kernel of the convolution from the result to x, whose input gradient this is
    kernel = cpu.swap_channels(jnp.flip(kernel, range(rank)), groups)
    return _input_gradient(g, *promote_dtype(x, kernel, dtype=None))


def _checked(x: Array, kernel: Array, strides: Sizes, dilation: Sizes, groups: int) -> tuple[tuple[int, ...], ...]:
    """Size, strides and dilation of the kernel per axis. Raises `UserError` if it does not fit x."""
    check_count("groups", groups)
    rank = kernel.ndim - 2
    if x.ndim != rank + 2:
        raise UserError(f"x must be (batch, {rank} axes, channels) for a kernel of {rank} spatial axes, got {x.shape}")
    if x.shape[-1] != kernel.shape[-2] * groups or kernel.shape[-1] % groups:
        raise UserError(f"groups = {groups} and a kernel {kernel.shape} do not fit {x.shape[-1]} channels")
    return kernel.shape[:-2], per_axis(strides, rank, "strides"), per_axis(dilation, rank, "dilation")


# -- layers -----------------------------------------------------------------------------------------------------------


class Conv(nn.Module):
    """Convolution layer: `convolve(x, kernel) + bias` over the spatial axes of `(batch, *spatial, channels)`.

    Args:
        features: number of output channels.
        kernel_size: an integer for every spatial axis, or one per axis.
        padding: "symmetric" as usual in PyTorch, "same" as in TensorFlow, and others of `arithmetic.padding_pairs`.
        kernel_map: constructor of a module that is applied to the kernel: spectral norm, weight norm, DropConnect.

    Parameters: `kernel` `(*kernel, channels/groups, features)`, with the variance 1/fan_in (LeCun), and `bias`, zeros;
    features · (channels/groups · Π k + 1) in all.
    """

    features: int
    kernel_size: Sizes = 3
    strides: Sizes = 1
    padding: Padding = "symmetric"
    dilation: Sizes = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = lecun
    bias_init: Initializer = nn.initializers.zeros
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(self, x: Images, *, train: bool = False) -> Maps:
        kernel = _kernel(self, x, train, self.groups, self.features)
        options = {"strides": self.strides, "dilation": self.dilation, "groups": self.groups}
        return _biased(self, convolve(x, kernel, padding=self.padding, **options))


class ConvTranspose(Conv):
    """Transposed convolution layer: `convolve_transpose(x, kernel) + bias`. The defaults double the spatial sizes."""

    kernel_size: Sizes = 4
    strides: Sizes = 2
    padding: Padding = 1
    output_padding: Sizes = 0

    @nn.compact
    def __call__(self, x: Images, *, train: bool = False) -> Maps:
        kernel = _kernel(self, x, train, self.groups, self.features)
        options = {"strides": self.strides, "dilation": self.dilation, "groups": self.groups}
        y = convolve_transpose(x, kernel, padding=self.padding, output_padding=self.output_padding, **options)
        return _biased(self, y)


class DepthwiseConv(nn.Module):
    """Depthwise convolution: each channel has `multiplier` kernels; parameter `kernel` `(*kernel, 1, channels·multiplier)`."""

    kernel_size: Sizes = 3
    multiplier: int = 1
    strides: Sizes = 1
    padding: Padding = "symmetric"
    dilation: Sizes = 1
    use_bias: bool = True
    kernel_init: Initializer = lecun
    bias_init: Initializer = nn.initializers.zeros
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(self, x: Images, *, train: bool = False) -> Maps:
        check_count("multiplier", self.multiplier)
        channels = x.shape[-1]
        kernel = _kernel(self, x, train, channels, channels * self.multiplier)
        options = {"strides": self.strides, "dilation": self.dilation, "groups": channels}
        return _biased(self, convolve(x, kernel, padding=self.padding, **options))


class SeparableConv(nn.Module):
    """Depthwise separable convolution: a depthwise one, then a 1x1 one. k²·C + C·features weights instead of k²·C·features."""

    features: int
    kernel_size: Sizes = 3
    strides: Sizes = 1
    padding: Padding = "symmetric"
    dilation: Sizes = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Images, *, train: bool = False) -> Maps:
        options = {"strides": self.strides, "padding": self.padding, "dilation": self.dilation}
        x = DepthwiseConv(self.kernel_size, use_bias=False, name="depthwise", **options)(x, train=train)
        return Conv(self.features, 1, use_bias=self.use_bias, name="pointwise")(x, train=train)


def _kernel(m: Any, x: Array, train: bool, groups: int, features: int) -> Array:
    check_count("features", features)
    check_count("groups", groups)
    size = per_axis(m.kernel_size, x.ndim - 2, "kernel_size")
    if x.shape[-1] % groups or features % groups:
        raise UserError(f"groups = {groups} must divide the {x.shape[-1]} channels and features = {features}")
    kernel = m.param("kernel", m.kernel_init, (*size, x.shape[-1] // groups, features), jnp.float32)
    return kernel if m.kernel_map is None else m.kernel_map(name="kernel_map")(kernel, train=train)


def _biased(m: Any, y: Array) -> Array:
    if not m.use_bias:
        return y
    bias = m.param("bias", m.bias_init, (y.shape[-1],), jnp.float32)
    return y + jnp.broadcast_to(bias.astype(y.dtype), y.shape)
