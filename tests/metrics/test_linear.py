"""Linear models against scikit-learn's."""

import numpy as np
import pytest

from jaxdl.data.image import vision
from jaxdl.metrics.linear import least_squares, logistic_regression


@pytest.mark.parametrize("penalty", [1.0, 10.0])
def test_logistic_regression_as_scikit_learn(penalty):
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(300, 5)), rng.normal(size=(40, 5))
    y = (x @ rng.normal(size=(5, 3)) + rng.gumbel(size=(300, 3))).argmax(1)
    theirs = linear_model.LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=1000).fit(x, y)
    ours = logistic_regression(x, y, new, classes=3, penalty=penalty)
    np.testing.assert_allclose(ours, theirs.predict_proba(new), atol=1e-3)


def test_a_class_that_training_lacks_is_never_likely():
    p = logistic_regression(np.float32([[0], [1], [0], [1]]), np.array([0, 1, 0, 1]), np.float32([[0], [1]]), classes=3)
    assert p.shape == (2, 3)
    assert p.argmax(1).tolist() == [0, 1]


def test_least_squares_as_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, new, y = rng.normal(size=(50, 2, 3)), rng.normal(size=(9, 2, 3)), rng.normal(size=(50, 2))
    theirs = linear_model.LinearRegression().fit(x.reshape(50, -1), y).predict(new.reshape(9, -1))
    np.testing.assert_allclose(least_squares(x, y, new), theirs, atol=1e-9)


def test_digits_are_nearly_linear():
    """Of 269 test images scikit-learn's default misses five."""
    splits = {part: (a["x"] / 16.0, a["y"]) for part, a in vision.digits().splits.items()}
    p = logistic_regression(*splits["train"], splits["test"][0], classes=10)
    assert 3 <= (p.argmax(1) != splits["test"][1]).sum() <= 7
