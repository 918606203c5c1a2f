"""Changes of colour against Pillow (8 bits: equal up to its rounding), matplotlib and SciPy (floats)."""

import numpy as np
import pytest
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image, ImageEnhance, ImageOps
from scipy.ndimage import gaussian_filter

from jaxdl.augment import colour

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


@pytest.mark.parametrize("name", OPS)
def test_pillow(name):
    ours, theirs, atol = OPS[name]
    np.testing.assert_allclose(ours(PICTURE), np.asarray(theirs(PILLOW)) / 255, rtol=0, atol=atol)


@pytest.mark.parametrize("turns", [0.0, 0.1, -0.3, 0.5])
def test_hue(turns):
    np.testing.assert_allclose(colour.rgb_to_hsv(PICTURE), rgb_to_hsv(PICTURE), rtol=0, atol=1e-6)
    shifted = (rgb_to_hsv(PICTURE) + np.array([turns, 0, 0])) % np.array([1, 2, 2])
    np.testing.assert_allclose(colour.hue_image(PICTURE, turns), hsv_to_rgb(shifted), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("sigma", "radius"), [(0.6, 2), (1.5, 3), (4.0, 5)])
def test_blur(sigma, radius):
    want = gaussian_filter(PICTURE, sigma, mode="mirror", radius=radius, axes=(0, 1))
    np.testing.assert_allclose(colour.blur_image(PICTURE, sigma, radius=radius), want, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(colour.blur_image(PICTURE, 0.0, radius=radius), PICTURE)


def test_grey_images_keep_their_colour():
    grey = PICTURE[..., :1]
    for change in (
        lambda i: colour.saturation_image(i, 0.3),
        lambda i: colour.hue_image(i, 0.2),
        colour.grayscale_image,
    ):
        np.testing.assert_allclose(change(grey), grey, rtol=0, atol=1e-7)


def test_flat_images_stay():
    flat = np.full((6, 5, 3), 0.2, np.float32)
    for change in (colour.autocontrast_image, colour.equalize_image):
        np.testing.assert_allclose(change(flat), flat, rtol=0, atol=1e-7)
