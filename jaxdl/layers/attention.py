"""Scaled dot-product attention, masks, and multi-head attention with a key-value cache.

    y = softmax(Q·Kᵀ/√d + bias)·V

Queries are `(batch, queries, heads, dim)`, keys and values `(batch, keys, kv_heads, dim)`; fewer kv_heads than heads is
grouped-query attention. Masks are boolean, True where a query attends to a key; the result of a query without a key is 0.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxdl.counts import check_counts
from jaxdl.layers.convolution import Initializer, lecun
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate, absent
from jaxdl.layers.position import Positions, Relative, positions_of
from jaxdl.types import UserError

Queries = Float[Array, "batch queries heads dim"]
Keys = Float[Array, "batch keys kv_heads dim"]
Weights = Float[Array, "batch heads queries keys"]

Mask = Bool[Array, "#batch #heads queries keys"]


def causal_mask(q_positions: Positions, k_positions: Positions) -> Mask:
    """Mask for keys at the position of the query or before it.

    >>> causal_mask(jnp.arange(3)[None], jnp.arange(3)[None])[0, 0].astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    return (k_positions[:, None, :] <= q_positions[:, :, None])[:, None]


def local_mask(q_positions: Positions, k_positions: Positions, left: int, right: int = 0) -> Mask:
    """Mask for keys from `left` positions before the query to `right` positions after it."""
    check_counts(0, left=left, right=right)
    distance = k_positions[:, None, :] - q_positions[:, :, None]
    return ((distance >= -left) & (distance <= right))[:, None]


def padding_mask(lengths: Int[Array, "batch"], keys: int) -> Mask:
    """Mask for the first `lengths` keys of each example: `(batch, 1, 1, keys)`."""
    return (jnp.arange(keys)[None, :] < lengths[:, None])[:, None, None, :]


def segment_mask(q_segments: Int[Array, "batch queries"], k_segments: Int[Array, "batch keys"]) -> Mask:
    """Mask for keys of the same document, where several documents are packed into one row."""
    return (q_segments[:, :, None] == k_segments[:, None, :])[:, None]


def both(a: Mask | None, b: Mask | None) -> Mask | None:
    """Return a & b, where None is a mask that allows everything."""
    return b if a is None else a if b is None else a & b


# -- the formula ------------------------------------------------------------------------------------------------------


def attention_weights(
    q: Queries,
    k: Keys,
    *,
    mask: Mask | None = None,
    bias: Float[Array, "#batch #heads #queries keys"] | None = None,
    causal: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
) -> Weights:
    """Return softmax(cap(Q·Kᵀ·scale) + bias) over the keys, in float32. Rows sum to 1, or are 0 if the mask allows no key.

    Args:
        mask, bias: of a shape that broadcasts to the result.
        causal: allow keys up to the index of the query.
        scale: 1/√dim by default.
        softcap: c limits scores to (-c, c) as c·tanh(score/c).
    """
    batch, queries, heads, dim = q.shape
    keys, kv_heads = k.shape[1:3]
    if heads % kv_heads:
        raise UserError(f"kv_heads = {kv_heads} must divide the {heads} heads")
    scaled = q * jnp.asarray(dim**-0.5 if scale is None else scale, q.dtype)
    scaled = scaled.reshape(batch, queries, kv_heads, -1, dim)
    scores = jnp.einsum("bqngd,bknd->bngqk", scaled, k, preferred_element_type=jnp.float32)
    scores = scores.reshape(batch, heads, queries, keys)
    if softcap is not None:
        scores = softcap * jnp.tanh(scores / softcap)
    if bias is not None:
        scores = jnp.maximum(scores + bias.astype(scores.dtype), -1e30)  # a row of -∞ would give NaN
    seen = both(mask, causal_mask(positions_of(q), positions_of(k)) if causal else None)
    if seen is None:
        return jax.nn.softmax(scores)
    weights = jax.nn.softmax(jnp.where(seen, scores, -1e30))
    return weights if mask is None else jnp.where(seen, weights, 0)  # a causal mask always allows the first key


def weighted_values(weights: Weights, v: Keys) -> Queries:
    """Return Σ_k w_qk v_k for every head."""
    batch, heads, queries, keys = weights.shape
    weights = weights.astype(v.dtype).reshape(batch, v.shape[2], -1, queries, keys)
    return jnp.einsum("bngqk,bknd->bqngd", weights, v).reshape(batch, queries, heads, v.shape[-1])


