"""Recurrent sequence-to-sequence models: an encoder and a decoder, with or without attention.

    s_t = decoder([y_(t-1), c_t], s_(t-1)),    c_t = Σ_j w_tj h_j,    w_t = softmax_j(score(s_(t-1), h_j))

`alignment=None` is Sutskever et al. 2014 (arXiv:1409.3215): the source reaches the decoder through its first state only. With
`Bahdanau` or `Luong` of `jaxdl.layers.alignment` the decoder attends to the source at each step (arXiv:1409.0473, 1508.04025).
"""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxdl.layers.alignment import Alignment
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import DropConnect, Dropout, Rate, absent, dropout
from jaxdl.layers.recurrent import LSTM, Recurrent
from jaxdl.types import UserError

Tokens = Int[Array, "batch time"]
Cache = dict[str, Any]


class Seq2Seq(nn.Module):
    """Logits of each target token, given the source and the target tokens before it (teacher forcing).

    Args:
        vocab, source_vocab: number of target and of source tokens (None: the same). Each side has its own embedding.
        width: channels of the embeddings.
        encoder, decoder: recurrent layers. The encoder may be bidirectional. Dropout with one mask for a whole sequence is for
            the encoder only, because the decoder runs one step at a time.
        alignment: the attention of the decoder, or None.
        query: input of the attention: "state" is s_(t-1), as in Bahdanau et al.; "token" is [s_(t-1), y_(t-1)], with which a
            decoder of characters knows whether a word has just ended.
        sampling: share of target tokens that are replaced by the model's own predictions in training (scheduled sampling, Bengio
            et al. 2015, arXiv:1506.03099). It may be traced, for instance to grow with the step.
        rate: dropout of the embeddings and of the input of the output layer.

    The decoder's first states are tanh(W·[last states of the encoder]). The attention weights `(batch, target, source)` are
    returned by `apply(..., mutable="intermediates")`. Parameters: `source_embedding`, `target_embedding`, `encoder`, `bridge_i`,
    `decoder`, `alignment`, `head`.
    """

    vocab: int
    source_vocab: int | None = None
    width: int = 128
    encoder: Recurrent = Recurrent(LSTM(128))
    decoder: Recurrent = Recurrent(LSTM(128))
    alignment: Alignment | None = None
    query: Literal["state", "token"] = "state"
    sampling: Rate = 0.0
    rate: Rate = 0.0

    def setup(self) -> None:
        if self.decoder.bidirectional:
            raise UserError("decoder has bidirectional=True: a decoder must not read later tokens")
        once = {
            "variational": self.decoder.variational,
            "recurrent_rate": not absent(self.decoder.recurrent_rate),
            "kernel_map": getattr(self.decoder.kernel_map, "func", self.decoder.kernel_map) is DropConnect,
        }
        if any(once.values()):
            given = next(f"{name}={getattr(self.decoder, name)}" for name, asked in once.items() if asked)
            raise UserError(
                f"decoder has {given}: it runs one step at a time and would draw a mask for each; take `rate` alone"
            )
        if self.query not in ("state", "token"):
            raise UserError(f"query={self.query!r}: take 'state' or 'token' (state and last token)")
        init = nn.initializers.normal(self.width**-0.5)
        source = self.vocab if self.source_vocab is None else self.source_vocab
        self.source_embedding = self.param("source_embedding", init, (source, self.width), jnp.float32)
        self.target_embedding = self.param("target_embedding", init, (self.vocab, self.width), jnp.float32)
        states = jax.tree.leaves(jax.eval_shape(partial(self.decoder.start, 1)))
        self.bridge = [Dense(state.shape[-1]) for state in states]
        self.head = Dense(self.vocab)
        self.drop = Dropout(self.rate)

    def __call__(
        self,
        source: Int[Array, "batch source"],
        target: Tokens,
        lengths: Int[Array, "batch"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch time vocab"]:
        """Return the logits. `target` is the decoder's input: a start token, then the sequence. `lengths` are the source's."""
        coins = None
        if train and not absent(self.sampling):
            coins = dropout(self.make_rng("dropout"), jnp.ones(target.shape), self.sampling) == 0
            coins = coins.at[:, 0].set(False)  # the start token is never replaced
        cache = self._read(source, lengths, train)
        return self._write(cache, target, jnp.ones(target.shape, bool), coins, train)[0]

    def start(
        self, source: Int[Array, "batch source"], slots: int = 0, lengths: Int[Array, "batch"] | None = None
    ) -> Cache:
        """Encode the source for `step`. The result does not depend on the length of the target (`slots`)."""
        return self._read(source, lengths, False)

    def step(self, cache: Cache, tokens: Tokens, positions: Int[Array, "batch time"]) -> tuple[Array, Cache]:
        """Return the logits after new tokens, and the new state; padding has position -1."""
        return self._write(cache, tokens, positions >= 0, None, False)

    def _read(self, source: Array, lengths: Array | None, train: bool) -> Cache:
        x = self.drop(self.source_embedding[source], train=train)
        memory, carry = self.encoder(x, None, lengths, train=train)
        summary, states = self.encoder.last(carry), self.decoder.start(len(source), memory.dtype)
        first = iter([jnp.tanh(dense(summary)) for dense in self.bridge])
        cache: Cache = {"state": jax.tree.map(lambda _: next(first), states)}
        if self.alignment is not None:
            limit = jnp.full(len(source), source.shape[1]) if lengths is None else lengths
            mask = jnp.arange(source.shape[1])[None] < limit[:, None]
            cache |= {"memory": memory, "mask": mask, "prepared": self.alignment.prepare(memory)}
            if self.alignment.covers:
                cache["seen"] = jnp.zeros(mask.shape, memory.dtype)
        return cache

    def _write(
        self, cache: Cache, tokens: Tokens, alive: Bool[Array, "batch time"], coins: Array | None, train: bool
    ) -> tuple[Array, Cache]:
        """Return the logits of every token, step by step; where a coin is True the model's last prediction replaces the token."""
        sampling = coins is not None

        def advance(self, carry, given):
            state, guess, seen = carry
            token, alive, coin = given
            x = self.target_embedding[jnp.where(coin, guess, token) if sampling else token]
            x, context, weights = self.drop(x, train=train), None, jnp.zeros((len(x), 0), x.dtype)
            if self.alignment is not None:
                query = self.decoder.last(state)
                query = jnp.concatenate([query, x], -1) if self.query == "token" else query
                context, weights = self.alignment(query, cache["memory"], cache["mask"], cache["prepared"], seen)
                seen = None if seen is None else seen + weights * alive[:, None].astype(weights.dtype)
                x = jnp.concatenate([x, context], -1)
            y, state = self.decoder(x[:, None], state, alive.astype(jnp.int32), train=train)
            y = y[:, 0] if context is None else jnp.concatenate([y[:, 0], context], -1)
            y = self.drop(y, train=train)
            if sampling:
                y = self.head(y)
                guess = jnp.argmax(y, -1).astype(guess.dtype)
            return (state, guess, seen), (y, weights)

        scan = nn.scan(
            advance,
            variable_broadcast="params",
            split_rngs={"params": False, "dropout": True},
            in_axes=1,
            out_axes=1,
        )
        first = (cache["state"], tokens[:, 0], cache.get("seen"))
        (state, _, seen), (y, weights) = scan(self, first, (tokens, alive, coins))
        self.sow("intermediates", "weights", weights)
        cache = {**cache, "state": state} | ({} if seen is None else {"seen": seen})
        return y if sampling else self.head(y), cache
