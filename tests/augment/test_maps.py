"""Label maps: what moves an image moves its map, what colours it does not; cut-mix pastes; ignored rows weigh nothing.

The images are pictures of their own maps (brightness = label / 16), so that "moved together" can be read off each result.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import image, mix, policy, views
from jaxdl.losses import cross_entropy
from jaxdl.types import UserError
from tests.programs import one_program

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
KEY = jax.random.key(3)
ROWS, HEIGHT, WIDTH = 12, 16, 12
MAPS = np.random.default_rng(0).integers(1, 16, (ROWS, 4, 3)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
BATCH = {"x": np.float32(MAPS[..., None] / 16), "y": MAPS, "mask": np.ones(ROWS, np.float32)}
EXACT = {
    "flip": image.flip(0.5),
    "flip_vertical": image.flip(0.5, vertical=True),
    "crop": image.crop(3),
    "crop_reflect": image.crop(3, mode="reflect"),
}
NEAR = {
    "rotate": image.rotate(30.0),
    "affine": image.affine(20.0, shear=10.0),
    "perspective": image.perspective(0.3, p=1.0),
    "random_resized_crop": image.random_resized_crop((20, 18), scale=(0.3, 1.0)),
}


def run(augment, batch):
    return jax.device_get(jax.jit(augment, compiler_options=QUICK)(KEY, batch))


@pytest.fixture(scope="module")
def moved():
    """All transforms of the batch, from one program."""
    return run(lambda key, b: {name: step(key, b) for name, step in (EXACT | NEAR).items()}, BATCH)


@pytest.mark.parametrize("name", EXACT)
def test_map_and_image_move_together(moved, name):
    """Pixel by pixel, where the map has a label the image has its brightness, and elsewhere both say "outside"."""
    x, y = moved[name]["x"][..., 0], moved[name]["y"]
    np.testing.assert_array_equal(x, np.where(y == -100, 0, y / 16))
    assert (y == -100).any() == (name == "crop")
    changed = (y != MAPS).any((1, 2))
    assert changed.any()
    assert name.startswith("crop") or not changed.all()


@pytest.mark.parametrize("name", NEAR)
def test_warped_maps_keep_whole_labels(moved, name):
    """Inside a patch of one label, bilinear and nearest agree; no label is made up between two."""
    x, y = moved[name]["x"][..., 0], moved[name]["y"]
    assert x.shape == y.shape
    assert y.dtype == np.int32
    assert set(np.unique(y)) <= {-100, *np.unique(MAPS)}
    np.testing.assert_array_equal(x[y == -100], 0)
    inner = np.ones(y.shape, bool)
    for axis in (1, 2):
        for step in (-1, 1):
            inner &= np.roll(y, step, axis) == y
    inner[:, [0, -1]] = inner[:, :, [0, -1]] = False
    assert inner.mean() > 0.1
    away = np.abs(x - y / 16)[inner & (y != -100)]
    assert np.quantile(away, 0.8) < 1e-5  # a neighbour across a diagonal corner may shine in
    assert (y != MAPS if y.shape == MAPS.shape else np.ones(1)).any()


def test_a_quarter_turn_is_the_array_turned():
    square = {"x": BATCH["x"][:, :12], "y": MAPS[:, :12]}
    turn = image.each_move(
        lambda key, a, fill, nearest: image.geometry.rotate_image(a, 90.0, fill=fill, nearest=nearest)
    )
    np.testing.assert_array_equal(run(turn, square)["y"], np.rot90(square["y"], axes=(1, 2)))


def test_colours_leave_the_map():
    colours = image.invert(1.0), image.cutout(4), image.color_jitter()
    for y in run(lambda key, b: [step(key, b)["y"] for step in colours], BATCH):
        np.testing.assert_array_equal(y, MAPS)


def test_a_policy_moves_the_map_and_does_not_colour_it():
    """A space of one move: the map is shifted as the image is. A space of one colour: it stays."""
    spaces = {"translate_x": {"translate_x": (0.0, 0.25)}, "invert": {"invert": (0.0, 0.0)}}

    def both(key, b):
        def move(space):
            return image.each_move(
                lambda key, a, fill, nearest: policy.random_operation(key, a, 1.0, space, fill=fill, nearest=nearest)
            )

        return {name: move(space)(key, b) for name, space in spaces.items()}, policy.rand_augment(2)(key, b)

    out, many = run(both, BATCH)
    x, y = out["translate_x"]["x"][..., 0], out["translate_x"]["y"]
    np.testing.assert_allclose(x, np.where(y == -100, 0, y / 16), atol=1e-5)
    assert ((y == -100).sum((1, 2)) == 3 * HEIGHT).all()
    np.testing.assert_array_equal(out["invert"]["y"], MAPS)
    np.testing.assert_allclose(out["invert"]["x"], 1 - BATCH["x"])
    assert set(np.unique(many["y"])) <= {-100, *np.unique(MAPS)}
    assert not np.array_equal(many["y"], MAPS)


def test_cutmix_pastes_the_map():
    out = run(mix.cutmix(1.0, 16, mode="elem"), BATCH)
    np.testing.assert_array_equal(out["x"][..., 0], np.float32(out["y"] / 16))
    assert not np.array_equal(out["y"], MAPS)
    np.testing.assert_array_equal(out["mask"], 1)


@pytest.mark.parametrize(
    ("augment", "y", "message"),
    [
        (mix.mixup(1.0, 16), MAPS, "cutmix"),
        (mix.cutmix(1.0, 16, smoothing=0.1), MAPS, "^smoothing = 0.1 "),
        (policy.aug_mix(), MAPS, "rand_augment"),
        (views.several(image.flip()), MAPS, r"views.several.*\(12, "),
        (image.flip(), np.zeros((ROWS, 5, 4), np.float32), r"float32 \(12, 5, 4\)"),
        (image.rotate(), np.zeros((ROWS, HEIGHT, WIDTH, 1), np.float32), r"float32 \(12, .*, 1\)"),
    ],
)
def test_what_cannot_be_taken_along_is_refused(augment, y, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: augment(KEY, {"x": jnp.asarray(BATCH["x"]), "y": jnp.asarray(y)}))


# Ignored rows ---------------------------------------------------------------------------------------------------------

LABELS = np.array([0, -100, 2, -100, 1, 2, -100, -100, 3, 1, -100, 0])
KEEP = LABELS != -100


@pytest.mark.parametrize("make", [mix.mixup, mix.cutmix])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_ignored_rows_do_not_count(make, alpha):
    """Where the model says the same of every row, the loss over the labelled rows is the same mixed or not.

    Cross-entropy is linear in the label, and every labelled row counts 1 between itself and its partner.
    """
    logits = np.broadcast_to(np.float32([2, 1, 0, -1]), (ROWS, 4))
    out = run(make(alpha, 4, mode="pair"), BATCH | {"y": LABELS})
    expected = np.mean([np.log(np.exp(logits[0]).sum()) - logits[0, label] for label in LABELS[KEEP]])
    np.testing.assert_allclose(out["mask"].sum(), KEEP.sum(), rtol=1e-6)
    np.testing.assert_allclose(out["y"].sum(1), 1, rtol=1e-6)
    loss = one_program(cross_entropy, logits, out["y"])
    np.testing.assert_allclose((loss * out["mask"]).sum() / out["mask"].sum(), expected, rtol=1e-6)
    if alpha == 0:
        np.testing.assert_array_equal(out["mask"], KEEP)
    else:
        assert ((out["mask"] > 0) & (out["mask"] < 1)).any()  # a labelled row and an ignored one share its label


def test_a_mixture_with_an_ignored_row_has_the_other_label():
    """Rows 0 and 1: labelled and ignored; the label is pure, its weight λ and 1 - λ."""
    x = np.float32([[1.0], [0.0]])
    out = run(mix.mixup(1.0, 3), {"x": x, "y": np.array([2, -100])})
    np.testing.assert_array_equal(out["y"], [[0, 0, 1], [0, 0, 1]])
    np.testing.assert_allclose(out["mask"], out["x"][:, 0], rtol=1e-6)
    assert 0 < out["mask"][0] < 1


def test_a_label_that_is_no_class_is_nan():
    """-1 and 3 beside three classes; each is its own or the other's partner."""
    y = run(mix.mixup(0.0, 3), {"x": np.zeros((4, 1), np.float32), "y": np.array([1, -1, 3, 1])})["y"]
    np.testing.assert_array_equal(np.isnan(y).all(1), [False, True, True, False])
