"""fastText: a text as the mean of the vectors of its n-grams, and a linear classifier of it."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate


def hashed_ngrams(x: Int[Array, "batch time"], n: int, buckets: int) -> Int[Array, "batch time"]:
    """The bucket of the n-gram that starts at each token; n-grams that reach over the end continue at the start.

        h ← (h ⊕ (token + 1)) · 16777619 mod 2³² for each token, from h = 2166136261 ⊕ n        bucket = (h ⊕ h » 15) mod buckets

    It is the hash FNV-1a with whole tokens in place of bytes.
    """
    h = jnp.full(x.shape, 2166136261 ^ n, jnp.uint32)
    for k in range(n):
        h = (h ^ (jnp.roll(x, -k, 1).astype(jnp.uint32) + 1)) * jnp.uint32(16777619)
    return ((h ^ (h >> 15)) % jnp.uint32(buckets)).astype(jnp.int32)


class FastText(nn.Module):
    """Text classifier: the mean of the vectors of all n-grams of `sizes` tokens, then a dense layer.

    n-grams share `buckets` vectors of `width` numbers by a hash. `rate` drops whole n-grams in training. `pad` is the padding
    token at the right of each row; without it `lengths` mark the padding, which is never read. Parameters: `embedding`, `head`.
    Source: Joulin et al. 2016, arXiv:1607.01759; with tokens that are characters: Bojanowski et al. 2016, arXiv:1607.04606.
    """

    classes: int
    buckets: int = 65536
    width: int = 64
    sizes: Sequence[int] = (1, 2, 3, 4, 5)
    pad: int | None = None
    rate: Rate = 0.0

    @nn.compact
    def __call__(
        self, x: Int[Array, "batch time"], lengths: Int[Array, "batch"] | None = None, *, train: bool
    ) -> Float[Array, "batch classes"]:
        if lengths is None:
            lengths = jnp.full(len(x), x.shape[1]) if self.pad is None else (x != self.pad).sum(-1)
        places = jnp.arange(x.shape[1])[None]
        found: list[Int[Array, "batch time"]] = [hashed_ngrams(x, n, self.buckets) for n in self.sizes]
        inside: list[Bool[Array, "batch time"]] = [places + n <= lengths[:, None] for n in self.sizes]
        table = self.param("embedding", nn.initializers.normal(0.1), (self.buckets, self.width), jnp.float32)
        weight = Dropout(self.rate)(jnp.concatenate(inside, 1).astype(jnp.float32), train=train)
        total = jnp.einsum("bg,bgw->bw", weight, table[jnp.concatenate(found, 1)])
        mean = total / jnp.broadcast_to(jnp.maximum(weight.sum(1, keepdims=True), 1), total.shape)
        return Dense(self.classes, name="head")(mean)
