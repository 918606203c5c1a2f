"""Segmentation: the loss by hand, exact IoU whatever the batch, label maps that move with their images, pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import Experiment
from jaxdl.augment import image
from jaxdl.data.source import InMemory
from jaxdl.engine.evaluate import evaluate
from jaxdl.layers.convolution import Conv
from jaxdl.losses.classification import cross_entropy
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.segmentation import Segmentation
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tasks.given import Given, objective

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 4, 6, 3)).astype(np.float32)
LABELS = RNG.integers(0, 3, (5, 4, 6)).astype(np.int32)
LABELS[0, :2] = -100
MASK = np.array([1, 1, 0, 1, 1], np.float32)


def measured(task, labels=LABELS):
    return objective(task, {"x": LOGITS, "y": labels, "mask": MASK})


def test_the_loss_is_the_mean_over_the_pixels_that_count():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    valid = (LABELS >= 0) & (MASK > 0)[:, None, None]
    own = np.take_along_axis(p, np.maximum(LABELS, 0)[..., None], -1)[..., 0]
    loss, metrics = measured(Segmentation(Given(3)))
    np.testing.assert_allclose(loss, -np.log(own)[valid].mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["pixel_accuracy"], (LOGITS.argmax(-1) == LABELS)[valid].mean(), rtol=1e-6)
    weights = np.array([0.5, 1.0, 3.0])
    weighted, _ = measured(Segmentation(Given(3), class_weights=tuple(weights)))
    np.testing.assert_allclose(weighted, np.average(-np.log(own)[valid], weights=weights[LABELS[valid]]), rtol=1e-6)


def test_a_loss_of_one_value_per_image_is_taken_and_another_is_refused():
    task = Segmentation(Given(3), loss=lambda logits, labels: cross_entropy(logits, labels).mean((1, 2)))
    each = np.asarray(one_program(lambda x, y: cross_entropy(x, y).mean((1, 2)), LOGITS, LABELS))
    np.testing.assert_allclose(measured(task)[0], each[MASK > 0].mean(), rtol=1e-6)
    with pytest.raises(UserError, match=r"\(5, 4, 6\)"):
        measured(Segmentation(Given(3), loss=lambda logits, labels: jnp.float32(0)))


def config(*, batch: int = 4, seed: int = 0) -> Experiment:
    """Bright pixels on a dark ground, which one 3x3 convolution can find."""
    rng = np.random.default_rng(1)
    maps = (rng.random((22, 8, 8)) < 0.3).astype(np.int32)
    x = (maps + 0.1 * rng.normal(size=maps.shape)).astype(np.float32)[..., None]
    splits = {"train": {"x": x[:16], "y": maps[:16]}, "validation": {"x": x[16:], "y": maps[16:]}}
    data = InMemory(splits, batch, name="dots", classes=("ground", "dot"))
    task = Segmentation(Conv(2, 3))
    return Experiment(
        data=data, task=task, optimizer=optax.adam(0.1), steps=60, augment=(image.flip(), image.rotate(90)), seed=seed
    )


@pytest.fixture(scope="module")
def trained():
    program = prepare(Setup.of(config, {}))
    source = program.place(program.data.source(0, 1, 0))
    state, _ = program.chunk(program.init(), source, np.int32(60), np.int32(10))
    return program, program.weights(state)


def test_it_learns_and_its_report_counts_pixels_over_the_split(trained):
    program, weights = trained
    found = evaluate(program, weights, "validation")
    assert found.metrics["mean_iou"] > 0.99
    x, y = (program.data.splits["validation"][name] for name in "xy")
    batch = {"x": x, "y": y, "mask": np.ones(len(x), np.float32)}
    label = jax.device_get(program.predict(weights, batch))["label"]
    assert label.shape == y.shape
    union = [((label == c) | (y == c)).sum() for c in (0, 1)]
    both = [((label == c) & (y == c)).sum() for c in (0, 1)]
    np.testing.assert_allclose(found.metrics["mean_iou"], np.mean(np.divide(both, union)), rtol=1e-6)
    np.testing.assert_allclose(found.metrics["pixel_accuracy"], (label == y).mean(), rtol=1e-6)
    pixels = found.report["segmentations"].pixels
    assert pixels.shape == (12, 8, 8, 3)  # four images of the first batch, their predictions, their targets
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    np.testing.assert_array_equal(pixels[8:, ..., 0] > 0, y[:4] == 1)


def test_iou_does_not_depend_on_the_batch(trained):
    program, weights = trained
    other = prepare(Setup.of(config, {"batch": 5}))
    one, two = (evaluate(p, weights, "validation").metrics for p in (program, other))
    for name in ("loss", "mean_iou", "mean_dice", "pixel_accuracy"):
        np.testing.assert_allclose(one[name], two[name], rtol=1e-5)


REFUSED = {
    "classes": (LABELS + 1, ["-99", "0 … 2"]),
    "floats": (LABELS.astype(np.float32), ["float32"]),
    "one label an image": (LABELS[:, 0, 0], ["(5,)"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refuses_what_is_no_label_map(kind):
    targets, says = REFUSED[kind]
    with pytest.raises(UserError) as told:
        Segmentation(Given(3)).check(targets)
    assert all(part in str(told.value) for part in says), told.value


def test_logits_of_another_size_than_the_label_map_are_refused():
    with pytest.raises(UserError) as told:
        measured(Segmentation(Given(3)), LABELS[:, :2])
    assert "(4, 6, 3)" in str(told.value)
    assert "(2, 6)" in str(told.value)
