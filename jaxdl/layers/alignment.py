"""Attention of a recurrent decoder: one query, the state of the decoder, attends to the outputs of the encoder.

    Bahdanau (additive)    e_j = v·tanh(W·q + U·k_j)
    Luong dot              e_j = q·k_j
    Luong general          e_j = q·(W·k_j)
    Luong concat           e_j = v·tanh(W·[q; k_j]): the additive one without bias
    with coverage          e_j = v·tanh(W·q + U·k_j + u·c_j)      c_j: sum of the weights of k_j for earlier queries

w = softmax(e), context = Σ_j w_j k_j.
"""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxdl.activations import softmax
from jaxdl.counts import check_counts
from jaxdl.layers.dense import Dense
from jaxdl.types import UserError

Memory = Float[Array, "batch keys channels"]
Weights = Float[Array, "batch keys"]

Reading = tuple[Float[Array, "batch channels"], Weights]


class Alignment(nn.Module):
    """Base class: context `(batch, channels)` and weights `(batch, keys)` of a query `(batch, n)` and a memory.

    The memory is `(batch, keys, channels)`. `prepare(memory)` does not depend on the query; compute it once per sequence and
    pass it to every call. `seen` is the sum of the weights of earlier queries, which is used if `covers` is true.
    """

    @property
    def covers(self) -> bool:
        """Whether the scores depend on the weights of earlier queries."""
        return False

    def prepare(self, memory: Memory) -> Float[Array, "batch keys width"]:
        return memory

    def score(self, query: Array, prepared: Array, seen: Array | None) -> Weights:
        raise NotImplementedError  # the subclasses differ in the score only

    def __call__(
        self,
        query: Float[Array, "batch n"],
        memory: Memory,
        mask: Bool[Array, "batch keys"] | None = None,
        prepared: Float[Array, "batch keys width"] | None = None,
        seen: Weights | None = None,
    ) -> Reading:
        score = self.score(query, self.prepare(memory) if prepared is None else prepared, seen)
        weights = softmax(score, mask=mask)
        return jnp.einsum("bk,bkc->bc", weights, memory), weights


class Bahdanau(Alignment):
    """Additive attention: e_j = v·tanh(W·q + U·k_j + b). Parameters: `query` (with the bias), `key`, `weigh`.

    `coverage=True` adds u·c_j inside the tanh (parameter `cover`; See et al. 2017, arXiv:1704.04368, eq. 11). Train it with
    `jaxdl.losses.coverage_loss`, which penalises attending twice. Source: Bahdanau et al. 2014, arXiv:1409.0473, A.1.2.
    """

    width: int
    coverage: bool = False

    def setup(self) -> None:
        check_counts(width=self.width)
        self.query = Dense(self.width)
        self.key = Dense(self.width, use_bias=False)
        self.weigh = Dense(1, use_bias=False)
        self.cover = Dense(self.width, use_bias=False) if self.coverage else None

    @property
    def covers(self) -> bool:
        return self.coverage

    def prepare(self, memory: Array) -> Array:
        return self.key(memory)

    def score(self, query: Array, prepared: Array, seen: Array | None) -> Array:
        inside = self.query(query)[:, None] + prepared
        if self.cover is not None:
            seen = jnp.zeros(prepared.shape[:2], prepared.dtype) if seen is None else seen
            inside = inside + self.cover(seen[..., None])
        return self.weigh(jnp.tanh(inside))[..., 0]


class Luong(Alignment):
    """Multiplicative attention. `kind` is "dot" (no parameters; equal widths) or "general" (a matrix to the query's `width`).

    Source: Luong et al. 2015, arXiv:1508.04025, section 3.1.
    """

    kind: Literal["dot", "general"] = "dot"
    width: int = 0

    def setup(self) -> None:
        if self.kind not in ("dot", "general"):
            raise UserError(f"kind = {self.kind!r} must be 'dot' or 'general'; for 'concat' use Bahdanau")
        if self.kind == "general":
            self.key = Dense(self.width, use_bias=False)

    def prepare(self, memory: Array) -> Array:
        return self.key(memory) if self.kind == "general" else memory

    def score(self, query: Array, prepared: Array, seen: Array | None) -> Array:
        n, channels = query.shape[-1], prepared.shape[-1]
        if n != channels:
            raise UserError(f"keys have {channels} channels, the query has {n}: use Luong('general', {n})")
        return jnp.einsum("bc,bkc->bk", query, prepared)
