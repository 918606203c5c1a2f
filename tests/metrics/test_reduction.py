"""Codes judged: PCA beside scikit-learn's, and metrics that know a perfect, a folded and a shuffled code."""

import numpy as np
import pytest
from sklearn.decomposition import PCA as Reference

from jaxdl.metrics import reduction

RANDOM = np.random.default_rng(0)
LABELS = np.arange(90) % 3
X = RANDOM.normal(size=(90, 4, 3)) + 6 * RANDOM.normal(size=(3, 4, 3))[LABELS]


def test_pca_is_scikit_learns():
    fitted, theirs = reduction.pca(X, 4), Reference(4).fit(X.reshape(90, 12))
    code = fitted.encode(X)
    np.testing.assert_allclose(np.abs(code), np.abs(theirs.transform(X.reshape(90, 12))), rtol=1e-8)
    np.testing.assert_allclose(
        fitted.decode(code), theirs.inverse_transform(theirs.transform(X.reshape(90, 12))), rtol=1e-8
    )
    with pytest.raises(ValueError, match="width = 13 must lie between 1 and 12"):
        reduction.pca(X, 13)


def test_the_report_of_good_and_bad_codes():
    best = reduction.report(X, X, X, LABELS)
    assert best == {"mse": 0, "trustworthiness": 1, "knn_accuracy": 1}
    noise = RANDOM.normal(size=(90, 2))
    worst = reduction.report(X, noise, X + 2, LABELS)
    assert worst["mse"] == pytest.approx(4)
    assert worst["trustworthiness"] < 0.7
    assert worst["knn_accuracy"] < 0.6
    assert "knn_accuracy" not in reduction.report(X, X, X, None)
    assert reduction.report(X[:2], X[:2], X[:2], LABELS[:2]) == {"mse": 0}


def test_a_plane_of_codes():
    line, pair = RANDOM.normal(size=(5, 1)), RANDOM.normal(size=(5, 2))
    assert np.array_equal(reduction.plane(pair)[0], pair)
    assert np.array_equal(reduction.plane(line)[0][:, 0], line[:, 0])
    points, names = reduction.plane(X)
    assert points.shape == (90, 2)
    assert "component" in names[0]
