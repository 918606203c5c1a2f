"""Dropout: keep rate and scale, identity in evaluation, masks that depend on the example alone, traced rates."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import DropConnect, Dropout, DropPath, dropout, keep_mask
from jaxdl.tracing import rows_from

KEY = jax.random.key(0)
apply = {"rngs": {"dropout": KEY}, "train": True}


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_keep_rate_and_scale(rate):
    x = jnp.ones((64, 4096))
    y = np.asarray(dropout(KEY, x, rate))
    kept = y != 0
    deviation = np.sqrt(rate * (1 - rate) / x.size)
    assert abs(kept.mean() - (1 - rate)) < 4 * deviation
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-6)
    assert kept.mean(0).std() == pytest.approx(np.sqrt(rate * (1 - rate) / 64), rel=0.1)  # rows are independent
    assert abs(np.corrcoef(kept[:, :-1].ravel(), kept[:, 1:].ravel())[0, 1]) < 4 / np.sqrt(x.size)


@pytest.mark.parametrize("layer", [Dropout(0.5), DropPath(0.5), DropConnect(0.5)])
def test_identity_in_evaluation(layer):
    x = jax.random.normal(KEY, (4, 8))
    assert (layer.apply({}, x, train=False) == x).all()


@pytest.mark.parametrize("layer", [Dropout, DropPath, DropConnect])
def test_rate_zero_traced_equals_rate_zero_absent(layer):
    x = jax.random.normal(KEY, (4, 8))
    traced = jax.jit(lambda rate: layer(rate).apply({}, x, **apply))(0.0)
    np.testing.assert_array_equal(traced, layer(0.0).apply({}, x, train=True))


def test_rate_one_drops_all_with_a_finite_gradient():
    x = jnp.ones((4, 8))
    value, grad = jax.value_and_grad(lambda x: dropout(KEY, x, 1.0).sum())(x)
    assert float(value) == 0
    assert float(jnp.abs(grad).max()) == 0


def test_the_mask_of_an_example_does_not_depend_on_how_the_batch_was_cut():
    x = jnp.ones((8, 5, 6))
    whole = Dropout(0.5).apply({}, x, **apply)
    for first in (0, 2, 6):
        with rows_from(first):
            part = Dropout(0.5).apply({}, x[first : first + 2], **apply)
        np.testing.assert_array_equal(part, whole[first : first + 2])

    def device(x):
        with rows_from(jax.lax.axis_index("data") * 2):
            return Dropout(0.5).apply({}, x, **apply)

    devices = jax.vmap(device, axis_name="data")(x.reshape(4, 2, 5, 6))
    np.testing.assert_array_equal(devices.reshape(x.shape), whole)


def test_rows_and_keys_differ():
    y = dropout(KEY, jnp.ones((2, 4096)), 0.5)
    assert 0.4 < float((y[0] == y[1]).mean()) < 0.6
    other = dropout(jax.random.key(1), jnp.ones((2, 4096)), 0.5)
    assert 0.4 < float((y == other).mean()) < 0.6


def test_a_population_over_rates_equals_its_members():
    x = jnp.ones((4, 64))
    rates = jnp.array([0.0, 0.3, 0.8])
    members = jax.jit(jax.vmap(lambda rate: Dropout(rate).apply({}, x, **apply)))(rates)
    for rate, member in zip(rates, members, strict=True):
        np.testing.assert_array_equal(member, dropout_of_layer(rate, x))


def dropout_of_layer(rate, x):
    return jax.jit(lambda rate: Dropout(rate).apply({}, x, **apply))(rate)


def test_broadcast_shares_the_draw():
    x = jnp.ones((4, 6, 5, 16))
    spatial = np.asarray(Dropout(0.5, broadcast=(1, 2)).apply({}, x, **apply))
    assert (spatial == spatial[:, :1, :1]).all()
    assert 0 < (spatial[:, 0, 0] == 0).mean() < 1
    over_time = np.asarray(Dropout(0.5, broadcast=(1,)).apply({}, x[:, :, 0], **apply))
    assert (over_time == over_time[:, :1]).all()
    assert len(np.unique(over_time[:, 0], axis=0)) == 4  # but not over the batch


def test_drop_path_drops_whole_examples():
    y = np.asarray(DropPath(0.25).apply({}, jnp.ones((1000, 2, 3)), **apply))
    assert (y == y[:, :1, :1]).all()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (y[:, 0, 0] == 0).mean() == pytest.approx(0.25, abs=0.06)


def test_drop_connect_drops_weights_for_the_whole_batch():
    x = jnp.eye(32)
    layer = Dense(16, use_bias=False, kernel_map=partial(DropConnect, rate=0.5))
    params = layer.init({"params": KEY, "dropout": KEY}, x)
    kernel = params["params"]["kernel"]
    seen = np.asarray(layer.apply(params, x, **apply))
    dropped = seen == 0
    assert 0.35 < dropped.mean() < 0.65
    np.testing.assert_allclose(seen[~dropped], 2 * np.asarray(kernel)[~dropped], rtol=1e-6)


def test_bfloat16_stays_bfloat16_with_a_traced_rate():
    x = jnp.ones((4, 8), jnp.bfloat16)
    assert jax.jit(lambda rate: Dropout(rate).apply({}, x, **apply))(0.3).dtype == jnp.bfloat16


def test_keep_mask_has_odd_sizes_and_none():
    assert keep_mask(KEY, 0.5, (3, 5)).shape == (3, 5)
    assert keep_mask(KEY, 0.5, ()).shape == ()


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"rate=1.5: the share of elements to drop"):
        Dropout(1.5).apply({}, jnp.ones((2, 2)), **apply)
