"""Encoders with a head, as in BERT: prediction of masked tokens, and classification."""

from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.activations import tanh
from jaxdl.layers.attention import both, segment_mask
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.position import Positions
from jaxdl.models.transformer import Config, Embedding, Head, Hidden, Logits, Stack, Tokens, key_mask
from jaxdl.types import UserError


class MaskedLanguageModel(nn.Module):
    """Encoder with logits at every position: norm(act(W·h)) times the embedding.

    `segments` and `positions` are for documents packed into one row, as in `Decoder`.
    Parameters: `embed`, `stack`, `transform`, `norm`, `head`.
    """

    config: Config

    def setup(self) -> None:
        c = self.config
        self.embed, self.stack, self.head = Embedding(c), Stack(c), Head(c)
        self.transform, self.norm = Dense(c.width, kernel_init=c.kernel_init), c.norm()

    def __call__(
        self,
        tokens: Tokens,
        lengths: Int[Array, "batch"] | None = None,
        *,
        types: Tokens | None = None,
        segments: Tokens | None = None,
        positions: Positions | None = None,
        train: bool,
    ) -> Logits:
        mask = None if segments is None else segment_mask(segments, segments)
        mask = both(mask, key_mask(tokens, lengths, None))
        x = self.embed(tokens, positions, types, train=train)
        x = self.stack(x, mask=mask, positions=positions, train=train)
        return self.head(self.norm(self.config.act(self.transform(x))), self.embed.embedding)


class Pooler(nn.Module):
    """BERT's pooler: tanh(W·h) of the first token (DistilBERT: ReLU). Parameters: `dense`."""

    config: Config
    act: Callable[[Array], Array] = tanh

    @nn.compact
    def __call__(self, x: Hidden) -> Float[Array, "batch width"]:
        return self.act(Dense(self.config.width, kernel_init=self.config.kernel_init, name="dense")(x[:, 0]))


class PooledEncoder(nn.Module):
    """BERT without a head: hidden states of every token, and the pooled vector. Parameters: `embed`, `stack`, `pooler`."""

    config: Config

    def setup(self) -> None:
        c = self.config
        self.embed, self.stack, self.pooler = Embedding(c), Stack(c), Pooler(c)

    def __call__(
        self,
        tokens: Tokens,
        lengths: Int[Array, "batch"] | None = None,
        *,
        types: Tokens | None = None,
        train: bool,
    ) -> tuple[Hidden, Float[Array, "batch width"]]:
        x = self.embed(tokens, None, types, train=train)
        x = self.stack(x, mask=key_mask(tokens, lengths, None), train=train)
        return x, self.pooler(x)


class SequenceClassifier(nn.Module):
    """Sequence classifier: logits of `classes` from the first token through BERT's pooler, or from the mean over all tokens.

    `pad` is the padding token; without it `lengths` mark the padding, if there is any. `act` is the activation of the pooler.
    """

    config: Config
    classes: int
    pool: Literal["first", "mean"] = "first"
    pad: int | None = None
    rate: Rate = 0.0
    act: Callable[[Array], Array] = tanh

    def setup(self) -> None:
        c = self.config
        if self.pool not in ("first", "mean"):
            raise UserError(f"pool={self.pool!r}: take 'first' (the first token through BERT's pooler) or 'mean'")
        self.embed, self.stack = Embedding(c), Stack(c)
        self.pooler: Callable | None = Pooler(c, self.act) if self.pool == "first" else None
        self.drop, self.head = Dropout(self.rate), Dense(self.classes, kernel_init=c.kernel_init)

    def __call__(
        self,
        tokens: Tokens,
        lengths: Int[Array, "batch"] | None = None,
        *,
        types: Tokens | None = None,
        train: bool,
    ) -> Float[Array, "batch classes"]:
        mask = key_mask(tokens, lengths, None if self.pad is None else tokens != self.pad)
        x = self.stack(self.embed(tokens, None, types, train=train), mask=mask, train=train)
        if self.pooler is not None:
            x = self.pooler(x)
        else:
            seen = jnp.ones(x.shape[:2], x.dtype) if mask is None else mask[:, 0, 0].astype(x.dtype)
            x = jnp.einsum("btc,bt->bc", x, seen) / jnp.maximum(seen.sum(-1), 1)[:, None]
        return self.head(self.drop(x, train=train))
