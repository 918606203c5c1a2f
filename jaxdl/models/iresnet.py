"""Improved residual networks for faces: an image of 112x112 pixels to an embedding of 512 dimensions.

    block   y = shortcut(x) + norm(W₂ * prelu(norm(W₁ * norm(x))))        no activation after the sum
    net     3x3 stem, four stages that each halve the image, norm, dropout, one dense layer over the flattened map, norm

The scale of the last norm stays 1, because the loss depends on angles only (`jaxdl.losses.margin`).
Source: Duta et al. 2020, arXiv:2004.04989; Deng et al. 2018, arXiv:1801.07698, section 3.1; sizes as insightface's arcface_torch.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.layers.activation import PReLU
from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.vision import Images, Norm, Seen, check_image, fan_in_uniform, run_block, uniform_bias
from jaxdl.types import UserError

narrow = nn.initializers.normal(0.1)


def prelu_each(x: Images, *, name: str) -> Images:
    """PReLU: max(0, x) + slope · min(0, x) with a slope for each channel."""
    return PReLU(per_channel=True, name=name)(x)


Named = Callable[..., Images]
"""An activation that has parameters, called as `act(x, name=...)`."""


class Block(nn.Module):
    """Block: norm, 3x3, norm, activation, 3x3 (with the stride), norm; shortcut: 1x1 and norm where the shape changes."""

    features: int
    strides: int = 1
    act: Named = prelu_each
    norm: Norm = BatchNorm

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        options = {"use_bias": False, "kernel_init": narrow}
        y = self.norm(name="norm1")(x, train=train)
        y = Conv(self.features, 3, name="conv1", **options)(y)
        y = self.act(self.norm(name="norm2")(y, train=train), name="act")
        y = Conv(self.features, 3, self.strides, name="conv2", **options)(y)
        y = self.norm(name="norm3")(y, train=train)
        if self.strides > 1 or x.shape[-1] != self.features:
            x = Conv(self.features, 1, self.strides, name="shortcut", **options)(x)
            x = self.norm(name="shortcut_norm")(x, train=train)
        return x + y


class IResNet(nn.Module):
    """Stem; `stages[i]` blocks of width `width·2^i`; the embedding, of `classes` numbers.

    iResNet-50 has 43,590,848 parameters; 512 of them are the scale of the last norm, which gets no gradient. Images may have any
    size, on which the size of the dense layer depends. `rate` is the dropout before the dense layer, `remat` recomputes each
    block in the backward pass. Features: `stem`, `stage1_block1` ..., `stage1` ..., `pooled` (the flattened map).
    """

    stages: Sequence[int] = (3, 4, 14, 3)
    width: int = 64
    classes: int = 512
    act: Named = prelu_each
    norm: Norm = BatchNorm
    rate: Rate = 0.0
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Images, *, train: bool, features: bool = False
    ) -> Float[Array, "batch classes"] | tuple[Array, Seen]:
        check_image(x, 1, "IResNet")
        x = Conv(self.width, 3, use_bias=False, kernel_init=narrow, name="stem")(x)
        x = self.act(self.norm(name="stem_norm")(x, train=train), name="stem_act")
        seen = {"stem": x}
        for i, blocks in enumerate(self.stages, 1):
            for j in range(1, blocks + 1):
                options = {"act": self.act, "norm": self.norm, "name": f"stage{i}_block{j}"}
                block = Block(self.width * 2 ** (i - 1), 2 if j == 1 else 1, **options)
                x = seen[f"stage{i}_block{j}"] = run_block(block, x, train=train, remat=self.remat)
            seen[f"stage{i}"] = x
        x = self.norm(name="norm")(x, train=train)
        x = seen["pooled"] = Dropout(self.rate)(x, train=train).reshape(x.shape[0], -1)
        bias = uniform_bias(x.shape[-1])
        x = Dense(self.classes, kernel_init=fan_in_uniform, bias_init=bias, name="head")(x)
        x = self.norm(name="head_norm", use_scale=False)(x.astype(jnp.float32), train=train)
        scale = self.param("head_scale", nn.initializers.ones, (self.classes,), jnp.float32)
        x = x * jnp.broadcast_to(jax.lax.stop_gradient(scale), x.shape)
        return (x, seen) if features else x


SIZES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 14, 3),
    100: (3, 13, 30, 3),
    200: (6, 26, 60, 6),
}
"""Number of blocks in each stage, by depth."""


def iresnet(depth: int, **options) -> IResNet:
    """iResNet-18, 34, 50, 100 or 200; `options` are those of `IResNet`."""
    if depth not in SIZES:
        raise UserError(f"depth={depth}: take one of {', '.join(map(str, SIZES))}")
    return IResNet(**{"stages": SIZES[depth], **options})
