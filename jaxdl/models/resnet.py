"""Residual networks: y = x + F(x).

All variants are values of one class: `block` sets the convolutions of F (`basic`, `bottleneck`), `stem` the first layers,
`shortcut` how x is mapped where the shape changes; `squeeze` adds squeeze-and-excitation, `preactivation` selects v2.

    ResNet      He et al. 2015, arXiv:1512.03385       v1.5: the stride on the 3x3 convolution, torchvision's form
    v2          He et al. 2016, arXiv:1603.05027       norm and activation before each convolution
    Wide        Zagoruyko, Komodakis 2016, arXiv:1605.07146
    ResNeXt     Xie et al. 2017, arXiv:1611.05431      groups
    -D          He et al. 2018, arXiv:1812.01187       three 3x3 in the stem, the shortcut averages before it strides
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.activations import relu
from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, DropPath, Rate
from jaxdl.layers.normalization import BatchNorm
from jaxdl.layers.pooling import avg_pool, global_avg_pool, max_pool
from jaxdl.models.vision import (
    Act,
    Images,
    Norm,
    Seen,
    SqueezeExcite,
    check_image,
    divisible,
    fan_in_uniform,
    he_fan_out,
    run_block,
    uniform_bias,
)
from jaxdl.types import UserError

Layers = tuple[tuple[int, int, int, int], ...]
"""(features, kernel, strides, groups) of each convolution of a block."""


# -- blocks ----------------------------------------------------------------------------------------------------------


def basic(width: int, strides: int) -> Layers:
    """Two 3x3 convolutions: the block of ResNet-18, 34 and the CIFAR networks."""
    return (width, 3, strides, 1), (width, 3, 1, 1)


def bottleneck(width: int, strides: int, *, groups: int = 1, base: int = 64) -> Layers:
    """1x1, 3x3, and 1x1 to four times the width. Inner width: width · base/64 · groups (ResNeXt 32x4d: groups 32, base 4)."""
    inner = width * base // 64 * groups
    return (inner, 1, 1, 1), (inner, 3, strides, groups), (4 * width, 1, 1, 1)


# -- shortcuts ------------------------------------------------------------------------------------------------------


class Projection(nn.Module):
    """Shortcut by a 1x1 convolution with the block's stride (option B). `average` replaces the stride by average pooling (-D)."""

    features: int
    strides: int
    norm: Norm | None = BatchNorm
    average: bool = False

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        strides = self.strides
        if self.average and strides > 1:
            x, strides = avg_pool(x, strides, ceil_mode=True, count_include_pad=False), 1
        x = Conv(self.features, 1, strides, use_bias=False, kernel_init=he_fan_out, name="conv")(x)
        return x if self.norm is None else self.norm(name="norm")(x, train=train)


class ZeroPadding(nn.Module):
    """Shortcut without parameters: every `strides`-th pixel, zeros for new channels (option A, the CIFAR networks)."""

    features: int
    strides: int
    norm: Norm | None = None

    @nn.compact
    def __call__(self, x: Images, *, train: bool = False) -> Images:
        del train
        x, more = x[:, :: self.strides, :: self.strides], self.features - x.shape[-1]
        if more < 0:
            raise UserError(f"features={self.features}: a shortcut without parameters cannot drop {-more} channels")
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)))


# -- stems -----------------------------------------------------------------------------------------------------------


class Stem(nn.Module):
    """Convolutions (features, kernel, strides) with norm and activation, then optionally a 3x3 max-pool of stride 2.

    With `bare` the last convolution has no norm and activation; the first block of v2 begins with them.
    """

    layers: Sequence[tuple[int, int, int]] = ((64, 7, 2),)
    pool: bool = True
    act: Act = relu
    norm: Norm = BatchNorm
    bare: bool = False

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        for i, (features, kernel, strides) in enumerate(self.layers, 1):
            x = Conv(features, kernel, strides, use_bias=False, kernel_init=he_fan_out, name=f"conv{i}")(x)
            if not (self.bare and i == len(self.layers)):
                x = self.act(self.norm(name=f"norm{i}")(x, train=train))
        return max_pool(x, 3, 2, 1) if self.pool else x


imagenet_stem = Stem
deep_stem = partial(Stem, layers=((32, 3, 2), (32, 3, 1), (64, 3, 1)))  # -D
cifar_stem = partial(Stem, layers=((64, 3, 1),), pool=False)
thin_stem = partial(Stem, layers=((16, 3, 1),), pool=False)  # the CIFAR networks of the paper


