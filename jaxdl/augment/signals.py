"""Deterministic changes of one time series `(time, channels)`. Changes of the time axis interpolate linearly (`resample`)."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_count
from jaxdl.types import Number

Series = Float[Array, "time channels"]


def resample(series: Series, position: Float[Array, "out"]) -> Float[Array, "out channels"]:
    """Interpolate the series linearly at fractional times; it is constant beyond its ends."""
    last = series.shape[0] - 1
    position = jnp.clip(position, 0, last)
    before = jnp.clip(jnp.floor(position), 0, max(last - 1, 0)).astype(jnp.int32)
    share = (position - before)[:, None]
    return series[before] * (1 - share) + series[jnp.minimum(before + 1, last)] * share


@lru_cache
def spline_matrix(time: int, points: int) -> Float[np.ndarray, "time points"]:
    """Matrix that evaluates the cubic spline through `points` equally spaced values at every step."""
    from scipy.interpolate import CubicSpline  # heavy, and only the warps need it

    return CubicSpline(np.linspace(0, time - 1, points), np.eye(points))(np.arange(time)).astype(np.float32)


def smooth_curve(values: Float[Array, "points channels"], time: int) -> Float[Array, "time channels"]:
    """Smooth curve of `time` steps through equally spaced values, at least 2, including the ends."""
    return jnp.matmul(spline_matrix(time, values.shape[0]), values, precision="highest")


def warp_time(series: Series, speed: Float[Array, "time"]) -> Series:
    """Resample the series at a varying speed, from its first to its last sample; a constant speed does not change it."""
    speed = jnp.maximum(speed, 0.01)
    clock = jnp.concatenate([jnp.zeros(1), jnp.cumsum((speed[1:] + speed[:-1]) / 2)])
    return resample(series, clock * ((series.shape[0] - 1) / clock[-1]))


def permute_segments(series: Series, order: Int[Array, "most"], segments: int | Array) -> Series:
    """Split into `segments` parts as `numpy.array_split` does, and move part i to place `order[i]`."""
    time = series.shape[0]
    size, longer = time // segments, time % segments
    step = jnp.arange(time)
    border = longer * (size + 1)
    part = jnp.where(step < border, step // (size + 1), longer + (step - border) // jnp.maximum(size, 1))
    return series[jnp.argsort(order[part], stable=True)]


def warp_window(series: Series, start: Number, length: Number, speed: Number) -> Series:
    """Stretch the window [start, start+length] by 1/`speed`, then resample the series to its number of steps."""
    last = series.shape[0] - 1
    read = jnp.stack([jnp.asarray(v, jnp.float32) for v in (0, start, start + length, last)])
    span = jnp.diff(read) / jnp.stack([jnp.asarray(v, jnp.float32) for v in (1, speed, 1)])
    clock = jnp.concatenate([jnp.zeros(1), jnp.cumsum(span)])
    return resample(series, jnp.interp(jnp.linspace(0, 1, last + 1) * clock[-1], clock, read))


def quantize_series(series: Series, levels: float) -> Series:
    """Round each channel to `levels`, at least 2, equally spaced values from its minimum to its maximum."""
    low, high = series.min(0, keepdims=True), series.max(0, keepdims=True)
    step = jnp.where(high > low, (high - low) / (levels - 1), 1)
    return low + jnp.round((series - low) / step) * step


def pool_series(series: Series, size: int) -> Series:
    """Replace each window of `size` steps by its mean; the last window may be shorter."""
    check_count("size", size)
    time = series.shape[0]
    window = np.arange(time) // size
    sums = jax.ops.segment_sum(series, window, int(window[-1]) + 1, indices_are_sorted=True)
    return (sums / np.bincount(window)[:, None])[window]


def randomize_phase(series: Series, phase: Float[Array, "frequencies"]) -> Series:
    """Shift the phase of each frequency, equally in all channels, which keeps the power spectrum and the cross-spectra."""
    time = series.shape[0]
    spectrum = jnp.fft.rfft(series, axis=0)
    fixed = (jnp.arange(spectrum.shape[0]) == 0) | (2 * jnp.arange(spectrum.shape[0]) == time)
    return jnp.fft.irfft(spectrum * jnp.exp(1j * jnp.where(fixed, 0, phase))[:, None], time, axis=0)
