"""Recurrent models: padding, carried state, causality, ties."""

from functools import cache, partial

import jax
import numpy as np
import pytest

from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from jaxdl.models.rnn import Classifier, Forecaster, LanguageModel
from jaxdl.types import UserError
from tests.programs import one_program

KEY = jax.random.key(0)
TOKENS = np.array([[1, 5, 2, 7, 3, 6], [4, 4, 6, 0, 0, 0]])
SERIES = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)


def shapes_of(model, x):
    return jax.eval_shape(partial(model.init, train=False), KEY, x)


def filled(model, x, seed=0):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: random.normal(0, 0.5, s.shape).astype(s.dtype), shapes_of(model, x))


POOLS = ("last", "mean", "max")


@cache
def pooled():
    """Logits of each way to pool: of all tokens, of the second row without its padding, with lengths instead."""
    core = Recurrent(GRU(4), bidirectional=True)
    model = lambda **options: Classifier(classes=3, core=core, vocab=8, width=5, **options)

    def run(variables, tokens, lengths):
        out = {}
        for pool in POOLS:
            apply = partial(model(pool=pool, pad=0).apply, variables, train=False)
            by_length = model(pool=pool).apply(variables, tokens, lengths, train=False)
            out[pool] = apply(tokens), apply(tokens[1:, :3])[0], by_length
        return out

    return one_program(run, filled(model(pad=0), TOKENS), TOKENS, np.array([6, 3]))


@pytest.mark.parametrize("pool", POOLS)
def test_a_classifier_does_not_read_padding(pool):
    y, alone, by_length = pooled()[pool]
    assert y.shape == (2, 3)
    np.testing.assert_allclose(y[1], alone, atol=1e-5)
    np.testing.assert_allclose(by_length, y, atol=1e-6)


def test_a_classifier_reads_channels_and_names_a_wrong_pool():
    model = Classifier(2, Recurrent(RNN(4)))
    assert jax.eval_shape(lambda: model.init_with_output(KEY, SERIES, train=False)[0]).shape == (2, 2)
    with pytest.raises(UserError, match="pool='sum'"):
        shapes_of(Classifier(2, pool="sum"), SERIES)


def test_a_forecaster_of_zeros_is_persistence():
    model = Forecaster(horizon=4, outputs=2, core=Recurrent(LSTM(5)), from_last=True)
    variables = jax.tree.map(np.zeros_like, filled(model, SERIES))
    y = one_program(partial(model.apply, train=False), variables, SERIES)
    np.testing.assert_array_equal(y, np.broadcast_to(SERIES[:, -1:, :2], (2, 4, 2)))
    assert shapes_of(Forecaster(horizon=4), SERIES)["params"]["head"]["kernel"].shape == (64, 4)


@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model_is_causal(tied):
    model = LanguageModel(8, 6, Recurrent(LSTM(5), layers=2), tied=tied)
    variables, other = filled(model, TOKENS), TOKENS.copy()
    other[:, 3] += 1
    run = lambda variables, tokens: jax.lax.map(lambda t: model.apply(variables, t, train=False), tokens)
    here, there = one_program(run, variables, np.stack([TOKENS, other % 8]))
    np.testing.assert_array_equal(np.abs(there - here).max(-1) > 1e-7, [np.arange(6) >= 3] * 2)
    assert ("head" in variables["params"]) != tied
    with pytest.raises(UserError, match="bidirectional=True"):
        shapes_of(LanguageModel(8, core=Recurrent(GRU(3), bidirectional=True)), TOKENS)


def test_state_is_carried_over_training_batches_and_its_gradient_is_not():
    model = LanguageModel(8, 4, Recurrent(LSTM(5)), stateful=True)
    variables = filled(model, TOKENS)
    params, state = variables["params"], jax.tree.map(np.zeros_like, variables["carry"])

    def batches(params, state, tokens):
        whole = LanguageModel(8, 4, Recurrent(LSTM(5))).apply({"params": params}, tokens, train=False)
        run = partial(model.apply, train=True, mutable=["carry"])
        first, new = run({"params": params, "carry": state}, tokens[:, :3])
        second, _ = run({"params": params, **new}, tokens[:, 3:])
        through = jax.grad(lambda c: run({"params": params, "carry": c}, tokens)[0].sum())(new["carry"])
        fresh = model.apply({"params": params, **new}, tokens[:, :3], train=False)
        return whole, first, second, through, fresh

    whole, first, second, through, fresh = one_program(batches, params, state, TOKENS)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-6)
    assert all((g == 0).all() for g in jax.tree.leaves(through))
    np.testing.assert_allclose(fresh, first, atol=1e-6)  # evaluation starts from zeros


@pytest.mark.slow
def test_rates_may_be_traced():
    def model(rate):
        core = Recurrent(GRU(4), layers=2, rate=rate, recurrent_rate=rate, variational=True)
        return LanguageModel(8, 4, core, rate=rate, variational=True, tied=True)

    def members(rates, variables):
        one = lambda rate, key: model(rate).apply(variables, TOKENS, train=True, rngs={"dropout": key})
        return jax.vmap(one)(rates, jax.random.split(KEY, 2))

    assert np.isfinite(one_program(members, np.float32([0.0, 0.4]), filled(model(0.0), TOKENS))).all()
