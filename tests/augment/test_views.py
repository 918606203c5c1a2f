"""Copies that differ, each by a draw of its own; turned images as classes of their own."""

import jax
import numpy as np
import pytest

from jaxdl.augment import image, views
from jaxdl.augment.rows import each_row
from jaxdl.tracing import rows_from
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(3)
BATCH = {
    "x": np.random.default_rng(0).uniform(size=(6, 4, 4, 1)).astype(np.float32),
    "y": np.array([0, 1, 2, 0, 1, 2], np.int32),
    "mask": np.ones(6, np.float32),
}


def test_views_are_drawn_apart_and_row_by_row():
    noise = each_row(lambda key, x: x + 0.1 * jax.random.normal(key, x.shape))
    augment = views.several(noise, image.flip(), views=2)

    def run(key, batch):
        with rows_from(2):
            part = augment(key, {name: value[2:4] for name, value in batch.items()})
        return augment(key, batch), part  # what happens to a row does not depend on its neighbours

    whole, part = one_program(run, KEY, BATCH)
    assert whole["x"].shape == (6, 2, 4, 4, 1)
    assert (whole["y"] == BATCH["y"]).all()
    assert not np.allclose(whole["x"][:, 0], whole["x"][:, 1])
    np.testing.assert_allclose(part["x"], whole["x"][2:4], atol=1e-6)
    with pytest.raises(UserError, match=r"^views = 0 "):
        views.several(views=0)


def test_a_turned_image_is_of_a_class_of_its_own():
    turned, some = one_program(
        lambda key, batch: (views.quarter_turns(3)(key, batch), views.quarter_turns(3, turns=(0, 3))(key, batch)),
        *(KEY, BATCH),
    )
    turns = turned["y"] // 3
    np.testing.assert_array_equal(turned["y"] % 3, BATCH["y"])
    assert len(set(turns)) > 1
    for now, then, turn in zip(turned["x"], BATCH["x"], turns, strict=True):
        np.testing.assert_array_equal(now, np.rot90(then, turn))
    for now, then, place in zip(some["x"], BATCH["x"], some["y"] // 3, strict=True):
        np.testing.assert_array_equal(now, np.rot90(then, (0, 3)[place]))
    with pytest.raises(UserError, match="4x3"):
        views.quarter_turns(3)(KEY, {**BATCH, "x": np.zeros((6, 4, 3, 1), np.float32)})


def test_an_image_is_mirrored_in_every_other_epoch():
    """Two epochs in a row see both forms of every image; half of them begin mirrored; a map moves with its image."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2, 3, 1)).astype(np.float32)
    maps = np.arange(400 * 6, dtype=np.int32).reshape(400, 2, 3)
    lot = rng.integers(0, 2**32, 400, dtype=np.uint32)

    def epochs(batch):
        numbered = [batch | {"epoch": np.full(400, epoch, np.int32)} for epoch in range(3)]
        return [views.alternating_flip()(KEY, one) for one in numbered]

    first, second, third = one_program(epochs, {"x": x, "y": maps, "lot": lot})
    mirrored = (first["x"] == x[:, :, ::-1]).all((1, 2, 3))
    assert (mirrored | (first["x"] == x).all((1, 2, 3))).all()
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / 20  # five deviations of 400 coins
    np.testing.assert_array_equal(second["x"], first["x"][:, :, ::-1])
    np.testing.assert_array_equal(third["x"], first["x"])
    np.testing.assert_array_equal((first["y"] == maps[:, :, ::-1]).all((1, 2)), mirrored)


def test_alternation_needs_numbers():
    with pytest.raises(UserError, match="numbered = True"):
        views.alternating_flip()(KEY, BATCH)


def test_views_of_a_prediction():
    """Weights as published; shifted by one pixel, the border comes from the reflection."""
    x = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5, 1)
    weights, seen = jax.device_get(views.mirrored_and_shifted()(x))
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(weights, [0.25, 0.25, 0.125, 0.125, 0.125, 0.125])
    for at, moved in enumerate((x, wide[:, :4, :5], wide[:, 2:, 2:])):
        np.testing.assert_array_equal(seen[2 * at], moved)
        np.testing.assert_array_equal(seen[2 * at + 1], moved[:, :, ::-1])
