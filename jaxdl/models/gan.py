"""Generators and critics of GANs: MLPs for points, DCGAN for small images; the residual networks of SNGAN are in `gan_resnet.py`.

A generator maps noise `(batch, latent)` to examples `(batch, *shape)`, images in [-1, 1]. A critic returns one logit for each
example, `(batch,)`, large for "real". Conditional models have `classes` and take the labels as second argument.
"""

from collections.abc import Callable, Sequence
from math import prod

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.layers.convolution import Conv, ConvTranspose, Initializer, KernelMap
from jaxdl.layers.dense import Dense
from jaxdl.layers.normalization import BatchNorm, ConditionalBatchNorm
from jaxdl.types import UserError

Noise = Float[Array, "batch latent"]
Examples = Float[Array, "batch *shape"]
Labels = Int[Array, "batch"] | None
Logits = Float[Array, "batch"]
Act = Callable[[Array], Array]

normal = nn.initializers.normal(0.02)


def leaky(x: Array) -> Array:
    """max(x, 0.2·x)."""
    return jnp.maximum(x, jnp.asarray(0.2, x.dtype) * x)


def one_hot(y: Labels, classes: int | None, like: Array) -> Array:
    """One-hot labels `(batch, classes)`. Raises UserError if a conditional model got no labels."""
    if y is None or classes is None:
        raise UserError(f"classes = {classes}: a conditional model takes the labels as second argument")
    return jax.nn.one_hot(y, classes, dtype=like.dtype)


# -- MLP --------------------------------------------------------------------------------------------------------------


class MLPGenerator(nn.Module):
    """Dense layers from noise (and the one-hot label, Mirza and Osindero 2014) to `shape`; `last` is tanh for images."""

    shape: Sequence[int] = (2,)
    features: Sequence[int] = (128, 128)
    classes: int | None = None
    act: Act = nn.relu
    last: Act = lambda x: x

    @nn.compact
    def __call__(self, z: Noise, y: Labels = None, *, train: bool) -> Examples:
        h = z if self.classes is None else jnp.concatenate([z, one_hot(y, self.classes, z)], -1)
        for width in self.features:
            h = self.act(Dense(width)(h))
        return self.last(Dense(prod(self.shape))(h)).reshape(z.shape[0], *self.shape)


class MLPCritic(nn.Module):
    """Dense layers from an example (and the one-hot label) to one logit; `kernel_map=SpectralNorm` bounds its slope."""

    features: Sequence[int] = (128, 128)
    classes: int | None = None
    act: Act = leaky
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(self, x: Examples, y: Labels = None, *, train: bool) -> Logits:
        h = x.reshape(x.shape[0], -1)
        h = h if self.classes is None else jnp.concatenate([h, one_hot(y, self.classes, h)], -1)
        for width in self.features:
            h = self.act(Dense(width, kernel_map=self.kernel_map)(h, train=train))
        return Dense(1, kernel_map=self.kernel_map)(h, train=train)[:, 0]


# -- DCGAN ------------------------------------------------------------------------------------------------------------


def doublings(size: int) -> int:
    """Number of halvings that take a side to 7 or less: 8 -> 4, 28 -> 7, 32 -> 4, 64 -> 4.

    >>> [doublings(size) for size in (8, 28, 32, 64)]
    [1, 2, 3, 4]
    """
    count, side = 0, size
    while side > 7 and side % 2 == 0:
        count, side = count + 1, side // 2
    if not count or side > 7:
        raise UserError(
            f"images of side {size}: the side must be 2 … 7 times a power of 2, such as 8, 16, 28, 32 or 64"
        )
    return count


class DCGANGenerator(nn.Module):
    """Dense map from noise, then 4x4 transposed convolutions of stride 2 with batch norm and ReLU between them; tanh at the end.

    `shape` is (side, side, channels). The last hidden map has `width` channels, each earlier one twice as many. With `classes`
    the one-hot label is appended to the noise, and each norm has a scale and a shift for every class. (The norms alone act
    equally on all pixels, which is too little for a generator of few layers.) There are no biases, and kernels are initialised
    from N(0, 0.02²), as in PyTorch's example: 3,576,704 parameters for (64, 64, 3) from 100 numbers.
    Source: Radford et al. 2015, arXiv:1511.06434.
    """

    shape: Sequence[int] = (32, 32, 3)
    width: int = 64
    classes: int | None = None

    @nn.compact
    def __call__(self, z: Noise, y: Labels = None, *, train: bool) -> Examples:
        side, _, channels = self.shape
        times = doublings(side)
        start, wide = side // 2**times, self.width * 2 ** (times - 1)

        def normed(h: Array) -> Array:
            if self.classes is None or y is None:
                return nn.relu(BatchNorm()(h, train=train))
            return nn.relu(ConditionalBatchNorm(self.classes)(h, y, train=train))

        h = z if self.classes is None else jnp.concatenate([z, one_hot(y, self.classes, z)], -1)
        h = Dense(start * start * wide, use_bias=False, kernel_init=normal)(h)
        h = normed(h.reshape(z.shape[0], start, start, wide))
        for i in range(1, times):
            h = normed(ConvTranspose(wide // 2**i, use_bias=False, kernel_init=normal)(h))
        return jnp.tanh(ConvTranspose(channels, use_bias=False, kernel_init=normal)(h))


class DCGANCritic(nn.Module):
    """4x4 convolutions of stride 2 with leaky ReLU, then one logit from the last map.

    `norm` follows every convolution but the first. Take `norm=None` with a gradient penalty, with R1 or with
    `kernel_map=SpectralNorm`; the convolutions then have biases. With `classes` the critic is a projection discriminator:

        D(x, y) = w·h(x) + v_y·h(x)         h: the last map, flattened

    2,765,568 parameters for 64x64 colour images. Source: Radford et al. 2015; Miyato and Koyama 2018, arXiv:1802.05637.
    """

    width: int = 64
    classes: int | None = None
    norm: Callable[[], nn.Module] | None = BatchNorm
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(self, x: Examples, y: Labels = None, *, train: bool) -> Logits:
        shared = {"kernel_map": self.kernel_map, "kernel_init": normal}
        for i in range(doublings(x.shape[1])):
            x = Conv(self.width * 2**i, 4, 2, 1, use_bias=self.norm is None, **shared)(x, train=train)
            if i and self.norm is not None:
                x = self.norm()(x, train=train)
            x = leaky(x)
        h = x.reshape(x.shape[0], -1)
        logit = Dense(1, use_bias=self.norm is None, **shared)(h, train=train)[:, 0]
        return logit if self.classes is None else logit + projection(self, h, y, train)


def projection(
    critic: nn.Module, h: Float[Array, "batch dim"], y: Labels, train: bool, *, kernel_init: Initializer = normal
) -> Logits:
    """v_y·h with a learned vector v for each class (Miyato and Koyama 2018, eq. 4), passed through the critic's `kernel_map`.

    The vectors are initialised small, so that the term does not dominate before the critic has learned from the examples.
    """
    rows = one_hot(y, critic.classes, h)
    shared = {"kernel_map": critic.kernel_map, "kernel_init": kernel_init}
    table = Dense(h.shape[-1], use_bias=False, name="projection", **shared)
    return (table(rows, train=train) * h).sum(-1)
