"""Codes judged: PCA beside scikit-learn's, and metrics that know a perfect, a folded and a shuffled code."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA as Reference

from jaxdl.metrics import reduction
from jaxdl.types import UserError

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
    with pytest.raises(UserError, match=r"^width = 13 .*12"):
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


@pytest.mark.parametrize("values", [2, 40])
def test_neighbours_are_counted_as_scikit_learn_counts_them(values):
    from sklearn.manifold import trustworthiness
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    x, y = load_digits(return_X_y=True)
    x, y = x[:303] + np.random.default_rng(0).uniform(size=(303, 64)), y[:303]  # no two distances are equal
    code = x @ np.random.default_rng(1).normal(size=(64, values))
    ours = reduction.trustworthiness(x, code, neighbours=7)
    assert ours == pytest.approx(trustworthiness(x, code, n_neighbors=7), abs=1e-12)
    assert 0.5 < ours < 1
    parts = KFold(5, shuffle=True, random_state=0)
    theirs = cross_val_score(KNeighborsClassifier(7), code, y, cv=parts).mean()
    assert reduction.knn_accuracy(code, y, neighbours=7) == pytest.approx(theirs, abs=1e-12)


def test_neighbours_are_less_than_half_of_the_examples():
    with pytest.raises(UserError, match=r"^neighbours = 5 .*10 "):
        reduction.trustworthiness(np.zeros((10, 2)), np.zeros((10, 2)), neighbours=5)
