"""Policies: each operation is the plain function at the published strength; each image draws its own."""

import jax
import numpy as np
import pytest

from jaxdl.augment import colour, geometry, policy
from tests.programs import one_program

PICTURE = (np.round(np.random.default_rng(0).random((12, 10, 3)) * 255) / 255).astype(np.float32)

# operation -> the plain function at magnitude 9 of 30 in RandAugment's space
AT_NINE = {
    "identity": lambda i: i,
    "shear_x": lambda i: geometry.warp_image(i, policy.MOVES["shear_x"](i, 0.09)),
    "shear_y": lambda i: geometry.warp_image(i, policy.MOVES["shear_y"](i, 0.09)),
    "translate_x": lambda i: geometry.affine_image(i, translate=(-0.3 * 150 / 331 * 10, 0.0)),
    "translate_y": lambda i: geometry.affine_image(i, translate=(0.0, -0.3 * 150 / 331 * 12)),
    "rotate": lambda i: geometry.rotate_image(i, 9.0),
    "brightness": lambda i: colour.brightness_image(i, 1.27),
    "color": lambda i: colour.saturation_image(i, 1.27),
    "contrast": lambda i: colour.contrast_image(i, 1.27),
    "sharpness": lambda i: colour.sharpness_image(i, 1.27),
    "posterize": lambda i: colour.posterize_image(i, 7),  # 8 - round(4 · 0.3)
    "solarize": lambda i: colour.solarize_image(i, 0.7),
    "autocontrast": colour.autocontrast_image,
    "equalize": colour.equalize_image,
}


@pytest.fixture(scope="module")
def outputs():
    """Every operation of the space, both signs, in one program."""

    def run(image, numbers, signs):
        apply = lambda sign, n: policy.apply_operation(image, n, 0.3, sign, policy.RAND_SPACE)
        return jax.vmap(lambda sign: jax.vmap(lambda n: apply(sign, n))(numbers))(signs)

    return one_program(run, PICTURE, np.arange(len(policy.RAND_SPACE)), np.float32([1, -1]))


@pytest.fixture(scope="module")
def plain():
    """What the plain functions give, and a shear."""
    shear = lambda image: geometry.warp_image(image, policy.MOVES["shear_x"](image, 0.4))
    functions = AT_NINE | {"shear by 0.4": shear}
    return one_program(lambda image: {name: function(image) for name, function in functions.items()}, PICTURE)


@pytest.mark.parametrize("name", policy.RAND_SPACE)
def test_operation(name, outputs, plain):
    number = list(policy.RAND_SPACE).index(name)
    np.testing.assert_allclose(outputs[0, number], plain[name], rtol=0, atol=1e-5)
    signless = name in policy.UNSIGNED
    assert np.array_equal(outputs[0, number], outputs[1, number]) == signless


def test_shear_is_about_the_centre(plain):
    """A shear by ½ moves the row d below the middle by d/2: two rows below, one pixel."""
    out = plain["shear by 0.4"]
    np.testing.assert_allclose(
        out[8, :-1], PICTURE[8, 1:], rtol=0, atol=1e-5
    )  # centre of row 8 is 2.5 below: 2.5 · 0.4


def test_spaces():
    """The sizes the papers give: 14 operations, 16 less two in AugMix's nine, 25 pairs on CIFAR-10."""
    assert len(policy.RAND_SPACE) == len(policy.wide_space()) == 14
    assert len(policy.MIX_SPACE) == 9
    pairs = policy.parse_policy(policy.CIFAR10_POLICY)
    assert len(pairs) == 25
    assert pairs[0] == [("invert", 0.1, 7), ("contrast", 0.2, 6)]
    assert all(name in policy.AUTO_SPACE and 0 <= p <= 1 and 0 <= m <= 9 for pair in pairs for name, p, m in pair)


@pytest.mark.slow
def test_auto_augment_rates():
    """A policy of one pair happens with its probabilities: both, one, or neither."""
    x = np.broadcast_to(PICTURE, (300, *PICTURE.shape))
    out = one_program(policy.auto_augment("invert .5 0, solarize .25 9"), jax.random.key(0), {"x": x})["x"]
    inverted = 1 - PICTURE  # solarize at threshold 0 is the same, so both together give the image back
    share = np.mean([np.allclose(o, inverted, atol=1e-6) for o in out])
    assert abs(share - (0.5 * 0.75 + 0.5 * 0.25)) < 4 * 0.5 / np.sqrt(300)


@pytest.mark.slow
def test_aug_mix_is_convex():
    """The weights of image and chains sum to 1: at tiny strengths a flat image stays, but for the border of the warps."""
    x = np.full((32, 8, 8, 3), 128 / 255, np.float32)  # a level that four bits can tell
    out = one_program(policy.aug_mix(severity=1e-3), jax.random.key(0), {"x": x})["x"]
    np.testing.assert_allclose(out[:, 1:-1, 1:-1], 128 / 255, rtol=0, atol=1e-5)
