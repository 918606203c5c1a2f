"""Position encodings: absolute ones, added to embeddings, and relative ones, used in attention.

    sinusoidal    PE[p, 2i] = sin(p / 10000^(2i/d)),  PE[p, 2i + 1] = cos(p / 10000^(2i/d)), added to the embedding
    learned       a table with one vector per position, added to the embedding
    rotary        pairs of channels of q and k rotated by the angle p·θ_i, so that ⟨q_i, k_j⟩ depends on i - j
    Shaw          q·a_(j-i) added to the scores, Σ w a'_(j-i) to the values, learned, |j - i| clipped
    T5 buckets    b_(bucket(j-i)) added to the scores, learned per head; buckets widen with the distance
    ALiBi         -m_h·|i - j| added to the scores, with fixed slopes m_h per head

`positions` are integers `(batch, time)`, or `(1, time)` for all examples: packed documents may restart at 0, and a decoder may
start at any position. Negative positions are padding.
"""

from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_count, check_counts
from jaxdl.types import UserError

Positions = Int[Array, "#batch time"]
Sequences = Float[Array, "batch time channels"]
Heads = Float[Array, "batch time heads dim"]


def positions_of(x: Array) -> Int[Array, "1 time"]:
    """Return 0, 1, 2, ... along axis 1 of x."""
    return jnp.arange(x.shape[1])[None]


def sinusoidal(
    positions: Int[Array, "*shape"], width: int, *, base: float = 10000.0, interleaved: bool = True
) -> Float[Array, "*shape width"]:
    """Return sines and cosines of the positions at `width`/2 frequencies, from 1 to 1/`base`.

        PE[p, 2i] = sin(p / base^(2i/d)),    PE[p, 2i + 1] = cos(p / base^(2i/d))

    `interleaved=False` gives all sines, then all cosines (tensor2tensor). Source: Vaswani et al. 2017, arXiv:1706.03762, 3.5.

    >>> print(np.round(sinusoidal(jnp.array(1), 4), 4))
    [0.8415 0.5403 0.01   1.    ]
    """
    check_count("width", width)
    if width % 2:
        raise UserError(f"width = {width} must be even: sines and cosines come in pairs")
    angle = _angles(positions, width, base)
    parts = (jnp.sin(angle), jnp.cos(angle))
    table = jnp.stack(parts, -1) if interleaved else jnp.concatenate(parts, -1)
    return table.reshape(*positions.shape, width)


def _angles(positions: Array, width: int, base: float) -> Array:
    frequency = 1 / jnp.asarray(base, jnp.float32) ** (jnp.arange(0, width, 2, dtype=jnp.float32) / width)
    positions = positions.astype(jnp.float32)[..., None]
    return positions * frequency.reshape((1,) * (positions.ndim - 1) + (-1,))


class Sinusoidal(nn.Module):
    """Sinusoidal positions: x + PE[positions], without parameters, for any length."""

    base: float = 10000.0
    interleaved: bool = True

    def __call__(self, x: Sequences, positions: Positions) -> Sequences:
        table = sinusoidal(positions, x.shape[-1], base=self.base, interleaved=self.interleaved)
        return x + table.astype(x.dtype)


class Learned(nn.Module):
    """Learned positions: x + table[positions]. Parameter: `position` `(length, channels)`, from N(0, 0.02²)."""

    length: int

    @nn.compact
    def __call__(self, x: Sequences, positions: Positions) -> Sequences:
        check_count("length", self.length)
        if x.shape[1] > self.length:
            raise UserError(f"length = {self.length} learned positions are fewer than the {x.shape[1]} of the sequence")
        table = self.param("position", nn.initializers.normal(0.02), (self.length, x.shape[-1]), jnp.float32)
        return x + table[jnp.maximum(positions, 0)].astype(x.dtype)


Values = Callable[[Float[Array, "batch heads queries keys"]], Float[Array, "batch queries heads dim"]]


class Relative(nn.Module):
    """Base class of relative positions in attention. A subclass defines `rotate` or `__call__`.

    `rotate(x, positions)` changes queries and keys `(batch, time, heads, dim)`. The call, with scaled queries and both positions,
    returns a bias of the scores `(batch or 1, heads, queries, keys)` or None, and a function from the attention weights to a
    summand of the values or None. `shared` is whether all layers of a stack share one instance.
    """

    shared: ClassVar[bool] = True

    def rotate(self, x: Heads, positions: Positions) -> Heads:
        return x

    def __call__(
        self,
        q: Float[Array, "batch queries heads dim"],
        q_positions: Positions,
        k_positions: Positions,
        *,
        causal: bool,
    ) -> tuple[Float[Array, "#batch heads queries keys"] | None, Values | None]:
        return None, None


