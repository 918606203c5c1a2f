"""Autoencoders: an encoder, a bottleneck and a decoder of your choice.

    x → encoder → h → bottleneck → code z → decoder → logits or means of x

A dense autoencoder is made of two MLPs: `Autoencoder(MLP((256,), classes=8), MLP((256,), classes=784))`.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.layers.convolution import Conv, ConvTranspose
from jaxdl.layers.dense import Dense
from jaxdl.types import UserError

Images = Float[Array, "batch height width channels"]
Act = Callable[[Array], Array]


class Autoencoder(nn.Module):
    """Autoencoder of three modules. Parameters: `encoder`, `bottleneck`, `decoder`.

    The bottleneck returns the code and a dictionary with what the loss needs, such as its variance. Without a bottleneck the
    code is the encoder's output.
    """

    encoder: nn.Module
    decoder: nn.Module
    bottleneck: nn.Module | None = None

    def __call__(self, x: Float[Array, "batch *shape"], *, train: bool) -> Array:
        return self.decode(self.encode(x, train=train)[0], train=train)

    def encode(self, x: Float[Array, "batch *shape"], *, train: bool) -> tuple[Array, dict[str, Array]]:
        """Return the code of every example (its mean, if it is random) and the bottleneck's dictionary."""
        h = self.encoder(x, train=train)
        return (h, {}) if self.bottleneck is None else self.bottleneck(h, train=train)

    def decode(self, z: Float[Array, "batch *latent"], *, train: bool) -> Array:
        return self.decoder(z, train=train)


class Activated(nn.Module):
    """Bottleneck z = act(h), with a sigmoid or a ReLU for sparse codes."""

    act: Act = nn.sigmoid

    def __call__(self, h: Float[Array, "batch *units"], *, train: bool) -> tuple[Array, dict[str, Array]]:
        return self.act(h), {}


class Normal(nn.Module):
    """Bottleneck of a VAE: h = (μ, log σ²). The code is μ; the task samples from N(μ, σ²). log σ² is clipped to ±`limit`."""

    limit: float = 20.0

    def __call__(self, h: Float[Array, "batch *units"], *, train: bool) -> tuple[Array, dict[str, Array]]:
        if h.shape[-1] % 2:
            raise UserError(f"the encoder must give μ and log σ², an even number of outputs, got {h.shape[-1]}")
        mean, log_variance = jnp.split(h, 2, axis=-1)
        return mean, {"mean": mean, "log_variance": jnp.clip(log_variance, -self.limit, self.limit)}


class Residual(nn.Module):
    """Residual block x + conv 1x1(relu(conv 3x3(relu(x)))); the width is kept."""

    act: Act = nn.relu

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        y = Conv(x.shape[-1], 3)(self.act(x))
        return x + Conv(x.shape[-1], 1)(self.act(y))


class SpatialEncoder(nn.Module):
    """One 4x4 convolution of stride 2 for each width in `features`, then residual blocks and a 1x1 convolution.

        (batch, height, width, c) → (batch, height/2ⁿ, width/2ⁿ, channels)

    n is the number of widths. With n = 2 and `blocks=2` this is VQ-VAE's encoder (van den Oord et al. 2017, section 4.1).
    """

    channels: int
    features: Sequence[int] = (32, 64)
    blocks: int = 0
    act: Act = nn.relu

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        for width in self.features:
            x = self.act(Conv(width, 4, strides=2, padding=1)(x))
        for _ in range(self.blocks):
            x = Residual(self.act)(x, train=train)
        return Conv(self.channels, 1)(x)


class SpatialDecoder(nn.Module):
    """A 3x3 convolution, residual blocks, then one 4x4 transposed convolution of stride 2 for each width."""

    channels: int
    features: Sequence[int] = (64, 32)
    blocks: int = 0
    act: Act = nn.relu

    @nn.compact
    def __call__(self, z: Images, *, train: bool) -> Images:
        z = Conv(self.features[0], 3)(z)
        for _ in range(self.blocks):
            z = Residual(self.act)(z, train=train)
        z = self.act(z)
        for width in self.features[1:]:
            z = self.act(ConvTranspose(width)(z))
        return ConvTranspose(self.channels)(z)


class ConvEncoder(nn.Module):
    """`SpatialEncoder`, then a dense layer to `outputs` values (twice the width of the code for `Normal`)."""

    outputs: int
    features: Sequence[int] = (32, 64)
    act: Act = nn.relu

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Float[Array, "batch outputs"]:
        x = self.act(SpatialEncoder(self.features[-1], self.features, act=self.act)(x, train=train))
        return Dense(self.outputs)(x.reshape(x.shape[0], -1))


class ConvDecoder(nn.Module):
    """Dense layer to a small map, then `SpatialDecoder` to images of `sides`: multiples of 2ⁿ with n = len(features)."""

    sides: tuple[int, int]
    channels: int = 1
    features: Sequence[int] = (64, 32)
    act: Act = nn.relu

    @nn.compact
    def __call__(self, z: Float[Array, "batch width"], *, train: bool) -> Images:
        small, rest = zip(*(divmod(side, 2 ** len(self.features)) for side in self.sides), strict=True)
        if any(rest):
            raise UserError(
                f"sides = {self.sides} must be multiples of {2 ** len(self.features)}: each width in features doubles the image"
            )
        z = self.act(Dense(small[0] * small[1] * self.features[0])(z))
        z = z.reshape(z.shape[0], *small, self.features[0])
        return SpatialDecoder(self.channels, self.features, act=self.act)(z, train=train)
