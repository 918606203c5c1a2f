"""Moves of pixels against Pillow in its float mode, at fixed parameters."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdl.augment import geometry

PICTURE = np.random.default_rng(1).random((13, 17, 3), np.float32)
HEIGHT, WIDTH, _ = PICTURE.shape


def pillow(change):
    """`change` of each channel as a float image."""
    channels = [np.asarray(change(Image.fromarray(PICTURE[..., c]))) for c in range(3)]
    return np.stack(channels, -1)


def close(ours, theirs, atol=2e-5):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("degrees", [0.0, 7.5, -33.0, 120.0, 180.0])
def test_rotate(degrees):
    close(
        geometry.rotate_image(PICTURE, degrees),
        pillow(lambda i: i.transform(i.size, Image.Transform.AFFINE, rotation(degrees), Image.Resampling.BILINEAR)),
    )


def rotation(degrees):
    """What Pillow's `rotate` computes, without its rounding to 15 digits and its short cut for 180 degrees."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    x, y = WIDTH / 2, HEIGHT / 2
    return [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y]


@pytest.mark.parametrize("degrees", [7.5, -33.0])
def test_rotate_turns_as_pillow_does(degrees):
    close(geometry.rotate_image(PICTURE, degrees), pillow(lambda i: i.rotate(degrees, Image.Resampling.BILINEAR)))


def test_fill_and_quarter_turn():
    square = PICTURE[:, :13]
    close(geometry.rotate_image(square, 90.0), np.rot90(square), atol=1e-4)
    turned = geometry.rotate_image(PICTURE, 45.0, fill=0.25)
    np.testing.assert_array_equal(turned[0, 0], 0.25)


@pytest.mark.parametrize(
    ("degrees", "translate", "scale", "shear"),
    [
        (0, (3.0, -2.0), 1, (0, 0)),
        (20, (1.5, 2.25), 1.3, (0, 0)),
        (-10, (0, 0), 0.7, (15.0, 0)),
        (5, (1, 1), 1.1, (10.0, -5.0)),
    ],
)
def test_affine(degrees, translate, scale, shear):
    """Forward: scale, shear, turn about the centre, move. Pillow wants the inverse of that matrix."""
    a, (sx, sy) = np.deg2rad(degrees), np.tan(np.deg2rad(shear))
    turn = np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
    slant = np.array([[1, sx, 0], [sy, 1, 0], [0, 0, 1]])
    centre = np.array([[1, 0, WIDTH / 2], [0, 1, HEIGHT / 2], [0, 0, 1]])
    move = np.array([[1, 0, translate[0]], [0, 1, translate[1]], [0, 0, 1]])
    forward = move @ centre @ turn @ slant @ np.diag([scale, scale, 1]) @ np.linalg.inv(centre)
    data = np.linalg.inv(forward)[:2].ravel()
    close(
        geometry.affine_image(PICTURE, degrees, translate=translate, scale=scale, shear=shear),
        pillow(lambda i: i.transform(i.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)),
    )


def test_perspective():
    corners = np.array([[1.0, 2.0], [15.0, 0.5], [16.5, 12.0], [2.5, 10.0]])
    start = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]])
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, start, strict=True):  # output -> input, eight equations
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    data = np.linalg.solve(np.array(rows), np.array(values))
    close(
        geometry.perspective_image(PICTURE, jnp.array(corners, jnp.float32)),
        pillow(lambda i: i.transform(i.size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BILINEAR)),
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("window", "size"),
    [((0, 0, 13, 17), (13, 17)), ((2, 3, 9, 12), (13, 17)), ((1, 0, 11, 16), (4, 5)), ((4, 4, 2, 3), (8, 3))],
)
def test_resized_crop(window, size):
    top, left, height, width = window
    box = (left, top, left + width, top + height)
    close(
        geometry.resized_crop_image(PICTURE, *window, size=size),
        pillow(lambda i: i.crop(box).resize(size[::-1], Image.Resampling.BILINEAR)),
        atol=2e-6,
    )


def test_crop_pad_flip_erase():
    np.testing.assert_array_equal(geometry.flip_image(PICTURE), PICTURE[:, ::-1])
    np.testing.assert_array_equal(geometry.flip_image(PICTURE, vertical=True), PICTURE[::-1])
    for mode in ("constant", "reflect", "edge"):
        padded = geometry.pad_image(PICTURE, 3, mode=mode)
        np.testing.assert_array_equal(padded, np.pad(PICTURE, ((3, 3), (3, 3), (0, 0)), mode=mode))
    np.testing.assert_array_equal(geometry.pad_image(PICTURE, 1, fill=0.5)[0], 0.5)
    np.testing.assert_array_equal(geometry.crop_image(PICTURE, 2, 5, 4, 6), PICTURE[2:6, 5:11])
    erased = PICTURE.copy()
    erased[2:6, 5:11] = 0.5
    np.testing.assert_array_equal(geometry.erase_image(PICTURE, 2, 5, 4, 6, value=0.5), erased)
