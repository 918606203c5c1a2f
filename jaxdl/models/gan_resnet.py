"""Residual generator and critic of SNGAN in mimicry's sizes, also conditional with a projection.

    side    generator     critic       conditional on 10 classes
      32     4,276,739     1,053,825    4,304,387 and 1,055,105
     128    32,150,787    29,017,857

Source: Miyato et al. 2018, arXiv:1802.05957, tables 4 and 5; Lee and Town 2020, arXiv:2005.02494 (mimicry).
"""

from collections.abc import Callable, Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.layers.convolution import Conv, KernelMap
from jaxdl.layers.dense import Dense
from jaxdl.layers.normalization import BatchNorm, ConditionalBatchNorm, SpectralNorm
from jaxdl.layers.pooling import avg_pool
from jaxdl.models.gan import Examples, Labels, Logits, Noise, projection
from jaxdl.types import UserError

Maps = Float[Array, "batch height width channels"]

residual = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
"""Xavier with a gain of √2, for the two convolutions of a block."""
xavier = nn.initializers.xavier_uniform()


def doubled(x: Maps) -> Maps:
    """Nearest-neighbour upsampling by 2."""
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return x.reshape(batch, 2 * height, 2 * width, channels)


class Up(nn.Module):
    """Residual block that doubles the sides: norm, ReLU, upsampling, 3x3, norm, ReLU, 3x3; shortcut: upsampling, 1x1."""

    features: int
    norm: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        h = Conv(self.features, kernel_init=residual)(doubled(nn.relu(self.norm(x))))
        h = Conv(self.features, kernel_init=residual)(nn.relu(self.norm(h)))
        # 1x1 convolution and upsampling commute; the convolution costs less on the smaller image
        return h + doubled(Conv(self.features, 1, kernel_init=xavier, name="shortcut")(x))


class Down(nn.Module):
    """Residual block of the critic: ReLU, 3x3, ReLU, 3x3, with `down` a 2x2 mean; shortcut: 1x1 where the shape changes.

    The `first` block begins without a ReLU and has `features` channels from its first convolution on.
    """

    features: int
    down: bool
    first: bool = False
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(self, x: Maps, *, train: bool) -> Maps:
        conv = partial(Conv, kernel_map=self.kernel_map)
        hidden = self.features if self.first else x.shape[-1]
        h = x if self.first else nn.relu(x)
        h = conv(hidden, kernel_init=residual)(h, train=train)
        h = conv(self.features, kernel_init=residual)(nn.relu(h), train=train)
        # the mean and the 1x1 convolution commute; the convolution costs less on the smaller image
        beside = avg_pool(x, 2) if self.down else x
        if self.down or x.shape[-1] != self.features:
            beside = conv(self.features, 1, kernel_init=xavier, name="shortcut")(beside, train=train)
        return (avg_pool(h, 2) if self.down else h) + beside


class ResNetGenerator(nn.Module):
    """Dense map from noise to 4x4 with `start` channels, one `Up` block for each width, norm, ReLU, 3x3, tanh."""

    start: int = 256
    widths: Sequence[int] = (256, 256, 256)
    channels: int = 3
    classes: int | None = None
    bottom: int = 4

    @nn.compact
    def __call__(self, z: Noise, y: Labels = None, *, train: bool) -> Examples:
        def norm(h: Array) -> Array:
            if self.classes is None or y is None:
                return BatchNorm()(h, train=train)
            return ConditionalBatchNorm(self.classes)(h, y, train=train)

        h = Dense(self.bottom**2 * self.start, kernel_init=xavier)(z)
        h = h.reshape(z.shape[0], self.bottom, self.bottom, self.start)
        for width in self.widths:
            h = Up(width, norm)(h)
        h = nn.relu(BatchNorm(name="last_norm")(h, train=train))
        return jnp.tanh(Conv(self.channels, kernel_init=xavier)(h))


class ResNetCritic(nn.Module):
    """One `Down` block for each width, the first `downs` of which halve the image; ReLU, sum over space, one logit."""

    widths: Sequence[int] = (128, 128, 128, 128)
    downs: int = 2
    classes: int | None = None
    kernel_map: KernelMap = SpectralNorm

    @nn.compact
    def __call__(self, x: Examples, y: Labels = None, *, train: bool) -> Logits:
        for i, width in enumerate(self.widths):
            x = Down(width, i < self.downs, i == 0, self.kernel_map)(x, train=train)
        h = nn.relu(x).sum((1, 2))
        logit = Dense(1, kernel_init=xavier, kernel_map=self.kernel_map)(h, train=train)[:, 0]
        return logit if self.classes is None else logit + projection(self, h, y, train, kernel_init=xavier)


SIZES = {
    32: ((256, (256, 256, 256)), ((128, 128, 128, 128), 2)),
    128: ((1024, (1024, 512, 256, 128, 64)), ((64, 128, 256, 512, 1024, 1024), 5)),
}
"""By side: (start, widths) of the generator and (widths, downs) of the critic."""


def sngan(side: int = 32, *, classes: int | None = None) -> tuple[ResNetGenerator, ResNetCritic]:
    """Generator and critic for colour images of 32 or 128 pixels; the noise has 128 dimensions."""
    if side not in SIZES:
        raise UserError(f"side = {side}: SNGAN has sizes for {', '.join(map(str, SIZES))}")
    (start, widths), (critic, downs) = SIZES[side]
    return ResNetGenerator(start, widths, classes=classes), ResNetCritic(critic, downs, classes)