# -- the network ------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """v1: act(shortcut(x) + norm(W₂ * act(norm(W₁ * x))));   v2: shortcut(x) + W₂ * act(norm(W₁ * act(norm(x)))).

    The shortcut is the identity where the shape is kept; `shortcut=None` removes it, which gives the paper's plain networks.
    In v2 a projection reads act(norm(x)) and has no norm of its own. `zero_last` (v1 only) initialises the scale of the last
    norm with zero, so that the block is the identity at first.
    """

    layers: Layers
    act: Act = relu
    norm: Norm = BatchNorm
    shortcut: Callable[..., nn.Module] | None = Projection
    squeeze: Callable[..., nn.Module] | None = None
    preactivation: bool = False
    zero_last: bool = False
    drop_path: Rate = 0.0

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        features, strides = self.layers[-1][0], prod(layer[2] for layer in self.layers)
        y, changes = x, self.shortcut is not None and (features != x.shape[-1] or strides > 1)
        for i, (out, kernel, step, groups) in enumerate(self.layers, 1):
            if self.preactivation:
                y = self.act(self.norm(name=f"norm{i}")(y, train=train))
                if i == 1 and changes and self.shortcut is not None:
                    x = self.shortcut(features, strides, norm=None, name="shortcut")(y, train=train)
            y = Conv(out, kernel, step, groups=groups, use_bias=False, kernel_init=he_fan_out, name=f"conv{i}")(y)
            if not self.preactivation:
                last = i == len(self.layers)
                zero = {"scale_init": nn.initializers.zeros} if last and self.zero_last else {}
                y = self.norm(name=f"norm{i}", **zero)(y, train=train)
                y = y if last else self.act(y)
        if self.squeeze is not None:
            y = self.squeeze(features, name="squeeze")(y, train=train)
        if not self.preactivation and changes and self.shortcut is not None:
            x = self.shortcut(features, strides, norm=self.norm, name="shortcut")(x, train=train)
        if self.shortcut is not None:
            y = x + DropPath(self.drop_path)(y, train=train)
        return y if self.preactivation else self.act(y)


def squeeze_sixteenth(channels: int, **names: Any) -> nn.Module:
    """Squeeze-and-excitation with channels/16 hidden channels, rounded to a multiple of 8 (timm's SE-ResNets)."""
    return SqueezeExcite(divisible(channels / 16), **names)


class ResNet(nn.Module):
    """Stem; `stages[i]` blocks of width `width·2^i`, where each stage but the first halves the image; mean; head.

    ResNet-50 has 25,557,032 parameters. Images may have any size and number of channels. The `drop_path` rate of a block grows
    linearly from 0 to the given one in the last; `rate` is the dropout before the head; `remat` recomputes each block in the
    backward pass. Convolutions are initialised from N(0, 2/fan_out), the head as PyTorch's linear layer.
    Features: `stem`, `stage1_block1` ..., `stage1` ..., `pooled`.
    """

    stages: Sequence[int] = (2, 2, 2, 2)
    block: Callable[[int, int], Layers] = basic
    width: int = 64
    classes: int = 1000
    stem: Callable[..., nn.Module] = imagenet_stem
    shortcut: Callable[..., nn.Module] | None = Projection
    squeeze: Callable[..., nn.Module] | None = None
    preactivation: bool = False
    act: Act = relu
    norm: Norm = BatchNorm
    zero_last: bool = False
    drop_path: Rate = 0.0
    rate: Rate = 0.0
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, 1, "ResNet")
        options = {"act": self.act, "norm": self.norm}
        bare = {"bare": True} if self.preactivation else {}
        x = self.stem(**options, **bare, name="stem")(x, train=train)
        seen, done, depth = {"stem": x}, 0, sum(self.stages)
        options |= {"shortcut": self.shortcut, "squeeze": self.squeeze, "preactivation": self.preactivation}
        for i, blocks in enumerate(self.stages, 1):
            for j in range(1, blocks + 1):
                layers = self.block(self.width * 2 ** (i - 1), 2 if i > 1 and j == 1 else 1)
                rate = self.drop_path * (done / max(depth - 1, 1))
                block = Residual(layers, zero_last=self.zero_last, drop_path=rate, **options, name=f"stage{i}_block{j}")
                x = seen[f"stage{i}_block{j}"] = run_block(block, x, train=train, remat=self.remat)
                done += 1
            seen[f"stage{i}"] = x
        if self.preactivation:
            x = seen["last"] = self.act(self.norm(name="norm")(x, train=train))
        x = seen["pooled"] = global_avg_pool(x)
        x = Dropout(self.rate)(x, train=train)
        bias = uniform_bias(x.shape[-1])
        logits = Dense(self.classes, kernel_init=fan_in_uniform, bias_init=bias, name="head")(x)
        return (logits, seen) if features else logits


# -- sizes ------------------------------------------------------------------------------------------------------------

STAGES = {  # He et al. 2015, table 1
    18: ((2, 2, 2, 2), basic),
    34: ((3, 4, 6, 3), basic),
    50: ((3, 4, 6, 3), bottleneck),
    101: ((3, 4, 23, 3), bottleneck),
    152: ((3, 8, 36, 3), bottleneck),
}


def resnet(depth: int, **options) -> ResNet:
    """ResNet-18, 34, 50, 101 or 152; `options` are those of `ResNet`."""
    if depth not in STAGES:
        raise UserError(f"depth={depth}: take one of {', '.join(map(str, STAGES))}")
    stages, block = STAGES[depth]
    return ResNet(**{"stages": stages, "block": block, **options})


resnet_d = partial(resnet, stem=deep_stem, shortcut=partial(Projection, average=True))
resnext50_32x4d = partial(resnet, 50, block=partial(bottleneck, groups=32, base=4))
wide_resnet50_2 = partial(resnet, 50, block=partial(bottleneck, base=128))


def cifar_resnet(depth: int, **options) -> ResNet:
    """The paper's networks for 32x32 images, depth 6n + 2 = 20, 32, 44, 56, 110: widths 16, 32, 64, shortcuts of option A."""
    if depth < 8 or depth % 6 != 2:
        raise UserError(f"depth={depth}: take 6n + 2 for n >= 1 (20, 32, 44, 56, 110)")
    small = {"stages": ((depth - 2) // 6,) * 3, "width": 16, "stem": thin_stem, "shortcut": ZeroPadding, "classes": 10}
    return ResNet(**{**small, **options})


def wide_resnet(depth: int, widen: int, **options) -> ResNet:
    """WRN-depth-widen, depth 6n + 4 (16, 22, 28, 40): pre-activation blocks of width 16·widen, 32·widen, 64·widen."""
    if depth < 10 or depth % 6 != 4:
        raise UserError(f"depth={depth}: take 6n + 4 for n >= 1 (16, 22, 28, 40)")
    small = {"stages": ((depth - 4) // 6,) * 3, "width": 16 * widen, "stem": thin_stem, "preactivation": True}
    return ResNet(**{"classes": 10, **small, **options})
