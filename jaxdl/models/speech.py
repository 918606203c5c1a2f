"""Speech models: spectrograms to symbols at every frame (for CTC) or to one class. The encoder is passed as a value:

    Transcriber(classes=11, encoder=RecurrentEncoder(Recurrent(GRU(128), layers=2, bidirectional=True)))
    Transcriber(classes=29, encoder=conformer("S"))

Spectrograms are `(batch, time, mels)`; `lengths` are their numbers of frames. Frames beyond them do not affect the result.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.activations import swish
from jaxdl.layers.attention import MultiHead, padding_mask
from jaxdl.layers.convolution import Conv, DepthwiseConv
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.layers.position import SinusoidalRelative
from jaxdl.layers.recurrent import GRU, Recurrent
from jaxdl.tracing import recompute_block
from jaxdl.types import UserError

Frames = Float[Array, "batch time channels"]
Lengths = Int[Array, "batch"]


def real_frames(x: Array, lengths: Lengths) -> Array:
    """Set x `(batch, time, ...)` to zero beyond the lengths."""
    seen = jnp.arange(x.shape[1])[None] < lengths[:, None]
    return jnp.where(seen.reshape(*seen.shape, *(1,) * (x.ndim - 2)), x, 0)


class Subsample(nn.Module):
    """Two-dimensional convolutions that each halve time and mels, then a dense layer to `width`.

        length ← ⌈length/2⌉, `halvings` times

    Parameters: `conv_0`, `conv_1`, ..., `out`.
    """

    width: int
    channels: int = 32
    halvings: int = 2

    @nn.compact
    def __call__(self, x: Frames, lengths: Lengths) -> tuple[Frames, Lengths]:
        x = real_frames(x, lengths)[..., None]
        for i in range(self.halvings):
            x = nn.relu(Conv(self.channels, 3, strides=2, padding=1, name=f"conv_{i}")(x))
            lengths = (lengths + 1) // 2
            x = real_frames(x, lengths)  # bias and ReLU have made the padding non-zero
        x = Dense(self.width, name="out")(x.reshape(*x.shape[:2], -1))
        return real_frames(x, lengths), lengths


class RecurrentEncoder(nn.Module):
    """Subsampling, then recurrent layers, usually bidirectional (as in DeepSpeech 2).

    Source: Amodei et al. 2015, arXiv:1512.02595. Parameters: `subsample`, `core`.
    """

    core: Recurrent = Recurrent(GRU(128), layers=2, bidirectional=True)
    width: int = 128
    channels: int = 32
    halvings: int = 2
    rate: Rate = 0.0

    @nn.compact
    def __call__(self, x: Frames, lengths: Lengths, *, train: bool) -> tuple[Frames, Lengths]:
        x, lengths = Subsample(self.width, self.channels, self.halvings, name="subsample")(x, lengths)
        y, _ = self.core(Dropout(self.rate)(nn.relu(x), train=train), None, lengths, train=train)
        return y, lengths


class ConvolutionModule(nn.Module):
    """Convolution of a Conformer: dense, gated linear unit, depthwise convolution over time, norm, swish, dense.

    `norm` is `BatchNorm` (the paper's; padding is left out of its statistics) or any norm over the last axis.
    """

    kernel: int = 32
    norm: Any = BatchNorm
    rate: Rate = 0.0
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Frames, lengths: Lengths, *, train: bool) -> Frames:
        width = x.shape[-1]
        a, gate = jnp.split(Dense(2 * width, self.use_bias, name="expand")(x), 2, -1)
        h = real_frames(a * jax.nn.sigmoid(gate), lengths)
        left = (self.kernel - 1) // 2
        h = DepthwiseConv(
            self.kernel, padding=((left, self.kernel - 1 - left),), use_bias=self.use_bias, name="depthwise"
        )(h)
        if isinstance(self.norm, type) and issubclass(self.norm, BatchNorm):
            mask = (jnp.arange(h.shape[1])[None] < lengths[:, None]).astype(jnp.float32)
            flat = self.norm(name="norm")(h.reshape(-1, width), train=train, mask=mask.reshape(-1))
            h = flat.reshape(h.shape)
        else:
            h = self.norm(name="norm")(h, train=train)
        h = Dense(width, self.use_bias, name="reduce")(swish(h))
        return Dropout(self.rate)(h, train=train)


class FeedForward(nn.Module):
    """swish(x·W + b)·W' + b' with `expansion` times as many hidden channels. Parameters: `expand`, `reduce`."""

    expansion: int = 4
    rate: Rate = 0.0

    @nn.compact
    def __call__(self, x: Frames, *, train: bool) -> Frames:
        h = swish(Dense(self.expansion * x.shape[-1], name="expand")(x))
        h = Dense(x.shape[-1], name="reduce")(Dropout(self.rate)(h, train=train))
        return Dropout(self.rate)(h, train=train)


class ConformerBlock(nn.Module):
    """Attention and convolution between two feed-forward layers of half weight, each after a layer norm.

        x ← x + ½·FF(LN(x)),  x ← x + MHSA(LN(x)),  x ← x + Conv(LN(x)),  x ← x + ½·FF(LN(x)),  y = LN(x)

    Parameters: `first`, `attention` and its `positions`, `convolution`, `second`, a norm before each, `last_norm`.
    Source: Gulati et al. 2020, arXiv:2005.08100, eq. 1.
    """

    heads: int = 4
    kernel: int = 32
    expansion: int = 4
    norm: Any = BatchNorm
    rate: Rate = 0.0
    conv_bias: bool = True

    @nn.compact
    def __call__(self, x: Frames, lengths: Lengths, train: bool) -> Frames:
        width, norm = x.shape[-1], lambda name: LayerNorm(name=f"{name}_norm")
        mask = padding_mask(lengths, x.shape[1])
        x = x + 0.5 * FeedForward(self.expansion, self.rate, name="first")(norm("first")(x), train=train)
        attend = MultiHead(
            width, self.heads, rate=self.rate, relative=SinusoidalRelative(name="positions"), name="attention"
        )
        h = attend(norm("attention")(x), mask=mask, train=train)
        x = x + Dropout(self.rate)(h, train=train)
        convolve = ConvolutionModule(self.kernel, self.norm, self.rate, self.conv_bias, name="convolution")
        x = x + convolve(norm("convolution")(x), lengths, train=train)
        x = x + 0.5 * FeedForward(self.expansion, self.rate, name="second")(norm("second")(x), train=train)
        return norm("last")(x)


class Conformer(nn.Module):
    """Subsampling by 4, then `layers` Conformer blocks. Parameters: `subsample`, `block_0`, `block_1`, ...

    Source: Gulati et al. 2020, arXiv:2005.08100.
    """

    width: int = 144
    layers: int = 16
    heads: int = 4
    kernel: int = 32
    expansion: int = 4
    channels: int | None = None
    halvings: int = 2
    norm: Any = BatchNorm
    rate: Rate = 0.1

    @nn.compact
    def __call__(self, x: Frames, lengths: Lengths, *, train: bool) -> tuple[Frames, Lengths]:
        channels = self.width if self.channels is None else self.channels
        x, lengths = Subsample(self.width, channels, self.halvings, name="subsample")(x, lengths)
        x = Dropout(self.rate)(x, train=train)
        for i in range(self.layers):
            block = nn.remat(ConformerBlock, static_argnums=(3,)) if recompute_block() else ConformerBlock
            options = (self.heads, self.kernel, self.expansion, self.norm, self.rate)
            x = block(*options, name=f"block_{i}")(x, lengths, train)
        return x, lengths


SIZES = {"S": (144, 16, 4), "M": (256, 16, 4), "L": (512, 17, 8)}
"""Width, layers and heads of the encoders, by size. Source: Gulati et al. 2020, table 1."""


def conformer(size: str = "S", **options: Any) -> Conformer:
    """Encoder of Conformer S, M or L, without the paper's decoder (an LSTM transducer)."""
    if size not in SIZES:
        raise UserError(f"size={size!r}: take one of {', '.join(SIZES)}")
    width, layers, heads = SIZES[size]
    return Conformer(width=width, layers=layers, heads=heads, **options)


class Transcriber(nn.Module):
    """Return the logits of `classes` symbols (0 is CTC's blank) at every frame of the encoder, and the numbers of frames.

    Parameters: `encoder`, `head`.
    """

    classes: int
    encoder: nn.Module = RecurrentEncoder()
    rate: Rate = 0.0

    @nn.compact
    def __call__(
        self, x: Frames, lengths: Lengths | None = None, *, train: bool
    ) -> tuple[Float[Array, "batch frames classes"], Lengths]:
        lengths = jnp.full(len(x), x.shape[1]) if lengths is None else lengths
        y, real_frames = self.encoder(x, lengths, train=train)
        return Dense(self.classes, name="head")(Dropout(self.rate)(y, train=train)), real_frames


class SpeechClassifier(nn.Module):
    """Return the logits of `classes` for each recording, from the mean over the encoder's frames without padding.

    Parameters: `encoder`, `head`.
    """

    classes: int
    encoder: nn.Module = RecurrentEncoder()
    rate: Rate = 0.0

    @nn.compact
    def __call__(self, x: Frames, lengths: Lengths | None = None, *, train: bool) -> Float[Array, "batch classes"]:
        lengths = jnp.full(len(x), x.shape[1]) if lengths is None else lengths
        y, frames = self.encoder(x, lengths, train=train)
        mean = real_frames(y, frames).sum(1) / jnp.maximum(frames, 1)[:, None].astype(y.dtype)
        return Dense(self.classes, name="head")(Dropout(self.rate)(mean, train=train))
