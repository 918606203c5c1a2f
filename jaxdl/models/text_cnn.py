"""Convolutional network over tokens."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate


class TextCNN(nn.Module):
    """Text classifier: convolutions over n-grams and their maximum over time.

        embedding -> convolutions over `sizes` tokens, `features` each, ReLU -> maximum over time -> dropout -> dense

    `pad` is the padding token at the right of each row; without it `lengths` mark the padding, which is never read. Parameters:
    `embedding`, `conv_n` for every size n, `head`. Source: Kim 2014, arXiv:1408.5882.
    """

    classes: int
    vocab: int
    width: int = 128
    sizes: Sequence[int] = (3, 4, 5)
    features: int = 100
    pad: int | None = None
    rate: Rate = 0.5

    @nn.compact
    def __call__(
        self, x: Int[Array, "batch time"], lengths: Int[Array, "batch"] | None = None, *, train: bool
    ) -> Float[Array, "batch classes"]:
        if lengths is None and self.pad is not None:
            lengths = (x != self.pad).sum(-1)
        table = self.param("embedding", nn.initializers.normal(0.1), (self.vocab, self.width), jnp.float32)
        places = jnp.arange(x.shape[1])[None, :, None]
        seen = jnp.ones((1, x.shape[1], 1), bool) if lengths is None else places < lengths[:, None, None]
        y = jnp.where(seen, table[x], 0)
        found = []
        for n in self.sizes:
            z = nn.relu(Conv(self.features, n, padding="same", name=f"conv_{n}")(y))
            found.append(jnp.where(seen, z, 0).max(1))  # ReLU is at least 0, so a 0 from padding is never larger
        return Dense(self.classes, name="head")(Dropout(self.rate)(jnp.concatenate(found, -1), train=train))
