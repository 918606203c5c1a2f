"""Where a token stands: absolute positions, added to what it is, and relative ones, inside attention.

    sinusoidal    PE[p, 2i] = sin(p / 10000^(2i/d)),  PE[p, 2i + 1] = cos(the same)          added to the embedding
    learned       a table with one vector a position                                       added to the embedding
    rotary        pairs of channels turned by the angle p·θ_i: ⟨q_i, k_j⟩ knows only i - j      applied to q and k
    Shaw          q·a_(j-i) added to the scores, Σ w a'_(j-i) to the values, |j - i| clipped     learned
    T5 buckets    b_(bucket(j-i)) added to the scores, one a head; buckets widen with distance  learned
    ALiBi         -m_h·|i - j| added to the scores, slopes m_h fixed per head

`positions` are integers `(batch, time)` (or `(1, time)`: the same for all), so packed documents may restart at 0 and a decoder
may stand anywhere. Negative ones mark padding, whose result nobody reads.
"""

from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.types import UserError

Positions = Int[Array, "#batch time"]


def positions_of(x: Array) -> Int[Array, "1 time"]:
    """0, 1, 2, ... along axis 1 of x."""
    return jnp.arange(x.shape[1])[None]


def sinusoidal(
    positions: Int[Array, "*shape"], width: int, *, base: float = 10000.0, interleaved: bool = True
) -> Float[Array, "*shape width"]:
    """Sine and cosine of the position at `width`/2 frequencies, from 1 to 1/`base`.

        PE[p, 2i] = sin(p / base^(2i/d)),    PE[p, 2i + 1] = cos(p / base^(2i/d))

    `interleaved=False` has all sines, then all cosines, as tensor2tensor and Marian do (the channels in
    another order). Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    >>> print(np.round(sinusoidal(jnp.array(1), 4), 4))
    [0.8415 0.5403 0.01   1.    ]
    """
    if width % 2:
        raise UserError(f"width={width}: sines and cosines come in pairs, take an even number")
    angle = _angles(positions, width, base)
    parts = (jnp.sin(angle), jnp.cos(angle))
    table = jnp.stack(parts, -1) if interleaved else jnp.concatenate(parts, -1)
    return table.reshape(*positions.shape, width)


def _angles(positions: Array, width: int, base: float) -> Array:
    frequency = 1 / jnp.asarray(base, jnp.float32) ** (jnp.arange(0, width, 2, dtype=jnp.float32) / width)
    positions = positions.astype(jnp.float32)[..., None]
    return positions * frequency.reshape((1,) * (positions.ndim - 1) + (-1,))


class Sinusoidal(nn.Module):
    """x + PE[positions]; no parameters, any length."""

    base: float = 10000.0
    interleaved: bool = True

    def __call__(
        self, x: Float[Array, "batch time channels"], positions: Positions
    ) -> Float[Array, "batch time channels"]:
        table = sinusoidal(positions, x.shape[-1], base=self.base, interleaved=self.interleaved)
        return x + table.astype(x.dtype)


class Learned(nn.Module):
    """x + table[positions], positions below `length`. Parameter `position` `(length, channels)`, standard deviation 0.02."""

    length: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch time channels"], positions: Positions
    ) -> Float[Array, "batch time channels"]:
        if x.shape[1] > self.length:
            raise UserError(f"length={self.length}: the learned positions end there, got a sequence of {x.shape[1]}")
        table = self.param("position", nn.initializers.normal(0.02), (self.length, x.shape[-1]), jnp.float32)
        return x + table[jnp.maximum(positions, 0)].astype(x.dtype)


Values = Callable[[Float[Array, "batch heads queries keys"]], Float[Array, "batch queries heads dim"]]


class Relative(nn.Module):
    """What attention asks of a relative scheme; each scheme answers one of the two questions and leaves the other.

    `rotate(x, positions)` turns queries and keys `(batch, time, heads, dim)`. Calling it with scaled queries and both positions
    gives a bias `(batch or 1, heads, queries, keys)` for the scores (or None), and a function from the attention weights to what
    is added to the values (or None). `shared` says whether one instance serves all layers of a stack.
    """

    shared: ClassVar[bool] = True

    def rotate(
        self, x: Float[Array, "batch time heads dim"], positions: Positions
    ) -> Float[Array, "batch time heads dim"]:
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
    """Turns the i-th pair of channels by p·base^(-2i/d): the product of two turned vectors depends on their distance only.

        (x_i, x_(i+d/2)) ← (x_i cos - x_(i+d/2) sin, x_(i+d/2) cos + x_i sin)

    `interleaved` pairs neighbours, as the paper does; the default pairs halves (LLaMA, GPT-NeoX). `dims`: turn only the first so
    many channels. Source: Su et al. 2021, arXiv:2104.09864.
    """
    dims = x.shape[-1] if dims is None else dims
    if dims % 2 or dims > x.shape[-1]:
        raise UserError(f"dims={dims}: rotary positions turn an even number of the {x.shape[-1]} channels")
    angle = _angles(positions, dims, base)[:, :, None]
    return rotate_pairs(x, jnp.cos(angle), jnp.sin(angle), interleaved=interleaved)


