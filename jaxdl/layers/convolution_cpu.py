"""Convolutions and their gradients in forms that are fast on XLA's CPU backend.

A convolution `y = x ⋆ w` is bilinear, so there are three maps, each of which is a derivative of the others:

    y[n, o, j]  = Σ_t Σ_i  x[n, o·s + t·d - p, i] · w[t, i, j]           forward
    dx[n, q, i] = Σ_t Σ_j  dy[n, (q + p - t·d)/s, j] · w[t, i, j]        input_gradient (a transposed convolution)
    dw[t, i, j] = Σ_n Σ_o  x[n, o·s + t·d - p, i] · dy[n, o, j]          kernel_gradient

XLA's own forms are slow on a CPU in four cases: gradients in another layout than the canonical one (naive loops inside
`scan` and `while`, 20x), strided `dx` (mostly products with zeros, 2x), depthwise convolutions (40x) and `dw` of 1x1 kernels.
On GPUs and TPUs the plain forms are used (`convolution.py`).
"""

import operator
from collections.abc import Callable
from functools import partial, reduce
from itertools import product
from math import gcd, prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jaxdl.layers.arithmetic import Pairs


class Geometry(NamedTuple):
    """Static description of a convolution; `sizes` are the spatial sizes of the input of `forward`."""

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: Pairs
    dilation: tuple[int, ...]
    groups: int

    @property
    def rank(self) -> int:
        return len(self.sizes)

    @property
    def outputs(self) -> tuple[int, ...]:
        spans = zip(self.sizes, self.kernel, self.strides, self.pads, self.dilation, strict=True)
        return tuple((n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in spans)

    @property
    def pointwise(self) -> bool:
        """Whether it is a matrix product: a 1x1 kernel without padding."""
        return self.groups == 1 and prod(self.kernel) == 1 and all(p == (0, 0) for p in self.pads)


def layout(rank: int) -> tuple[str, str, str]:
    """Return the layout with channels last: ("NHWC", "HWIO", "NHWC") for two spatial axes."""
    axes = "DHW"[3 - rank :]
    return f"N{axes}C", f"{axes}IO", f"N{axes}C"


def plain(g: Geometry, x: jax.Array, w: jax.Array) -> jax.Array:
    """The convolution as XLA computes it."""
    return lax.conv_general_dilated(
        x, w, g.strides, g.pads, (1,) * g.rank, g.dilation, layout(g.rank), feature_group_count=g.groups
    )


def _strided(g: Geometry, x: jax.Array) -> jax.Array:
    return x[:, *(slice(None, None, s) for s in g.strides)]


def _depthwise(g: Geometry, x: jax.Array) -> bool:
    return g.groups == x.shape[-1] > 1


def batched(product_of: Callable[..., jax.Array], g: Geometry) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return one of the three products with a rule for `vmap` that is fast on a CPU.

    JAX computes a batch of kernels as one grouped convolution, 6 times slower than one after the other, as here. If only the
    images are batched, the axis is merged into that of the images.
    """
    call = custom_vmap(partial(product_of, g))

    @call.def_vmap
    def rule(size: int, is_batched: list[bool], a: jax.Array, b: jax.Array):
        if not is_batched[1] and product_of is not kernel_gradient:
            y = call(a.reshape(-1, *a.shape[2:]), b)
            return y.reshape(size, -1, *y.shape[1:]), True
        members = [v if is_in else None for v, is_in in zip((a, b), is_batched, strict=True)]

        def member(pair: list[jax.Array | None]) -> jax.Array:
            return call(*(shared if own is None else own for own, shared in zip(pair, (a, b), strict=True)))

        return lax.map(member, members), True

    return call


# -- forward ----------------------------------------------------------------------------------------------------------


def forward_convolution(g: Geometry, x: jax.Array, w: jax.Array) -> jax.Array:
    if g.pointwise:
        return jnp.tensordot(_strided(g, x), w.reshape(w.shape[-2:]), 1)
    if _depthwise(g, x):
        return _depthwise_forward(g, x, w)
    if g.groups > 1:
        return _merged(g, forward_convolution, x, w)
    return _dense(g, x, w)


def _dense(g: Geometry, x: jax.Array, w: jax.Array) -> jax.Array:
    """XLA uses the smaller array as the kernel; for a small image this is 100x slower, so it is padded first."""
    if prod(g.kernel) <= prod(g.sizes):
        return plain(g, x, w)
    x = lax.optimization_barrier(_padded(g, x))  # otherwise XLA merges the padding into the convolution again
    return plain(g._replace(sizes=x.shape[1:-1], pads=((0, 0),) * g.rank), x, w)


def taps(g: Geometry):
    """Yield, for every kernel position, its index and the slices of the padded input that it multiplies."""
    for t in product(*map(range, g.kernel)):
        begin = [i * d for i, d in zip(t, g.dilation, strict=True)]
        spans = zip(begin, g.outputs, g.strides, strict=True)
        yield t, tuple(slice(b, b + (o - 1) * s + 1, s) for b, o, s in spans)


def _depthwise_forward(g: Geometry, x: jax.Array, w: jax.Array) -> jax.Array:
    """Σ over taps of the shifted input times one weight per channel; channel c gives the outputs c·m ... c·m + m - 1."""
    x = _padded(g, x)
    channels, many = x.shape[-1], w.shape[-1] // x.shape[-1]
    y: Any = 0
    for t, window in taps(g):
        tap = x[:, *window]
        if many > 1:
            tap = jnp.broadcast_to(tap[..., None], (*tap.shape, many)).reshape(*tap.shape[:-1], channels * many)
        y = y + tap * jnp.broadcast_to(w[(*t, 0)], tap.shape)
    return y


# -- with respect to the input ----------------------------------------------------------------------------------------


def input_gradient(g: Geometry, dy: jax.Array, w: jax.Array) -> jax.Array:
    channels = w.shape[-2] * g.groups
    if g.pointwise:
        dx = jnp.tensordot(dy, w.reshape(w.shape[-2:]), ((-1,), (-1,)))
        if set(g.strides) == {1}:
            return dx
        ends = [(0, n - (o - 1) * s - 1, s - 1) for n, o, s in zip(g.sizes, g.outputs, g.strides, strict=True)]
        return lax.pad(dx, jnp.zeros((), dx.dtype), ((0, 0, 0), *ends, (0, 0, 0)))
    if g.groups == 1:
        return _by_phases(g, dy, w)
    if g.groups < channels:
        return _merged(g, input_gradient, dy, w)
    # depthwise, `many` outputs for each channel: the sum over them of one depthwise transpose each
    many = w.shape[-1] // channels
    dy, w = dy.reshape(*dy.shape[:-1], channels, many), w.reshape(*w.shape[:-1], channels, many)
    parts = (_by_phases(g, dy[..., j], w[..., j]) for j in range(many))
    return reduce(operator.add, parts)


def _by_phases(g: Geometry, dy: jax.Array, w: jax.Array) -> jax.Array:
    """One small convolution of `dy` for each phase r of the strides, interleaved, without the zeros of a dilated `dy`.

    The positions q ≡ r (mod s) of the padded input depend on the taps with t·d ≡ r (mod s) only.
    """
    w = swap_channels(w, g.groups)
    channels = w.shape[-1]
    first = [p[0] // s for p, s in zip(g.pads, g.strides, strict=True)]
    last = [-(-(p[0] + n) // s) for n, p, s in zip(g.sizes, g.pads, g.strides, strict=True)]
    rows = tuple(b - a for a, b in zip(first, last, strict=True))
    zeros = jnp.zeros((dy.shape[0], *rows, channels), dy.dtype)
    phases = []
    for phase in product(*map(range, g.strides)):
        axes = [_phase(*args) for args in zip(phase, g.kernel, g.strides, g.dilation, strict=True)]
        if any(taps is None for taps, _, _ in axes):
            phases.append(zeros)
            continue
        small = w[tuple(taps for taps, _, _ in axes)]
        kernel, dilation = small.shape[: g.rank], tuple(step for _, _, step in axes)
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        low = [r - a - offset for r, a, (_, offset, _) in zip(reach, first, axes, strict=True)]
        pads = tuple((lo, n + r - o - lo) for lo, n, r, o in zip(low, rows, reach, g.outputs, strict=True))
        part = Geometry(g.outputs, kernel, (1,) * g.rank, pads, dilation, g.groups)
        phases.append(forward_convolution(part, dy, lax.optimization_barrier(jnp.flip(small, range(g.rank)))))
    dx = phases[0] if len(phases) == 1 else _interleave(jnp.stack(phases), g.strides)
    begin = [p[0] - a * s for p, a, s in zip(g.pads, first, g.strides, strict=True)]
    return dx[:, *(slice(b, b + n) for b, n in zip(begin, g.sizes, strict=True))]


def swap_channels(w: jax.Array, groups: int) -> jax.Array:
    """(..., in/g, out) -> (..., out/g, in)."""
    *kernel, i, o = w.shape
    w = w.reshape(*kernel, i, groups, o // groups)
    return jnp.swapaxes(w, -3, -1).reshape(*kernel, o // groups, groups * i)


def _phase(r: int, k: int, s: int, d: int) -> tuple[slice | None, int, int]:
    """The taps t of one axis with t·d ≡ r (mod s), the place in `dy` of the first one, and the step between them."""
    common = gcd(d, s)
    start = next((t for t in range(min(k, s // common)) if (t * d - r) % s == 0), None)
    if start is None:
        return None, 0, 1
    return slice(start, None, s // common), (r - start * d) // s, d // common


def _interleave(phases: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    """(s₁·s₂, batch, u₁, u₂, channels) -> (batch, u₁·s₁, u₂·s₂, channels)."""
    rank = len(strides)
    batch, *rows, channels = phases.shape[1:]
    x = phases.reshape(*strides, batch, *rows, channels)
    order = [rank, *(a for i in range(rank) for a in (rank + 1 + i, i)), 2 * rank + 1]
    return x.transpose(order).reshape(batch, *(u * s for u, s in zip(rows, strides, strict=True)), channels)


# -- with respect to the kernel ---------------------------------------------------------------------------------------


def kernel_gradient(g: Geometry, x: jax.Array, dy: jax.Array) -> jax.Array:
    if g.pointwise:
        axes = tuple(range(g.rank + 1))
        return jnp.tensordot(_strided(g, x), dy, (axes, axes)).reshape(*g.kernel, x.shape[-1], dy.shape[-1])
    if _depthwise(g, x):
        return _depthwise_kernel_gradient(g, x, dy)
    if g.groups > 1:
        return _merged(g, kernel_gradient, x, dy)
    # The axes of the batch and of the input channels are exchanged, so that this is a convolution with channels last, too.
    # The barriers keep XLA from merging the transposes into it.
    to_front, to_back = (g.rank + 1, *range(1, g.rank + 1), 0), (*range(1, g.rank + 1), 0, g.rank + 1)
    xt, dyt = lax.optimization_barrier((x.transpose(to_front), dy.transpose(to_back)))
    spans = zip(g.sizes, g.kernel, g.strides, g.pads, g.dilation, g.outputs, strict=True)
    pads = [(p[0], d * (k - 1) + (o - 1) * s + 1 - n - p[0]) for n, k, s, p, d, o in spans]
    dw = lax.conv_general_dilated(xt, dyt, g.dilation, pads, (1,) * g.rank, g.strides, layout(g.rank))
    return lax.optimization_barrier(dw).transpose(to_back)


def _depthwise_kernel_gradient(g: Geometry, x: jax.Array, dy: jax.Array) -> jax.Array:
    """One example at a time, so that the sums of products of all taps stay in the cache."""
    channels, many = x.shape[-1], dy.shape[-1] // x.shape[-1]
    if many > 1:
        parts = dy.reshape(*dy.shape[:-1], channels, many)
        sums = [_depthwise_kernel_gradient(g, x, parts[..., j]) for j in range(many)]
        return jnp.stack(sums, -1).reshape(*g.kernel, 1, channels * many)
    windows = [window for _, window in taps(g)]

    def example(sums, pair):
        row, d = pair
        return tuple(a + row[window] * d for a, window in zip(sums, windows, strict=True)), None

    # made from the data, so that it varies over the same devices
    zero = jnp.zeros_like(dy[0])
    sums, _ = lax.scan(example, (zero,) * len(windows), (_padded(g, x), dy))
    return jnp.stack([a.sum(range(g.rank)) for a in sums]).reshape(*g.kernel, 1, channels)


# -- grouped ----------------------------------------------------------------------------------------------------------


def _merged(g: Geometry, product_of: Callable[..., jax.Array], a: jax.Array, b: jax.Array) -> jax.Array:
    """Merge groups of few channels into dense convolutions of about 64 channels, with kernels that are zero between groups.

    XLA's grouped convolution is slower than these products with zeros, its kernel gradient 50 times.
    """
    is_kernel = product_of is kernel_gradient
    channels = a.shape[-1] if product_of is not input_gradient else b.shape[-2] * g.groups
    together = next(
        n for n in range(g.groups, 0, -1) if g.groups % n == 0 and (n * channels <= 64 * g.groups or n == 1)
    )
    dense, parts = g._replace(groups=1), g.groups // together
    left = jnp.split(a, parts, -1)
    if is_kernel:
        dws = [kernel_gradient(dense, x, dy) for x, dy in zip(left, jnp.split(b, parts, -1), strict=True)]
        return jnp.concatenate([_diagonal(dw, together) for dw in dws], -1)
    kernels = [_block_diagonal(w, together) for w in jnp.split(b, parts, -1)]
    return jnp.concatenate([product_of(dense, x, w) for x, w in zip(left, kernels, strict=True)], -1)


def _block_diagonal(w: jax.Array, n: int) -> jax.Array:
    """(..., i, n·o) -> (..., n·i, n·o), zero between groups."""
    *kernel, i, o = w.shape
    blocks = w.reshape(*kernel, 1, i, n, o // n)
    eye = jnp.eye(n, dtype=w.dtype)[:, None, :, None]
    wide = jnp.broadcast_to(blocks, (*kernel, n, i, n, o // n))
    return (wide * jnp.broadcast_to(eye, wide.shape)).reshape(*kernel, n * i, o)


def _diagonal(w: jax.Array, n: int) -> jax.Array:
    """(..., n·i, n·o) -> (..., i, n·o), the blocks within groups: the transpose of `_block_diagonal`."""
    *kernel, i, o = w.shape
    blocks = w.reshape(*kernel, n, i // n, n, o // n)
    return jnp.stack([blocks[..., j, :, j, :] for j in range(n)], -2).reshape(*kernel, i // n, o)


def _padded(g: Geometry, x: jax.Array) -> jax.Array:
    """Pad with zeros, or cut where the padding is negative."""
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((*p, 0) for p in g.pads), (0, 0, 0)))
