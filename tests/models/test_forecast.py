"""Forecasters: the published sizes, what they must be invariant to, PyTorch's moving average."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.recurrent import GRU, Recurrent
from jaxdl.models.forecast import DLinear, Level, Levelled, PatchTST, moving_average
from jaxdl.models.rnn import Forecaster
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)
SERIES = np.random.default_rng(0).normal(size=(2, 24, 3)).astype(np.float32)
SMALL = partial(PatchTST, 5, width=8, depth=1, heads=2, hidden=12, patch=8, stride=4)


def shapes_of(model, x):
    return jax.eval_shape(partial(model.init, train=False), KEY, x)


def size(model, lookback=96, channels=7):
    shapes = shapes_of(model, jax.ShapeDtypeStruct((1, lookback, channels), jnp.float32))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def filled(model, x, seed=0):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: random.uniform(0.1, 0.5, s.shape).astype(s.dtype), shapes_of(model, x))


def test_the_sizes_are_those_of_the_published_configurations():
    """TSLib, 7 variables, 96 to 96, width 512."""
    assert size(DLinear(96)) == 18_624
    assert size(PatchTST(96)) == 6_903_904
    assert size(PatchTST(96), channels=1) == 6_903_904, "the weights are shared by the variables"
    assert size(DLinear(720), lookback=336) == 2 * 337 * 720


def test_moving_average_equals_pytorch(oracle):
    @oracle
    def theirs(torch):
        padded = np.concatenate([SERIES[:, :1].repeat(3, 1), SERIES, SERIES[:, -1:].repeat(3, 1)], 1)
        return {"y": torch.nn.functional.avg_pool1d(torch.tensor(padded).transpose(1, 2), 7, 1).transpose(1, 2)}

    np.testing.assert_allclose(one_program(lambda x: moving_average(x, 7), SERIES), theirs["y"], atol=1e-6)


def test_dlinear_is_the_authors_few_lines(oracle):
    """AvgPool1d between replicated ends, and two nn.Linear that all variables share (cure-lab/LTSF-Linear)."""

    @oracle
    def theirs(torch):
        pool, trend, seasonal = torch.nn.AvgPool1d(7, stride=1), torch.nn.Linear(24, 5), torch.nn.Linear(24, 5)
        x = torch.tensor(SERIES).transpose(1, 2)
        smooth = pool(torch.nn.functional.pad(x, (3, 3), mode="replicate"))
        weights = {"trend": trend, "seasonal": seasonal}
        state = {f"{name} {part}": getattr(m, part) for name, m in weights.items() for part in ("weight", "bias")}
        return {"y": (trend(smooth) + seasonal(x - smooth)).transpose(1, 2)} | state

    dense = lambda name: {"kernel": theirs[f"{name} weight"].T, "bias": theirs[f"{name} bias"]}
    params = {name: dense(name) for name in ("trend", "seasonal")}
    y = one_program(partial(DLinear(5, window=7).apply, train=False), {"params": params}, SERIES)
    np.testing.assert_allclose(y, theirs["y"], atol=1e-6)


MODELS = {
    "dlinear": DLinear(5, window=7),
    "patchtst": SMALL(),
    "gru": Levelled(Forecaster(5, 3, Recurrent(GRU(4)))),
}


@cache
def forecasts(name):
    """Of the series; with its variables in reverse; with the second changed; shifted and scaled."""
    model, other = MODELS[name], SERIES.copy()
    other[..., 1] += np.random.default_rng(1).normal(size=(2, 24))
    series = np.stack([SERIES, SERIES[..., ::-1], other, 5 * SERIES - 20])
    run = lambda variables, series: jax.lax.map(lambda x: model.apply(variables, x, train=False), series)
    return one_program(run, filled(model, SERIES), series)


@pytest.mark.parametrize("name", ["dlinear", "patchtst"])
def test_every_variable_is_forecast_alike_and_on_its_own(name):
    (y, turned, moved, _), model = forecasts(name), MODELS[name]
    assert y.shape == (2, 5, 3)
    np.testing.assert_allclose(turned[..., ::-1], y, atol=1e-5)
    changed = np.abs(moved - y).max((0, 1)) > 1e-4
    assert changed.tolist() == [False, True, False]
    one = type(model)(**{k: v for k, v in vars(model).items() if k in model.__dataclass_fields__} | {"outputs": 1})
    assert shapes_of(one, SERIES) == shapes_of(model, SERIES)


@pytest.mark.parametrize("name", ["patchtst", "gru"])
def test_a_shifted_and_scaled_series_is_forecast_shifted_and_scaled(name):
    y, _, _, moved = forecasts(name)
    np.testing.assert_allclose(moved, 5 * y - 20, rtol=1e-4, atol=1e-3)


def test_a_level_goes_out_and_in_again():
    x = SERIES * 7 + 3

    def run(x):
        level = Level.of(x)
        inside = level.remove(x)
        gradient = jax.grad(lambda x: Level.of(x).restore(jnp.ones_like(x)).sum())(x)
        return inside, level.restore(inside), gradient

    inside, restored, gradient = one_program(run, x)
    np.testing.assert_allclose(inside.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(inside.std(1), 1, atol=1e-4)
    np.testing.assert_allclose(restored, x, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(gradient, 0)  # a constant for the gradient


def test_dlinear_starts_as_the_mean_of_the_past():
    model = DLinear(4, window=5)
    y = one_program(lambda x: model.init_with_output(KEY, x, train=False)[0], SERIES)
    np.testing.assert_allclose(y, np.broadcast_to(SERIES.mean(1, keepdims=True), (2, 4, 3)), atol=1e-6)


def test_wrong_sizes_are_named():
    with pytest.raises(UserError, match="window=4"):
        shapes_of(DLinear(4, window=4), SERIES)
    with pytest.raises(UserError, match="patch=40"):
        shapes_of(PatchTST(4, patch=40), SERIES)
