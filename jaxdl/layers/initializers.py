"""Initial values of kernels that are not drawn alone: identities (Dirac) and whitening filters.

A kernel is `(*kernel, in, out)`. An initializer is a function (key, shape, dtype) -> kernel, as in Linen.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.counts import check_count, check_numbers
from jaxdl.layers.convolution import Initializer
from jaxdl.types import Key, UserError

BLOCK = 500
"""Images whose patches are held at once."""

torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's default for kernels: uniform in ±1/√fan_in."""


def dirac(base: Initializer = torch_uniform) -> Initializer:
    """Identity on the first channels: output channel i < min(in, out) begins as input channel i; `base` draws the others.

        w[centre, i, o] = 1 if i = o else 0        for o < min(in, out), centre = ⌊k/2⌋ of each axis

    Of the same values as PyTorch's `nn.init.dirac_(w[:w.size(1)])`.
    Source: Zagoruyko and Komodakis 2017, arXiv:1706.00388; Jordan 2024, arXiv:2404.00498, section 3.2.
    """

    def init(key: Key, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Float[Array, "*kernel i o"]:
        identities = min(shape[-2:])
        place = (*(size // 2 for size in shape[:-2]), np.arange(identities), np.arange(identities))
        return base(key, shape, dtype).at[..., :identities].set(0).at[place].set(1)

    return init


def whitening_kernel(
    images: Float[np.ndarray, "n height width channels"], *, size: int = 2, eps: float = 5e-4
) -> Float[np.ndarray, "size size channels filters"]:
    """Filters whose responses to the patches of these images are uncorrelated and of power 1, and the same negated.

        C = mean(p pᵀ) = V Λ Vᵀ      p: all size x size patches, flat      filters: ±V (Λ + ε)^-½, largest eigenvalue first

    There are 2 · size² · channels filters. Images are as the model reads them, standardised: the mean is not subtracted. Of the
    two signs of an eigenvector the one whose largest entry is positive comes first.
    Source: Page 2019, "How to train your ResNet 8"; Jordan 2024, arXiv:2404.00498, section 3.1.

    >>> whitening_kernel(np.random.RandomState(0).randn(20, 8, 8, 3)).shape
    (2, 2, 3, 24)
    """
    check_count("size", size)
    check_numbers(eps=eps)
    if images.ndim != 4 or min(images.shape[1:3]) < size or not len(images):
        raise UserError(f"images {images.shape} must be (n, height, width, channels) with sides of at least {size}")
    n, width = 0, size * size * images.shape[-1]
    power = np.zeros((width, width))
    for first in range(0, len(images), BLOCK):
        windows = np.lib.stride_tricks.sliding_window_view(images[first : first + BLOCK], (size, size), axis=(1, 2))
        patches = np.moveaxis(windows, 3, -1).reshape(-1, width)
        power, n = power + patches.T @ patches, n + len(patches)
    values, vectors = (part[..., ::-1] for part in np.linalg.eigh(power / n))
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(width)])
    filters = vectors / np.sqrt(values + eps)
    return np.concatenate([filters, -filters], 1).reshape(size, size, -1, 2 * width).astype(np.float32)
