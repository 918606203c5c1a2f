"""The cheat sheet's convolutional network."""

from collections.abc import Callable, Sequence
from typing import Literal

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.pooling import max_pool
from jaxdl.types import UserError


class CNN(nn.Module):
    """Convolution 3x3, ReLU and 2x2 max-pool for each width in `features`; then flatten and one dense layer.

    In PyTorch, for 224x224 colour images, with 2,026,442 parameters:

        Sequential(Conv2d(3, 32, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(32, 64, 3, padding=1), ReLU(), MaxPool2d(2),
                   Flatten(), Linear(64 * 56 * 56, 10))

    Maps are flattened in the order height, width, channels; PyTorch's order is channels, height, width. `norm` makes the
    normalisation layer (`BatchNorm`). Before the activation it replaces the convolution's bias, which the mean would cancel.
    Dropout comes before the dense layer. Kernels are initialised with variance 1/fan_in (LeCun), biases with zero.
    Features: `stage1`, `stage2`, ..., the output of each pool.
    """

    classes: int = 10
    features: Sequence[int] = (32, 64)
    act: Callable[[Array], Array] = nn.relu
    norm: Callable[[], nn.Module] | None = None
    norm_position: Literal["before", "after"] = "before"
    rate: Rate = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, dict[str, Array]]:
        if self.norm_position not in ("before", "after"):
            raise UserError(f"norm_position={self.norm_position!r}: take 'before' or 'after' (the activation)")
        seen = {}
        for i, width in enumerate(self.features, 1):
            x = Conv(width, 3, use_bias=self.norm is None or self.norm_position == "after")(x)
            if self.norm is not None and self.norm_position == "before":
                x = self.norm()(x, train=train)
            x = self.act(x)
            if self.norm is not None and self.norm_position == "after":
                x = self.norm()(x, train=train)
            x = seen[f"stage{i}"] = max_pool(x, 2)
        x = Dropout(self.rate)(x.reshape(x.shape[0], -1), train=train)
        logits = Dense(self.classes)(x)
        return (logits, seen) if features else logits
