"""The random draws of the image augmentations: rates, ranges and shapes."""

import chex
import jax
import numpy as np
import pytest

from jaxdl.augment import image
from tests.programs import one_program

KEY = jax.random.key(0)
ROWS = 400


def grid(height=8, width=9):
    """A picture whose pixels know where they are: channel 0 is the row, 1 the column, both over 16; 2 is 1."""
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.broadcast_to(np.stack([y / 16, x / 16, np.ones_like(y)], -1), (ROWS, height, width, 3)).astype(np.float32)


def flat(value):
    return np.full((ROWS, 4, 4, 3), value, np.float32)


def run(augment, x):
    return one_program(augment, KEY, {"x": x})["x"]


def test_probability():
    probabilities = np.float32([0.2, 0.5, 1.0])
    flipped = one_program(jax.vmap(lambda p, x: image.flip(p)(KEY, {"x": x})["x"], (0, None)), probabilities, grid())
    for p, out in zip(probabilities, flipped, strict=True):
        changed = (out != grid()).any((1, 2, 3)).mean()
        assert abs(changed - p) <= 4 * np.sqrt(p * (1 - p) / ROWS)


def test_crop_takes_every_shift():
    """Each of the 5 x 5 windows is cut out, and what lies outside is 0."""
    x = grid() + np.array([1 / 16, 1 / 16, 0], np.float32)  # no pixel is 0
    out = run(image.crop(pad=2), x)
    padded = np.pad(x[0], ((2, 2), (2, 2), (0, 0)))
    windows = [padded[i : i + 8, j : j + 9] for i in range(5) for j in range(5)]
    hits = [(out == window).all((1, 2, 3)).sum() for window in windows]
    assert sum(hits) == ROWS
    assert min(hits) > 0


def test_color_jitter_brightness_range():
    out = run(image.color_jitter(0.3, 0, 0, 0), flat(0.5))[:, 0, 0, 0] / 0.5
    assert 0.7 <= out.min() < 0.72
    assert 1.28 < out.max() < 1.3 + 1e-6


def test_random_resized_crop():
    """What is left of a ramp tells the window: its area and aspect are in range."""
    x = grid(16, 16)
    out = run(image.random_resized_crop(8, scale=(0.25, 0.5), ratio=(0.8, 1.25)), x)
    assert out.shape == (ROWS, 8, 8, 3)
    np.testing.assert_allclose(out[..., 2], 1, atol=1e-6)
    # Pixels 1 and 6 are 5 · height/8 old ones apart, up to 2 % where the triangle falls unevenly on the pixels.
    height = (out[:, 6, 0, 0] - out[:, 1, 0, 0]) * 16 * 8 / 5
    width = (out[:, 0, 6, 1] - out[:, 0, 1, 1]) * 16 * 8 / 5
    sides = np.stack([height, width])
    assert 0.98 * np.floor(np.sqrt(64 / 1.25)) <= sides.min() < 8
    assert 11.5 < sides.max() <= 1.02 * np.ceil(np.sqrt(128 * 1.25))
    area = height * width
    assert (area > 64 * 0.85).all()  # whole pixels take up to half a pixel off either side, the estimate the rest
    assert (area < 128 * 1.15).all()
    assert (np.abs(area - 96) < 16).any()


def test_erasing_area():
    out = run(image.erasing(1.0, scale=(0.1, 0.2), ratio=(1.0, 1.0)), np.ones((ROWS, 20, 20, 1), np.float32))
    erased = (out == 0).mean((1, 2, 3))
    assert 0.08 < erased.min() < erased.max() < 0.23


@pytest.mark.slow
def test_erased_pixels_may_be_noise():
    noisy = run(
        image.erasing(1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0), value=None), np.ones((ROWS, 20, 20, 1), np.float32)
    )
    assert abs(noisy.mean() - 0.5) < 0.01


def test_cutout_is_cut_off_at_the_border():
    out = run(image.cutout(4), np.ones((ROWS, 8, 8, 1), np.float32))
    erased = (out == 0).sum((1, 2, 3))
    assert erased.max() == 16
    assert erased.min() == 4  # centred in a corner: the window starts 2 before it


def test_rotate_range():
    """The angle, read off the turned gradient of a ramp, is uniform in ±degrees."""
    out = run(image.rotate(20.0), grid(9, 9))
    angle = np.rad2deg(np.arctan2(out[:, 5, 4, 1] - out[:, 4, 4, 1], out[:, 4, 5, 1] - out[:, 4, 4, 1]))
    assert -20.01 < angle.min() < -18
    assert 18 < angle.max() < 20.01
    assert abs(angle.mean()) < 3 * 20 / np.sqrt(3 * ROWS)


def test_traced_hyper_parameters_do_not_recompile():
    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(degrees, p):
        return image.rotate(degrees, p=p)(KEY, {"x": grid()[:4]})["x"]

    one, ten = (np.asarray(step(np.float32(degrees), np.float32(0.5))) for degrees in (1.0, 10.0))
    assert not np.array_equal(one, ten)
