"""EfficientNet: a small network found by architecture search, scaled jointly in width, depth and resolution.

Source: Tan and Le 2019, arXiv:1905.11946. Lite0 is the form for phones: no squeeze-and-excitation, ReLU6, stem
and last convolution not scaled; github.com/tensorflow/tpu, efficientnet/lite.
"""

from collections.abc import Sequence
from functools import partial
from math import ceil

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.activations import relu6, sigmoid, silu
from jaxdl.layers.arithmetic import Padding
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.normalization import BatchNorm
from jaxdl.layers.pooling import global_avg_pool
from jaxdl.models.mobilenet import InvertedResidual
from jaxdl.models.vision import Act, ConvNorm, Images, Norm, Seen, check_image, divisible, run_block
from jaxdl.types import UserError

# expansion, kernel, strides of the first block, features, blocks: Tan and Le 2019, table 1
B0 = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)

# width, depth, image, dropout: the authors' code; B2 is trained at 260 there and at 288 in torchvision
SIZES = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
}


head_uniform = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")
"""U(±1/√classes): initialisation of the head in the authors' code and in torchvision."""


class EfficientNet(nn.Module):
    """Stem; seven stages of inverted residuals with squeeze-and-excitation; 1x1 convolution; mean; head.

    B0 has 5,288,548 parameters. `width` multiplies the table's channels, rounded to multiples of 8; `depth` multiplies its
    numbers of blocks, rounded up. Weights trained in TensorFlow need `padding="same"` and `norm=partial(BatchNorm, eps=1e-3)`.
    The `drop_path` rate of a block grows linearly from 0 to the given one. With `fixed_ends` (Lite) the stem, the last
    convolution and the depth of the first and the last stage are not scaled. Kernels are initialised from N(0, 2/fan_out), the
    head from U(±1/√classes). Images may have any size. Features: `stem`, `stage1_block1` ..., `stage1` ..., `last`, `pooled`.
    """

    classes: int = 1000
    width: float = 1.0
    depth: float = 1.0
    table: Sequence[tuple[int, int, int, int, int]] = B0
    stem: int = 32
    last: int = 1280
    squeeze: float = 0.25
    padding: Padding = "symmetric"
    act: Act = silu
    norm: Norm = BatchNorm
    drop_path: Rate = 0.2
    rate: Rate = 0.2
    fixed_ends: bool = False
    remat: bool = False

    def blocks(self) -> list[list[tuple[int, int, int, int]]]:
        """Return (expansion, kernel, strides, features) of every block, by stage."""
        stages = []
        for i, (expansion, kernel, strides, width, blocks) in enumerate(self.table):
            end = self.fixed_ends and i in (0, len(self.table) - 1)
            count = blocks if end else ceil(blocks * self.depth)
            features = divisible(width * self.width)
            stages.append([(expansion, kernel, strides if j == 0 else 1, features) for j in range(count)])
        return stages

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, 1, "EfficientNet")
        options = {"act": self.act, "norm": self.norm, "padding": self.padding}
        ends = 1.0 if self.fixed_ends else self.width
        x = ConvNorm(divisible(self.stem * ends), 3, 2, **options, name="stem")(x, train=train)
        stages, seen, done = self.blocks(), {"stem": x}, 0
        depth = sum(map(len, stages))
        for i, stage in enumerate(stages, 1):
            for j, (expansion, kernel, strides, width) in enumerate(stage, 1):
                block = InvertedResidual(
                    width,
                    x.shape[-1] * expansion,
                    kernel,
                    strides,
                    squeeze=max(1, int(x.shape[-1] * self.squeeze)) if self.squeeze else 0,
                    squeeze_act=self.act,
                    gate=sigmoid,
                    drop_path=self.drop_path * (done / depth),
                    name=f"stage{i}_block{j}",
                    **options,
                )
                x = seen[f"stage{i}_block{j}"] = run_block(block, x, train=train, remat=self.remat)
                done += 1
            seen[f"stage{i}"] = x
        x = seen["last"] = ConvNorm(divisible(self.last * ends), **options, name="last")(x, train=train)
        x = seen["pooled"] = global_avg_pool(x)
        x = Dropout(self.rate)(x, train=train)
        logits = Dense(self.classes, kernel_init=head_uniform, name="head")(x)
        return (logits, seen) if features else logits


late_norm = partial(BatchNorm, momentum=0.99, eps=1e-3)


def efficientnet(size: str, **options) -> EfficientNet:
    """EfficientNet "b0" ... "b7". From b5 on batch norm has ε = 0.001 and momentum 0.99, as in torchvision."""
    if size not in SIZES:
        raise UserError(f"size={size!r}: take one of {', '.join(SIZES)}")
    width, depth, _, rate = SIZES[size]
    norm = late_norm if size >= "b5" else BatchNorm
    return EfficientNet(**{"width": width, "depth": depth, "rate": rate, "norm": norm, **options})


efficientnet_lite0 = partial(EfficientNet, act=relu6, squeeze=0.0, fixed_ends=True)
