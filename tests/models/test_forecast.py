"""Forecasters: the published sizes, what they must be invariant to, PyTorch's moving average."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.recurrent import GRU, Recurrent
from jaxdl.models.forecast import DLinear, Level, Levelled, PatchTST, moving_average
from jaxdl.models.rnn import Forecaster

KEY = jax.random.key(0)
SERIES = jax.random.normal(KEY, (2, 24, 3))
SMALL = partial(PatchTST, 5, width=8, depth=1, heads=2, hidden=12, patch=8, stride=4)


def shapes_of(model, x):
    return jax.eval_shape(partial(model.init, train=False), KEY, x)


def size(model, lookback=96, channels=7):
    shapes = shapes_of(model, jax.ShapeDtypeStruct((1, lookback, channels), jnp.float32))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def filled(model, x, seed=0):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(random.uniform(0.1, 0.5, s.shape), s.dtype), shapes_of(model, x))


def test_the_sizes_are_those_of_the_published_configurations():
    """TSLib, 7 variables, 96 to 96, width 512."""
    assert size(DLinear(96)) == 18_624
    assert size(PatchTST(96)) == 6_903_904
    assert size(PatchTST(96), channels=1) == 6_903_904, "the weights are shared by the variables"
    assert size(DLinear(720), lookback=336) == 2 * 337 * 720


def test_moving_average_equals_pytorch():
    torch = pytest.importorskip("torch")
    x = np.asarray(SERIES)
    padded = np.concatenate([x[:, :1].repeat(3, 1), x, x[:, -1:].repeat(3, 1)], 1)
    theirs = torch.nn.functional.avg_pool1d(torch.tensor(padded).transpose(1, 2), 7, 1).transpose(1, 2)
    np.testing.assert_allclose(moving_average(SERIES, 7), theirs, atol=1e-6)


def test_dlinear_is_the_authors_few_lines():
    """AvgPool1d between replicated ends, and two nn.Linear that all variables share (cure-lab/LTSF-Linear)."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    pool, trend, seasonal = torch.nn.AvgPool1d(7, stride=1), torch.nn.Linear(24, 5), torch.nn.Linear(24, 5)
    x = torch.tensor(np.asarray(SERIES))
    smooth = pool(torch.nn.functional.pad(x.transpose(1, 2), (3, 3), mode="replicate"))
    expected = (trend(smooth) + seasonal(x.transpose(1, 2) - smooth)).transpose(1, 2)
    dense = lambda m: {"kernel": m.weight.detach().numpy().T, "bias": m.bias.detach().numpy()}
    params = {"trend": dense(trend), "seasonal": dense(seasonal)}
    y = DLinear(5, window=7).apply({"params": params}, SERIES, train=False)
    np.testing.assert_allclose(y, expected.detach(), atol=1e-6)


@pytest.mark.parametrize("model", [DLinear(5, window=7), SMALL()], ids=lambda m: type(m).__name__)
def test_every_variable_is_forecast_alike_and_on_its_own(model):
    variables = filled(model, SERIES)
    apply = jax.jit(partial(model.apply, train=False))
    y = apply(variables, SERIES)
    assert y.shape == (2, 5, 3)
    np.testing.assert_allclose(apply(variables, SERIES[..., ::-1])[..., ::-1], y, atol=1e-5)
    moved = apply(variables, SERIES.at[..., 1].add(jax.random.normal(jax.random.key(1), (2, 24))))
    changed = np.abs(moved - y).max((0, 1)) > 1e-4
    assert changed.tolist() == [False, True, False]
    one = type(model)(**{k: v for k, v in vars(model).items() if k in model.__dataclass_fields__} | {"outputs": 1})
    assert shapes_of(one, SERIES) == shapes_of(model, SERIES)


def test_a_level_goes_out_and_in_again():
    x = SERIES * 7 + 3
    level = Level.of(x)
    inside = level.remove(x)
    np.testing.assert_allclose(inside.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(inside.std(1), 1, atol=1e-4)
    np.testing.assert_allclose(level.restore(inside), x, rtol=1e-5, atol=1e-5)
    gradient = jax.grad(lambda x: Level.of(x).restore(jnp.ones_like(x)).sum())(x)
    np.testing.assert_array_equal(gradient, 0)  # a constant for the gradient


LEVELLED = {"patchtst": SMALL(), "gru": Levelled(Forecaster(5, 3, Recurrent(GRU(4))))}


@pytest.mark.parametrize("model", LEVELLED.values(), ids=LEVELLED)
def test_a_shifted_and_scaled_series_is_forecast_shifted_and_scaled(model):
    variables = filled(model, SERIES)
    apply = jax.jit(partial(model.apply, train=False))
    np.testing.assert_allclose(
        apply(variables, 5 * SERIES - 20), 5 * apply(variables, SERIES) - 20, rtol=1e-4, atol=1e-3
    )


def test_dlinear_starts_as_the_mean_of_the_past():
    model = DLinear(4, window=5)
    variables = model.init(KEY, SERIES, train=False)
    mean = jnp.broadcast_to(SERIES.mean(1, keepdims=True), (2, 4, 3))
    np.testing.assert_allclose(model.apply(variables, SERIES, train=False), mean, atol=1e-6)


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="window=4"):
        shapes_of(DLinear(4, window=4), SERIES)
    with pytest.raises(ValueError, match="patch=40"):
        shapes_of(PatchTST(4, patch=40), SERIES)
