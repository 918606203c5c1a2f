"""Layouts of arrays in PyTorch's files, and how each becomes an array of a model here, and back."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxdl.models.vit import resample_positions


class Layout(NamedTuple):
    """Conversion of one array: `read` from PyTorch's layout, given the shape of the result; `write` to it."""

    read: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
    write: Callable[[np.ndarray], np.ndarray]


same = Layout(lambda a, _: a, lambda a: a)
convolution = Layout(lambda a, _: a.transpose(2, 3, 1, 0), lambda a: a.transpose(3, 2, 0, 1))
dense = Layout(lambda a, _: a.T, lambda a: a.T)
pointwise = Layout(lambda a, _: a.reshape(a.shape[:2]).T, lambda a: a.T[..., None, None])
leading = Layout(lambda a, _: a[0], lambda a: a[None])
"""PyTorch's array has a leading axis of length 1."""


def flattened(height: int, width: int, *, kernel: bool = False) -> Layout:
    """Layout of a dense layer after a flattened map: (channels, height, width) in PyTorch, (height, width, channels) here.

    With `kernel` PyTorch has a convolution over the whole map instead.
    """

    def read(a: np.ndarray, _: tuple[int, ...]) -> np.ndarray:
        a = a.reshape(len(a), -1, height, width).transpose(2, 3, 1, 0)
        return a.reshape(-1, a.shape[-1])

    def write(a: np.ndarray) -> np.ndarray:
        a = a.reshape(height, width, -1, a.shape[-1]).transpose(3, 2, 0, 1)
        return a if kernel else a.reshape(len(a), -1)

    return Layout(read, write)


def positions(extra: int) -> Layout:
    """Layout of a ViT's learned positions, which are resampled to the model's (square) number of patches."""

    def read(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        table = a[0]
        old, new = (round((n - extra) ** 0.5) for n in (len(table), shape[0]))
        if old == new or old**2 + extra != len(table) or new**2 + extra != shape[0]:
            return table
        patches = resample_positions(jnp.asarray(table[extra:], jnp.float32), (old, old), (new, new))
        return np.concatenate([table[:extra], np.asarray(patches)])

    return Layout(read, lambda a: a[None])
