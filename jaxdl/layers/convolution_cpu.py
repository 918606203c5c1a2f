"""The three products of a convolution, in the forms that XLA's CPU backend runs fast.

A convolution `y = x ⋆ w` is bilinear, so there are three maps and each is the derivative of the others:

    y[n, o, j]  = Σ_t Σ_i  x[n, o·s + t·d - p, i] · w[t, i, j]           forward
    dx[n, q, i] = Σ_t Σ_j  dy[n, (q + p - t·d)/s, j] · w[t, i, j]        input_gradient (a transposed convolution)
    dw[t, i, j] = Σ_n Σ_o  x[n, o·s + t·d - p, i] · dy[n, o, j]          kernel_gradient

What XLA derives itself is slow on a CPU in four places: gradients in another than the canonical layout (naive loops
inside `scan` and `while`: 20x), strided `dx` (multiplies mostly zeros: 2x), depthwise (40x), 1x1 kernels' `dw`.
On GPUs and TPUs the plain forms are right; `convolution.py` chooses.
"""

from itertools import product
from math import gcd, prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.layers.arithmetic import Pairs


class Geometry(NamedTuple):
    """Everything static about one convolution; sizes are those of the padded side, the input of `forward`."""

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
        """A 1x1 kernel without padding is a matrix product."""
        return self.groups == 1 and prod(self.kernel) == 1 and all(p == (0, 0) for p in self.pads)


def layout(rank: int) -> tuple[str, str, str]:
    """Channels last: ("NHWC", "HWIO", "NHWC") for two spatial axes."""
    axes = "DHW"[3 - rank :]
    return f"N{axes}C", f"{axes}IO", f"N{axes}C"


