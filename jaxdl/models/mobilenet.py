"""MobileNets: convolutions factorised into depthwise ones (over space) and 1x1 ones (over channels).

    V1   Howard et al. 2017, arXiv:1704.04861   depthwise 3x3, 1x1, thirteen times
    V2   Sandler et al. 2018, arXiv:1801.04381  inverted residuals: 1x1 up, depthwise, 1x1 down without activation
    V3   Howard et al. 2019, arXiv:1905.02244   with squeeze-and-excitation and hard swish, found by search

`width` multiplies every number of channels, rounded to a multiple of 8. Images may have any size, because every window is padded.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.activations import hard_sigmoid, hard_swish, relu, relu6
from jaxdl.layers.arithmetic import Padding
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, DropPath, Rate
from jaxdl.layers.normalization import BatchNorm
from jaxdl.layers.pooling import global_avg_pool
from jaxdl.models.vision import Act, ConvNorm, Images, Norm, Seen, SqueezeExcite, check_image, divisible, run_block

# features, strides of each depthwise-separable block: Howard et al. 2017, table 1
V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))

# expansion, features, blocks, strides of the first: Sandler et al. 2018, table 2
V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class Row(NamedTuple):
    """One block of V3."""

    kernel: int
    expanded: int
    features: int
    squeeze: bool
    act: Act
    strides: int


_, S = False, True
V3_LARGE = tuple(  # Howard et al. 2019, table 1
    Row(*row)
    for row in (
        (3, 16, 16, _, relu, 1),
        (3, 64, 24, _, relu, 2),
        (3, 72, 24, _, relu, 1),
        (5, 72, 40, S, relu, 2),
        (5, 120, 40, S, relu, 1),
        (5, 120, 40, S, relu, 1),
        (3, 240, 80, _, hard_swish, 2),
        (3, 200, 80, _, hard_swish, 1),
        (3, 184, 80, _, hard_swish, 1),
        (3, 184, 80, _, hard_swish, 1),
        (3, 480, 112, S, hard_swish, 1),
        (3, 672, 112, S, hard_swish, 1),
        (5, 672, 160, S, hard_swish, 2),
        (5, 960, 160, S, hard_swish, 1),
        (5, 960, 160, S, hard_swish, 1),
    )
)
V3_SMALL = tuple(  # table 2
    Row(*row)
    for row in (
        (3, 16, 16, S, relu, 2),
        (3, 72, 24, _, relu, 2),
        (3, 88, 24, _, relu, 1),
        (5, 96, 40, S, hard_swish, 2),
        (5, 240, 40, S, hard_swish, 1),
        (5, 240, 40, S, hard_swish, 1),
        (5, 120, 48, S, hard_swish, 1),
        (5, 144, 48, S, hard_swish, 1),
        (5, 288, 96, S, hard_swish, 2),
        (5, 576, 96, S, hard_swish, 1),
        (5, 576, 96, S, hard_swish, 1),
    )
)


def minimal(rows: Sequence[Row]) -> tuple[Row, ...]:
    """V3's "minimalistic" form for simple hardware: no squeeze-and-excitation, 3x3 kernels only, ReLU."""
    return tuple(row._replace(kernel=3, squeeze=False, act=relu) for row in rows)


class InvertedResidual(nn.Module):
    """Inverted residual: 1x1 to `expanded` channels, depthwise, optionally squeeze-and-excitation, 1x1 to `features`.

    The last convolution has no activation. x is added where the shape is kept. The first 1x1 is left out if `expanded` is the
    number of input channels. `squeeze` is the hidden width of squeeze-and-excitation; EfficientNet's MBConv is this block with
    that width taken from the block's input.
    """

    features: int
    expanded: int
    kernel_size: int = 3
    strides: int = 1
    padding: Padding = "symmetric"
    squeeze: int = 0
    squeeze_act: Act = relu
    gate: Act = hard_sigmoid
    act: Act = relu6
    norm: Norm = BatchNorm
    drop_path: Rate = 0.0

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        unit = partial(ConvNorm, norm=self.norm, padding=self.padding)
        y = x
        if self.expanded != x.shape[-1]:
            y = unit(self.expanded, act=self.act, name="expand")(y, train=train)
        depthwise = {"strides": self.strides, "groups": self.expanded, "act": self.act}
        y = unit(self.expanded, self.kernel_size, **depthwise, name="depthwise")(y, train=train)
        if self.squeeze:
            y = SqueezeExcite(self.squeeze, self.squeeze_act, self.gate, name="squeeze")(y)
        y = unit(self.features, act=None, name="project")(y, train=train)
        if self.strides > 1 or self.features != x.shape[-1]:
            return y
        return x + DropPath(self.drop_path)(y, train=train)


class Separable(nn.Module):
    """Block of V1: depthwise 3x3 and 1x1, each with norm and activation."""

    features: int
    strides: int
    padding: Padding = "symmetric"
    act: Act = relu6
    norm: Norm = BatchNorm

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        unit = partial(ConvNorm, act=self.act, norm=self.norm, padding=self.padding)
        x = unit(x.shape[-1], 3, self.strides, groups=x.shape[-1], name="depthwise")(x, train=train)
        return unit(self.features, name="pointwise")(x, train=train)


small_normal = nn.initializers.normal(0.01)


