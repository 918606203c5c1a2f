"""Random changes of time series `(batch, time, channels)`, and of spectrograms `(batch, time, frequency)`.

Each function makes a pure `(key, batch) -> batch` that draws for every series on its own; all numbers but counts and sizes may be
traced. Series are taken as whole: those that move time know nothing of padding. Changes of the time axis read the series
between its samples by straight lines (`resample`).

Sources: Um et al. 2017, arXiv:1706.00527 (jitter, scaling, rotation, permutation, warps); Le Guennec et al. 2016 (windows);
the names follow TSLib and tsaug. Wrap in `rows.sometimes` what has no `p`.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.augment.rows import each_row, row_keys
from jaxdl.types import Augment, Batch, Key, Number, UserError

Series = Float[Array, "time channels"]


def each_series(change: Callable[[Key, Series], Series]) -> Augment:
    """Lift `change(key, series)`, computed in float32, to a batch."""

    def one(key: Key, series: Series) -> Series:
        if series.ndim != 2 or not jnp.issubdtype(series.dtype, jnp.floating):
            raise UserError(
                f"series must be floats (batch, time, channels), got {series.dtype} with {series.ndim + 1} axes; "
                "add the missing axis with x[..., None]"
            )
        return change(key, series.astype(jnp.float32))

    return each_row(one)


def resample(series: Series, position: Float[Array, "out"]) -> Float[Array, "out channels"]:
    """The series at fractional times, by straight lines between the samples; held constant beyond its ends."""
    last = series.shape[0] - 1
    position = jnp.clip(position, 0, last)
    before = jnp.clip(jnp.floor(position), 0, max(last - 1, 0)).astype(jnp.int32)
    share = (position - before)[:, None]
    return series[before] * (1 - share) + series[jnp.minimum(before + 1, last)] * share


@lru_cache
def spline_matrix(time: int, points: int) -> Float[np.ndarray, "time points"]:
    """The cubic spline through `points` equally spaced values, read at every step, as one matrix."""
    from scipy.interpolate import CubicSpline  # heavy, and only the warps need it

    return CubicSpline(np.linspace(0, time - 1, points), np.eye(points))(np.arange(time)).astype(np.float32)


def smooth_curve(values: Float[Array, "points channels"], time: int) -> Float[Array, "time channels"]:
    """A smooth curve over `time` steps through equally spaced values (at least 2, the ends included)."""
    return jnp.matmul(spline_matrix(time, values.shape[0]), values, precision="highest")


def warp_time(series: Series, speed: Float[Array, "time"]) -> Series:
    """Read the series with varying speed, from its first to its last sample; constant speed changes nothing."""
    speed = jnp.maximum(speed, 0.01)
    clock = jnp.concatenate([jnp.zeros(1), jnp.cumsum((speed[1:] + speed[:-1]) / 2)])
    return resample(series, clock * ((series.shape[0] - 1) / clock[-1]))


def permute_segments(series: Series, order: Int[Array, "most"], segments: int | Array) -> Series:
    """Cut into `segments` (may be traced) parts as `numpy.array_split` does, and put part `i` at place `order[i]`."""
    time = series.shape[0]
    size, longer = time // segments, time % segments
    step = jnp.arange(time)
    border = longer * (size + 1)
    part = jnp.where(step < border, step // (size + 1), longer + (step - border) // jnp.maximum(size, 1))
    return series[jnp.argsort(order[part], stable=True)]


def warp_window(series: Series, start: Number, length: Number, speed: Number) -> Series:
    """Stretch [start, start+length] by 1/`speed`, then the whole back to its time."""
    last = series.shape[0] - 1
    read = jnp.stack([jnp.asarray(v, jnp.float32) for v in (0, start, start + length, last)])
    span = jnp.diff(read) / jnp.stack([jnp.asarray(v, jnp.float32) for v in (1, speed, 1)])
    clock = jnp.concatenate([jnp.zeros(1), jnp.cumsum(span)])
    return resample(series, jnp.interp(jnp.linspace(0, 1, last + 1) * clock[-1], clock, read))


def quantize_series(series: Series, levels: float) -> Series:
    """Round each channel to `levels` (at least 2) equally spaced values between its least and its greatest."""
    low, high = series.min(0, keepdims=True), series.max(0, keepdims=True)
    step = jnp.where(high > low, (high - low) / (levels - 1), 1)
    return low + jnp.round((series - low) / step) * step


def pool_series(series: Series, size: int) -> Series:
    """Replace each window of `size` steps by its mean; the last window may be shorter."""
    time = series.shape[0]
    window = np.arange(time) // size
    sums = jax.ops.segment_sum(series, window, int(window[-1]) + 1, indices_are_sorted=True)
    return (sums / np.bincount(window)[:, None])[window]


def randomize_phase(series: Series, phase: Float[Array, "frequencies"]) -> Series:
    """Turn the phase of each frequency, the same in all channels: the power spectrum and the cross-spectra stay."""
    time = series.shape[0]
    spectrum = jnp.fft.rfft(series, axis=0)
    fixed = (jnp.arange(spectrum.shape[0]) == 0) | (2 * jnp.arange(spectrum.shape[0]) == time)
    return jnp.fft.irfft(spectrum * jnp.exp(1j * jnp.where(fixed, 0, phase))[:, None], time, axis=0)


def scaling(sigma: float = 0.1) -> Augment:
    """Multiply each channel by a factor ~ N(1, σ²)."""
    return each_series(lambda key, x: x * (1 + sigma * jax.random.normal(key, (1, x.shape[1]))))


def jitter(sigma: float = 0.03) -> Augment:
    """Add white noise ~ N(0, σ²), σ in the units of the data."""
    return each_series(lambda key, x: x + sigma * jax.random.normal(key, x.shape))


def noise(level: float = 0.1) -> Augment:
    """Add white noise whose σ is `level` times the standard deviation of the channel: SNR = 1 / level²."""
    return each_series(lambda key, x: x + level * x.std(0, keepdims=True) * jax.random.normal(key, x.shape))


def rotation(p: float = 0.5) -> Augment:
    """With probability `p`, flip the sign of random channels and permute the channels: a sensor worn the other way round."""

    def change(key: Key, x: Series) -> Series:
        choose, sign, order = jax.random.split(key, 3)
        turned = jax.random.permutation(order, x, axis=1) * jax.random.rademacher(sign, (1, x.shape[1]), x.dtype)
        return jnp.where(jax.random.bernoulli(choose, p), turned, x)

    return each_series(change)


def magnitude_warp(sigma: float = 0.2, *, knots: int = 4) -> Augment:
    """Multiply each channel by a smooth curve through `knots` + 2 values ~ N(1, σ²)."""

    def change(key: Key, x: Series) -> Series:
        return x * (1 + sigma * smooth_curve(jax.random.normal(key, (knots + 2, x.shape[1])), x.shape[0]))

    return each_series(change)


def drift(most: float = 0.2, *, points: int = 3) -> Augment:
    """Add to each channel a smooth random walk that starts at 0 and goes `most` times the channel's range away."""

    def change(key: Key, x: Series) -> Series:
        steps = jax.random.normal(key, (points + 1, x.shape[1]))
        walk = jnp.concatenate([jnp.zeros((1, x.shape[1])), jnp.cumsum(steps, 0)])
        curve = smooth_curve(walk, x.shape[0])
        curve = curve - curve[:1]
        furthest = jnp.maximum(jnp.abs(curve).max(0, keepdims=True), 1e-6)
        return x + most * (x.max(0, keepdims=True) - x.min(0, keepdims=True)) * curve / furthest

    return each_series(change)