def dot_product_attention(
    q: Queries,
    k: Keys,
    v: Float[Array, "batch keys kv_heads value"],
    *,
    mask: Mask | None = None,
    bias: Float[Array, "#batch #heads #queries keys"] | None = None,
    causal: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
) -> Float[Array, "batch queries heads value"]:
    """Scaled dot-product attention y = softmax(Q·Kᵀ/√d + bias)·V, with the arguments of `attention_weights`.

    On an NVIDIA GPU, in 16 bits, it uses the fused kernel of cuDNN, which does not store the weights.
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
    """
    if softcap is None and _has_kernel(q, k, v):
        whole = lambda x: jnp.broadcast_to(x, (*x.shape[:2], q.shape[1], k.shape[1]))
        given: dict[str, Any] = {n: None if x is None else whole(x) for n, x in (("bias", bias), ("mask", mask))}
        y = jax.nn.dot_product_attention(q, k, v, **given, scale=scale, is_causal=causal, implementation="cudnn")
        if mask is None:
            return y
        seen = both(mask, causal_mask(positions_of(q), positions_of(k))) if causal else mask
        return jnp.where(jnp.asarray(seen).any(-1, keepdims=True).swapaxes(1, 2), y, 0)
    weights = attention_weights(q, k, mask=mask, bias=bias, causal=causal, scale=scale, softcap=softcap)
    return weighted_values(weights, v)


def _has_kernel(q: Array, k: Array, v: Array) -> bool:
    """Whether cuDNN's kernel can be used; decided while tracing, because it cannot be lowered for another platform."""
    half = q.dtype in (jnp.bfloat16, jnp.float16) and q.dtype == k.dtype == v.dtype
    fits = k.shape == v.shape and q.shape[-1] % 8 == 0 and q.shape[-1] <= 128
    even = q.shape[1] % 2 == k.shape[1] % 2 == 0  # needed by its gradient with a mask or bias
    return half and fits and even and jax.default_backend() == "gpu"


# -- multi-head -------------------------------------------------------------------------------------------------------


class KeyValue(NamedTuple):
    """Cache of keys and values for decoding. Each has the layout that its matrix product reads."""

    k: Float[Array, "batch kv_heads slots dim"]
    v: Float[Array, "batch kv_heads dim slots"]

    @property
    def slots(self) -> int:
        return self.k.shape[2]

    @classmethod
    def of(cls, k: Keys, v: Keys) -> "KeyValue":
        return cls(k.swapaxes(1, 2), v.transpose(0, 2, 3, 1))

    @classmethod
    def empty(cls, batch: int, heads: int, slots: int, dim: int, dtype: Any = jnp.float32) -> "KeyValue":
        return cls(jnp.zeros((batch, heads, slots, dim), dtype), jnp.zeros((batch, heads, dim, slots), dtype))

    def read(self) -> tuple[Keys, Keys]:
        """Return keys and values in the layout of `dot_product_attention`."""
        return self.k.swapaxes(1, 2), self.v.transpose(0, 3, 1, 2)

    def write(self, k: Keys, v: Keys, at: Positions) -> "KeyValue":
        """Store keys and values at their positions. Negative positions (padding) and those after the last slot are dropped."""
        rows = jnp.arange(k.shape[0])[:, None]
        slots = jnp.broadcast_to(jnp.where(at < 0, self.slots, at), k.shape[:2])
        new_k = self.k.at[rows, :, slots].set(k.astype(self.k.dtype), mode="drop")
        return KeyValue(new_k, self.v.at[rows, :, :, slots].set(v.astype(self.v.dtype), mode="drop"))