def plain(g: Geometry, x: jax.Array, w: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(
        x, w, g.strides, g.pads, (1,) * g.rank, g.dilation, layout(g.rank), feature_group_count=g.groups
    )


def _strided(g: Geometry, x: jax.Array) -> jax.Array:
    return x[:, *(slice(None, None, s) for s in g.strides)]


def _depthwise(g: Geometry, x: jax.Array) -> bool:
    return g.groups == x.shape[-1] > 1


# -- forward ----------------------------------------------------------------------------------------------------------


def forward(g: Geometry, x: jax.Array, w: jax.Array) -> jax.Array:
    if g.pointwise:
        return jnp.tensordot(_strided(g, x), w.reshape(w.shape[-2:]), 1)
    if _depthwise(g, x):
        return _depthwise_forward(g, x, w)
    return plain(g, x, w)


def taps(g: Geometry):
    """For every kernel position: its index and the slices of the padded input that it multiplies."""
    for t in product(*map(range, g.kernel)):
        begin = [i * d for i, d in zip(t, g.dilation, strict=True)]
        spans = zip(begin, g.outputs, g.strides, strict=True)
        yield t, tuple(slice(b, b + (o - 1) * s + 1, s) for b, o, s in spans)


def _depthwise_forward(g: Geometry, x: jax.Array, w: jax.Array) -> jax.Array:
    """Σ over taps of the shifted input times one weight per channel; channel c makes outputs c·m ... c·m + m - 1."""
    x = jnp.pad(x, ((0, 0), *g.pads, (0, 0)))
    channels, many = x.shape[-1], w.shape[-1] // x.shape[-1]
    y = 0
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
    if g.groups == channels > 1 and w.shape[-1] == channels and set(g.strides) == {1}:
        return _depthwise_forward(*_reflected(g, w, dy))
    return _by_phases(g, dy, w, channels)


def _reflected(g: Geometry, w: jax.Array, dy: jax.Array):
    """At stride 1 the transpose of a depthwise convolution is one with the kernel turned round."""
    reach = [d * (k - 1) for k, d in zip(g.kernel, g.dilation, strict=True)]
    ends = zip(g.pads, reach, g.sizes, g.outputs, strict=True)
    pads = tuple((r - p[0], n + p[0] - o) for p, r, n, o in ends)
    dy = lax.pad(dy, jnp.zeros((), dy.dtype), ((0, 0, 0), *((lo, hi, 0) for lo, hi in pads), (0, 0, 0)))
    turned = Geometry(g.outputs, g.kernel, g.strides, ((0, 0),) * g.rank, g.dilation, g.groups)
    turned = turned._replace(sizes=dy.shape[1:-1])
    return turned, dy, jnp.flip(w, range(g.rank))


def _by_phases(g: Geometry, dy: jax.Array, w: jax.Array, channels: int) -> jax.Array:
    """Positions q ≡ r (mod s) of the padded input meet only the taps with t·d ≡ r: s small dense convolutions of `dy`,
    one per phase r, interleaved; instead of one large convolution with the zeros of a dilated `dy`."""
    w = swap_channels(w, g.groups)
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
        dilation = tuple(step for _, _, step in axes)
        reach = [d * (k - 1) for d, k in zip(dilation, small.shape, strict=False)]
        low = [r - a - offset for r, a, (_, offset, _) in zip(reach, first, axes, strict=True)]
        pads = [(lo, n + r - o - lo) for lo, n, r, o in zip(low, rows, reach, g.outputs, strict=True)]
        small = lax.optimization_barrier(jnp.flip(small, range(g.rank)))
        phases.append(
            lax.conv_general_dilated(
                dy, small, (1,) * g.rank, pads, (1,) * g.rank, dilation, layout(g.rank), feature_group_count=g.groups
            )
        )
    dx = phases[0] if len(phases) == 1 else _interleave(jnp.stack(phases), g.strides)
    begin = [p[0] - a * s for p, a, s in zip(g.pads, first, g.strides, strict=True)]
    return dx[:, *(slice(b, b + n) for b, n in zip(begin, g.sizes, strict=True))]


def swap_channels(w: jax.Array, groups: int) -> jax.Array:
    """(..., in/g, out) -> (..., out/g, in)."""
    *kernel, i, o = w.shape
    w = w.reshape(*kernel, i, groups, o // groups)
    return jnp.swapaxes(w, -3, -1).reshape(*kernel, o // groups, groups * i)


def _phase(r: int, k: int, s: int, d: int) -> tuple[slice | None, int, int]:
    """The taps t of one axis with t·d ≡ r (mod s), where in `dy` the first of them reads, and the step between them."""
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
        return _grouped_kernel_gradient(g, x, dy)
    # The input channels become the batch and the batch becomes the channels, so that this, too, is an ordinary
    # channels-last convolution. The barriers stop XLA from folding the transposes back into it.
    to_front, to_back = (g.rank + 1, *range(1, g.rank + 1), 0), (*range(1, g.rank + 1), 0, g.rank + 1)
    xt, dyt = lax.optimization_barrier((x.transpose(to_front), dy.transpose(to_back)))
    spans = zip(g.sizes, g.kernel, g.strides, g.pads, g.dilation, g.outputs, strict=True)
    pads = [(p[0], d * (k - 1) + (o - 1) * s + 1 - n - p[0]) for n, k, s, p, d, o in spans]
    dw = lax.conv_general_dilated(xt, dyt, g.dilation, pads, (1,) * g.rank, g.strides, layout(g.rank))
    return lax.optimization_barrier(dw).transpose(to_back)


def _depthwise_kernel_gradient(g: Geometry, x: jax.Array, dy: jax.Array) -> jax.Array:
    """One example after the other: the sums of products of all taps stay in the cache."""
    x = jnp.pad(x, ((0, 0), *g.pads, (0, 0)))
    channels, many = x.shape[-1], dy.shape[-1] // x.shape[-1]
    windows = [window for _, window in taps(g)]

    def example(sums, pair):
        row, d = pair
        d = d.reshape(*d.shape[:-1], channels, many)
        return tuple(
            a + d * jnp.broadcast_to(row[window][..., None], d.shape) for a, window in zip(sums, windows, strict=True)
        ), None

    # varying like the data under shard_map, hence made from it
    zero = jnp.zeros_like(dy[0]).reshape(*dy.shape[1:-1], channels, many)
    sums, _ = lax.scan(example, (zero,) * len(windows), (x, dy))
    spatial = tuple(range(g.rank))
    return jnp.stack([a.sum(spatial) for a in sums]).reshape(*g.kernel, 1, channels * many)


def _grouped_kernel_gradient(g: Geometry, x: jax.Array, dy: jax.Array) -> jax.Array:
    """One matrix product per tap, batched over the groups."""
    x = jnp.pad(x, ((0, 0), *g.pads, (0, 0)))
    i, o = x.shape[-1] // g.groups, dy.shape[-1] // g.groups
    x = jnp.moveaxis(x.reshape(*x.shape[:-1], g.groups, i), -2, 0)
    dy = jnp.moveaxis(dy.reshape(-1, g.groups, o), 1, 0)
    products = [jnp.einsum("gni,gno->gio", x[:, :, *window].reshape(g.groups, -1, i), dy) for _, window in taps(g)]
    return jnp.stack(products).transpose(0, 2, 1, 3).reshape(*g.kernel, i, g.groups * o)
