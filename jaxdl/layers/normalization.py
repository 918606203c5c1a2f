"""Normalization layers. Statistics are computed in float32.

    y = γ · (x - μ) / √(σ² + ε) + β

    batch norm     μ, σ² per channel, over batch and space         running averages for evaluation
    layer norm     per position, over channels                     RMS norm: without μ and β
    group norm     per example and group of channels, over space   instance norm: one group per channel

All take the keyword `train`, so that each can be the `norm` of a model. Below are weight and spectral normalization of kernels.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_count, check_numbers
from jaxdl.tracing import data_axis
from jaxdl.types import UserError

Batches = Float[Array, "batch *axes channels"]
Channels = Float[Array, "*axes channels"]
Kernel = Float[Array, "*shape features"]

ones, zeros = nn.initializers.ones, nn.initializers.zeros


def standardize(x: Array, axes: Sequence[int], eps: float) -> Array:
    """Return (x - μ) / √(σ² + ε) in float32, with the mean μ and the biased variance σ² over `axes`."""
    x = x.astype(jnp.float32)
    centred = x - x.mean(axes, keepdims=True)
    return centred * lax.rsqrt(jnp.square(centred).mean(axes, keepdims=True) + eps)


class BatchNorm(nn.Module):
    """Batch normalization over all axes but the last.

    Training normalizes with the statistics of the batch and updates the running statistics, with the unbiased variance:

        running ← momentum · running + (1 - momentum) · batch

    Args:
        momentum: the part that is kept; 0.9 is PyTorch's 0.1. PyTorch's running variance is unbiased, too, Linen's is not.
        frozen: use the running statistics in training as well, without updates and without gradients of the parameters.
        mask: (batch,), 0 for padding, which the statistics leave out.

    Statistics are those of the whole batch, also on several devices. Parameters: `scale`, `bias`; collection `batch_stats` with
    `mean`, `var`.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    momentum: float = 0.9
    eps: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True
    scale_init: Any = ones
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Batches, *, train: bool, mask: Float[Array, "batch"] | None = None) -> Batches:
        check_numbers(0, 1, momentum=self.momentum)
        channels = (x.shape[-1],)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        if train and not self.frozen:
            mean, var, n = moments(x, mask)
            if not self.is_initializing():
                unbiased = var * n / jnp.maximum(n - 1, 1)
                kept = jnp.asarray(self.momentum, jnp.float32)
                running_mean.value = kept * running_mean.value + (1 - kept) * lax.stop_gradient(mean)
                running_var.value = kept * running_var.value + (1 - kept) * lax.stop_gradient(unbiased)
        else:
            mean, var = running_mean.value, running_var.value
        factor = lax.rsqrt(var + self.eps)
        if self.use_scale:
            factor = factor * self._parameter("scale", self.scale_init, channels)
        shift = -mean * factor
        if self.use_bias:
            shift = shift + self._parameter("bias", zeros, channels)
        y = x.astype(jnp.float32) * jnp.broadcast_to(factor, x.shape) + jnp.broadcast_to(shift, x.shape)
        return y.astype(x.dtype)

    def _parameter(self, name: str, init: Any, shape: tuple[int, ...]) -> Array:
        value = self.param(name, init, shape, jnp.float32).astype(jnp.float32)
        return lax.stop_gradient(value) if self.frozen else value


def moments(x: Array, mask: Array | None = None) -> tuple[Array, Array, Array]:
    """Return mean, biased variance and count per channel, over all devices of the axis `data` if it is bound.

    The variance is computed from the distances to the mean, because E[x²] - μ² is inaccurate for a large mean.
    """
    x, axis, axes = x.astype(jnp.float32), data_axis(), tuple(range(x.ndim - 1))
    total = (lambda v: v) if axis is None else (lambda v: lax.psum(v, axis))
    weight = None if mask is None else mask.astype(jnp.float32).reshape(-1, *(1,) * (x.ndim - 1))
    per_row = 1
    for size in x.shape[1:-1]:
        per_row *= size
    n = total(jnp.asarray(x.shape[0], jnp.float32) if weight is None else weight.sum()) * per_row
    n = jnp.maximum(n, 1)

    def mean(v: Array) -> Array:
        return total((v if weight is None else v * jnp.broadcast_to(weight, v.shape)).sum(axes)) / n

    mu = mean(x)
    return mu, mean(jnp.square(x - jnp.broadcast_to(mu, x.shape))), n


class ConditionalBatchNorm(nn.Module):
    """Conditional batch normalization: scale and shift depend on the class c of each example.

        y = γ_c · (x - μ) / √(σ² + ε) + β_c         μ, σ² over the whole batch

    Parameters: `scale` and `bias` `(classes, channels)`, ones and zeros. Source: de Vries et al. 2017, arXiv:1707.00683.
    """

    classes: int
    momentum: float = 0.9
    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: Batches, labels: Int[Array, "batch"], *, train: bool) -> Batches:
        check_count("classes", self.classes)
        normed = BatchNorm(self.momentum, self.eps, use_scale=False, use_bias=False, name="norm")(x, train=train)
        chosen = jax.nn.one_hot(labels, self.classes, dtype=jnp.float32)
        shape, between = (self.classes, x.shape[-1]), (1,) * (x.ndim - 2)

        def of_class(name: str, init: Any) -> Array:
            rows = chosen @ self.param(name, init, shape, jnp.float32).astype(jnp.float32)
            return jnp.broadcast_to(rows.reshape(-1, *between, x.shape[-1]), x.shape)

        return (normed.astype(jnp.float32) * of_class("scale", ones) + of_class("bias", zeros)).astype(x.dtype)


