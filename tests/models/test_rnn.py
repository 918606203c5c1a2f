"""Recurrent models: padding, carried state, causality, ties."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from jaxdl.models.rnn import Classifier, Forecaster, LanguageModel

KEY = jax.random.key(0)
TOKENS = jnp.array([[1, 5, 2, 7, 3, 6], [4, 4, 6, 0, 0, 0]])
SERIES = jax.random.normal(KEY, (2, 6, 3))


def shapes_of(model, x):
    return jax.eval_shape(partial(model.init, train=False), KEY, x)


def filled(model, x, seed=0):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(random.normal(0, 0.5, s.shape), s.dtype), shapes_of(model, x))


@pytest.mark.parametrize("pool", ["last", "mean", "max"])
def test_a_classifier_does_not_read_padding(pool):
    core = Recurrent(GRU(4), layers=2, bidirectional=True)
    model = Classifier(classes=3, core=core, vocab=8, width=5, pool=pool, pad=0)
    variables = filled(model, TOKENS)
    y = model.apply(variables, TOKENS, train=False)
    assert y.shape == (2, 3)
    np.testing.assert_allclose(y[1], model.apply(variables, TOKENS[1:, :3], train=False)[0], atol=1e-5)
    by_length = Classifier(classes=3, core=core, vocab=8, width=5, pool=pool)
    np.testing.assert_allclose(by_length.apply(variables, TOKENS, jnp.array([6, 3]), train=False), y, atol=1e-6)


def test_a_classifier_reads_channels_and_names_a_wrong_pool():
    assert Classifier(2, Recurrent(RNN(4))).init_with_output(KEY, SERIES, train=False)[0].shape == (2, 2)
    with pytest.raises(ValueError, match="pool='sum'"):
        shapes_of(Classifier(2, pool="sum"), SERIES)


def test_a_forecaster_of_zeros_is_persistence():
    model = Forecaster(horizon=4, outputs=2, core=Recurrent(LSTM(5)), from_last=True)
    variables = jax.tree.map(jnp.zeros_like, filled(model, SERIES))
    np.testing.assert_array_equal(
        model.apply(variables, SERIES, train=False), jnp.broadcast_to(SERIES[:, -1:, :2], (2, 4, 2))
    )
    assert shapes_of(Forecaster(horizon=4), SERIES)["params"]["head"]["kernel"].shape == (64, 4)


@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model_is_causal(tied):
    model = LanguageModel(8, 6, Recurrent(LSTM(5), layers=2), tied=tied)
    variables = filled(model, TOKENS)
    here = model.apply(variables, TOKENS, train=False)
    moved = jnp.abs(model.apply(variables, (TOKENS.at[:, 3].add(1)) % 8, train=False) - here).max(-1) > 1e-7
    np.testing.assert_array_equal(moved, jnp.broadcast_to(jnp.arange(6)[None] >= 3, (2, 6)))
    assert ("head" in variables["params"]) != tied
    with pytest.raises(ValueError, match="bidirectional=True"):
        shapes_of(LanguageModel(8, core=Recurrent(GRU(3), bidirectional=True)), TOKENS)


def test_state_is_carried_over_training_batches_and_its_gradient_is_not():
    model = LanguageModel(8, 4, Recurrent(LSTM(5)), stateful=True)
    variables = filled(model, TOKENS)
    params, state = variables["params"], jax.tree.map(jnp.zeros_like, variables["carry"])
    whole = LanguageModel(8, 4, Recurrent(LSTM(5))).apply({"params": params}, TOKENS, train=False)
    run = partial(model.apply, train=True, mutable=["carry"])
    first, new = run({"params": params, "carry": state}, TOKENS[:, :3])
    second, _ = run({"params": params, **new}, TOKENS[:, 3:])
    np.testing.assert_allclose(jnp.concatenate([first, second], 1), whole, atol=1e-6)
    through = jax.grad(lambda c: run({"params": params, "carry": c}, TOKENS)[0].sum())(new["carry"])
    assert all((g == 0).all() for g in jax.tree.leaves(through))
    fresh = model.apply({"params": params, **new}, TOKENS[:, :3], train=False)  # evaluation starts from zeros
    np.testing.assert_allclose(fresh, first, atol=1e-6)


def test_rates_may_be_traced():
    def model(rate):
        core = Recurrent(GRU(4), layers=2, rate=rate, recurrent_rate=rate, variational=True)
        return LanguageModel(8, 4, core, rate=rate, variational=True, tied=True)

    variables = filled(model(0.0), TOKENS)

    def member(rate, key):
        return model(rate).apply(variables, TOKENS, train=True, rngs={"dropout": key})

    y = jax.jit(jax.vmap(member))(jnp.array([0.0, 0.4]), jax.random.split(KEY, 2))
    assert jnp.isfinite(y).all()
