"""Changes of colour against Pillow (8 bits: equal up to its rounding), matplotlib and SciPy (floats)."""

import jax
import numpy as np
import pytest
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image, ImageEnhance, ImageOps
from scipy.ndimage import gaussian_filter

from jaxdl.augment import colour
from tests.programs import one_program

RANDOM = np.random.default_rng(2)
LEVELS = (RANDOM.beta(2, 4, (40, 48, 3)) * 200 + 20).astype(np.uint8)
PICTURE = (LEVELS / 255).astype(np.float32)
PILLOW = Image.fromarray(LEVELS)

ONE = 1.01 / 255  # one level, where Pillow rounds or cuts off
# name -> (ours, Pillow's, greatest difference)
OPS = {
    "invert": (colour.invert_image, ImageOps.invert, 1e-6),
    "solarize": (lambda i: colour.solarize_image(i, 100 / 255), lambda i: ImageOps.solarize(i, 100), 1e-6),
    "posterize 1": (lambda i: colour.posterize_image(i, 1), lambda i: ImageOps.posterize(i, 1), 1e-6),
    "posterize 5": (lambda i: colour.posterize_image(i, 5), lambda i: ImageOps.posterize(i, 5), 1e-6),
    "posterize 8": (lambda i: colour.posterize_image(i, 8), lambda i: ImageOps.posterize(i, 8), 1e-6),
    "equalize": (colour.equalize_image, ImageOps.equalize, 1e-6),
    "autocontrast": (colour.autocontrast_image, ImageOps.autocontrast, ONE),
    "grayscale": (colour.grayscale_image, lambda i: i.convert("L").convert("RGB"), ONE),
} | {
    f"{name} {factor}": (
        lambda i, ours=ours, factor=factor: ours(i, factor),
        lambda i, theirs=theirs, factor=factor: theirs(i).enhance(factor),
        bound * max(1, abs(1 - factor)),
    )
    for name, ours, theirs, bound in [
        ("brightness", colour.brightness_image, ImageEnhance.Brightness, ONE),
        ("contrast", colour.contrast_image, ImageEnhance.Contrast, 1.5 * ONE),  # the mean is a whole level there
        ("saturation", colour.saturation_image, ImageEnhance.Color, 1.5 * ONE),  # and so is the luminance
        ("sharpness", colour.sharpness_image, ImageEnhance.Sharpness, 1.5 * ONE),  # and the smoothed image
    ]
    for factor in (0.0, 0.4, 1.0, 1.7)
}


@pytest.fixture(scope="module")
def changed():
    """What every operation makes of the picture, in one program."""
    return one_program(lambda image: {name: ours(image) for name, (ours, _, _) in OPS.items()}, PICTURE)


@pytest.mark.parametrize("name", OPS)
def test_pillow(name, changed):
    _, theirs, atol = OPS[name]
    np.testing.assert_allclose(changed[name], np.asarray(theirs(PILLOW)) / 255, rtol=0, atol=atol)


def test_hue():
    turns = np.float32([0.0, 0.1, -0.3, 0.5])
    hsv, shifted = one_program(
        lambda image, turns: (colour.rgb_to_hsv(image), jax.vmap(colour.hue_image, (None, 0))(image, turns)),
        *(PICTURE, turns),
    )
    np.testing.assert_allclose(hsv, rgb_to_hsv(PICTURE), rtol=0, atol=1e-6)
    for ours, turn in zip(shifted, (0.0, 0.1, -0.3, 0.5), strict=True):
        theirs = hsv_to_rgb((rgb_to_hsv(PICTURE) + np.array([turn, 0, 0])) % np.array([1, 2, 2]))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


def test_blur():
    cases = [(0.6, 2), (1.5, 3), (4.0, 5)]  # σ and radius
    sigmas = np.float32([[sigma, 0.0] for sigma, _ in cases])
    found = one_program(
        lambda image, sigmas: [
            [colour.blur_image(image, sigma, radius=radius) for sigma in row]
            for row, (_, radius) in zip(sigmas, cases, strict=True)
        ],
        *(PICTURE, sigmas),
    )
    for (blurred, same), (sigma, radius) in zip(found, cases, strict=True):
        want = gaussian_filter(PICTURE, sigma, mode="mirror", radius=radius, axes=(0, 1))
        np.testing.assert_allclose(blurred, want, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(same, PICTURE)


def test_grey_images_keep_their_colour():
    grey = PICTURE[..., :1]
    changes = (lambda i: colour.saturation_image(i, 0.3), lambda i: colour.hue_image(i, 0.2), colour.grayscale_image)
    for out in one_program(lambda image: [change(image) for change in changes], grey):
        np.testing.assert_allclose(out, grey, rtol=0, atol=1e-7)


def test_flat_images_stay():
    flat = np.full((6, 5, 3), 0.2, np.float32)
    for out in one_program(lambda image: (colour.autocontrast_image(image), colour.equalize_image(image)), flat):
        np.testing.assert_allclose(out, flat, rtol=0, atol=1e-7)
