"""Random augmentation of time series `(batch, time, channels)` and of spectrograms `(batch, time, frequency)`.

Each function returns a pure `(key, batch) -> batch` that draws independently for every series. All numbers except counts and
sizes may be traced. Padding is treated as data. The deterministic changes are in `signals`.
Use `rows.sometimes` for those without an argument `p`.

Sources: Um et al. 2017, arXiv:1706.00527 (jitter, scaling, rotation, permutation, warps); Le Guennec et al. 2016 (windows);
names as in TSLib and tsaug.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxdl.augment.rows import each_row, row_keys
from jaxdl.augment.signals import (
    Series,
    permute_segments,
    pool_series,
    quantize_series,
    randomize_phase,
    resample,
    smooth_curve,
    warp_time,
    warp_window,
)
from jaxdl.counts import check_count, check_counts, check_numbers
from jaxdl.types import Augment, Batch, Key, UserError


def each_series(change: Callable[[Key, Series], Series]) -> Augment:
    """Apply `change(key, series)`, in float32, to each series of a batch."""

    def one(key: Key, series: Series) -> Series:
        if series.ndim != 2 or not jnp.issubdtype(series.dtype, jnp.floating):
            raise UserError(
                f"x must be floats (batch, time, channels), got {series.dtype} with {series.ndim + 1} axes: "
                "add a missing axis with x[..., None]"
            )
        return change(key, series.astype(jnp.float32))

    return each_row(one)


def scaling(sigma: float = 0.1) -> Augment:
    """Multiply each channel by a factor ~ N(1, σ²)."""
    check_numbers(sigma=sigma)
    return each_series(lambda key, x: x * (1 + sigma * jax.random.normal(key, (1, x.shape[1]))))


def jitter(sigma: float = 0.03) -> Augment:
    """Add white noise ~ N(0, σ²), with σ in the units of the data."""
    check_numbers(sigma=sigma)
    return each_series(lambda key, x: x + sigma * jax.random.normal(key, x.shape))


def noise(level: float = 0.1) -> Augment:
    """Add white noise with `level` times the standard deviation of the channel: SNR = 1 / level²."""
    check_numbers(level=level)
    return each_series(lambda key, x: x + level * x.std(0, keepdims=True) * jax.random.normal(key, x.shape))


def rotation(p: float = 0.5) -> Augment:
    """With probability `p`, flip the signs of random channels and permute the channels, as for a sensor worn differently."""
    check_numbers(0, 1, p=p)

    def change(key: Key, x: Series) -> Series:
        choose, sign, order = jax.random.split(key, 3)
        turned = jax.random.permutation(order, x, axis=1) * jax.random.rademacher(sign, (1, x.shape[1]), x.dtype)
        return jnp.where(jax.random.bernoulli(choose, p), turned, x)

    return each_series(change)


def magnitude_warp(sigma: float = 0.2, *, knots: int = 4) -> Augment:
    """Multiply each channel by a smooth curve through `knots` + 2 values ~ N(1, σ²)."""
    check_count("knots", knots, 0)
    check_numbers(sigma=sigma)

    def change(key: Key, x: Series) -> Series:
        return x * (1 + sigma * smooth_curve(jax.random.normal(key, (knots + 2, x.shape[1])), x.shape[0]))

    return each_series(change)


def drift(most: float = 0.2, *, points: int = 3) -> Augment:
    """Add to each channel a smooth random walk from 0, whose largest distance is `most` times the range of the channel."""
    check_count("points", points)
    check_numbers(most=most)

    def change(key: Key, x: Series) -> Series:
        steps = jax.random.normal(key, (points + 1, x.shape[1]))
        walk = jnp.concatenate([jnp.zeros((1, x.shape[1])), jnp.cumsum(steps, 0)])
        curve = smooth_curve(walk, x.shape[0])
        curve = curve - curve[:1]
        furthest = jnp.maximum(jnp.abs(curve).max(0, keepdims=True), 1e-6)
        return x + most * (x.max(0, keepdims=True) - x.min(0, keepdims=True)) * curve / furthest

    return each_series(change)


def dropout(p: float = 0.05, *, value: float = 0.0) -> Augment:
    """Replace all channels of each time step by `value` with probability `p`, without rescaling."""
    check_numbers(0, 1, p=p)
    return each_series(lambda key, x: jnp.where(jax.random.bernoulli(key, p, (x.shape[0], 1)), value, x))


def quantize(levels: float = 10, *, p: float = 1.0) -> Augment:
    """With probability `p`, round each channel to `levels` values over its range."""
    check_numbers(2, levels=levels)
    check_numbers(0, 1, p=p)
    return each_series(lambda key, x: jnp.where(jax.random.bernoulli(key, p), quantize_series(x, levels), x))


def pool(size: int = 2, *, p: float = 1.0) -> Augment:
    """With probability `p`, replace windows of `size` steps by their means, as for a slower sensor."""
    check_count("size", size)
    check_numbers(0, 1, p=p)
    return each_series(lambda key, x: jnp.where(jax.random.bernoulli(key, p), pool_series(x, size), x))


def surrogate(strength: float = 1.0) -> Augment:
    """Surrogate with the same power spectrum: shift the phase of each frequency by an angle from ±`strength`·π, uniformly.

    Source: Theiler et al. 1992, Physica D 58.
    """
    check_numbers(strength=strength)

    def change(key: Key, x: Series) -> Series:
        angle = strength * jnp.pi * jax.random.uniform(key, (x.shape[0] // 2 + 1,), minval=-1.0, maxval=1.0)
        return randomize_phase(x, angle)

    return each_series(change)


def reverse(p: float = 0.5) -> Augment:
    """Reverse the time axis with probability `p`."""
    check_numbers(0, 1, p=p)
    return each_series(lambda key, x: jnp.where(jax.random.bernoulli(key, p), x[::-1], x))


def permutation(segments: int = 5, *, p: float = 1.0) -> Augment:
    """With probability `p`, split into 1 to `segments` equal parts and shuffle them."""
    check_count("segments", segments)
    check_numbers(0, 1, p=p)

    def change(key: Key, x: Series) -> Series:
        choose, count, shuffle = jax.random.split(key, 3)
        parts = jax.random.randint(count, (), 1, segments + 1)
        order = jnp.argsort(jnp.argsort(jax.random.uniform(shuffle, (segments,))))
        return jnp.where(jax.random.bernoulli(choose, p), permute_segments(x, order, parts), x)

    return each_series(change)


def time_warp(sigma: float = 0.2, *, knots: int = 4) -> Augment:
    """Resample at a smoothly varying speed, a curve through `knots` + 2 values ~ N(1, σ²)."""
    check_count("knots", knots, 0)
    check_numbers(sigma=sigma)

    def change(key: Key, x: Series) -> Series:
        return warp_time(x, 1 + sigma * smooth_curve(jax.random.normal(key, (knots + 2, 1)), x.shape[0])[:, 0])

    return each_series(change)


def window_slice(share: float = 0.9) -> Augment:
    """Stretch a random window, a `share` of the time, to the whole time."""
    check_numbers(0, 1, share=share)

    def change(key: Key, x: Series) -> Series:
        last = x.shape[0] - 1
        start = jax.random.uniform(key) * (1 - share) * last
        return resample(x, start + share * jnp.arange(x.shape[0]))

    return each_series(change)


def window_warp(share: float = 0.1, *, speeds: tuple[float, ...] = (0.5, 2.0)) -> Augment:
    """Change the speed of a random window, a `share` of the time, to one of `speeds`, and resample to the same time."""
    check_numbers(0, 1, share=share)
    check_numbers(speeds=speeds)

    def change(key: Key, x: Series) -> Series:
        place, choose = jax.random.split(key)
        last = x.shape[0] - 1
        start = jax.random.uniform(place) * (1 - share) * last
        speed = jnp.stack([jnp.asarray(s, jnp.float32) for s in speeds])[jax.random.randint(choose, (), 0, len(speeds))]
        return warp_window(x, start, share * last, speed)

    return each_series(change)


def crop(size: int) -> Augment:
    """Crop a random window of `size` steps (static)."""
    check_count("size", size)

    def change(key: Key, x: Series) -> Series:
        if size > x.shape[0]:
            raise UserError(f"size = {size} must be at most the number of steps, {x.shape[0]}")
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
    """SpecAugment: replace random bands of time steps and of frequencies of a spectrogram by `value`.

    There are `time_masks` bands of 0 to `time` steps and `frequency_masks` bands of 0 to `frequency` channels. A time band is
    at most `share` of the steps and lies within `length` if the batch has it. The time warp of the paper, which it found least
    useful, is `time_warp`.
    Source: Park et al. 2019, arXiv:1904.08779.
    """
    check_counts(0, time_masks=time_masks, frequency_masks=frequency_masks)
    check_numbers(time=time, frequency=frequency)
    check_numbers(0, 1, share=share)

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
