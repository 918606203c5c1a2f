"""Dense layer, with the same `kernel_map` hook as the convolutions."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from jaxdl.counts import check_count
from jaxdl.layers.convolution import Initializer, KernelMap, lecun


def matrix_product(
    x: Float[Array, "*batch channels"], kernel: Float[Array, "channels features"]
) -> Float[Array, "*batch features"]:
    """Return x·W over the last axis.

    On a CPU the leading axes are merged: otherwise XLA computes the gradient of a residual stream again for every kernel, which
    takes a quarter of a step.
    """
    if x.ndim > 2 and jax.default_backend() == "cpu":
        return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])
    return x @ kernel


class Dense(nn.Module):
    """Dense layer y = x·W + b over the last axis.

    Parameters: `kernel` `(in, features)`, with the variance 1/in (LeCun), and `bias` `(features,)`, zeros. `kernel_map` is the
    constructor of a module that is applied to the kernel: `SpectralNorm`, `WeightNorm`, `partial(DropConnect, rate=0.5)`.
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = lecun
    bias_init: Initializer = nn.initializers.zeros
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"], *, train: bool = False) -> Float[Array, "*batch features"]:
        check_count("features", self.features)
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        if self.kernel_map is not None:
            kernel = self.kernel_map(name="kernel_map")(kernel, train=train)
        x, kernel = promote_dtype(x, kernel, dtype=None)
        y = matrix_product(x, kernel)
        if not self.use_bias:
            return y
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        return y + jnp.broadcast_to(bias.astype(y.dtype), y.shape)
