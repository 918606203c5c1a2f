"""Classification reports against scikit-learn and closed forms."""

import warnings

import numpy as np
import pytest
import sklearn.metrics as sk

from jaxdl.metrics import classification as c
from jaxdl.types import UserError


def case(n=200, classes=7, seed=0):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, classes))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return p, rng.integers(0, classes, n)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_report_agrees_with_scikit_learn(classes):
    p, y = case(classes=classes)
    out, best = c.report(p, y), p.argmax(-1)
    names = np.arange(classes)
    binary = classes == 2
    scores = p[:, 1] if binary else p
    expected = {
        "examples": len(y),
        "accuracy": sk.accuracy_score(y, best),
        "balanced_accuracy": sk.balanced_accuracy_score(y, best),
        "f1": sk.f1_score(y, best, average="binary" if binary else "macro"),
        "roc_auc": sk.roc_auc_score(y, scores, multi_class="ovr"),
        "log_loss": sk.log_loss(y, p),
        "brier": sk.brier_score_loss(y, p, scale_by_half=False),
    }
    if classes > 5:
        expected["top5"] = sk.top_k_accuracy_score(y, p, k=5)
    arrays = {"per_class_accuracy", "confusion_matrix", "reliability", "calibration_error"}
    assert set(out) == set(expected) | arrays
    for name, value in expected.items():
        np.testing.assert_allclose(out[name], value, rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(out["confusion_matrix"], sk.confusion_matrix(y, best, labels=names))
    np.testing.assert_allclose(out["per_class_accuracy"], sk.recall_score(y, best, average=None), rtol=1e-12)


def test_tied_scores_share_their_rank():
    rng = np.random.default_rng(0)
    p, y = rng.integers(0, 4, 100) / 4, rng.integers(0, 2, 100)
    assert c.report(p, y)["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p), rel=1e-12)


def test_calibration_by_hand():
    # two bins of five: (0.6, 0.8] holds 0.7 (right) and 0.75 (wrong), (0.8, 1] holds 0.9 (right) and 1.0 (right)
    top = np.array([0.7, 0.75, 0.9, 1.0])
    p = np.stack([top, 1 - top], -1)
    y = np.array([0, 1, 0, 0])
    assert c.calibration_error(p, y, bins=5) == pytest.approx((2 * abs(0.5 - 0.725) + 2 * abs(1 - 0.95)) / 4)
    expected = [[np.nan, np.nan, 0]] * 3 + [[0.725, 0.5, 2], [0.95, 1, 2]]
    np.testing.assert_allclose(c.reliability(p, y, bins=5), expected)


def test_a_calibrated_classifier_has_a_small_error_and_a_certain_one_a_large_error():
    rng = np.random.default_rng(0)
    p1 = rng.uniform(size=20_000)
    y = (rng.uniform(size=len(p1)) < p1).astype(int)
    assert c.report(p1, y)["calibration_error"] < 0.015
    certain = (p1 > 0.5).astype(float)
    assert c.report(certain, y)["calibration_error"] == pytest.approx(1 - c.report(p1, y)["accuracy"])


@pytest.mark.parametrize("shape", ["column", "flat", "two"])
def test_the_three_forms_of_a_binary_classifier_are_one(shape):
    p, y = case(classes=2)
    forms = {"column": p[:, 1:], "flat": p[:, 1], "two": p}
    out = c.report(forms[shape], y[:, None] if shape == "column" else y)
    np.testing.assert_allclose(out["roc_auc"], sk.roc_auc_score(y, p[:, 1]), rtol=1e-12)
    assert out["confusion_matrix"].counts.shape == (2, 2)


def test_unlabelled_rows_do_not_count_and_soft_labels_are_their_most_probable_class():
    p, y = case()
    reference = c.report(p, y)
    padded = c.report(np.concatenate([p, p[:50]]), np.concatenate([y, np.full(50, -1)]))
    soft = c.report(p, 0.9 * np.eye(7)[y] + 0.1 / 7)
    for name, value in reference.items():
        np.testing.assert_array_equal(padded[name], value, err_msg=name)
        np.testing.assert_array_equal(soft[name], value, err_msg=name)


def test_a_class_without_examples_is_nan_and_does_not_spoil_the_means():
    p, y = case(classes=4)
    y = np.where(y == 3, 0, y)
    out = c.report(p, y)
    assert np.isnan(out["per_class_accuracy"].values[3])
    assert not np.isnan(out["per_class_accuracy"].values[:3]).any()
    one_against_rest = [sk.roc_auc_score(y == k, p[:, k]) for k in range(3)]
    assert out["roc_auc"] == pytest.approx(np.mean(one_against_rest), rel=1e-12)
    assert out["balanced_accuracy"] == pytest.approx(np.mean(out["per_class_accuracy"].values[:3]))


def test_one_class_only_has_no_auc():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = c.report(np.array([0.2, 0.9]), np.array([1, 1]))
    assert np.isnan(out["roc_auc"])
    assert out["accuracy"] == 0.5


HALVES = np.array([[0.5, 0.5]])
BAD = {  # probabilities, labels, the values that the message holds
    "logits": (np.array([[2.0, -1.0]]), np.array([0]), "softmax"),
    "label": (HALVES, np.array([2]), r"label 2\b.*\b2$"),
    "length": (HALVES, np.array([0, 1]), "1 .*2 "),
    "nan": (np.array([[np.nan, 0.5]]), np.array([0]), "1 of 1 "),
    "empty": (HALVES, np.array([-1]), None),
    "float": (HALVES, np.array([0.5]), "0.5"),
    "soft": (HALVES, np.array([[0.2, 0.3, 0.5]]), "3 .*2$"),
    "axes": (np.zeros((1, 2, 2)), np.array([0]), r"\(1, 2, 2\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors(name):
    p, y, values = BAD[name]
    with pytest.raises(UserError, match=values):
        c.report(p, y)