class MobileNetV1(nn.Module):
    """MobileNet V1: 4,231,976 parameters. Kernels are initialised from N(0, 2/fan_out), the head from N(0, 0.01).

    Features: `stem`, `block1` ..., `pooled`.
    """

    classes: int = 1000
    width: float = 1.0
    table: Sequence[tuple[int, int]] = V1
    stem: int = 32
    padding: Padding = "symmetric"
    act: Act = relu6
    norm: Norm = BatchNorm
    rate: Rate = 0.0
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, 1, "MobileNetV1")
        options = {"act": self.act, "norm": self.norm, "padding": self.padding}
        x = ConvNorm(divisible(self.stem * self.width), 3, 2, **options, name="stem")(x, train=train)
        seen = {"stem": x}
        for i, (width, strides) in enumerate(self.table, 1):
            block = Separable(divisible(width * self.width), strides, **options, name=f"block{i}")
            x = seen[f"block{i}"] = run_block(block, x, train=train, remat=self.remat)
        x = seen["pooled"] = global_avg_pool(x)
        logits = Dense(self.classes, kernel_init=small_normal, name="head")(Dropout(self.rate)(x, train=train))
        return (logits, seen) if features else logits


class MobileNetV2(nn.Module):
    """MobileNet V2: 3,504,872 parameters. Initialised as V1. The last width (1280) is not reduced for `width` below 1.

    Features: `stem`, `block1` ..., `last` (the 1x1 convolution before the mean), `pooled`.
    """

    classes: int = 1000
    width: float = 1.0
    table: Sequence[tuple[int, int, int, int]] = V2
    stem: int = 32
    last: int = 1280
    padding: Padding = "symmetric"
    act: Act = relu6
    norm: Norm = BatchNorm
    drop_path: Rate = 0.0
    rate: Rate = 0.2
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, 1, "MobileNetV2")
        options = {"act": self.act, "norm": self.norm, "padding": self.padding}
        x = ConvNorm(divisible(self.stem * self.width), 3, 2, **options, name="stem")(x, train=train)
        seen, i, depth = {"stem": x}, 0, sum(row[2] for row in self.table)
        for expansion, width, blocks, strides in self.table:
            for j in range(blocks):
                sizes = {"features": divisible(width * self.width), "expanded": x.shape[-1] * expansion}
                sizes |= {"strides": strides if j == 0 else 1, "drop_path": self.drop_path * (i / depth)}
                i += 1
                block = InvertedResidual(**sizes, **options, name=f"block{i}")
                x = seen[f"block{i}"] = run_block(block, x, train=train, remat=self.remat)
        width = divisible(self.last * max(1.0, self.width))
        x = seen["last"] = ConvNorm(width, **options, name="last")(x, train=train)
        x = seen["pooled"] = global_avg_pool(x)
        logits = Dense(self.classes, kernel_init=small_normal, name="head")(Dropout(self.rate)(x, train=train))
        return (logits, seen) if features else logits


v3_norm = partial(BatchNorm, momentum=0.99, eps=1e-3)


class MobileNetV3(nn.Module):
    """MobileNet V3, large by default: 5,483,032 parameters; `MobileNetV3(rows=V3_SMALL, hidden=1024)` has 2,542,856.

    After the mean come a dense layer to `hidden` with hard swish and the head. Initialised as V1. Batch norm has ε = 0.001 and
    momentum 0.99. `width` does not change `hidden`, nor the stem if it is below 0.75 (as in timm). `act` is the activation of
    the stem, the last convolution and `hidden`; each row has its own.
    Features: `stem`, `block1` ..., `last`, `mean`, `pooled` (after `hidden`).
    """

    classes: int = 1000
    width: float = 1.0
    rows: Sequence[Row] = V3_LARGE
    stem: int = 16
    hidden: int = 1280
    padding: Padding = "symmetric"
    act: Act = hard_swish
    norm: Norm = v3_norm
    drop_path: Rate = 0.0
    rate: Rate = 0.2
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, 1, "MobileNetV3")
        options = {"norm": self.norm, "padding": self.padding}
        stem = self.stem if self.width < 0.75 else divisible(self.stem * self.width)
        x = ConvNorm(stem, 3, 2, act=self.act, **options, name="stem")(x, train=train)
        seen, before = {"stem": x}, self.stem
        for i, row in enumerate(self.rows, 1):
            expanded = divisible(x.shape[-1] * row.expanded / before)  # the table's ratio, times the actual width
            before = row.features
            sizes = {"features": divisible(row.features * self.width), "expanded": expanded, "strides": row.strides}
            sizes |= {"squeeze": divisible(expanded / 4) if row.squeeze else 0, "kernel_size": row.kernel}
            sizes |= {"drop_path": self.drop_path * ((i - 1) / len(self.rows)), "act": row.act}
            x = run_block(InvertedResidual(**sizes, **options, name=f"block{i}"), x, train=train, remat=self.remat)
            seen[f"block{i}"] = x
        x = seen["last"] = ConvNorm(6 * x.shape[-1], act=self.act, **options, name="last")(x, train=train)
        x = seen["mean"] = global_avg_pool(x)
        x = seen["pooled"] = self.act(Dense(self.hidden, kernel_init=small_normal, name="hidden")(x))
        logits = Dense(self.classes, kernel_init=small_normal, name="head")(Dropout(self.rate)(x, train=train))
        return (logits, seen) if features else logits


mobilenet_v3_large = MobileNetV3
mobilenet_v3_small = partial(MobileNetV3, rows=V3_SMALL, hidden=1024)
