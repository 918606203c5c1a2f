"""Multilayer perceptron."""

from collections.abc import Callable, Sequence

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate


class MLP(nn.Module):
    """Layers x ← dropout(act(norm(W·x + b))) for each width in `features`, then one dense layer to `classes`.

    The input is flattened to `(batch, n)`. `classes` is the number of outputs: logits, or values for regression. `norm` makes a
    normalisation layer (`BatchNorm`, `LayerNorm`). Kernels are initialised with variance 1/fan_in (LeCun), biases with zero.

        parameters = Σ (in + 1) · out        784-512-512-10: 669,706
    """

    features: Sequence[int] = (512, 512)
    classes: int = 10
    act: Callable[[Array], Array] = nn.relu
    norm: Callable[[], nn.Module] | None = None
    rate: Rate = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "batch *axes"], *, train: bool) -> Float[Array, "batch classes"]:
        x = x.reshape(x.shape[0], -1)
        for width in self.features:
            x = Dense(width)(x)
            if self.norm is not None:
                x = self.norm()(x, train=train)
            x = Dropout(self.rate)(self.act(x), train=train)
        return Dense(self.classes)(x)
