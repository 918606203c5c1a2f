"""Block of a Transformer, its configuration (`Config`) and a stack of blocks; the models are in `transformer.py`.

x ← x + attention(norm(x)),  x ← x + mlp(norm(x))      norm first (GPT-2, T5): trains without warm-up also when deep
x ← norm(x + attention(x)),  x ← norm(x + mlp(x))      norm last (Vaswani et al. 2017, BERT, Marian)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.activations import relu
from jaxdl.layers.attention import KeyValue, Mask, MultiHead
from jaxdl.layers.convolution import Initializer, lecun
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.normalization import LayerNorm
from jaxdl.layers.position import Positions, Relative, Sinusoidal
from jaxdl.tracing import along_time, recompute_block
from jaxdl.types import UserError

Hidden = Float[Array, "batch time width"]
Cache = dict[str, Any]
"""A tree of arrays with the batch on axis 0, which beam search reorders."""


@dataclass(frozen=True)
class Config:
    """Configuration of a Transformer; the defaults are the base model of Vaswani et al. 2017 (arXiv:1706.03762).

    Args:
        vocab, width, depth, heads, hidden: number of tokens, channels, blocks (per side), attention heads, channels in the MLP.
        kv_heads, dim: number of heads of keys and values (None: heads); channels per head (None: width/heads).
        act, gate: activation of the MLP; `gate=True` multiplies it by a second dense layer, act(W·x)⊙(V·x).
        norm, order: makes the normalisation layer; "first" is before each branch and at the end, "last" after each sum.
        position, relative: position encoding that is added to the embedding (`Sinusoidal`, `partial(Learned, 512)`); position
            encoding inside attention (`Rotary`, `ALiBi`, `T5Bias`, `Shaw`).
        rate, attention_rate, mlp_rate: dropout of embeddings and branches, of attention weights, inside the MLP.
        types, embed_norm, embed_scale: number of segment types (BERT: 2); norm after the embeddings; factor of the embeddings.
        tied, logit_scale, logit_bias: whether the embedding is the output matrix; factor of its input (T5); bias of the logits.
        attention_scale: factor of the attention scores (None: 1/√dim).
        window: largest distance (left, right) that attention spans.
        kernel_init, out_init: initialisation of dense kernels; of the last kernel of each branch (None: the same).
    """

    vocab: int = 37000
    width: int = 512
    depth: int = 6
    heads: int = 8
    hidden: int = 2048
    kv_heads: int | None = None
    dim: int | None = None
    act: Callable[[Array], Array] = relu
    gate: bool = False
    norm: Callable[..., nn.Module] = LayerNorm
    order: Literal["first", "last"] = "last"
    position: Callable[[], nn.Module] | None = Sinusoidal
    relative: Callable[[], Relative] | None = None
    rate: Rate = 0.0
    attention_rate: Rate = 0.0
    mlp_rate: Rate = 0.0
    use_bias: bool = True
    types: int = 0
    embed_norm: bool = False
    embed_scale: float | None = None
    embed_init: float = 0.02
    tied: bool = True
    logit_scale: float | None = None
    logit_bias: bool = False
    attention_scale: float | None = None
    window: tuple[int, int] | None = None
    kernel_init: Initializer = lecun
    out_init: Initializer | None = None

    def __post_init__(self) -> None:
        if self.order not in ("first", "last"):
            raise UserError(f"order={self.order!r}: take 'first' (before each branch) or 'last' (after each sum)")

    def but(self, **changes: Any) -> "Config":
        """Return a copy with some entries changed."""
        return replace(self, **changes)


class FeedForward(nn.Module):
    """MLP at every position: W₂·act(W₁·x), gated W₂·(act(W₁·x)⊙V·x). Parameters: `up`, `gate`, `down`."""

    config: Config

    @nn.compact
    def __call__(self, x: Hidden, *, train: bool) -> Hidden:
        c = self.config
        h = c.act(Dense(c.hidden, c.use_bias, c.kernel_init, name="up")(x))
        if c.gate:
            h = h * Dense(c.hidden, c.use_bias, c.kernel_init, name="gate")(x)
        h = Dropout(c.mlp_rate)(h, train=train)
        return Dense(x.shape[-1], c.use_bias, c.out_init or c.kernel_init, name="down")(h)


class Block(nn.Module):
    """Self-attention, cross-attention if `cross`, and the MLP, each a residual branch with its norm.

    Parameters: `attention`, `cross_attention`, `mlp`, `norm_attention`, `norm_cross_attention`, `norm_mlp`.
    """

    config: Config
    relative: Relative | None = None
    cross: bool = False

    def setup(self) -> None:
        c = self.config
        options = (c.width, c.heads, c.kv_heads, c.dim, c.use_bias, c.attention_rate, c.attention_scale)
        inits = {"kernel_init": c.kernel_init, "out_init": c.out_init}
        self.attention = MultiHead(*options, c.window, self.relative, **inits)
        self.mlp = FeedForward(c)
        self.norm_attention, self.norm_mlp = c.norm(), c.norm()
        if self.cross:
            self.cross_attention, self.norm_cross_attention = MultiHead(*options, **inits), c.norm()
        self.drop = Dropout(c.rate)

    def __call__(
        self,
        x: Hidden,
        *,
        mask: Mask | None = None,
        causal: bool = False,
        positions: Positions | None = None,
        memory: Hidden | None = None,
        memory_mask: Mask | None = None,
        train: bool,
    ) -> Hidden:
        attend = lambda x: self.attention(x, mask=mask, causal=causal, positions=positions, train=train)
        x = self._branch(x, attend, self.norm_attention, train)
        if self.cross:
            read = lambda x: self.cross_attention(x, memory, mask=memory_mask, train=train)
            x = self._branch(x, read, self.norm_cross_attention, train)
        return self._branch(x, lambda x: self.mlp(x, train=train), self.norm_mlp, train)

    def step(
        self, x: Hidden, cache: KeyValue, memory: KeyValue | None, memory_mask: Mask | None, positions: Positions
    ) -> tuple[Hidden, KeyValue]:
        """Process new tokens at `positions` with the cached past; `memory` holds the encoder's keys and values."""

        def attend(x: Array) -> Array:
            nonlocal cache
            y, cache = self.attention.step(x, cache, positions)
            return y

        x = self._branch(x, attend, self.norm_attention, False)
        if self.cross:
            assert memory is not None, "a block that looks across is called with what it looks at"
            k, v = memory.read()
            x = self._branch(
                x, lambda x: self.cross_attention.read(x, k, v, mask=memory_mask), self.norm_cross_attention, False
            )
        return self._branch(x, lambda x: self.mlp(x, train=False), self.norm_mlp, False), cache

    def remember(self, memory: Hidden) -> KeyValue:
        """Keys and values of this block's cross-attention, from the encoder's outputs."""
        return KeyValue.of(*self.cross_attention.project(memory))

    def _branch(self, x: Array, branch: Callable[[Array], Array], norm: nn.Module, train: bool) -> Array:
        if self.config.order == "first":
            return along_time(x + self.drop(branch(norm(x)), train=train))
        return along_time(norm(x + self.drop(branch(x), train=train)))


