"""Parts of the vision models: initialisation, convolution with norm and activation, squeeze-and-excitation.

All vision models share one convention. `model.apply(variables, x, train=False)` returns the logits; with `features=True` it
returns `(logits, seen)`, where `seen` is a dictionary of intermediate arrays: those of modules by their names (`"stem"`,
`"stage2_block1"`), the output of a stage (`"stage1"`), the vector before the head (`"pooled"`) and auxiliary logits (`"aux1"`).
The last layer is always called `head`. Under jit, features that are not used cost nothing.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.activations import relu, sigmoid
from jaxdl.layers.arithmetic import Padding
from jaxdl.layers.convolution import Conv, Initializer, Sizes
from jaxdl.layers.dense import Dense
from jaxdl.layers.normalization import BatchNorm
from jaxdl.tracing import recompute_block
from jaxdl.types import UserError

Act = Callable[[Array], Array]
Norm = Callable[..., nn.Module]
Images = Float[Array, "batch height width channels"]
Seen = dict[str, Array]

# -- initialisation ---------------------------------------------------------------------------------------------------

he_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
"""N(0, 2 / (k²·out)) as torchvision's `kaiming_normal_(mode="fan_out")`; `out` is not divided by the number of groups."""

fan_in_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""U(±1/√fan_in), variance 1/(3·fan_in): the initialisation of PyTorch's convolutions and linear layers."""


def uniform_bias(fan_in: int) -> Initializer:
    """U(±1/√fan_in): PyTorch's initialisation of a bias, with the fan-in of its kernel."""

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, tuple(shape), dtype, -1 / sqrt(fan_in), 1 / sqrt(fan_in))

    return init


# -- sizes ------------------------------------------------------------------------------------------------------------


def check_image(x: Images, smallest: int, model: str) -> None:
    """Raise UserError if an image is too small for the model."""
    if x.ndim != 4:
        raise UserError(f"x has shape {x.shape}: {model} takes images (batch, height, width, channels)")
    if min(x.shape[1:3]) < smallest:
        raise UserError(f"x is {x.shape[1]}x{x.shape[2]}: the smallest image {model} works on is {smallest}x{smallest}")


def divisible(width: float, by: int = 8) -> int:
    """Round `width` to a multiple of `by` that is at least 0.9·width, as the mobile families do.

    >>> [divisible(w) for w in (12, 20, 24 * 0.75, 16 * 0.35)]
    [16, 24, 24, 8]
    """
    rounded = max(by, int(width + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * width else rounded


# -- units ------------------------------------------------------------------------------------------------------------


class ConvNorm(nn.Module):
    """act(norm(W * x)). The convolution has no bias, because the norm has one. `act=None` is no activation."""

    features: int
    kernel_size: Sizes = 1
    strides: Sizes = 1
    padding: Padding = "symmetric"
    groups: int = 1
    act: Act | None = relu
    norm: Norm = BatchNorm
    kernel_init: Initializer = he_fan_out

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        options = {"strides": self.strides, "padding": self.padding, "groups": self.groups, "use_bias": False}
        x = Conv(self.features, self.kernel_size, kernel_init=self.kernel_init, name="conv", **options)(x)
        x = self.norm(name="norm")(x, train=train)
        return x if self.act is None else self.act(x)


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation: x · gate(W₂ act(W₁ mean(x))), a weight for each channel from the mean over the image.

    It has 2·channels·hidden + channels + hidden parameters. Source: Hu et al. 2018, arXiv:1709.01507.
    """

    hidden: int
    act: Act = relu
    gate: Act = sigmoid
    kernel_init: Initializer = he_fan_out

    @nn.compact
    def __call__(self, x: Images, *, train: bool = False) -> Images:
        del train
        s = x.mean((1, 2))
        s = self.act(Dense(self.hidden, kernel_init=self.kernel_init, name="reduce")(s))
        s = self.gate(Dense(x.shape[-1], kernel_init=self.kernel_init, name="expand")(s))
        return x * s[:, None, None, :]


def run_block(block: nn.Module, x: Array, *, train: bool, remat: bool = False) -> Array:
    """Return `block(x, train=train)`; with `remat` the backward pass keeps only x and computes the block again."""
    if not (recompute_block() or remat):
        return block(x, train=train)
    return nn.remat(lambda module, x: module(x, train=train))(block, x)
