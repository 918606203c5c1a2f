"""The dense layer, with the same door for its kernel as the convolutions have."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from jaxdl.layers.convolution import Initializer, KernelMap, lecun


def matrix_product(
    x: Float[Array, "*batch channels"], kernel: Float[Array, "channels features"]
) -> Float[Array, "*batch features"]:
    """x·W over the last axis.

    On a CPU as a product of two matrices: with a batch and a time axis the compiler would copy what the kernel's gradient reads,
    transposed, and compute the whole gradient of a residual stream again in each of these copies (a quarter of a step).
    """
    if x.ndim > 2 and jax.default_backend() == "cpu":
        return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])
    return x @ kernel


class Dense(nn.Module):
    """`y = x·W + b` over the last axis: `(in + 1)·features` parameters, `kernel` `(in, features)` and `bias`.

    `kernel` starts with variance 1/in (LeCun), `bias` at zero. `kernel_map` makes a module that the kernel goes through
    first: `SpectralNorm`, `WeightNorm`, `partial(DropConnect, rate=0.5)`.
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = lecun
    bias_init: Initializer = nn.initializers.zeros
    kernel_map: KernelMap = None

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"], *, train: bool = False) -> Float[Array, "*batch features"]:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        if self.kernel_map is not None:
            kernel = self.kernel_map(name="kernel_map")(kernel, train=train)
        x, kernel = promote_dtype(x, kernel, dtype=None)
        y = matrix_product(x, kernel)
        if not self.use_bias:
            return y
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        return y + jnp.broadcast_to(bias.astype(y.dtype), y.shape)
