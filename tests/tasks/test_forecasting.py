"""Forecasting: errors standardised and in units, the naive forecasts beside them, quantiles, exact for any batch."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.table import series
from jaxdl.losses.regression import absolute_error
from jaxdl.tasks.forecasting import Forecasting
from tests.programs import one_program


class Given(nn.Module):
    """The same outputs for every window."""

    values: tuple

    @nn.compact
    def __call__(self, x, *, train):
        return jnp.broadcast_to(jnp.asarray(self.values, x.dtype)[None], (len(x), *np.shape(self.values)))


def batch_of(n=6, lookback=5, columns=3, horizon=2, targets=2, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(n, lookback, columns)).astype(np.float32),
        "y": (rng.normal(size=(n, horizon, targets)) * [10, 2] + [100, -3])[..., :targets].astype(np.float32),
        "mask": np.array([1, 1, 0, 1, 1, 1], np.float32),
    }


def measured(task, batch, train=False):
    """Loss and metrics, to be compiled."""
    loss, (_, metrics) = task.objective({}, {}, batch, jax.random.key(0), jnp.int32(0), train=train)
    return loss, {name: s / w for name, (s, w) in metrics.items()}


VALUES = ((0.3, -0.1), (0.2, 0.5))
CENTER, SCALE = (100.0, -3.0), (10.0, 2.0)


def test_errors_and_naive_forecasts_by_hand():
    batch, task = batch_of(), Forecasting(Given(VALUES), CENTER, SCALE, season=3)
    absolute = Forecasting(Given(VALUES), CENTER, SCALE, loss=absolute_error)
    (loss, got), (_, trained), (distance, of_absolute) = one_program(
        lambda batch: (measured(task, batch), measured(task, batch, train=True), measured(absolute, batch)), batch
    )
    real = batch["mask"] > 0
    x, y = batch["x"][real].astype(np.float64), (batch["y"][real] - CENTER) / SCALE
    seasonal = np.stack([x[:, -3, :2], x[:, -2, :2]], 1)
    for name, forecast in {"": np.array(VALUES), "persistence_": x[:, -1:, :2], "seasonal_": seasonal}.items():
        error = forecast - y
        assert got[f"{name}mse"] == pytest.approx((error**2).mean(), rel=1e-5)
        assert got[f"{name}mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
        assert got[f"{name}mae_units"] == pytest.approx(np.abs(error * SCALE).mean(), rel=1e-5)
    assert loss == pytest.approx(got["mse"])
    assert sorted(trained) == ["loss", "mae", "mae_units", "mse"]
    assert distance == pytest.approx(of_absolute["mae"])
    assert "seasonal_mse" not in of_absolute


def test_a_season_comes_again_and_again():
    task = Forecasting(Given(VALUES), (0.0,), (1.0,), season=3)
    found = one_program(lambda x: task.naive(x, 7), np.arange(5, dtype=np.float32).reshape(1, 5, 1))
    assert found["seasonal"][0, :, 0].tolist() == [2, 3, 4, 2, 3, 4, 2]
    assert found["persistence"][0, :, 0].tolist() == [4] * 7


def test_quantiles_equal_the_pinball_loss():
    batch = batch_of(targets=1)
    levels, values = (0.1, 0.5, 0.9), ((-1.0, 0.1, 1.5), (-1.2, 0.0, 0.8))
    task = Forecasting(Given(values), (100.0,), (10.0,), levels=levels)
    (loss, got), outputs = one_program(
        lambda batch: (measured(task, batch), task.predict({}, {}, batch, jax.random.key(0))), batch
    )
    y = ((batch["y"] - 100) / 10)[batch["mask"] > 0]
    error = y - np.array(values)[None]
    pinball = np.maximum(np.array(levels) * error, (np.array(levels) - 1) * error)
    assert loss == pytest.approx(pinball.mean(), rel=1e-5)
    assert got["mae"] == pytest.approx(np.abs(error[..., 1]).mean(), rel=1e-5)
    np.testing.assert_allclose(outputs["value"][0, :, 0], [101, 100], rtol=1e-6)
    np.testing.assert_allclose(outputs["quantile"][0, :, 0], [[90, 101, 115], [88, 100, 108]], rtol=1e-6)
    report = task.report(outputs, batch["y"])
    inside = (outputs["quantile"][..., 0] <= batch["y"]) & (batch["y"] <= outputs["quantile"][..., 2])
    assert report["coverage"] == inside.mean()
    assert 0 < report["coverage"] < 1
    error = outputs["value"] - batch["y"]
    assert report["rmse_units"] == pytest.approx(np.sqrt((error**2).mean()))
    assert report["forecasts"].rows.tolist() == [0, 1, 2, 3, 4, 5]


def test_an_evaluation_is_exact_for_any_batch_size():
    """Published code dropped the last, smaller batch; here its windows count like all others."""
    line = np.sin(np.arange(60.0))
    found = []
    for batch in (1, 4, 9):
        data = series.windows(line, lookback=5, horizon=2, batch=batch, parts=(30, 10, 20))
        task = Forecasting(Given(((0.5,), (0.1,))), data.center, data.scale)
        ((count, source),) = data.eval_sources("test")

        def sums_of(i, series, data=data, task=task):
            batch = data.standardise(data.eval_batch({"series": series}, i))
            return task.objective({}, {}, batch, jax.random.key(0), jnp.int32(0), train=False)[1][1]["mse"]

        run = lambda series, n=count, sums_of=sums_of: jax.lax.map(lambda i: sums_of(i, series), jnp.arange(n))
        found.append([float(part.sum()) for part in one_program(run, source["series"])])
    assert {weight for _, weight in found} == {19.0}
    np.testing.assert_allclose([total for total, _ in found], found[0][0], rtol=1e-6)


def test_wrong_requests_are_named():
    with pytest.raises(ValueError, match=r"levels = \(0.1, 0.9\)"):
        Forecasting(Given(VALUES), CENTER, SCALE, levels=(0.1, 0.9))
    for wrong in ((0.5, 1.5), (0.5, 1.0), (0.0, 0.5)):
        with pytest.raises(ValueError, match=f"{wrong[0]}, {wrong[1]}"):
            Forecasting(Given(VALUES), CENTER, SCALE, levels=wrong)
    with pytest.raises(ValueError, match="season = 9 must lie between 0 and the lookback, 5"):
        Forecasting(Given(VALUES), CENTER, SCALE, season=9).init(jax.random.key(0), batch_of())
    with pytest.raises(ValueError, match="season = -1 must lie between 0 and"):
        Forecasting(Given(VALUES), CENTER, SCALE, season=-1).init(jax.random.key(0), batch_of())
    with pytest.raises(ValueError, match=r"the model forecasts \(1, 2\) .*hold \(2, 2\)"):
        jax.eval_shape(lambda: measured(Forecasting(Given(VALUES[:1]), CENTER, SCALE), batch_of()))
    with pytest.raises(ValueError, match="finite"):
        Forecasting(Given(VALUES), CENTER, SCALE).check(np.array([[np.nan]]))