class LayerNorm(nn.Module):
    """Layer normalization over the last axis. ε is 1e-5 as in PyTorch; BERT uses 1e-12, ViT 1e-6.

    Source: Ba et al. 2016, arXiv:1607.06450.
    """

    eps: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Channels, *, train: bool = False) -> Channels:
        del train
        return _affine(self, standardize(x, (-1,), self.eps)).astype(x.dtype)


class RMSNorm(nn.Module):
    """RMS normalization: γ · x / √(mean(x²) + ε) over the last axis. Source: Zhang and Sennrich 2019, arXiv:1910.07467."""

    eps: float = 1e-6
    use_scale: bool = True

    @nn.compact
    def __call__(self, x: Channels, *, train: bool = False) -> Channels:
        del train
        wide = x.astype(jnp.float32)
        y = wide * lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + self.eps)
        if self.use_scale:
            y = y * jnp.broadcast_to(self.param("scale", ones, (x.shape[-1],), jnp.float32), y.shape)
        return y.astype(x.dtype)


class GroupNorm(nn.Module):
    """Group normalization, per example and group of channels, over space. Source: Wu and He 2018, arXiv:1803.08494."""

    groups: int = 32
    eps: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Batches, *, train: bool = False) -> Batches:
        del train
        check_count("groups", self.groups)
        if x.shape[-1] % self.groups:
            raise UserError(f"groups = {self.groups} must divide the {x.shape[-1]} channels")
        grouped = x.reshape(x.shape[0], -1, self.groups, x.shape[-1] // self.groups)
        return _affine(self, standardize(grouped, (1, 3), self.eps).reshape(x.shape)).astype(x.dtype)


class InstanceNorm(nn.Module):
    """Instance normalization, per example and channel, over space; without γ and β, as in PyTorch. Source: Ulyanov 2016."""

    eps: float = 1e-5
    use_scale: bool = False
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: Batches, *, train: bool = False) -> Batches:
        del train
        return _affine(self, standardize(x, tuple(range(1, x.ndim - 1)), self.eps)).astype(x.dtype)


def _affine(m: Any, y: Array) -> Array:
    if m.use_scale:
        y = y * jnp.broadcast_to(m.param("scale", ones, (y.shape[-1],), jnp.float32), y.shape)
    if m.use_bias:
        y = y + jnp.broadcast_to(m.param("bias", zeros, (y.shape[-1],), jnp.float32), y.shape)
    return y


# -- normalised kernels: `kernel_map` of Conv and Dense ---------------------------------------------------------------


class WeightNorm(nn.Module):
    """Weight normalization of a kernel, w = γ · v / |v|, with a learned length γ per output feature (the last axis).

    γ is initially |v|, which does not change the kernel. For a column v of zeros w = v, so that it can still be trained.
    Source: Salimans and Kingma 2016, arXiv:1602.07868.
    """

    @nn.compact
    def __call__(self, kernel: Kernel, *, train: bool) -> Kernel:
        del train
        squares = jnp.square(kernel.astype(jnp.float32)).sum(tuple(range(kernel.ndim - 1)))
        length = jnp.sqrt(jnp.where(squares > 0, squares, 1))
        scale = self.param("scale", lambda key: lax.stop_gradient(jnp.where(squares > 0, length, 0)))
        factor = jnp.where(squares > 0, scale / length, 1)
        return kernel * jnp.broadcast_to(factor.astype(kernel.dtype), kernel.shape)


class SpectralNorm(nn.Module):
    """Spectral normalization of a kernel, w / σ(w), which makes the layer 1-Lipschitz.

    σ is the largest singular value of the kernel W as a matrix (inputs, features), estimated by power iteration:

        v ← W u / |W u|,    u ← Wᵀ v / |Wᵀ v|,    σ = vᵀ W u

    `steps` is the number of iterations per training step. The collection `spectral_stats` holds u and v, through which no
    gradient flows. Source: Miyato et al. 2018, arXiv:1802.05957.
    """

    steps: int = 1
    eps: float = 1e-12

    @nn.compact
    def __call__(self, kernel: Kernel, *, train: bool) -> Kernel:
        check_count("steps", self.steps)
        w = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.float32)
        fixed = lax.stop_gradient(w)
        left = self.variable("spectral_stats", "u", lambda: self._unit(self._normal(w.shape[1])))
        right = self.variable("spectral_stats", "v", lambda: self._unit(fixed @ left.value))
        u, v = left.value, right.value
        for _ in range(self.steps if train else 0):
            v = self._unit(fixed @ u)
            u = self._unit(fixed.T @ v)
        if train and not self.is_initializing():
            left.value, right.value = u, v
        if not train:  # an average of unit vectors (EMA) is shorter than 1
            u, v = self._unit(u), self._unit(v)
        return kernel / (v @ w @ u).astype(kernel.dtype)

    def _normal(self, features: int) -> Array:
        return jax.random.normal(self.make_rng("params"), (features,))

    def _unit(self, v: Array) -> Array:
        return v / jnp.maximum(jnp.sqrt(jnp.square(v).sum()), self.eps)