def dropout(p: float = 0.05, *, value: float = 0.0) -> Augment:
    """Lose each time step, all channels of it, with probability `p`: it reads `value`. (Nothing is rescaled.)"""
    return each_series(lambda key, x: jnp.where(jax.random.bernoulli(key, p, (x.shape[0], 1)), value, x))


def quantize(levels: float = 10, *, p: float = 1.0) -> Augment:
    """With probability `p`, round each channel to `levels` values over its range."""
    return each_series(lambda key, x: jnp.where(jax.random.bernoulli(key, p), quantize_series(x, levels), x))


def pool(size: int = 2, *, p: float = 1.0) -> Augment:
    """With probability `p`, replace windows of `size` steps by their means: a slower sensor."""
    return each_series(lambda key, x: jnp.where(jax.random.bernoulli(key, p), pool_series(x, size), x))


def surrogate(strength: float = 1.0) -> Augment:
    """Turn the phase of each frequency by an angle uniform in ±`strength`·π: same power spectrum, another course.

    Source: Theiler et al. 1992, Physica D 58.
    """

    def change(key: Key, x: Series) -> Series:
        angle = strength * jnp.pi * jax.random.uniform(key, (x.shape[0] // 2 + 1,), minval=-1.0, maxval=1.0)
        return randomize_phase(x, angle)

    return each_series(change)


def reverse(p: float = 0.5) -> Augment:
    """Run backwards with probability `p`."""
    return each_series(lambda key, x: jnp.where(jax.random.bernoulli(key, p), x[::-1], x))


def permutation(segments: int = 5, *, p: float = 1.0) -> Augment:
    """With probability `p`, cut into 1 to `segments` equal parts and shuffle them."""

    def change(key: Key, x: Series) -> Series:
        choose, count, shuffle = jax.random.split(key, 3)
        parts = jax.random.randint(count, (), 1, segments + 1)
        order = jnp.argsort(jnp.argsort(jax.random.uniform(shuffle, (segments,))))
        return jnp.where(jax.random.bernoulli(choose, p), permute_segments(x, order, parts), x)

    return each_series(change)


def time_warp(sigma: float = 0.2, *, knots: int = 4) -> Augment:
    """Read the series at a smoothly varying speed through `knots` + 2 values ~ N(1, σ²)."""

    def change(key: Key, x: Series) -> Series:
        return warp_time(x, 1 + sigma * smooth_curve(jax.random.normal(key, (knots + 2, 1)), x.shape[0])[:, 0])

    return each_series(change)


def window_slice(share: float = 0.9) -> Augment:
    """Stretch a random window of `share` of the time to the whole."""

    def change(key: Key, x: Series) -> Series:
        last = x.shape[0] - 1
        start = jax.random.uniform(key) * (1 - share) * last
        return resample(x, start + share * jnp.arange(x.shape[0]))

    return each_series(change)


def window_warp(share: float = 0.1, *, speeds: tuple[float, ...] = (0.5, 2.0)) -> Augment:
    """Run a random window of `share` of the time at one of `speeds`, the whole then being fitted to its time."""

    def change(key: Key, x: Series) -> Series:
        place, choose = jax.random.split(key)
        last = x.shape[0] - 1
        start = jax.random.uniform(place) * (1 - share) * last
        speed = jnp.stack([jnp.asarray(s, jnp.float32) for s in speeds])[jax.random.randint(choose, (), 0, len(speeds))]
        return warp_window(x, start, share * last, speed)

    return each_series(change)


def crop(size: int) -> Augment:
    """A random window of `size` (static) steps, which is the new time."""

    def change(key: Key, x: Series) -> Series:
        if size > x.shape[0]:
            raise UserError(f"crop size must be at most the time {x.shape[0]}, got {size}")
        start = jax.random.randint(key, (), 0, x.shape[0] - size + 1)
        return jax.lax.dynamic_slice_in_dim(x, start, size)

    return each_series(change)


def spec_augment(
    time: float = 40.0,
    frequency: float = 15.0,
    *,
    time_masks: int = 2,
    frequency_masks: int = 2,
    share: float = 1.0,
    value: float = 0.0,
) -> Augment:
    """Put `value` in `time_masks` bands of 0 to `time` steps and in `frequency_masks` bands of 0 to `frequency` channels.

    No time band is wider than `share` of all steps; where the batch has a `length`, it lies within it. Without the paper's
    time warp (see `time_warp`), which it found least useful.
    Source: Park et al. 2019, arXiv:1904.08779.
    """

    def band(key: Key, size: int, real: Any, most: Any) -> Array:
        width_key, start_key = jax.random.split(key)
        width = jnp.floor(jax.random.uniform(width_key) * (jnp.minimum(most, real) + 1))
        start = jnp.floor(jax.random.uniform(start_key) * (real - width + 1))
        return (jnp.arange(size) >= start) & (jnp.arange(size) < start + width)

    def change(key: Key, x: Series, length: Array) -> Series:
        steps, channels = x.shape
        for i in range(time_masks):
            hit = band(jax.random.fold_in(key, i), steps, length, jnp.minimum(time, jnp.floor(share * length)))
            x = jnp.where(hit[:, None], value, x)
        for i in range(frequency_masks):
            hit = band(jax.random.fold_in(key, time_masks + i), channels, channels, frequency)
            x = jnp.where(hit[None], value, x)
        return x

    def augment(key: Key, batch: Batch) -> Batch:
        lengths = batch.get("length")
        if lengths is None:
            return each_series(lambda key, x: change(key, x, jnp.asarray(x.shape[0])))(key, batch)
        x = batch["x"]
        masked = jax.vmap(change)(row_keys(key, len(x)), x.astype(jnp.float32), lengths)
        return batch | {"x": masked.astype(x.dtype)}

    return augment
