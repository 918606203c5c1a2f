"""Dropout: keep rate and scale, identity in evaluation, masks that depend on the example alone, traced rates."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import DropConnect, Dropout, DropPath, dropout, keep_mask
from jaxdl.tracing import rows_from
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)
apply = {"rngs": {"dropout": KEY}, "train": True}
RATES = (0.1, 0.5, 0.9)
X = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)


def ones(*shape):
    return np.ones(shape, np.float32)


@cache
def at_every_rate():
    return dict(
        zip(RATES, one_program(jax.vmap(partial(dropout, KEY, ones(64, 4096))), np.float32(RATES)), strict=True)
    )


@pytest.mark.parametrize("rate", RATES)
def test_keep_rate_and_scale(rate):
    y = at_every_rate()[rate]
    kept = y != 0
    deviation = np.sqrt(rate * (1 - rate) / y.size)
    assert abs(kept.mean() - (1 - rate)) < 4 * deviation
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-6)
    assert kept.mean(0).std() == pytest.approx(np.sqrt(rate * (1 - rate) / 64), rel=0.1)  # rows are independent
    assert abs(np.corrcoef(kept[:, :-1].ravel(), kept[:, 1:].ravel())[0, 1]) < 4 / np.sqrt(y.size)


@pytest.mark.parametrize("layer", [Dropout(0.5), DropPath(0.5), DropConnect(0.5)])
def test_identity_in_evaluation(layer):
    np.testing.assert_array_equal(layer.apply({}, X, train=False), X)


@pytest.mark.parametrize("layer", [Dropout, DropPath, DropConnect])
def test_rate_zero_traced_equals_rate_zero_absent(layer):
    traced = one_program(lambda rate, x: layer(rate).apply({}, x, **apply), np.float32(0), X)
    np.testing.assert_array_equal(traced, layer(0.0).apply({}, X, train=True))


def test_rate_one_drops_all_with_a_finite_gradient():
    value, grad = one_program(jax.value_and_grad(lambda x: dropout(KEY, x, 1.0).sum()), ones(4, 8))
    assert value == 0
    assert np.abs(grad).max() == 0


def test_the_mask_of_an_example_does_not_depend_on_how_the_batch_was_cut():
    drop = lambda x: Dropout(0.5).apply({}, x, **apply)

    def device(x):
        with rows_from(jax.lax.axis_index("data") * 2):
            return drop(x)

    def run(x):
        parts = {}
        for first in (0, 2, 6):
            with rows_from(first):
                parts[first] = drop(x[first : first + 2])
        return drop(x), parts, jax.vmap(device, axis_name="data")(x.reshape(4, 2, 5, 6))

    whole, parts, devices = one_program(run, ones(8, 5, 6))
    for first, part in parts.items():
        np.testing.assert_array_equal(part, whole[first : first + 2])
    np.testing.assert_array_equal(devices.reshape(whole.shape), whole)


def test_rows_and_keys_differ():
    run = lambda x: [dropout(key, x, 0.5) for key in (KEY, jax.random.key(1))]
    y, other = one_program(run, ones(2, 4096))
    assert 0.4 < (y[0] == y[1]).mean() < 0.6
    assert 0.4 < (y == other).mean() < 0.6


def test_a_population_over_rates_equals_its_members():
    drop = lambda rate, x: Dropout(rate).apply({}, x, **apply)
    rates = np.float32([0.0, 0.3, 0.8])
    run = lambda rates, x: (jax.vmap(drop, (0, None))(rates, x), [drop(rates[i], x) for i in range(3)])
    for together, alone in zip(*one_program(run, rates, ones(4, 64)), strict=True):
        np.testing.assert_array_equal(together, alone)


def test_broadcast_shares_the_draw():
    def run(x):
        spatial = Dropout(0.5, broadcast=(1, 2)).apply({}, x, **apply)
        return spatial, Dropout(0.5, broadcast=(1,)).apply({}, x[:, :, 0], **apply)

    spatial, over_time = one_program(run, ones(4, 6, 5, 16))
    assert (spatial == spatial[:, :1, :1]).all()
    assert 0 < (spatial[:, 0, 0] == 0).mean() < 1
    assert (over_time == over_time[:, :1]).all()
    assert len(np.unique(over_time[:, 0], axis=0)) == 4  # but not over the batch


def test_drop_path_drops_whole_examples():
    y = one_program(lambda x: DropPath(0.25).apply({}, x, **apply), ones(1000, 2, 3))
    assert (y == y[:, :1, :1]).all()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (y[:, 0, 0] == 0).mean() == pytest.approx(0.25, abs=0.06)


def test_drop_connect_drops_weights_for_the_whole_batch():
    layer = Dense(16, use_bias=False, kernel_map=partial(DropConnect, rate=0.5))

    def run(x):
        params = layer.init({"params": KEY, "dropout": KEY}, x)
        return params["params"]["kernel"], layer.apply(params, x, **apply)

    kernel, seen = one_program(run, np.eye(32, dtype=np.float32))
    dropped = seen == 0
    assert 0.35 < dropped.mean() < 0.65
    np.testing.assert_allclose(seen[~dropped], 2 * kernel[~dropped], rtol=1e-6)


def test_bfloat16_stays_bfloat16_with_a_traced_rate():
    x, rate = jax.ShapeDtypeStruct((4, 8), jnp.bfloat16), jax.ShapeDtypeStruct((), jnp.float32)
    assert jax.eval_shape(lambda rate, x: Dropout(rate).apply({}, x, **apply), rate, x).dtype == jnp.bfloat16


@pytest.mark.parametrize("shape", [(3, 5), ()])
def test_keep_mask_has_odd_sizes_and_none(shape):
    assert jax.eval_shape(partial(keep_mask, rate=0.5, shape=shape), KEY).shape == shape


def test_errors_name_the_argument():
    with pytest.raises(UserError, match=r"^rate = 1.5 "):
        Dropout(1.5).apply({}, ones(2, 2), **apply)
