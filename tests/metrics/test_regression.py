"""Regression reports against scikit-learn and closed forms."""

import numpy as np
import pytest
import sklearn.metrics as sk

from jaxdl.metrics import regression
from jaxdl.types import UserError


@pytest.mark.parametrize("outputs", [(), (1,), (3,)])
def test_report_agrees_with_scikit_learn(outputs):
    rng = np.random.default_rng(0)
    t = rng.normal(size=(100, *outputs))
    p = t + 0.5 * rng.normal(size=t.shape) + 0.1
    out = regression.report(p, t)
    flat_p, flat_t = p.reshape(-1), t.reshape(-1)
    columns = zip(p.reshape(100, -1).T, t.reshape(100, -1).T, strict=True)
    expected = {
        "examples": 100,
        "mse": sk.mean_squared_error(t, p),
        "rmse": np.sqrt(sk.mean_squared_error(t, p)),
        "mae": sk.mean_absolute_error(t, p),
        "median_absolute_error": sk.median_absolute_error(flat_t, flat_p),
        "max_error": sk.max_error(flat_t, flat_p),
        "bias": (flat_p - flat_t).mean(),
        "r2": sk.r2_score(t, p),
        "pearson": np.mean([np.corrcoef(a, b)[0, 1] for a, b in columns]),
    }
    assert set(out) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(out[name], value, rtol=1e-12, err_msg=name)


def test_predicting_the_mean_explains_nothing():
    t = np.array([1.0, 2.0, 6.0])
    assert regression.report(np.full(3, 3.0), t)["r2"] == pytest.approx(0, abs=1e-12)
    assert regression.report(t, t)["r2"] == 1.0
    assert np.isnan(regression.report(t, np.ones(3))["r2"])


def test_a_column_and_a_vector_are_the_same_and_are_not_broadcast():
    t = np.array([1.0, 2.0, 4.0])
    assert regression.report(t[:, None] + 1, t) == regression.report(t + 1, t)


def test_targets_that_were_not_measured_do_not_count():
    t = np.array([[1.0, 2.0], [3.0, np.nan], [np.nan, np.nan], [4.0, 8.0]])
    p = np.array([[2.0, 2.0], [3.0, 99.0], [99.0, 99.0], [4.0, 6.0]])
    out = regression.report(p, t)
    assert out["examples"] == 3
    assert out["mse"] == pytest.approx((1 + 0 + 0 + 0 + 4) / 5)
    columns = [sk.r2_score(t[[0, 1, 3], 0], p[[0, 1, 3], 0]), sk.r2_score(t[[0, 3], 1], p[[0, 3], 1])]
    assert out["r2"] == pytest.approx(np.mean(columns))


BAD = {
    "shape": (np.zeros((3, 2)), np.zeros(3), r"\(3, 2\).*\(3,\)"),
    "length": (np.zeros(2), np.zeros(3), r"\(2,\).*\(3,\)"),
    "nan": (np.array([np.nan, 1.0]), np.zeros(2), "1 of 2 "),
    "empty": (np.zeros(0), np.zeros(0), None),
}


@pytest.mark.parametrize("name", BAD)
def test_errors(name):
    p, t, message = BAD[name]
    with pytest.raises(UserError, match=message):
        regression.report(p, t)
