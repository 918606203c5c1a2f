"""Forecasting models without recurrence: the next `horizon` values of each series from the last `lookback` values.

`DLinear` and `PatchTST` apply the same weights to each variable independently. They map `(batch, time, channels)` to
`(batch, horizon, outputs)`, for the first `outputs` channels (None: all). The recurrent model is `rnn.Forecaster`.
"""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxdl.activations import gelu
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout, Rate
from jaxdl.layers.normalization import BatchNorm
from jaxdl.layers.position import Sinusoidal, positions_of
from jaxdl.models.transformer_block import Config, Stack
from jaxdl.types import UserError

Series = Float[Array, "batch time channels"]
Forecast = Float[Array, "batch horizon outputs"]


def moving_average(x: Series, window: int) -> Series:
    """Centred moving average over `window` (odd) values; the ends are padded with the first and the last value.

    >>> moving_average(jnp.array([[[0.0], [3.0], [0.0]]]), 3)[0, :, 0].tolist()
    [1.0, 1.0, 1.0]
    """
    side = window // 2
    padded = jnp.pad(x, ((0, 0), (side, side), (0, 0)), mode="edge")
    return lax.reduce_window(padded, jnp.zeros((), x.dtype), lax.add, (1, window, 1), (1, 1, 1), "valid") / window


@dataclass(frozen=True)
class Level:
    """Standardise a window by its own mean and standard deviation per channel (RevIN without weights).

        x̂ = (x - μ) / σ,    y = ŷ·σ + μ        μ, σ of the window, without gradient;  σ² = variance + 10⁻⁵

    The model then sees a series that drifts as it saw the training data.
    Source: Kim et al. 2022 (RevIN), Liu et al. 2022, arXiv:2205.14415.
    """

    mean: Float[Array, "batch 1 channels"]
    std: Float[Array, "batch 1 channels"]

    @classmethod
    def of(cls, x: Series) -> "Level":
        mean = x.mean(1, keepdims=True)
        std = jnp.sqrt(x.var(1, keepdims=True) + jnp.asarray(1e-5, x.dtype))
        return cls(lax.stop_gradient(mean), lax.stop_gradient(std))

    def remove(self, x: Series) -> Series:
        return (x - self.mean) / self.std

    def restore(self, y: Forecast) -> Forecast:
        n = y.shape[-1]
        return y * self.std[..., :n] + self.mean[..., :n]


class Levelled(nn.Module):
    """Wrap a forecaster: its inputs and outputs go through `Level`. Parameters: `model`."""

    model: nn.Module

    def __call__(self, x: Series, *, train: bool) -> Forecast:
        level = Level.of(x)
        return level.restore(self.model(level.remove(x), train=train))


class DLinear(nn.Module):
    """Two linear maps from past to future, one for the trend and one for the rest.

        ŷ = W_t·t + b_t + W_s·(x - t) + b_s        t: moving average of `window` values

    It has 2·(lookback + 1)·horizon parameters, shared by all variables. The maps are initialised as means over the past.
    Parameters: `trend`, `seasonal`. Source: Zeng et al. 2022, arXiv:2205.13504.
    """

    horizon: int
    outputs: int | None = None
    window: int = 25

    @nn.compact
    def __call__(self, x: Series, *, train: bool) -> Forecast:
        if self.window % 2 == 0:
            raise UserError(f"window={self.window} must be odd")
        trend = moving_average(x, self.window)
        mean = nn.initializers.constant(1 / x.shape[1])
        y = Dense(self.horizon, kernel_init=mean, name="trend")(trend.swapaxes(1, 2))
        y = y + Dense(self.horizon, kernel_init=mean, name="seasonal")((x - trend).swapaxes(1, 2))
        return y.swapaxes(1, 2)[..., : self.outputs]


class PatchTST(nn.Module):
    """Transformer over patches of one variable: `patch` values every `stride` steps; the end is padded with the last value.

    A dense layer maps each patch to `width` channels and sinusoidal positions are added; `depth` blocks (norm last, GELU) and
    batch norm follow; one dense layer maps all patches to `horizon` values. Inputs and outputs go through `Level`. The defaults
    are TSLib's: 6,903,904 parameters for 96 to 96 values. Parameters: `patches`, `stack`, `norm`, `head`.
    Source: Nie et al. 2023, arXiv:2211.14730.
    """

    horizon: int
    outputs: int | None = None
    width: int = 512
    depth: int = 2
    heads: int = 8
    hidden: int = 2048
    patch: int = 16
    stride: int = 8
    rate: Rate = 0.0

    @nn.compact
    def __call__(self, x: Series, *, train: bool) -> Forecast:
        if x.shape[1] + self.stride < self.patch:
            raise UserError(f"patch={self.patch} is longer than the {x.shape[1]} values that the model reads")
        level = Level.of(x)
        series = jnp.pad(level.remove(x), ((0, 0), (0, self.stride), (0, 0)), mode="edge").swapaxes(1, 2)
        starts = jnp.arange(0, series.shape[-1] - self.patch + 1, self.stride)
        batch, channels = series.shape[:2]
        pieces = series[..., starts[:, None] + jnp.arange(self.patch)[None]]
        tokens = Dense(self.width, use_bias=False, name="patches")(pieces.reshape(batch * channels, -1, self.patch))
        tokens = Dropout(self.rate)(Sinusoidal()(tokens, positions_of(tokens)), train=train)
        options: dict[str, Any] = dict(width=self.width, depth=self.depth, heads=self.heads, hidden=self.hidden)
        rates: dict[str, Any] = dict(rate=self.rate, attention_rate=self.rate, mlp_rate=self.rate)
        tokens = Stack(Config(act=gelu, **options, **rates), name="stack")(tokens, train=train)
        tokens = BatchNorm(name="norm")(tokens, train=train)
        flat = Dropout(self.rate)(tokens.reshape(batch, channels, -1), train=train)
        y = Dense(self.horizon, name="head")(flat).swapaxes(1, 2)
        return level.restore(y[..., : self.outputs])
