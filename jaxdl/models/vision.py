"""What the vision families share: how their sources start weights, the conv-norm-act unit, squeeze-and-excitation.

Every family keeps one convention. `model.apply(variables, x, train=False)` gives the logits; with `features=True` it gives
`(logits, seen)`, `seen` a dictionary of intermediate arrays by name: the modules' own names (`"stem"`, `"stage2_block1"`),
`"stage1"` ... for what a stage ends in, `"pooled"` for the vector before the head (which is always called `head`), `"aux1"` for
auxiliary logits. Under jit what is not used of it costs nothing.
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
"""N(0, 2 / (k²·out)), the whole `out` also for grouped kernels: torchvision's `kaiming_normal_(mode="fan_out")`."""

fan_in_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""U(±1/√fan_in), variance 1/(3·fan_in): what PyTorch's convolutions and linear layers start with."""


def uniform_bias(fan_in: int) -> Initializer:
    """U(±1/√fan_in): PyTorch's start of a bias, whose fan-in is that of its kernel."""

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, tuple(shape), dtype, -1 / sqrt(fan_in), 1 / sqrt(fan_in))

    return init


# -- sizes ------------------------------------------------------------------------------------------------------------


def check_image(x: Images, smallest: int, model: str) -> None:
    """Raises ValueError where an image is too small for the model's unpadded windows."""
    if x.ndim != 4:
        raise UserError(f"x has shape {x.shape}: {model} takes images (batch, height, width, channels)")
    if min(x.shape[1:3]) < smallest:
        raise UserError(f"x is {x.shape[1]}x{x.shape[2]}: the smallest image {model} works on is {smallest}x{smallest}")


def divisible(width: float, by: int = 8) -> int:
    """The multiple of `by` nearest to `width`, but at least nine tenths of it: how the mobile families round widths.

    >>> [divisible(w) for w in (12, 20, 24 * 0.75, 16 * 0.35)]
    [16, 24, 24, 8]
    """
    rounded = max(by, int(width + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * width else rounded


# -- units ------------------------------------------------------------------------------------------------------------


class ConvNorm(nn.Module):
    """act(norm(W * x)): the convolution has no bias, the norm brings one. `act=None` leaves the activation out."""

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
    """x · gate(W₂ act(W₁ mean(x))): every channel weighed by what all of them, averaged over the image, say.

    `hidden` is the width between. Parameters: `2·channels·hidden + channels + hidden`. Source: Hu et al. 2018, arXiv:1709.01507.
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
    """`block(x, train=train)`; with `remat` only its input is kept for the backward pass, the inside computed again."""
    if not (recompute_block() or remat):
        return block(x, train=train)
    return nn.remat(lambda module, x: module(x, train=train))(block, x)
