"""Recurrent models: classification, forecasting and language modelling. The recurrent layers are passed as a value:

Classifier(classes=2, vocab=1000, core=Recurrent(LSTM(128), layers=2, bidirectional=True, rate=0.3))
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.recurrent import LSTM, Carry, Recurrent
from jaxdl.types import UserError

Tokens = Int[Array, "batch time"]


class Classifier(nn.Module):
    """Sequence classifier. The input is `(batch, time, channels)`, or tokens if `vocab` is given (embedded in `width` channels).

    `pool` "last" reads the state at the end of each sequence (at both ends if bidirectional); "mean" and "max" pool the outputs
    over time. `pad` is the padding token at the right of each row; without it `lengths` mark the padding.
    Parameters: `embedding`, `core`, `head`.
    """

    classes: int
    core: Recurrent = Recurrent(LSTM(128))
    vocab: int | None = None
    width: int = 128
    pool: Literal["last", "mean", "max"] = "last"
    pad: int | None = None
    rate: Rate = 0.0

    @nn.compact
    def __call__(
        self,
        x: Tokens | Float[Array, "batch time channels"],
        lengths: Int[Array, "batch"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch classes"]:
        if self.pool not in ("last", "mean", "max"):
            raise UserError(f"pool={self.pool!r}: take 'last', 'mean' or 'max'")
        if lengths is None and self.pad is not None:
            lengths = (x != self.pad).sum(-1)
        if self.vocab is not None:
            x = _embedding(self, self.vocab, self.width)[x]
        y, carry = self.core(Dropout(self.rate)(x, train=train), None, lengths, train=train)
        if self.pool == "last":
            summary = self.core.last(carry)
        else:
            n = jnp.full(len(y), y.shape[1]) if lengths is None else jnp.maximum(lengths, 1)
            seen = (jnp.arange(y.shape[1])[None] < n[:, None])[..., None]
            if self.pool == "mean":
                summary = jnp.where(seen, y, 0).sum(1) / n[:, None].astype(y.dtype)
            else:
                summary = jnp.where(seen, y, jnp.finfo(y.dtype).min).max(1)
        return Dense(self.classes, name="head")(Dropout(self.rate)(summary, train=train))


class Forecaster(nn.Module):
    """Forecast of the next `horizon` values of `outputs` series from the last state: `(batch, horizon, outputs)`.

    With `from_last=True` the network predicts the difference from the last value of the first `outputs` channels, so that a
    network of zeros gives the persistence forecast. Parameters: `core`, `head`.
    """

    horizon: int = 1
    outputs: int = 1
    core: Recurrent = Recurrent(LSTM(64))
    from_last: bool = False
    rate: Rate = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "batch time channels"], *, train: bool) -> Float[Array, "batch horizon outputs"]:
        _, carry = self.core(x, train=train)
        h = Dropout(self.rate)(self.core.last(carry), train=train)
        y = Dense(self.horizon * self.outputs, name="head")(h).reshape(-1, self.horizon, self.outputs)
        return y + x[:, -1:, : self.outputs] if self.from_last else y


class LanguageModel(nn.Module):
    """Language model: tokens to logits of the next token. Parameters: `embedding`, `core`, `project` and `head`.

    `tied` uses the embedding as output matrix, behind the layer `project` if the core has another width. `rate` is the dropout of
    embeddings and outputs; with `variational` it drops the same channels at every time step. `stateful` keeps the state of each
    row in the collection `carry`: row r of the next training batch continues row r of this one (truncated back-propagation);
    evaluation starts from zeros. `start` and `step` are for generation (`jaxdl.decode`).
    """

    vocab: int
    width: int = 128
    core: Recurrent = Recurrent(LSTM(128))
    tied: bool = False
    rate: Rate = 0.0
    variational: bool = False
    stateful: bool = False

    @nn.compact
    def __call__(
        self,
        tokens: Tokens,
        lengths: Int[Array, "batch"] | None = None,
        *,
        carry: tuple[Carry, ...] | None = None,
        train: bool,
        return_carry: bool = False,
    ) -> Any:
        if self.core.bidirectional:
            raise UserError("core has bidirectional=True: a language model must not read later tokens")
        table = _embedding(self, self.vocab, self.width)
        drop = Dropout(self.rate, broadcast=(1,) if self.variational else ())
        x = drop(table[tokens], train=train)
        kept = self.variable("carry", "state", self.core.start, len(tokens), x.dtype) if self.stateful else None
        if kept is not None and train and carry is None:
            carry = jax.lax.stop_gradient(kept.value)
        y, carry = self.core(x, carry, lengths, train=train)
        if kept is not None and train and not self.is_initializing():
            kept.value = carry
        y = drop(y, train=train)
        if self.tied:
            if y.shape[-1] != self.width:
                y = Dense(self.width, name="project")(y)
            bias = self.param("bias", nn.initializers.zeros, (self.vocab,), jnp.float32).astype(y.dtype)
            logits = y @ table.T.astype(y.dtype)
            logits = logits + jnp.broadcast_to(bias, logits.shape)
        else:
            logits = Dense(self.vocab, name="head")(y)
        return (logits, carry) if return_carry else logits

    def start(self, batch: int, slots: int = 0, dtype: Any = jnp.float32) -> tuple[Carry, ...]:
        """State before the first token. Its size does not depend on the length of the sequence (`slots`)."""
        return self.core.start(batch, dtype)

    def step(self, cache: tuple[Carry, ...], tokens: Tokens, positions: Int[Array, "batch time"]) -> tuple[Array, Any]:
        """Return the logits after new tokens, and the new state. Padding is at the right and has position -1."""
        return self(tokens, (positions >= 0).sum(-1), carry=cache, train=False, return_carry=True)


def _embedding(module: nn.Module, vocab: int, width: int) -> Float[Array, "vocab width"]:
    return module.param("embedding", nn.initializers.normal(width**-0.5), (vocab, width), jnp.float32)
