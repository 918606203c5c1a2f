"""Multi-label metrics against scikit-learn's."""

import numpy as np
import pytest
import sklearn.metrics as sk

from jaxdl.metrics import multilabel as m
from jaxdl.metrics.curves import average_precision
from jaxdl.types import UserError


def case(n=200, labels=6, steps=0):
    """Probabilities that know something of the targets; with `steps`, many are equal. The last label occurs once."""
    rng = np.random.default_rng(0)
    y = (rng.random((n, labels)) < np.linspace(0.6, 0.1, labels)).astype(int)
    y[:, -1] = np.arange(n) == 3
    p = 1 / (1 + np.exp(-(rng.normal(size=y.shape) + 2 * y - 1)))
    return np.round(p * steps) / steps if steps else p, y


@pytest.mark.parametrize("steps", [0, 8])
def test_report_agrees_with_scikit_learn(steps):
    p, y = case(steps=steps)
    out, said = m.report(p, y, threshold=0.4), p >= 0.4
    expected = {
        "examples": len(y),
        "average_precision": sk.average_precision_score(y, p, average="macro"),
        "average_precision_micro": sk.average_precision_score(y, p, average="micro"),
        "roc_auc": sk.roc_auc_score(y, p, average="macro"),
        "subset_accuracy": sk.accuracy_score(y, said),
        "hamming_loss": sk.hamming_loss(y, said),
    }
    for average in ("micro", "macro"):
        values = sk.precision_recall_fscore_support(y, said, average=average)[:3]
        expected |= {f"{n}_{average}": v for n, v in zip(("precision", "recall", "f1"), values, strict=True)}
    pictures = {
        "f1_by_label": sk.f1_score(y, said, average=None),
        "average_precision_by_label": sk.average_precision_score(y, p, average=None),
    }
    assert set(out) == set(expected) | set(pictures)
    assert set(m.DIRECTIONS) == set(expected) - {"examples"}
    for name, value in (expected | pictures).items():
        np.testing.assert_allclose(out[name], value, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("average", ["micro", "macro", None])
@pytest.mark.parametrize("zero_division", [0.0, 1.0, np.nan])
def test_labels_that_never_occur_or_are_never_predicted(average, zero_division):
    """Columns: never true, never predicted, neither, both."""
    y, said = np.array([[0, 1, 0, 1], [0, 0, 0, 1]]), np.array([[1, 0, 0, 1], [0, 0, 0, 0]])
    got = m.precision_recall_f1(said, y, average=average, zero_division=zero_division)
    expected = sk.precision_recall_fscore_support(y, said, average=average, zero_division=zero_division)[:3]
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_label_without_examples_has_no_average_precision():
    p, y = case()
    y[:, 2] = 0
    out, kept = m.report(p, y), [0, 1, 3, 4, 5]
    assert np.isnan(out["average_precision_by_label"].values[2])
    assert out["average_precision"] == pytest.approx(sk.average_precision_score(y[:, kept], p[:, kept]), rel=1e-12)
    assert out["roc_auc"] == pytest.approx(sk.roc_auc_score(y[:, kept], p[:, kept]), rel=1e-12)
    assert np.isnan(average_precision(p[:, 2], y[:, 2]))
    assert np.isnan(m.report(p, 0 * y)["average_precision"])


BAD = {
    "shape": (np.zeros((2, 3)), np.zeros((2, 2)), r"\(2, 3\).*\(2, 2\)"),
    "rank": (np.zeros(2), np.zeros(2), r"\(2,\)"),
    "empty": (np.zeros((0, 3)), np.zeros((0, 3)), r"\(0, 3\)"),
    "target": (np.zeros((1, 2)), np.array([[0, -1]]), "-1"),
    "unknown": (np.zeros((1, 2)), np.array([[0, np.nan]]), "nan"),
    "logits": (np.array([[1.5, 0.0]]), np.zeros((1, 2)), "sigmoid"),
    "nan": (np.array([[np.nan, 0.0]]), np.zeros((1, 2)), "sigmoid"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors(name):
    p, y, values = BAD[name]
    with pytest.raises(UserError, match=values):
        m.report(p, y)


def test_scores_of_another_shape():
    with pytest.raises(UserError, match=r"\(2,\).*\(3,\)"):
        average_precision(np.zeros(2), np.zeros(3))
    with pytest.raises(UserError, match=r"\(2, 3\).*\(2, 2\)"):
        m.precision_recall_f1(np.ones((2, 3)), np.ones((2, 2)))
    assert np.isnan(average_precision([], []))


@pytest.mark.parametrize("bad", [-0.1, 1.5, "0.5", True, float("nan")])
def test_a_threshold_that_is_no_probability(bad):
    with pytest.raises(UserError, match=f"^threshold = {bad!r} "):
        m.report(*case(), threshold=bad)


def test_an_average_that_does_not_exist():
    with pytest.raises(UserError, match=r"'samples'.*'micro'"):
        m.precision_recall_f1(np.ones((1, 2)), np.ones((1, 2)), average="samples")
