"""Regression: errors in the unit of the targets, learned standardised; padding; PyTorch's means."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.losses.regression import huber
from jaxdl.tasks.regression import Regression
from tests.programs import one_program
from tests.tasks.given import Given

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(7, 3)).astype(np.float32), (RANDOM.normal(size=(7, 3)) * 20 + 100).astype(np.float32)
FAR = np.array([[0.3], [2.0], [-4.0]], np.float32)
PLAIN, SCALED = Regression(Given()), Regression(Given(), center=100.0, scale=20.0)
ONES = np.ones((6, 2), np.float32)
# name -> (task, outputs, targets, mask)
CASES = {
    "one": (SCALED, X[:, :1], Y[:, 0], None),  # (n,) beside a model that gives (n, 1)
    "three": (SCALED, X, Y, None),
    "padded": (PLAIN, X[:, :1], X[:, 1], np.float32([1, 1, 1, 0, 0, 0, 0])),
    "short": (PLAIN, X[:3, :1], X[:3, 1], None),
    "huber": (Regression(Given(), loss=lambda p, t: huber(p, t, delta=1.5)), FAR, np.zeros(3, np.float32), None),
    "per example": (Regression(Given(), loss=lambda p, t: ((p - t) ** 2).mean(-1)), ONES, 0 * ONES, None),
    "per output": (PLAIN, ONES, 0 * ONES, None),
}


def run(task, x, y, mask):
    batch = {"x": x, "y": y, "mask": jnp.ones(len(x)) if mask is None else mask}
    loss, (_, metrics) = task.objective({}, {}, batch, jax.random.key(0), jnp.int32(0), train=False)
    return loss, {name: total / weight for name, (total, weight) in metrics.items()}


@pytest.fixture(scope="module")
def found():
    """Loss and metrics of every case, in one program."""
    inputs = {name: case[1:] for name, case in CASES.items()}
    return one_program(lambda inputs: {name: run(CASES[name][0], *case) for name, case in inputs.items()}, inputs)


@pytest.mark.parametrize(("name", "outputs"), [("one", 1), ("three", 3)])
def test_errors_are_in_the_unit_of_the_targets(name, outputs, found):
    loss, metrics = found[name]
    x, y = X[:, :outputs].astype(np.float64), Y[:, :outputs].astype(np.float64)
    error = x * 20 + 100 - y
    assert loss == pytest.approx(((error / 20) ** 2).mean(), rel=1e-5)
    assert metrics["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert metrics["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)


def test_padding_counts_nowhere(found):
    chex.assert_trees_all_close(found["padded"], found["short"], rtol=1e-6)


def test_any_loss(found):
    """Huber's, by hand: half the square up to δ = 1.5, from there δ·(distance - δ/2)."""
    assert found["huber"][0] == pytest.approx(np.mean([0.3**2 / 2, 1.5 * (2 - 0.75), 1.5 * (4 - 0.75)]), rel=1e-6)


def test_a_loss_of_one_value_per_example_or_per_output_is_the_same(found):
    assert found["per example"] == found["per output"]


@pytest.mark.parity
def test_pytorch_agrees(found):
    functional = (torch := pytest.importorskip("torch")).nn.functional
    for name, outputs in {"one": 1, "three": 3}.items():
        loss, metrics = found[name]
        ours, targets = torch.tensor(X[:, :outputs]), torch.tensor(Y[:, :outputs])
        assert loss == pytest.approx(float(functional.mse_loss(ours, (targets - 100) / 20)), rel=1e-5)
        assert metrics["mse"] == pytest.approx(float(functional.mse_loss(ours * 20 + 100, targets)), rel=1e-5)
        assert metrics["mae"] == pytest.approx(float(functional.l1_loss(ours * 20 + 100, targets)), rel=1e-5)
    theirs = functional.huber_loss(torch.tensor(FAR[:, 0]), torch.zeros(3), delta=1.5)
    assert found["huber"][0] == pytest.approx(float(theirs), rel=1e-6)


def test_predict_and_report():
    x = np.array([[0.0], [1.0], [2.0]], np.float32)
    task = Regression(Given(), center=10.0, scale=2.0)
    out = one_program(lambda x: task.predict({}, {}, {"x": x}, jax.random.key(0)), x)
    np.testing.assert_allclose(out["value"], [10, 12, 14], rtol=1e-6)
    report = task.report(out, np.array([10.0, 12.0, 16.0]))
    assert report["mse"] == pytest.approx(4 / 3)
    assert report["r2"] == pytest.approx(1 - 4 / (np.array([10, 12, 16.0]).var() * 3))


def test_targets_must_be_finite():
    with pytest.raises(ValueError, match="finite"):
        Regression(Given()).check(np.array([1.0, np.nan]))


@pytest.mark.parametrize("axis", [None, 0])
def test_a_loss_that_is_reduced_over_examples_is_refused(axis):
    task = Regression(Given(), loss=lambda p, t: ((p - t) ** 2).mean(axis))
    with pytest.raises(ValueError, match="one value per example"):
        jax.eval_shape(lambda: run(task, ONES, ONES, None))