class MultiHead(nn.Module):
    """Multi-head attention: `heads` attentions of `dim` channels, joined by a dense layer, y = concat(head_i)·W_o.

        head_i = attention(x·W_q,i, memory·W_k,i, memory·W_v,i)        4·width² + 4·width parameters

    Args:
        width: number of channels of the result.
        kv_heads: number of key and value heads, each for heads/kv_heads query heads; `heads` by default, 1 is multi-query.
        dim: number of channels of a head; width/heads by default.
        rate: dropout rate of the attention weights.
        scale: factor of the scores; 1/√dim by default (T5: 1).
        window: (left, right), the farthest positions before and after the query that it attends to.
        relative: relative positions, such as `Rotary()` or `ALiBi()`. Positions are 0, 1, ... by default.
        kernel_init, out_init: initializers of the kernels; `out_init` is for the last one only.

    With `x` alone it is self-attention, with `memory` cross-attention. `step` is self-attention with a cache.
    `apply(..., mutable="intermediates")` returns the `weights`, too. Parameters: `query`, `key`, `value`, `out`.
    """

    width: int
    heads: int
    kv_heads: int | None = None
    dim: int | None = None
    use_bias: bool = True
    rate: Rate = 0.0
    scale: float | None = None
    window: tuple[int, int] | None = None
    relative: Relative | None = None
    kernel_init: Initializer = lecun
    out_init: Initializer | None = None

    def setup(self) -> None:
        check_counts(width=self.width, heads=self.heads, kv_heads=self.kv_heads, dim=self.dim)
        if self.dim is None and self.width % self.heads:
            raise UserError(f"heads = {self.heads} must divide width = {self.width}, unless dim is given")
        self.query = Dense(self.heads * self.head_dim, self.use_bias, self.kernel_init)
        self.key = Dense(self.keys * self.head_dim, self.use_bias, self.kernel_init)
        self.value = Dense(self.keys * self.head_dim, self.use_bias, self.kernel_init)
        self.out = Dense(self.width, self.use_bias, self.out_init or self.kernel_init)
        self.drop = Dropout(self.rate)

    @property
    def head_dim(self) -> int:
        return self.width // self.heads if self.dim is None else self.dim

    @property
    def keys(self) -> int:
        return self.heads if self.kv_heads is None else self.kv_heads

    def __call__(
        self,
        x: Float[Array, "batch queries channels"],
        memory: Float[Array, "batch keys channels"] | None = None,
        *,
        mask: Mask | None = None,
        causal: bool = False,
        positions: Positions | None = None,
        memory_positions: Positions | None = None,
        train: bool,
    ) -> Float[Array, "batch queries width"]:
        if memory is None:
            memory, memory_positions = x, positions
        k, v = self.project(memory, memory_positions)
        at: dict[str, Any] = {"positions": positions, "memory_positions": memory_positions}
        return self.read(x, k, v, mask=mask, causal=causal, train=train, **at)

    def project(self, memory: Array, positions: Positions | None = None) -> tuple[Array, Array]:
        """Return keys, rotated by their positions, and values: `(batch, keys, kv_heads, dim)`."""
        k, v = (self._split(d(memory), self.keys) for d in (self.key, self.value))
        return self._rotate(k, positions), v

    def read(
        self,
        x: Array,
        k: Array,
        v: Array,
        *,
        mask: Mask | None = None,
        causal: bool = False,
        positions: Positions | None = None,
        memory_positions: Positions | None = None,
        train: bool = False,
        order: bool | None = None,
    ) -> Array:
        """Return the attention of x to keys and values. `order` is the `causal` of the relative positions if it differs."""
        q = self._rotate(self._split(self.query(x), self.heads), positions)
        at = positions_of(q) if positions is None else positions
        to = positions_of(k) if memory_positions is None else memory_positions
        if self.window is not None:
            mask = both(mask, local_mask(at, to, *self.window))
        scale, bias, values = self.head_dim**-0.5 if self.scale is None else self.scale, None, None
        if self.relative is not None:
            bias, values = self.relative(q * scale, at, to, causal=causal if order is None else order)
        options: dict[str, Any] = {"mask": mask, "bias": bias, "causal": causal, "scale": scale}
        noisy = train and not absent(self.rate)
        if not noisy and values is None and not self.is_mutable_collection("intermediates"):
            y = dot_product_attention(q, k, v, **options)
        else:
            weights = attention_weights(q, k, **options).astype(q.dtype)
            self.sow("intermediates", "weights", weights)
            weights = self.drop(weights, train=train)
            y = weighted_values(weights, v)
            y = y if values is None else y + values(weights)
        return self.out(y.reshape(*y.shape[:2], -1))

    def step(self, x: Array, cache: KeyValue, positions: Positions) -> tuple[Array, KeyValue]:
        """Return causal self-attention of new tokens at `positions` to the cache, and the cache with these tokens."""
        cache = cache.write(*self.project(x, positions), positions)
        slots = jnp.arange(cache.slots)[None]
        k, v = cache.read()
        mask = causal_mask(positions, slots)
        return self.read(x, k, v, mask=mask, positions=positions, memory_positions=slots, order=True), cache

    def empty(self, batch: int, slots: int, dtype: Any = jnp.float32) -> KeyValue:
        return KeyValue.empty(batch, self.keys, slots, self.head_dim, dtype)

    def _split(self, x: Array, heads: int) -> Array:
        return x.reshape(*x.shape[:2], heads, self.head_dim)

    def _rotate(self, x: Array, positions: Positions | None) -> Array:
        if self.relative is None:
            return x
        return self.relative.rotate(x, positions_of(x) if positions is None else positions)
