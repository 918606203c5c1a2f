"""Moves of pixels against Pillow in its float mode, at fixed parameters."""

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdl.augment import geometry
from tests.programs import one_program

PICTURE = np.random.default_rng(1).random((13, 17, 3), np.float32)
HEIGHT, WIDTH, _ = PICTURE.shape


def pillow(change):
    """`change` of each channel as a float image."""
    channels = [np.asarray(change(Image.fromarray(PICTURE[..., c]))) for c in range(3)]
    return np.stack(channels, -1)


def close(ours, theirs, atol=2e-5):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


ANGLES = (0.0, 7.5, -33.0, 120.0, 180.0)
MOVES = (  # degrees, translation, scale, shear
    (0, (3.0, -2.0), 1, (0, 0)),
    (20, (1.5, 2.25), 1.3, (0, 0)),
    (-10, (0, 0), 0.7, (15.0, 0)),
    (5, (1, 1), 1.1, (10.0, -5.0)),
)
CORNERS = np.array([[1.0, 2.0], [15.0, 0.5], [16.5, 12.0], [2.5, 10.0]])
WINDOWS = (  # top, left, height and width; the size it is brought to
    ((0, 0, 13, 17), (13, 17)),
    ((2, 3, 9, 12), (13, 17)),
    ((1, 0, 11, 16), (4, 5)),
    ((4, 4, 2, 3), (8, 3)),
)


@pytest.fixture(scope="module")
def moved():
    """All that the tests look at, in one program; what one function does to several parameters goes through vmap."""
    moves = [np.float32(part) for part in zip(*MOVES, strict=True)]

    def affine(image, degrees, translate, scale, shear):
        return geometry.affine_image(image, degrees, translate=translate, scale=scale, shear=shear)

    def all_of(image, angles, moves, corners):
        return {
            "rotate": jax.vmap(geometry.rotate_image, (None, 0))(image, angles),
            "quarter turn": geometry.rotate_image(image[:, :13], 90.0),
            "fill": geometry.rotate_image(image, 45.0, fill=0.25),
            "affine": jax.vmap(affine, (None, 0, 0, 0, 0))(image, *moves),
            "perspective": geometry.perspective_image(image, corners),
            "resized": [geometry.resized_crop_image(image, *window, size=size) for window, size in WINDOWS],
            "flip": (geometry.flip_image(image), geometry.flip_image(image, vertical=True)),
            "pad": {mode: geometry.pad_image(image, 3, mode=mode) for mode in ("constant", "reflect", "edge")},
            "pad fill": geometry.pad_image(image, 1, fill=0.5),
            "crop": geometry.crop_image(image, 2, 5, 4, 6),
            "erase": geometry.erase_image(image, 2, 5, 4, 6, value=0.5),
        }

    return one_program(all_of, PICTURE, np.float32(ANGLES), moves, np.float32(CORNERS))


@pytest.mark.parametrize("degrees", ANGLES)
def test_rotate(degrees, moved):
    close(
        moved["rotate"][ANGLES.index(degrees)],
        pillow(lambda i: i.transform(i.size, Image.Transform.AFFINE, rotation(degrees), Image.Resampling.BILINEAR)),
    )


def rotation(degrees):
    """What Pillow's `rotate` computes, without its rounding to 15 digits and its short cut for 180 degrees."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    x, y = WIDTH / 2, HEIGHT / 2
    return [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y]


@pytest.mark.parametrize("degrees", [7.5, -33.0])
def test_rotate_turns_as_pillow_does(degrees, moved):
    close(moved["rotate"][ANGLES.index(degrees)], pillow(lambda i: i.rotate(degrees, Image.Resampling.BILINEAR)))


def test_fill_and_quarter_turn(moved):
    close(moved["quarter turn"], np.rot90(PICTURE[:, :13]), atol=1e-4)
    np.testing.assert_array_equal(moved["fill"][0, 0], 0.25)


@pytest.mark.parametrize("case", range(len(MOVES)))
def test_affine(case, moved):
    """Forward: scale, shear, turn about the centre, move. Pillow wants the inverse of that matrix."""
    degrees, translate, scale, shear = MOVES[case]
    a, (sx, sy) = np.deg2rad(degrees), np.tan(np.deg2rad(shear))
    turn = np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
    slant = np.array([[1, sx, 0], [sy, 1, 0], [0, 0, 1]])
    centre = np.array([[1, 0, WIDTH / 2], [0, 1, HEIGHT / 2], [0, 0, 1]])
    move = np.array([[1, 0, translate[0]], [0, 1, translate[1]], [0, 0, 1]])
    forward = move @ centre @ turn @ slant @ np.diag([scale, scale, 1]) @ np.linalg.inv(centre)
    data = np.linalg.inv(forward)[:2].ravel()
    close(
        moved["affine"][case],
        pillow(lambda i: i.transform(i.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)),
    )


def test_perspective(moved):
    start = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]])
    rows, values = [], []
    for (x, y), (u, v) in zip(CORNERS, start, strict=True):  # output -> input, eight equations
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    data = np.linalg.solve(np.array(rows), np.array(values))
    close(
        moved["perspective"],
        pillow(lambda i: i.transform(i.size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BILINEAR)),
        atol=1e-4,
    )


@pytest.mark.parametrize("case", range(len(WINDOWS)))
def test_resized_crop(case, moved):
    (top, left, height, width), size = WINDOWS[case]
    box = (left, top, left + width, top + height)
    close(
        moved["resized"][case],
        pillow(lambda i: i.crop(box).resize(size[::-1], Image.Resampling.BILINEAR)),
        atol=2e-6,
    )


def test_crop_pad_flip_erase(moved):
    np.testing.assert_array_equal(moved["flip"][0], PICTURE[:, ::-1])
    np.testing.assert_array_equal(moved["flip"][1], PICTURE[::-1])
    for mode, padded in moved["pad"].items():
        np.testing.assert_array_equal(padded, np.pad(PICTURE, ((3, 3), (3, 3), (0, 0)), mode=mode))
    assert len(moved["pad"]) == 3
    np.testing.assert_array_equal(moved["pad fill"][0], 0.5)
    np.testing.assert_array_equal(moved["crop"], PICTURE[2:6, 5:11])
    erased = PICTURE.copy()
    erased[2:6, 5:11] = 0.5
    np.testing.assert_array_equal(moved["erase"], erased)
