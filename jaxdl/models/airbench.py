"""The convolutional network that reaches 94 % on CIFAR-10 within 200 steps."""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.activations import gelu
from jaxdl.layers.convolution import Conv, Initializer
from jaxdl.layers.dense import Dense
from jaxdl.layers.initializers import dirac, torch_uniform
from jaxdl.layers.normalization import BatchNorm
from jaxdl.layers.pooling import max_pool
from jaxdl.types import UserError


class Airbench(nn.Module):
    """Whitening convolution 2x2, three groups of two 3x3 convolutions, max-pool, and a head whose logits are scaled.

        conv 2x2 (+ bias), GELU;   [conv 3x3, max-pool 2, batch norm, GELU, conv 3x3, batch norm, GELU] for each width;
        max-pool 3;   logits = scale · W x

    The first kernel is meant to hold the filters of `whitening_kernel` and to stay as it is, which is the optimizer's part. The
    3x3 kernels begin as an identity on their first channels; their other values and the first bias begin as PyTorch's. Batch
    norm has a bias and no scale, keeps 0.6 of its statistics, and has ε = 1e-12. The head begins with the standard deviation 1.
    Images of 32x32 become maps of 31, 15, 7 and 3 pixels and one vector. 1,971,640 parameters with the published widths, 288 of
    them in the whitening kernel.

    Args:
        whitening: initializer of the first kernel `(2, 2, channels, 8 · channels)`.
        widths: channels of the groups.
        scale: factor of the logits; None: 1 / their number of features, 1/256.

    Source: Jordan 2024, arXiv:2404.00498; github.com/KellerJordan/cifar10-airbench, the version with Muon.
    """

    whitening: Initializer
    classes: int = 10
    widths: Sequence[int] = (64, 256, 256)
    scale: float | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"], *, train: bool) -> Float[Array, "batch classes"]:
        if min(x.shape[1:3]) < 25:
            raise UserError(f"Airbench needs images of at least 25 pixels, got {x.shape[1]}x{x.shape[2]}")
        bias = partial(_uniform, (4 * x.shape[-1]) ** -0.5)
        x = Conv(8 * x.shape[-1], 2, padding="valid", kernel_init=self.whitening, bias_init=bias, name="whiten")(x)
        x = gelu(x)
        for i, width in enumerate(self.widths, 1):
            for j in (1, 2):
                x = Conv(width, 3, use_bias=False, kernel_init=dirac(), name=f"block{i}_conv{j}")(x)
                x = max_pool(x, 2) if j == 1 else x
                x = BatchNorm(0.6, 1e-12, use_scale=False, name=f"block{i}_norm{j}")(x, train=train)
                x = gelu(x)
        x = max_pool(x, 3)
        x = x.reshape(x.shape[0], -1)
        scale = 1 / x.shape[-1] if self.scale is None else self.scale
        return scale * Dense(self.classes, use_bias=False, kernel_init=_unit_deviation, name="head")(x)


def _uniform(bound, key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def _unit_deviation(key, shape, dtype=jnp.float32):
    kernel = torch_uniform(key, shape, dtype)
    return kernel / jnp.std(kernel, ddof=1)