def rotate_pairs(
    x: Float[Array, "*shape dim"], cos: Array, sin: Array, *, interleaved: bool
) -> Float[Array, "*shape dim"]:
    """(a, b) ← (a·cos - b·sin, b·cos + a·sin) for the first pairs of channels, as many as `cos` and `sin` have."""
    pairs = cos.shape[-1]
    cos, sin = cos.astype(x.dtype), sin.astype(x.dtype)
    turned, rest = x[..., : 2 * pairs], x[..., 2 * pairs :]
    a, b = (turned[..., ::2], turned[..., 1::2]) if interleaved else jnp.split(turned, 2, -1)
    parts = (a * cos - b * sin, b * cos + a * sin)
    turned = jnp.stack(parts, -1).reshape(turned.shape) if interleaved else jnp.concatenate(parts, -1)
    return jnp.concatenate([turned, rest], -1)


class Rotary(Relative):
    """`rotary` on queries and keys."""

    base: float = 10000.0
    dims: int | None = None
    interleaved: bool = False

    def rotate(
        self, x: Float[Array, "batch time heads dim"], positions: Positions
    ) -> Float[Array, "batch time heads dim"]:
        return rotary(x, positions, base=self.base, dims=self.dims, interleaved=self.interleaved)


def alibi_slopes(heads: int) -> np.ndarray:
    """2^(-8/n), 2^(-16/n), ..., 2^-8 for n heads a power of two; otherwise those of the next lower power, then every
    other of the next higher.

    >>> alibi_slopes(2).tolist()
    [0.0625, 0.00390625]
    """
    whole = 2 ** (heads.bit_length() - 1)
    slopes = 2.0 ** (-8 / whole * np.arange(1, whole + 1))
    between = 2.0 ** (-4 / whole * np.arange(1, 2 * (heads - whole) + 1, 2))
    return np.concatenate([slopes, between]).astype(np.float32)


class ALiBi(Relative):
    """Scores minus m_h·|i - j|: nearer is more, and longer sequences than in training work.

    Source: Press et al. 2021, arXiv:2108.12409.
    """

    def __call__(self, q, q_positions, k_positions, *, causal):
        slopes = jnp.asarray(alibi_slopes(q.shape[2]))[None, :, None, None]
        return -slopes * jnp.abs(distances(q_positions, k_positions))[:, None].astype(jnp.float32), None


def distances(q_positions: Positions, k_positions: Positions) -> Int[Array, "#batch queries keys"]:
    """j - i: how far right of the query a key stands."""
    return k_positions[:, None, :] - q_positions[:, :, None]


def relative_bucket(
    distance: Int[Array, "*shape"], *, buckets: int = 32, max_distance: int = 128, bidirectional: bool = True
) -> Int[Array, "*shape"]:
    """T5's bucket of the distance j - i: one each for the near ones, wider and wider up to `max_distance`, one for all beyond.

    Bidirectional: the first half of the buckets for keys at or left of the query, the other for those right of it; else all to
    the left, and bucket 0 for everything to the right. Source: Raffel et al. 2019, arXiv:1910.10683, section 2.1.

    >>> relative_bucket(jnp.array([-200, -20, -1, 0, 1, 20]), bidirectional=True).tolist()
    [15, 10, 1, 0, 17, 26]
    """
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
    """One learned number per bucket and head, added to the scores; all layers of a stack share it.

    Parameter `relative_position` `(buckets, heads)`.
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
    """Learned vectors for the distances -`clip` … `clip`, one table for keys and one for values, in every layer its own.

        score_ij = q_i·(k_j + a_(j-i)) / √d,    y_i = Σ_j w_ij (v_j + a'_(j-i))

    Parameters `key_position` and `value_position`, `(2·clip + 1, dim)`. Source: Shaw et al. 2018, arXiv:1803.02155.
    """

    clip: int = 16
    shared: ClassVar[bool] = False

    @nn.compact
    def __call__(self, q, q_positions, k_positions, *, causal):
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
    """Transformer-XL's positions: the sines and cosines of the distance, projected, meet the query.

        score_ij = (q_i·k_j + (q_i + v)·W r_(i-j)) / √d        r: `sinusoidal`

    The paper's other bias, u in (q_i + u)·k_j, is the query layer's own. Parameters `kernel` `(heads·dim, heads·dim)` and `bias`
    `(heads, dim)`, in every layer its own. Source: Dai et al. 2019, arXiv:1901.02860, section 3.3.
    """

    shared: ClassVar[bool] = False

    @nn.compact
    def __call__(self, q, q_positions, k_positions, *, causal):
        heads, dim = q.shape[2:]
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (heads * dim, heads * dim), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (heads, dim), jnp.float32)
        distance = -distances(q_positions, k_positions)
        span = q_positions.shape[1] + k_positions.shape[1] - 1
        first = distance.min(
            (1, 2), keepdims=True
        )  # contiguous positions: the distances are `span` neighbouring numbers
        r = sinusoidal(first[:, :, 0] + jnp.arange(span)[None], heads * dim).astype(q.dtype) @ kernel.astype(q.dtype)
        r = r.reshape(r.shape[0], span, heads, dim)
        scale = jnp.asarray(dim**-0.5, q.dtype)
        shifted = q + jnp.broadcast_to(bias.astype(q.dtype) * scale, q.shape)
        by_distance = jnp.einsum("bqhd,bshd->bhqs", shifted, jnp.broadcast_to(r, (q.shape[0], *r.shape[1:])))
        where = jnp.broadcast_to((distance - first)[:, None], (*by_distance.shape[:3], distance.shape[2]))
        return jnp.take_along_axis(by_distance, where, -1, mode="clip"), None
