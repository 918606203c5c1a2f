"""Pooling over the spatial axes of `(batch, *spatial, channels)`.

Pooling is done along one axis after the other, with shifted slices. XLA's window operations have gradients that are slow on a
CPU; a step of a small CNN takes 2.4x as long with them.
"""

import operator
from collections.abc import Callable, Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Num

from jaxdl.counts import check_count, check_numbers
from jaxdl.layers.arithmetic import Padding, convolution_output_size, padding_pairs, per_axis
from jaxdl.layers.convolution import convolve
from jaxdl.layers.linear_maps import LinearMap
from jaxdl.types import UserError

Sizes = int | Sequence[int]
Images = Num[Array, "batch *spatial channels"]
Pooled = Num[Array, "batch *outputs channels"]


def max_pool(
    x: Images,
    window: Sizes = 2,
    strides: Sizes | None = None,
    padding: Padding = 0,
    *,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Pooled:
    """Max pooling. The strides are those of the window by default; sizes as in `arithmetic.convolution_output_size`.

    Padding counts as -∞. The first of several equal maxima, row by row, gets the whole gradient, as in PyTorch.

    >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    axes = _axes(x, window, strides, padding, dilation, ceil_mode)
    lowest = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    # the last axis first, so that the first row wins a tie, and in it the first column
    for axis, (k, s, d, out, pads) in reversed(list(enumerate(axes, 1))):
        x = _pad_axis(x, axis, pads, lowest)
        x = _max_axis((axis, k, s, d, out), x)
    return x


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _max_axis(g: tuple[int, ...], x: Array) -> Array:
    return _max_and_place(g, x)[0]


def _max_and_place(g: tuple[int, ...], x: Array) -> tuple[Array, Array]:
    """The maximum of the k taps, and the number of the first tap that has it."""
    axis, k, s, d, out = g
    y, place = _tap(x, axis, 0, s, out), None
    place = jnp.zeros(y.shape, jnp.int8 if k < 128 else jnp.int32)
    for t in range(1, k):
        tap = _tap(x, axis, t * d, s, out)
        larger = (tap > y) | (tap != tap)  # keeps a NaN
        y, place = jnp.where(larger, tap, y), jnp.where(larger, jnp.asarray(t, place.dtype), place)
    return y, place


def _take(g: tuple[int, ...], dx: Array, place: Array) -> Array:
    """`dx` at the places of the maxima."""
    axis, k, s, d, out, _ = g
    y = _tap(dx, axis, 0, s, out)
    for t in range(1, k):
        y = jnp.where(place == t, _tap(dx, axis, t * d, s, out), y)
    return y


def _put(g: tuple[int, ...], dy: Array, place: Array) -> Array:
    """The transpose: `dy` at the places of the maxima, 0 elsewhere."""
    axis, k, s, d, _, size = g
    zero = jnp.zeros((), dy.dtype)
    return _untap([jnp.where(place == t, dy, zero) for t in range(k)], axis, s, d, size)


_taken, _given = LinearMap("max_taken", _take), LinearMap("max_given", _put)
_taken.transposes(left=(_given, True), right=None)
_given.transposes(left=(_taken, True), right=None)


@_max_axis.defjvp
def _max_tangent(g: tuple[int, ...], primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y, place = _max_and_place(g, x)
    return y, _taken((*g, x.shape[g[0]]), dx, place)


def avg_pool(
    x: Images,
    window: Sizes = 2,
    strides: Sizes | None = None,
    padding: Padding = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Pooled:
    """Average pooling. `count_include_pad` includes padding in the divisor, as PyTorch does and TensorFlow does not.

    >>> avg_pool(jnp.arange(4.0).reshape(1, 4, 1), 3, 1, 1, count_include_pad=False)[0, :, 0].tolist()
    [0.5, 1.0, 2.0, 2.5]
    """
    given = padding_pairs(padding, *_window(x, window, strides, 1), x.shape[1:-1])
    for axis, (k, s, d, out, pads) in enumerate(_axes(x, window, strides, padding, 1, ceil_mode), 1):
        size, (low, high) = x.shape[axis], given[axis - 1]
        counted = (-low, size + high) if count_include_pad else (0, size)
        begin = np.arange(out) * s - low
        count = np.minimum(begin + k, counted[1]) - np.maximum(begin, counted[0])
        x = _sum_axis((axis, k, s, d, out), _pad_axis(x, axis, pads, 0))
        x = x / _along(np.maximum(count, 1), x, axis)
    return x


def _sum_axis(g: tuple[int, ...], x: Array) -> Array:
    axis, k, s, d, out = g
    if k == s and x.shape[axis] == k * out:
        return x.reshape(*x.shape[:axis], out, k, *x.shape[axis + 1 :]).sum(axis + 1)
    return reduce(operator.add, (_tap(x, axis, t * d, s, out) for t in range(k)))


def lp_pool(x: Images, p: float, window: Sizes = 2, strides: Sizes | None = None, *, ceil_mode: bool = False) -> Pooled:
    """Lp pooling (Σ |x|^p)^(1/p): p = 1 is the sum, p → ∞ the maximum. The gradient of a window of zeros is 0."""
    check_numbers(p=p)
    mean = avg_pool(jnp.abs(x) ** p, window, strides, ceil_mode=ceil_mode)
    size, strides, _ = _window(x, window, strides, 1)
    total = mean
    for axis, (k, s, n, out) in enumerate(zip(size, strides, x.shape[1:-1], mean.shape[1:-1], strict=True), 1):
        total = total * _along(np.minimum(np.arange(out) * s + k, n) - np.arange(out) * s, total, axis)
    safe = jnp.where(total > 0, total, 1)
    return jnp.where(total > 0, safe ** (1 / jnp.asarray(p, x.dtype)), 0)


def global_avg_pool(x: Images) -> Float[Array, "batch channels"]:
    """Mean over all spatial axes."""
    return x.mean(tuple(range(1, x.ndim - 1)))


def global_max_pool(x: Images) -> Float[Array, "batch channels"]:
    """Maximum over all spatial axes."""
    return x.max(tuple(range(1, x.ndim - 1)))


def adaptive_avg_pool(x: Images, sizes: Sizes) -> Pooled:
    """Adaptive average pooling to `sizes`, as in PyTorch: window i of an axis is ⌊i·n/out⌋ to ⌈(i + 1)·n/out⌉.

    >>> adaptive_avg_pool(jnp.arange(5.0).reshape(1, 5, 1), 2)[0, :, 0].tolist()
    [1.0, 3.0]
    """
    return _adaptive(x, sizes, jnp.mean)


def adaptive_max_pool(x: Images, sizes: Sizes) -> Pooled:
    """Adaptive max pooling, with the windows of `adaptive_avg_pool`."""
    return _adaptive(x, sizes, jnp.max)


def _adaptive(x: Array, sizes: Sizes, reduce: Callable[..., Array]) -> Array:
    for axis, out in enumerate(per_axis(sizes, x.ndim - 2, "sizes"), 1):
        n = x.shape[axis]
        spans = [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]
        x = jnp.stack([reduce(lax.slice_in_dim(x, a, b, axis=axis), axis=axis) for a, b in spans], axis)
    return x


def blur_pool(x: Images, strides: Sizes = 2, taps: int = 3) -> Pooled:
    """Blur pooling: a binomial low-pass filter of `taps` values, reflected at the edges, then subsampling by `strides`.

    Subsampling without a filter causes aliasing, so that a shift by one pixel changes the output.
    Source: Zhang 2019, arXiv:1904.11486.
    """
    check_count("taps", taps)
    rank, row = x.ndim - 2, np.ones(1)
    for _ in range(taps - 1):
        row = np.convolve(row, [0.5, 0.5])
    kernel = row
    for _ in range(rank - 1):
        kernel = kernel[..., None] * row
    channels = x.shape[-1]
    kernel = jnp.broadcast_to(jnp.asarray(kernel, x.dtype)[..., None, None], (*kernel.shape, 1, channels))
    low, high = (taps - 1) // 2, taps // 2
    return convolve(
        jnp.pad(x, ((0, 0), *((low, high),) * rank, (0, 0)), mode="reflect"),
        kernel,
        strides=strides,
        padding="valid",
        groups=channels,
    )


# -- along one axis ---------------------------------------------------------------------------------------------------


def _window(x: Array, window: Sizes, strides: Sizes | None, dilation: Sizes):
    rank = x.ndim - 2
    size = per_axis(window, rank, "window")
    strides = size if strides is None else per_axis(strides, rank, "strides")
    return size, strides, per_axis(dilation, rank, "dilation")


def _axes(x: Array, window: Sizes, strides: Sizes | None, padding: Padding, dilation: Sizes, ceil_mode: bool):
    """(kernel, stride, dilation, outputs, pads) per axis; `pads` gives exactly the positions that are used."""
    size, strides, dilation = _window(x, window, strides, dilation)
    if padding in ("reflect", "circular", "replicate"):
        raise UserError(f"padding = {padding!r} must be 'symmetric', 'valid', 'same' or numbers")
    axes = []
    for n, k, s, d, p in zip(
        x.shape[1:-1],
        size,
        strides,
        dilation,
        padding_pairs(padding, size, strides, dilation, x.shape[1:-1]),
        strict=True,
    ):
        out = convolution_output_size(n, k, s, p, d, ceil_mode)
        axes.append((k, s, d, out, (p[0], (out - 1) * s + d * (k - 1) + 1 - n - p[0])))
    return axes


def _pad_axis(x: Array, axis: int, pads: tuple[int, int], value: float) -> Array:
    """Pad, or cut where negative."""
    if pads == (0, 0):
        return x
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (*pads, 0)
    return lax.pad(x, jnp.asarray(value, x.dtype), config)


def _tap(x: Array, axis: int, begin: int, stride: int, out: int) -> Array:
    return lax.slice_in_dim(x, begin, begin + (out - 1) * stride + 1, stride, axis)


def _untap(taps: list[Array], axis: int, s: int, d: int, size: int) -> Array:
    """The transpose of `_tap`: add `taps[t][o]` to position o·s + t·d, separately for each phase of the stride."""
    out, rows = taps[0].shape[axis], -(-size // s)
    phases = []
    for r in range(s):
        parts = [
            _pad_axis(tap, axis, (t * d // s, rows - out - t * d // s), 0)
            for t, tap in enumerate(taps)
            if t * d % s == r
        ]
        phases.append(
            sum(parts[1:], parts[0]) if parts else jnp.zeros_like(_pad_axis(taps[0], axis, (0, rows - out), 0))
        )
    if s == 1:
        return phases[0]
    x = jnp.stack(phases, axis + 1)
    x = x.reshape(*x.shape[:axis], rows * s, *x.shape[axis + 2 :])
    return lax.slice_in_dim(x, 0, size, axis=axis)


def _along(values: np.ndarray, x: Array, axis: int) -> Array:
    """Broadcast one number per position of `axis` to the shape of x."""
    return lax.broadcast_in_dim(jnp.asarray(values, x.dtype), x.shape, (axis,))