def rotary(
    x: Float[Array, "batch time heads dim"],
    positions: Positions,
    *,
    base: float = 10000.0,
    dims: int | None = None,
    interleaved: bool = False,
) -> Float[Array, "batch time heads dim"]:
    """Rotary positions (RoPE): rotate pair i of the channels by p·base^(-2i/d), so that products depend on the distance only.

        (x_i, x_(i+d/2)) ← (x_i cos - x_(i+d/2) sin, x_(i+d/2) cos + x_i sin)

    `interleaved` pairs neighbouring channels, as the paper does; the default pairs the two halves (LLaMA, GPT-NeoX). `dims` is
    the number of channels that are rotated, by default all. Source: Su et al. 2021, arXiv:2104.09864.
    """
    dims = x.shape[-1] if dims is None else dims
    check_count("dims", dims)
    if dims % 2 or dims > x.shape[-1]:
        raise UserError(f"dims = {dims} must be even and at most {x.shape[-1]}, the number of channels")
    angle = _angles(positions, dims, base)[:, :, None]
    return rotate_pairs(x, jnp.cos(angle), jnp.sin(angle), interleaved=interleaved)


def rotate_pairs(
    x: Float[Array, "*shape dim"], cos: Array, sin: Array, *, interleaved: bool
) -> Float[Array, "*shape dim"]:
    """Rotate the first pairs of channels by the given angles: (a, b) ← (a·cos - b·sin, b·cos + a·sin)."""
    pairs = cos.shape[-1]
    cos, sin = cos.astype(x.dtype), sin.astype(x.dtype)
    turned, rest = x[..., : 2 * pairs], x[..., 2 * pairs :]
    a, b = (turned[..., ::2], turned[..., 1::2]) if interleaved else jnp.split(turned, 2, -1)
    parts = (a * cos - b * sin, b * cos + a * sin)
    turned = jnp.stack(parts, -1).reshape(turned.shape) if interleaved else jnp.concatenate(parts, -1)
    return jnp.concatenate([turned, rest], -1)


class Rotary(Relative):
    """Relative positions by `rotary` of queries and keys."""

    base: float = 10000.0
    dims: int | None = None
    interleaved: bool = False

    def rotate(self, x: Heads, positions: Positions) -> Heads:
        return rotary(x, positions, base=self.base, dims=self.dims, interleaved=self.interleaved)


def alibi_slopes(heads: int) -> np.ndarray:
    """Return the slopes of ALiBi: 2^(-8/n), 2^(-16/n), ..., 2^-8 if the number n of heads is a power of two.

    Otherwise they are those of the next lower power of two, followed by every second one of the next higher power.

    >>> alibi_slopes(2).tolist()
    [0.0625, 0.00390625]
    """
    check_count("heads", heads)
    whole = 2 ** (heads.bit_length() - 1)
    slopes = 2.0 ** (-8 / whole * np.arange(1, whole + 1))
    between = 2.0 ** (-4 / whole * np.arange(1, 2 * (heads - whole) + 1, 2))
    return np.concatenate([slopes, between]).astype(np.float32)


class ALiBi(Relative):
    """ALiBi: subtracts m_h·|i - j| from the scores. It extends to sequences longer than those in training.

    Source: Press et al. 2021, arXiv:2108.12409.
    """

    def __call__(self, q, q_positions, k_positions, *, causal):
        slopes = jnp.asarray(alibi_slopes(q.shape[2]))[None, :, None, None]
        return -slopes * jnp.abs(distances(q_positions, k_positions))[:, None].astype(jnp.float32), None


def distances(q_positions: Positions, k_positions: Positions) -> Int[Array, "#batch queries keys"]:
    """Return j - i, the position of each key minus that of the query."""
    return k_positions[:, None, :] - q_positions[:, :, None]


def relative_bucket(
    distance: Int[Array, "*shape"], *, buckets: int = 32, max_distance: int = 128, bidirectional: bool = True
) -> Int[Array, "*shape"]:
    """Return T5's bucket of the distance j - i: one bucket for each small distance, wider ones up to `max_distance`.

    The last bucket holds all larger distances. If `bidirectional`, the first half of the buckets is for keys at or before the
    query and the second half for keys after it; otherwise keys after the query are in bucket 0.
    Source: Raffel et al. 2019, arXiv:1910.10683, section 2.1.

    >>> relative_bucket(jnp.array([-200, -20, -1, 0, 1, 20]), bidirectional=True).tolist()
    [15, 10, 1, 0, 17, 26]
    """
    check_counts(buckets=buckets, max_distance=max_distance)
    side = buckets // 2 if bidirectional else buckets
    near, far = side // 2, np.arange(max_distance + 1, dtype=np.float32)
    with np.errstate(divide="ignore"):
        wide = np.log(far / np.float32(near)) / np.float32(np.log(max_distance / near)) * np.float32(side - near)
    table = np.where(far < near, far, np.minimum(near + np.maximum(wide, 0).astype(np.int32), side - 1)).astype(
        np.int32
    )
    steps = jnp.abs(distance) if bidirectional else jnp.maximum(-distance, 0)
    right = side * (distance > 0) if bidirectional else 0
    return jnp.asarray(table)[jnp.minimum(steps, max_distance)] + right