class Stack(nn.Module):
    """`depth` blocks `blocks_i`; with norms first also a last norm `norm`. It maps hidden states to hidden states."""

    config: Config
    cross: bool = False

    def setup(self) -> None:
        c = self.config
        make = c.relative or (lambda: None)
        first = make()
        own = first is not None and not first.shared
        self.relative = None if own else first
        self.blocks = [Block(c, make() if own else self.relative, self.cross) for _ in range(c.depth)]
        self.norm = c.norm() if c.order == "first" else None

    def __call__(self, x: Hidden, **options: Any) -> Hidden:
        """Apply all blocks; `options` are those of `Block`."""
        x = along_time(x)
        for block in self.blocks:
            call = lambda block, x: block(x, **options)
            x = (nn.remat(call) if recompute_block() else call)(block, x)
        return x if self.norm is None else self.norm(x)

    def step(self, x: Hidden, cache: Cache, positions: Positions) -> tuple[Hidden, Cache]:
        kept, memory = [], cache.get("memory", (None,) * len(self.blocks))
        for block, own, other in zip(self.blocks, cache["self"], memory, strict=True):
            x, own = block.step(x, own, other, cache.get("memory_mask"), positions)
            kept.append(own)
        return x if self.norm is None else self.norm(x), {**cache, "self": tuple(kept)}

    def remember(self, memory: Hidden) -> tuple[KeyValue, ...]:
        return tuple(block.remember(memory) for block in self.blocks)


def empty_cache(config: Config, batch: int, slots: int, dtype: Any = jnp.float32) -> tuple[KeyValue, ...]:
    """Empty cache for the keys and values of `slots` tokens in every block."""
    c = config
    return (KeyValue.empty(batch, c.kv_heads or c.heads, slots, c.dim or c.width // c.heads, dtype),) * c.depth
