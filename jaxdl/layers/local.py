"""Convolution with unshared kernels."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from jaxdl.counts import check_count
from jaxdl.layers.arithmetic import Padding, padding_pairs, per_axis
from jaxdl.layers.convolution import Initializer, Sizes
from jaxdl.layers.convolution_cpu import Geometry, taps


def _per_position(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """Variance 1/fan_in (LeCun), where the fan-in is one patch; the leading axes are positions."""
    return jax.random.normal(key, tuple(shape), dtype) / jnp.sqrt(jnp.asarray(shape[-2], dtype))


class LocalConv(nn.Module):
    """Locally connected layer: a convolution with a separate kernel for every output position.

    Parameters: `kernel` `(*outputs, Π k · channels, features)`, where patches are flattened in the order (kernel, channels),
    and `bias` `(*outputs, features)`.
    """

    features: int
    kernel_size: Sizes = 3
    strides: Sizes = 1
    padding: Padding = "symmetric"
    dilation: Sizes = 1
    use_bias: bool = True
    kernel_init: Initializer = _per_position

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], *, train: bool = False
    ) -> Float[Array, "batch *outputs features"]:
        del train
        check_count("features", self.features)
        rank = x.ndim - 2
        size, strides, dilation = (
            per_axis(v, rank, n)
            for v, n in ((self.kernel_size, "kernel_size"), (self.strides, "strides"), (self.dilation, "dilation"))
        )
        pads = padding_pairs(self.padding, size, strides, dilation, x.shape[1:-1])
        g = Geometry(x.shape[1:-1], size, strides, pads, dilation, 1)
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
        patches = jnp.concatenate([x[:, *window] for _, window in taps(g)], axis=-1)
        shape = (*patches.shape[1:], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        y = jnp.einsum("b...i,...io->b...o", *promote_dtype(patches, kernel, dtype=None))
        if not self.use_bias:
            return y
        bias = self.param("bias", nn.initializers.zeros, y.shape[1:]).astype(y.dtype)
        return y + jnp.broadcast_to(bias, y.shape)