class T5Bias(Relative):
    """Relative position bias of T5: one learned number per bucket and head, shared by all layers of a stack.

    Parameter: `relative_position` `(buckets, heads)`.
    """

    buckets: int = 32
    max_distance: int = 128

    @nn.compact
    def __call__(self, q, q_positions, k_positions, *, causal):
        shape = (self.buckets, q.shape[2])
        table = self.param("relative_position", nn.initializers.normal(0.02), shape, jnp.float32)
        bucket = relative_bucket(
            distances(q_positions, k_positions),
            buckets=self.buckets,
            max_distance=self.max_distance,
            bidirectional=not causal,
        )
        return table[bucket].transpose(0, 3, 1, 2), None


class Shaw(Relative):
    """Relative positions of Shaw: learned vectors for the distances -`clip` to `clip`, for keys and for values, per layer.

        score_ij = q_i·(k_j + a_(j-i)) / √d,    y_i = Σ_j w_ij (v_j + a'_(j-i))

    Parameters: `key_position` and `value_position`, `(2·clip + 1, dim)`. Source: Shaw et al. 2018, arXiv:1803.02155.
    """

    clip: int = 16
    shared: ClassVar[bool] = False

    @nn.compact
    def __call__(self, q, q_positions, k_positions, *, causal):
        check_count("clip", self.clip, 0)
        shape = (2 * self.clip + 1, q.shape[-1])
        init = nn.initializers.glorot_uniform()
        keys, values = (
            self.param(f"{name}_position", init, shape, jnp.float32).astype(q.dtype) for name in ("key", "value")
        )
        index = jnp.clip(distances(q_positions, k_positions), -self.clip, self.clip) + self.clip
        by_distance = jnp.einsum("bqhd,rd->bhqr", q, keys)
        where = jnp.broadcast_to(index[:, None], (*by_distance.shape[:3], index.shape[-1]))
        bias = jnp.take_along_axis(by_distance, where, -1)

        def read(weights: Array) -> Array:
            belongs = jax.nn.one_hot(
                jnp.broadcast_to(index, (weights.shape[0], *index.shape[1:])), shape[0], dtype=weights.dtype
            )
            return jnp.einsum("bhqk,bqkr,rd->bqhd", weights, belongs, values)

        return bias, read


class SinusoidalRelative(Relative):
    """Relative positions of Transformer-XL: products of the query with projected sinusoids of the distance.

        score_ij = (q_i·k_j + (q_i + v)·W r_(i-j)) / √d        r: `sinusoidal`

    The other bias of the paper, u in (q_i + u)·k_j, is the bias of the query layer. Parameters, per layer: `kernel`
    `(heads·dim, heads·dim)` and `bias` `(heads, dim)`. Source: Dai et al. 2019, arXiv:1901.02860, section 3.3.
    """

    shared: ClassVar[bool] = False

    @nn.compact
    def __call__(self, q, q_positions, k_positions, *, causal):
        heads, dim = q.shape[2:]
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (heads * dim, heads * dim), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (heads, dim), jnp.float32)
        distance = -distances(q_positions, k_positions)
        span = q_positions.shape[1] + k_positions.shape[1] - 1
        first = distance.min((1, 2), keepdims=True)  # positions are contiguous, so that there are `span` distances
        r = sinusoidal(first[:, :, 0] + jnp.arange(span)[None], heads * dim).astype(q.dtype) @ kernel.astype(q.dtype)
        r = r.reshape(r.shape[0], span, heads, dim)
        scale = jnp.asarray(dim**-0.5, q.dtype)
        shifted = q + jnp.broadcast_to(bias.astype(q.dtype) * scale, q.shape)
        by_distance = jnp.einsum("bqhd,bshd->bhqs", shifted, jnp.broadcast_to(r, (q.shape[0], *r.shape[1:])))
        where = jnp.broadcast_to((distance - first)[:, None], (*by_distance.shape[:3], distance.shape[2]))
        return jnp.take_along_axis(by_distance, where, -1, mode="clip"), None
