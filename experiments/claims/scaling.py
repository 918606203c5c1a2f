"""Four times the multiply-adds of a small CNN, spent on width, on depth, on resolution, or on all three; clothing of 28x28.

The small one sees 14x14 pixels with one 3x3 convolution of 8 and one of 16 channels (72,000 multiply-adds). Larger ones: channels
17 and 34 (288,000); two convolutions a stage (298,000); 28x28 pixels (290,000); all together 16x16 pixels, channels 9 and 18, a
second convolution in the second stage (304,000). 400 steps of 32 of 3,000 images with AdamW, one learning rate for all, which was
not tuned. A seed draws the images, the initialization and the order.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax

from jaxdl.layers.convolution import Conv
from jaxdl.layers.pooling import max_pool
from jaxdl.runs.claim_training import clothing_trainer
from jaxdl.runs.claims import Comparison, Study


class Scaled(nn.Module):
    size: int = 14
    stages: Sequence[Sequence[int]] = ((8,), (16,))

    @nn.compact
    def __call__(self, x, *, train):
        x = jax.image.resize(x, (len(x), self.size, self.size, 1), "linear", antialias=True)
        for widths in self.stages:
            for width in widths:
                x = nn.relu(Conv(width, 3)(x))
            x = max_pool(x, 2)
        return nn.Dense(10)(x.reshape(len(x), -1))


MODELS = {
    "small": Scaled(),
    "width": Scaled(stages=((17,), (34,))),
    "depth": Scaled(stages=((8, 8), (16, 16))),
    "resolution": Scaled(size=28),
    "together": Scaled(16, ((9,), (18, 18))),
}


def measure(*, model: str, seed: int) -> float:
    return clothing_trainer(MODELS[model], images=3000, steps=400, lr=3e-3)(seed)


CLAIM = "scaling depth, width and resolution together pays"
study = Study(
    measure=measure,
    settings={name: {"model": name} for name in MODELS},
    comparisons=tuple(
        Comparison("C17", CLAIM, "together", other, 0.005, f"against {other} alone")
        for other in ("width", "depth", "resolution")
    ),
)
