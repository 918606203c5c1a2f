"""Regression: errors in the unit of the targets, learned standardised; padding; PyTorch's means."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.losses.regression import huber
from jaxdl.tasks.regression import Regression

KEY = jax.random.key(0)


class Given(nn.Module):
    """The outputs are the input."""

    @nn.compact
    def __call__(self, x, *, train):
        return x


def numbers(task, x, y, mask=None):
    batch = {"x": jnp.asarray(x), "y": jnp.asarray(y), "mask": jnp.ones(len(x)) if mask is None else jnp.asarray(mask)}
    loss, (_, metrics) = jax.jit(lambda b: task.objective({}, {}, b, KEY, jnp.int32(0), train=False))(batch)
    return float(loss), {name: float(s / w) for name, (s, w) in metrics.items()}


@pytest.mark.parametrize("outputs", [1, 3])
def test_errors_are_in_the_unit_of_the_targets(outputs):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, outputs)).astype(np.float32)
    y = (rng.normal(size=(7, outputs)) * 20 + 100).astype(np.float32)
    targets = y[:, 0] if outputs == 1 else y  # (n,) beside a model that gives (n, 1)
    loss, metrics = numbers(Regression(Given(), center=100.0, scale=20.0), x, targets)
    ours, standard = torch.tensor(x), torch.tensor((y - 100) / 20)
    mean = torch.nn.functional.mse_loss(ours, standard)
    assert loss == pytest.approx(float(mean), rel=1e-5)
    assert metrics["mse"] == pytest.approx(
        float(torch.nn.functional.mse_loss(ours * 20 + 100, torch.tensor(y))), rel=1e-5
    )
    assert metrics["mae"] == pytest.approx(
        float(torch.nn.functional.l1_loss(ours * 20 + 100, torch.tensor(y))), rel=1e-5
    )


def test_padding_counts_nowhere():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 1)).astype(np.float32), rng.normal(size=6).astype(np.float32)
    padded = numbers(Regression(Given()), x, y, np.array([1, 1, 1, 0, 0, 0], np.float32))
    assert padded[0] == pytest.approx(numbers(Regression(Given()), x[:3], y[:3])[0], rel=1e-6)
    assert padded[1] == pytest.approx(numbers(Regression(Given()), x[:3], y[:3])[1], rel=1e-6)


def test_huber_is_pytorchs():
    torch = pytest.importorskip("torch")
    x, y = np.array([[0.3], [2.0], [-4.0]], np.float32), np.zeros(3, np.float32)
    theirs = torch.nn.functional.huber_loss(torch.tensor(x[:, 0]), torch.tensor(y), delta=1.5)
    loss, _ = numbers(Regression(Given(), loss=lambda p, t: huber(p, t, delta=1.5)), x, y)
    assert loss == pytest.approx(float(theirs), rel=1e-6)


def test_predict_and_report():
    x = np.array([[0.0], [1.0], [2.0]], np.float32)
    task = Regression(Given(), center=10.0, scale=2.0)
    out = jax.device_get(task.predict({}, {}, {"x": jnp.asarray(x)}, KEY))
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
        numbers(task, np.zeros((6, 2), np.float32), np.zeros((6, 2), np.float32))


def test_a_loss_of_one_value_per_example_or_per_output_is_the_same():
    x, y = np.ones((6, 2), np.float32), np.zeros((6, 2), np.float32)
    each = Regression(Given(), loss=lambda p, t: ((p - t) ** 2).mean(-1))
    assert numbers(each, x, y) == numbers(Regression(Given()), x, y)
