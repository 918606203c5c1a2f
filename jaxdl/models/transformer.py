"""Transformers: encoder, decoder and encoder-decoder from one block and one `Config`.

Tokens are integers `(batch, time)`. A decoder also gives the two functions that generation needs: `start`, an empty cache, and
`step(cache, tokens, positions) -> logits, cache`; `jaxdl.decode` takes them as values. Sizes that have a name are in
`transformer_sizes.py`, heads for classes and masked tokens in `transformer_heads.py`.
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
    """Tokens (times a scale), positions and segment types, summed; and, tied, the way back to logits.

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


class Head(nn.Module):
    """Hidden states to logits by the embedding (`tied`) or by a matrix of its own, `kernel` `(width, vocab)`."""

    config: Config

    @nn.compact
    def __call__(self, x: Hidden, embedding: Float[Array, "vocab width"]) -> Logits:
        c = self.config
        if c.logit_scale is not None:
            x = x * jnp.asarray(c.logit_scale, x.dtype)
        if c.tied:
            logits = x @ embedding.T.astype(x.dtype)
        else:
            logits = Dense(c.vocab, use_bias=False, name="dense")(x)
        if c.logit_bias:
            bias = self.param("bias", nn.initializers.zeros, (c.vocab,), jnp.float32)
            logits = logits + jnp.broadcast_to(bias.astype(logits.dtype), logits.shape)
        return logits


class Encoder(nn.Module):
    """Tokens to hidden states, every position seeing all others (BERT). Parameters: `embed`, `stack`.

    `lengths` `(batch,)` or `mask` `(batch, time)` (True: a token) hide padding from the others.
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
    """Which keys are tokens, from lengths, a mask `(batch, time)`, or both."""
    return both(
        None if lengths is None else padding_mask(lengths, x.shape[1]), None if mask is None else mask[:, None, None, :]
    )


def check_positions(model: Any, slots: int) -> None:
    """ValueError where a table of learned positions has fewer: beyond its end a token would get the last one's."""
    outside = model.scope is None  # not inside `apply`: nothing of `setup` is there
    position = (model.config.position or (lambda: None))() if outside else model.embed.position
    length = getattr(position, "length", slots)
    if slots > length:
        raise UserError(f"slots={slots}: the model has learned {length} positions, take no more")


class Decoder(nn.Module):
    """Tokens to logits of the next one, every position seeing itself and what is before it (GPT). `embed`, `stack`, `head`.

    `segments` `(batch, time)` are the numbers of the documents packed into a row: none sees another; let `positions` restart
    with them. `start` and `step` generate.
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
        train: bool,
    ) -> Logits:
        mask = None if segments is None else segment_mask(segments, segments)
        mask = both(mask, key_mask(tokens, lengths, None))
        x = self.embed(tokens, positions, train=train)
        x = self.stack(x, mask=mask, causal=True, positions=positions, train=train)
        return self.head(x, self.embed.embedding)

    @nn.nowrap  # called outside of `apply`, where no module may be made inside another
    def start(self, batch: int, slots: int, dtype: Any = jnp.float32) -> Cache:
        """An empty cache for sequences of up to `slots` tokens, prompt included."""
        check_positions(self, slots)
        return {"self": empty_cache(self.config, batch, slots, dtype)}

    def step(self, cache: Cache, tokens: Tokens, positions: Positions) -> tuple[Logits, Cache]:
        """Logits after new tokens (one or many) at `positions`; -1 marks padding."""
        x, cache = self.stack.step(self.embed(tokens, positions, train=False), cache, positions)
        return self.head(x, self.embed.embedding), cache


class EncoderDecoder(nn.Module):
    """A source read by an encoder, a target written by a decoder that sees it. `embed` (shared), `encoder`, `decoder`, `head`.

    `target` is the decoder's input: the wanted sequence behind a start token. The 2017 translator, Marian, T5. With
    `source_vocab` the source has a vocabulary and an embedding of its own, `source_embed`.
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
        """Reads the source: what `step` needs of it, and an empty cache for `slots` tokens of the target."""
        check_positions(self, slots)
        memory, seen = self.encode(source, lengths, mask=mask)
        if seen is None:
            seen = jnp.ones((len(source), 1, 1, source.shape[1]), bool)
        empty = empty_cache(self.config, len(source), slots, memory.dtype)
        return {"self": empty, "memory": self.decoder.remember(memory), "memory_mask": seen}

    def step(self, cache: Cache, tokens: Tokens, positions: Positions) -> tuple[Logits, Cache]:
        x, cache = self.decoder.step(self.embed(tokens, positions, train=False), cache, positions)
        return self.head(x, self.embed.embedding), cache
