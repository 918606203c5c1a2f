"""Transformers: encoder, decoder and encoder-decoder, made of one block and one `Config`.

Tokens are integers `(batch, time)`. For generation (`jaxdl.decode`) decoders have the methods `start`, which returns an empty
cache, and `step(cache, tokens, positions) -> logits, cache`. Published sizes are in `transformer_sizes.py`, heads for classes and
masked tokens in `transformer_heads.py`.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxdl.layers.attention import Mask, both, padding_mask, segment_mask
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.position import Positions, positions_of
from jaxdl.models.transformer_block import Cache, Config, Hidden, Stack, empty_cache
from jaxdl.types import UserError

__all__ = ["Config", "Decoder", "Embedding", "Encoder", "EncoderDecoder", "Head", "Stack", "key_mask"]

Tokens = Int[Array, "batch time"]
Logits = Float[Array, "batch time vocab"]


class Embedding(nn.Module):
    """Sum of the embeddings of tokens (times a scale), positions and segment types; if tied, also the output layer.

    Parameters: `embedding` `(vocab, width)`, `types`, `position`, `norm`, `head` if not tied, `bias`.
    """

    config: Config

    def setup(self) -> None:
        c = self.config
        init = nn.initializers.normal(c.embed_init)
        self.embedding = self.param("embedding", init, (c.vocab, c.width), jnp.float32)
        self.position = None if c.position is None else c.position()
        self.type_embedding = self.param("type_embedding", init, (c.types, c.width), jnp.float32) if c.types else None
        self.norm = c.norm() if c.embed_norm else None
        self.drop = Dropout(c.rate)

    def __call__(
        self, tokens: Tokens, positions: Positions | None = None, types: Tokens | None = None, *, train: bool
    ) -> Hidden:
        c = self.config
        x = self.embedding[tokens]
        if c.embed_scale is not None:
            x = x * jnp.asarray(c.embed_scale, x.dtype)
        if self.type_embedding is not None:
            x = x + self.type_embedding[jnp.zeros_like(tokens) if types is None else types]
        if self.position is not None:
            x = self.position(x, positions_of(x) if positions is None else positions)
        return self.drop(x if self.norm is None else self.norm(x), train=train)


Factored = tuple[Hidden, Float[Array, "vocab width"], Float[Array, "vocab"] | None]
"""Logits that are not multiplied out: hidden · tableᵀ + bias."""


class Head(nn.Module):
    """Output layer: hidden states to logits by the embedding (`tied`) or by its own `kernel` `(width, vocab)`."""

    config: Config

    @nn.compact
    def __call__(
        self, x: Hidden, embedding: Float[Array, "vocab width"], *, factored: bool = False
    ) -> Any:  # Logits, or Factored
        c = self.config
        if c.logit_scale is not None:
            x = x * jnp.asarray(c.logit_scale, x.dtype)
        bias = self.param("bias", nn.initializers.zeros, (c.vocab,), jnp.float32) if c.logit_bias else None
        dense = None if c.tied else Dense(c.vocab, use_bias=False, name="dense")
        if factored:
            if dense is not None:
                dense(x[:, :1])  # makes its kernel
                embedding = dense.variables["params"]["kernel"].T
            return x, embedding, bias
        logits = x @ embedding.T.astype(x.dtype) if dense is None else dense(x)
        return logits if bias is None else logits + jnp.broadcast_to(bias.astype(logits.dtype), logits.shape)


class Encoder(nn.Module):
    """Encoder as in BERT: tokens to hidden states; each position attends to all. Parameters: `embed`, `stack`.

    Padding is masked by `lengths` `(batch,)` or `mask` `(batch, time)` (True: a token).
    """

    config: Config

    def setup(self) -> None:
        self.embed, self.stack = Embedding(self.config), Stack(self.config)

    def __call__(
        self,
        tokens: Tokens,
        lengths: Int[Array, "batch"] | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        types: Tokens | None = None,
        positions: Positions | None = None,
        train: bool,
    ) -> Hidden:
        x = self.embed(tokens, positions, types, train=train)
        return self.stack(x, mask=key_mask(tokens, lengths, mask), positions=positions, train=train)


def key_mask(x: Array, lengths: Array | None, mask: Array | None) -> Mask | None:
    """Mask of the keys that are tokens, from lengths, a mask `(batch, time)`, or both."""
    return both(
        None if lengths is None else padding_mask(lengths, x.shape[1]), None if mask is None else mask[:, None, None, :]
    )


def check_positions(model: Any, slots: int) -> None:
    """Raise UserError if there are more slots than learned positions; later tokens would get the last position."""
    outside = model.scope is None  # outside of `apply` the attributes of `setup` do not exist
    position = (model.config.position or (lambda: None))() if outside else model.embed.position
    length = getattr(position, "length", slots)
    if slots > length:
        raise UserError(f"slots={slots}: the model has {length} learned positions, take no more")


class Decoder(nn.Module):
    """Decoder as in GPT: tokens to logits of the next token; each position attends to itself and those before it.

    `segments` `(batch, time)` number the documents packed into one row; attention does not cross them, and `positions` should
    restart with each. `factored` gives the factors of the logits instead, for `losses.tiled_nll`. `start` and `step` are for
    generation. Parameters: `embed`, `stack`, `head`.
    """

    config: Config

    def setup(self) -> None:
        self.embed, self.stack, self.head = Embedding(self.config), Stack(self.config), Head(self.config)

    def __call__(
        self,
        tokens: Tokens,
        lengths: Int[Array, "batch"] | None = None,
        *,
        segments: Tokens | None = None,
        positions: Positions | None = None,
        factored: bool = False,
        train: bool,
    ) -> Logits | Factored:
        mask = None if segments is None else segment_mask(segments, segments)
        mask = both(mask, key_mask(tokens, lengths, None))
        x = self.embed(tokens, positions, train=train)
        x = self.stack(x, mask=mask, causal=True, positions=positions, train=train)
        return self.head(x, self.embed.embedding, factored=factored)

    @nn.nowrap  # called outside of `apply`, where no submodule may be made
    def start(self, batch: int, slots: int, dtype: Any = jnp.float32) -> Cache:
        """Return an empty cache for sequences of up to `slots` tokens, including the prompt."""
        check_positions(self, slots)
        return {"self": empty_cache(self.config, batch, slots, dtype)}

    def step(self, cache: Cache, tokens: Tokens, positions: Positions) -> tuple[Logits, Cache]:
        """Return the logits after one or more new tokens at `positions`, and the new cache; position -1 marks padding."""
        x, cache = self.stack.step(self.embed(tokens, positions, train=False), cache, positions)
        return self.head(x, self.embed.embedding), cache


class EncoderDecoder(nn.Module):
    """Encoder-decoder as in Vaswani et al. 2017, Marian and T5: logits of the target given the source.

    `target` is the decoder's input, a start token and the sequence. With `source_vocab` the source has its own vocabulary and
    embedding. Parameters: `embed` (shared), `source_embed`, `encoder`, `decoder`, `head`.
    """

    config: Config
    source_vocab: int | None = None

    def setup(self) -> None:
        c = self.config
        self.embed, self.head = Embedding(c), Head(c)
        own = self.source_vocab is not None
        self.source_embed = Embedding(c.but(vocab=self.source_vocab)) if own else None
        self.encoder, self.decoder = Stack(c), Stack(c, cross=True)

    def __call__(
        self,
        source: Int[Array, "batch source"],
        target: Tokens,
        lengths: Int[Array, "batch"] | None = None,
        *,
        mask: Bool[Array, "batch source"] | None = None,
        train: bool,
    ) -> Logits:
        memory, seen = self.encode(source, lengths, mask=mask, train=train)
        x = self.embed(target, train=train)
        x = self.decoder(x, causal=True, memory=memory, memory_mask=seen, train=train)
        return self.head(x, self.embed.embedding)

    def encode(
        self, source: Array, lengths: Array | None = None, *, mask: Array | None = None, train: bool = False
    ) -> tuple[Hidden, Mask | None]:
        seen = key_mask(source, lengths, mask)
        embed = self.embed if self.source_embed is None else self.source_embed
        return self.encoder(embed(source, train=train), mask=seen, train=train), seen

    def start(self, source: Array, slots: int, lengths: Array | None = None, *, mask: Array | None = None) -> Cache:
        """Encode the source for `step`, with an empty cache for `slots` target tokens."""
        check_positions(self, slots)
        memory, seen = self.encode(source, lengths, mask=mask)
        if seen is None:
            seen = jnp.ones((len(source), 1, 1, source.shape[1]), bool)
        empty = empty_cache(self.config, len(source), slots, memory.dtype)
        return {"self": empty, "memory": self.decoder.remember(memory), "memory_mask": seen}

    def step(self, cache: Cache, tokens: Tokens, positions: Positions) -> tuple[Logits, Cache]:
        x, cache = self.decoder.step(self.embed(tokens, positions, train=False), cache, positions)
        return self.head(x, self.embed.embedding), cache
