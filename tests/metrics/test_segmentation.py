"""Segmentation metrics against scikit-learn's over all pixels."""

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk

from jaxdl.metrics import segmentation as s
from tests.programs import one_program

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, (3, 8, 9)).astype(np.int32)
SAID = np.where(RANDOM.random(LABELS.shape) < 0.7, LABELS, RANDOM.integers(0, 4, LABELS.shape)).astype(np.int32)
TARGET = np.where(RANDOM.random(LABELS.shape) < 0.1, -100, LABELS).astype(np.int32)


def test_pixels_are_counted_for_each_example():
    count, flat = one_program(
        lambda said, y: (
            s.pixel_confusion(said, y, classes=4),
            s.pixel_confusion(said.reshape(3, -1), jnp.where(y == -100, 255, y).reshape(3, -1), classes=4, ignore=255),
        ),
        SAID,
        TARGET,
    )
    for matrix, said, y in zip(count, SAID, TARGET, strict=True):
        np.testing.assert_array_equal(matrix, sk.confusion_matrix(y[y >= 0], said[y >= 0], labels=range(4)))
    np.testing.assert_array_equal(count, flat)


def test_labels_that_are_no_class_are_left_out():
    y = np.where(RANDOM.random(LABELS.shape) < 0.1, RANDOM.choice([-1, 4, 17], LABELS.shape), LABELS).astype(np.int32)
    known = (y >= 0) & (y < 4)
    count = one_program(lambda said, y: s.pixel_confusion(said, y, classes=4).sum(0), SAID, y)
    np.testing.assert_array_equal(count, sk.confusion_matrix(y[known], SAID[known], labels=range(4)))


def test_report_agrees_with_scikit_learn():
    kept = TARGET >= 0
    y, said = TARGET[kept], SAID[kept]
    out = s.report(sk.confusion_matrix(y, said))
    overlap, dice = sk.jaccard_score(y, said, average=None), sk.f1_score(y, said, average=None)
    expected = {
        "pixel_accuracy": sk.accuracy_score(y, said),
        "mean_accuracy": sk.balanced_accuracy_score(y, said),
        "mean_iou": overlap.mean(),
        "mean_dice": dice.mean(),
        "iou_by_class": overlap,
        "dice_by_class": dice,
        "confusion_matrix": sk.confusion_matrix(y, said),
    }
    assert set(out) == set(expected)
    assert set(s.DIRECTIONS) < set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(out[name], value, rtol=1e-12, err_msg=name)


def test_a_class_that_is_nowhere_is_left_out_of_the_means():
    whole = np.array([[3, 1], [0, 4]])
    padded = np.pad(whole, (0, 1))
    for name, value in s.report(whole).items():
        if isinstance(value, float):
            assert s.report(padded)[name] == pytest.approx(value, rel=1e-12), name
    np.testing.assert_allclose(s.iou(padded), [3 / 4, 4 / 5, np.nan])
    np.testing.assert_allclose(s.dice_score(padded), [6 / 7, 8 / 9, np.nan])
    assert np.isnan(s.report(0 * whole)["mean_iou"])
