"""Changes of time series against NumPy and closed forms, and the ranges of their draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import series, signals
from tests.programs import one_program

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
TIME = 29
SERIES = RANDOM.normal(size=(TIME, 3)).astype(np.float32)
RAMP = np.arange(TIME, dtype=np.float32)[:, None]


def run(augment, one=SERIES, rows=300):
    x = np.broadcast_to(one, (rows, *one.shape))
    return one_program(augment, KEY, {"x": x})["x"]


def test_resample():
    position = RANDOM.uniform(-3, TIME + 3, 50).astype(np.float32)
    want = np.stack([np.interp(position, np.arange(TIME), channel) for channel in SERIES.T], -1)
    between, same, single = one_program(
        lambda x, position: (
            signals.resample(x, position),
            signals.resample(x, jnp.arange(TIME)),
            signals.resample(x[:1], jnp.arange(3.0)),
        ),
        *(SERIES, position),
    )
    np.testing.assert_allclose(between, want, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(same, SERIES)
    np.testing.assert_array_equal(single, np.repeat(SERIES[:1], 3, 0))


@pytest.mark.parametrize("points", [4, 6])
def test_smooth_curve_is_a_cubic(points):
    """A spline through the values of a cubic is that cubic; it goes through its values at the ends."""

    def cubic(t):
        return 2 - t + 3 * t**2 - 1.5 * t**3

    values = cubic(np.linspace(0, 1, points))[:, None].astype(np.float32)
    curve = one_program(lambda values: signals.smooth_curve(values, TIME), values)
    np.testing.assert_allclose(curve[:, 0], cubic(np.linspace(0, 1, TIME)), rtol=0, atol=1e-6)


def test_permute_segments():
    order, numbers = np.array([2, 0, 1, 4, 3]), (1, 2, 3, 5)
    found, short = one_program(
        lambda x, order, reverse: (
            [signals.permute_segments(x, order, segments) for segments in numbers],
            signals.permute_segments(x[:3], reverse, 5),  # more segments than steps
        ),
        *(SERIES, order, np.array([4, 3, 2, 1, 0])),
    )
    for out, segments in zip(found, numbers, strict=True):
        parts = np.array_split(SERIES, segments)
        want = np.concatenate([parts[i] for i in np.argsort(order[:segments])])
        np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(short, SERIES[:3][::-1])


def test_warp_time_reads_at_the_integral_of_speed():
    """Speed 1 + t on [0, 1] reads at (t + t²/2) / 1.5."""
    t = np.linspace(0, 1, TIME, dtype=np.float32)
    out = one_program(signals.warp_time, RAMP, 1 + t)[:, 0] / (TIME - 1)
    np.testing.assert_allclose(out, (t + t**2 / 2) / 1.5, rtol=0, atol=1e-6)


def test_warp_window():
    """[8, 16] of 28 at speed 2 lasts 4 of 24: the slopes are 24/28 outside and twice that inside."""
    out = one_program(signals.warp_window, RAMP, 8.0, 8.0, 2.0)[:, 0]
    t = np.arange(TIME) * 24 / 28
    np.testing.assert_allclose(out, np.interp(t, [0, 8, 12, 24], [0, 8, 16, 28]), rtol=0, atol=1e-5)


def test_quantize_and_pool():
    low, high = SERIES.min(0), SERIES.max(0)
    grid = np.linspace(low, high, 5)  # (levels, channels)
    nearest = np.abs(SERIES[None] - grid[:, None]).argmin(0)
    want = np.take_along_axis(grid, nearest, 0)
    quantized, flat, pooled = one_program(
        lambda x, flat: (signals.quantize_series(x, 5), signals.quantize_series(flat, 5), signals.pool_series(x, 4)),
        *(SERIES, np.ones((4, 1), np.float32)),
    )
    np.testing.assert_allclose(quantized, want, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(flat, 1)
    want = np.concatenate(
        [np.repeat(SERIES[i : i + 4].mean(0)[None], len(SERIES[i : i + 4]), 0) for i in range(0, TIME, 4)]
    )
    np.testing.assert_allclose(pooled, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("time", [28, 29])
def test_surrogate_keeps_the_spectrum(time):
    """Power, mean and the cross-spectrum of channels stay; the course does not."""
    out = run(series.surrogate(), SERIES[:time], rows=3)
    before, after = np.fft.rfft(SERIES[:time], axis=0), np.fft.rfft(out[1], axis=0)
    np.testing.assert_allclose(np.abs(after), np.abs(before), rtol=0, atol=2e-5)
    np.testing.assert_allclose(after[:, 0] * after[:, 1].conj(), before[:, 0] * before[:, 1].conj(), rtol=0, atol=2e-4)
    np.testing.assert_allclose(out.mean(1), np.broadcast_to(SERIES[:time].mean(0), (3, 3)), atol=1e-6)
    assert np.abs(out[1] - SERIES[:time]).max() > 0.5


def test_noises_have_their_size():
    n = 300 * TIME
    jitter = run(series.jitter(0.2)) - SERIES
    assert np.abs(jitter.std((0, 1)) - 0.2).max() < 0.2 * 4 / np.sqrt(2 * n)
    noise = (run(series.noise(0.2), 5 * SERIES) - 5 * SERIES).std((0, 1))
    np.testing.assert_allclose(noise, 0.2 * 5 * SERIES.std(0), rtol=4 / np.sqrt(2 * n))
    factor = run(series.scaling(0.1)) / SERIES
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1], factor.shape), rtol=1e-5)
    assert abs(factor[:, 0].std() - 0.1) < 0.1 * 4 / np.sqrt(2 * 900)
    assert abs(factor[:, 0].mean() - 1) < 4 * 0.1 / np.sqrt(900)
    warp = run(series.magnitude_warp(0.1)) / SERIES
    np.testing.assert_allclose(warp[:, [0, -1]].std(0), 0.1, rtol=4 / np.sqrt(600))


def test_drift_reaches_its_share_of_the_range():
    shift = run(series.drift(0.3)) - SERIES
    np.testing.assert_allclose(shift[:, 0], 0, atol=1e-6)
    reach = np.abs(shift).max(1) / (SERIES.max(0) - SERIES.min(0))
    np.testing.assert_allclose(reach, 0.3, atol=1e-5)


def test_rotation_permutes_and_turns_channels():
    out = run(series.rotation(1.0), rows=100)
    seen = set()
    for one in out:
        match = [
            [(s, c) for c in range(3) for s in (1, -1) if np.array_equal(column, s * SERIES[:, c])] for column in one.T
        ]
        assert all(len(found) == 1 for found in match)
        assert {found[0][1] for found in match} == {0, 1, 2}
        seen.add(tuple(found[0] for found in match))
    assert len(seen) > 30  # of 48


def test_windows_of_a_ramp():
    """A slice of a ramp is a ramp of slope `share` inside the range; a crop starts anywhere."""
    out = run(series.window_slice(0.6), RAMP)[..., 0]
    np.testing.assert_allclose(np.diff(out), 0.6, atol=1e-5)
    assert 0 <= out[:, 0].min() < 0.5
    assert TIME - 1.5 < out[:, -1].max() <= TIME - 1
    warped = run(series.window_warp(0.3), RAMP)[..., 0]
    np.testing.assert_allclose(warped[:, [0, -1]], np.broadcast_to([0, TIME - 1], (300, 2)), atol=1e-4)
    assert (np.diff(warped) > 0).all()
    cropped = run(series.crop(25), RAMP)[..., 0]
    assert cropped.shape == (300, 25)
    assert set(cropped[:, 0].tolist()) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(np.diff(cropped), 1)


def test_reverse_dropout_permutation():
    out = run(series.reverse(0.5), RAMP)[:, 0, 0]
    assert set(out.tolist()) == {0, TIME - 1}
    assert abs((out > 0).mean() - 0.5) < 0.12
    out = run(series.dropout(0.2, value=-9.0))
    lost = (out == -9).all(2)
    np.testing.assert_array_equal((out == -9).any(2), lost)
    assert abs(lost.mean() - 0.2) < 4 * 0.4 / np.sqrt(300 * TIME)
    out = run(series.permutation(4), RAMP)[..., 0]
    np.testing.assert_array_equal(np.sort(out, 1), np.broadcast_to(RAMP[:, 0], out.shape))
    jumps = (np.diff(out) != 1).sum(1)
    assert set(jumps.tolist()) == {0, 1, 2, 3}


def test_spec_augment_masks_bands():
    out = run(series.spec_augment(6, 4, time_masks=1, frequency_masks=1, value=-1.0), np.ones((TIME, 16), np.float32))
    times, bands = (out == -1).all(2), (out == -1).all(1)
    np.testing.assert_array_equal(out == -1, times[:, :, None] | bands[:, None, :])
    for masks, most in ((times, 6), (bands, 4)):
        assert set(masks.sum(1).tolist()) == set(range(most + 1))
        assert (np.abs(np.diff(masks.astype(int), axis=1)).sum(1) <= 2).all()  # one band each
    short = run(series.spec_augment(20, 0, time_masks=1, share=0.1), np.ones((TIME, 16), np.float32))
    assert (short == 0).all(2).sum(1).max() == 2


def test_spec_augment_stays_within_the_lengths():
    """With `length` in the batch, bands of time lie within it, no wider than their share of it."""
    lengths = np.array([30, 10] * 100, np.int32)
    augment = series.spec_augment(99, 0, time_masks=1, frequency_masks=0, share=0.5, value=-1.0)
    out = one_program(augment, KEY, {"x": np.ones((200, 40, 2), np.float32), "length": lengths})
    hit = out["x"][..., 0] < 0
    np.testing.assert_array_equal(out["length"], lengths)
    for length, most in ((30, 15), (10, 5)):
        rows = hit[lengths == length]
        assert not rows[:, length:].any()
        assert rows.sum(1).max() == most
        assert rows[:, 0].any()
        assert rows[:, length - 1].any()
