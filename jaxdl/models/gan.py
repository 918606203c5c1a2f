"""Generators and critics: an MLP pair for points, DCGAN for small images, the residual pair of SNGAN in `gan_resnet.py`.

A generator makes `(batch, *shape)` in [-1, 1] (images; points as they come) of noise `(batch, latent)`; a critic gives one logit
each, `(batch,)`, large for "real". Both take the labels as a second argument where they have `classes`.
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
    """Labels as rows of `classes` numbers; ValueError where a conditional model got none."""
    if y is None or classes is None:
        raise UserError(f"classes = {classes}: a conditional model wants the labels as its second argument")
    return jax.nn.one_hot(y, classes, dtype=like.dtype)


# -- MLP --------------------------------------------------------------------------------------------------------------


class MLPGenerator(nn.Module):
    """Dense layers from noise (and the label's one-hot, Mirza and Osindero 2014) to `shape`; `last` is tanh for images."""

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
    """Dense layers from an example (and the label's one-hot) to one logit; `kernel_map=SpectralNorm` bounds its slope."""

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
    """How often a side is halved until 7 or less is left: 8 -> 4, 28 -> 7, 32 -> 4, 64 -> 4.

    >>> [doublings(size) for size in (8, 28, 32, 64)]
    [1, 2, 3, 4]
    """
    count, side = 0, size
    while side > 7 and side % 2 == 0:
        count, side = count + 1, side // 2
    if not count or side > 7:
        raise UserError(f"images of side {size} do not come of 2 … 7 by doubling: take 8, 16, 28, 32, 64, …")
    return count


class DCGANGenerator(nn.Module):
    """Noise -> a small map, doubled by transposed convolutions of 4x4, batch norm and ReLU between them, tanh at the end.

    `shape` is (side, side, channels); the last map but one has `width` channels, each one before twice as many. With `classes`
    the label's one-hot stands behind the noise, and the norms have a scale and a shift of each class: these alone change no
    place in the map, too little for a generator of few layers. Without biases and with kernels from N(0, 0.02²), as PyTorch's
    example: 3,576,704 parameters for (64, 64, 3) from 100 numbers. Source: Radford et al. 2015, arXiv:1511.06434.
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
    """Convolutions of 4x4 and stride 2 with leaky ReLU, down to one logit over the last map.

    `norm` stands behind every convolution but the first; None where a gradient penalty or R1 looks at single examples, or with
    `kernel_map=SpectralNorm`; the convolutions then have biases. With `classes` the logit is that of a projection:

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
    """v_y·h with a learned row v of each class (Miyato and Koyama 2018, eq. 4), under the critic's own `kernel_map`.

    The rows start small: a random answer to the label would drown what the critic learns of the examples.
    """
    rows = one_hot(y, critic.classes, h)
    shared = {"kernel_map": critic.kernel_map, "kernel_init": kernel_init}
    table = Dense(h.shape[-1], use_bias=False, name="projection", **shared)
    return (table(rows, train=train) * h).sum(-1)
