"""Copies that differ, each by a draw of its own; turned images as classes of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import image, views
from jaxdl.tracing import rows_from

KEY = jax.random.key(3)
BATCH = {
    "x": jnp.asarray(np.random.default_rng(0).uniform(size=(6, 4, 4, 1)).astype(np.float32)),
    "y": jnp.array([0, 1, 2, 0, 1, 2], jnp.int32),
    "mask": jnp.ones(6),
}


def test_views_are_drawn_apart_and_row_by_row():
    augment = jax.jit(views.several(image.rotate(90.0), image.flip(), views=3))
    whole = augment(KEY, BATCH)
    assert whole["x"].shape == (6, 3, 4, 4, 1)
    assert (whole["y"] == BATCH["y"]).all()
    assert not np.allclose(whole["x"][:, 0], whole["x"][:, 1])
    with rows_from(2):  # what happens to a row does not depend on its neighbours
        part = views.several(image.rotate(90.0), image.flip(), views=3)(KEY, jax.tree.map(lambda a: a[2:4], BATCH))
    np.testing.assert_allclose(part["x"], whole["x"][2:4], atol=1e-6)
    with pytest.raises(ValueError, match="views = 0 must be 1 or more"):
        views.several(views=0)


def test_a_turned_image_is_of_a_class_of_its_own():
    turned = jax.jit(views.quarter_turns(3))(KEY, BATCH)
    turns = np.asarray(turned["y"]) // 3
    np.testing.assert_array_equal(np.asarray(turned["y"]) % 3, BATCH["y"])
    assert len(set(turns)) > 1
    for now, then, turn in zip(turned["x"], BATCH["x"], turns, strict=True):
        np.testing.assert_array_equal(now, np.rot90(then, turn))
    some = jax.jit(views.quarter_turns(3, turns=(0, 3)))(KEY, BATCH)
    for now, then, place in zip(some["x"], BATCH["x"], np.asarray(some["y"]) // 3, strict=True):
        np.testing.assert_array_equal(now, np.rot90(then, (0, 3)[place]))
    with pytest.raises(ValueError, match="square images, got 4x3"):
        views.quarter_turns(3)(KEY, {**BATCH, "x": jnp.zeros((6, 4, 3, 1))})
