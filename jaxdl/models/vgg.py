"""VGG: deep networks of 3x3 convolutions and 2x2 max-pools. Simonyan and Zisserman 2014, arXiv:1409.1556."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.activations import relu
from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.pooling import adaptive_avg_pool, max_pool
from jaxdl.models.vision import Act, Images, Norm, Seen, check_image, he_fan_out
from jaxdl.tracing import recompute_block
from jaxdl.types import UserError

STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # table 1: A, B, D, E


class VGG(nn.Module):
    """Five stages of convolutions with 64 to 512 channels, a max-pool after each; two hidden dense layers; head.

    VGG-16 has 138,357,544 parameters. `norm` (`BatchNorm`) goes between convolution and activation; the convolution keeps its
    bias. The last map is averaged to 7x7 and flattened in the order height, width, channels; images have 32x32 pixels or more.
    Convolutions are initialised from N(0, 2/fan_out), dense kernels from N(0, 0.01), biases with zero (torchvision).
    Features: `conv1_1` ..., `stage1` ... (after the pool), `dense1`, `pooled`.
    """

    stages: Sequence[int] = STAGES[16]
    classes: int = 1000
    width: int = 64
    hidden: int = 4096
    grid: int = 7
    act: Act = relu
    norm: Norm | None = None
    rate: Rate = 0.5
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, 2 ** len(self.stages), "VGG")
        seen = {}
        for i in range(1, len(self.stages) + 1):
            stage = partial(VGG.stage, i=i, train=train)
            x, inside = (nn.remat(stage) if recompute_block() or self.remat else stage)(self, x)
            seen |= {**inside, f"stage{i}": x}
        x = adaptive_avg_pool(x, self.grid).reshape(x.shape[0], -1)
        start: dict[str, Any] = {"kernel_init": nn.initializers.normal(0.01)}
        x = seen["dense1"] = self.act(Dense(self.hidden, **start, name="dense1")(x))
        x = Dropout(self.rate)(x, train=train)
        x = seen["pooled"] = self.act(Dense(self.hidden, **start, name="dense2")(x))
        x = Dropout(self.rate)(x, train=train)
        logits = Dense(self.classes, **start, name="head")(x)
        return (logits, seen) if features else logits

    def stage(self, x: Images, *, i: int, train: bool) -> tuple[Images, Seen]:
        seen = {}
        for j in range(1, self.stages[i - 1] + 1):
            x = Conv(self.width * 2 ** min(i - 1, 3), 3, kernel_init=he_fan_out, name=f"conv{i}_{j}")(x)
            if self.norm is not None:
                x = self.norm(name=f"norm{i}_{j}")(x, train=train)
            x = seen[f"conv{i}_{j}"] = self.act(x)
        return max_pool(x, 2), seen


def vgg(depth: int, **options) -> VGG:
    """VGG-11, 13, 16 or 19; with batch norm: `vgg(16, norm=BatchNorm)`."""
    if depth not in STAGES:
        raise UserError(f"depth={depth}: take one of {', '.join(map(str, STAGES))}")
    return VGG(**{"stages": STAGES[depth], **options})
