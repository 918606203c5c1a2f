"""Sequence to sequence: the step by hand, padding, scheduled sampling, what the start and the steps give."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.alignment import Bahdanau, Luong
from jaxdl.layers.dropout import DropConnect
from jaxdl.layers.recurrent import GRU, LSTM, Recurrent
from jaxdl.models.seq2seq import Seq2Seq
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows

KEY = jax.random.key(0)
SOURCE, LENGTHS = np.array([[1, 5, 2, 7], [4, 4, 0, 0]]), np.array([4, 2])
TARGET = np.array([[0, 3, 1, 2, 6], [0, 2, 2, 5, 1]])
BOTH_WAYS = Recurrent(GRU(4), bidirectional=True)
MODELS = {
    "plain": Seq2Seq(8, width=6, encoder=Recurrent(LSTM(5)), decoder=Recurrent(LSTM(5), layers=2)),
    "bahdanau": Seq2Seq(8, 9, 6, BOTH_WAYS, Recurrent(GRU(5)), Bahdanau(3)),
    "luong": Seq2Seq(8, 9, 6, BOTH_WAYS, Recurrent(LSTM(5)), Luong("general", 5)),
}


def filled(model, seed=0):
    shapes = jax.eval_shape(partial(model.init, train=False), KEY, SOURCE, TARGET)
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: random.normal(0, 0.5, s.shape).astype(s.dtype), {"params": shapes["params"]})


def step_by_step(model, variables):
    """The logits of five single steps behind `start`, and the cache after them."""
    cache = model.apply(variables, SOURCE, 5, LENGTHS, method="start")

    def one(cache, token_and_time):
        token, t = token_and_time
        logits, cache = model.apply(variables, cache, token[:, None], jnp.full((2, 1), t), method="step")
        return cache, logits[:, 0]

    cache, logits = jax.lax.scan(one, cache, (TARGET.T, np.arange(5)))
    return logits.swapaxes(0, 1), cache


@rows(MODELS, default=["luong"], name="model")
def test_teacher_forcing_is_the_steps_one_by_one_and_padding_changes_nothing(model):
    def run(variables):
        whole = model.apply(variables, SOURCE, TARGET, LENGTHS, train=False)
        alone = model.apply(variables, SOURCE[1:, :2], TARGET[1:], train=False)
        steps, cache = step_by_step(model, variables)
        _, after = model.apply(variables, cache, TARGET[:, :1], np.array([[5], [-1]]), method="step")
        return whole, alone, steps, cache, after

    whole, alone, steps, cache, after = one_program(run, filled(model))
    np.testing.assert_allclose(whole[1], alone[0], atol=1e-5)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(cache)} == {2}
    np.testing.assert_allclose(steps, whole, atol=1e-5)
    for a, b in zip(*map(jax.tree.leaves, (after, cache)), strict=True):  # padding leaves the state alone
        np.testing.assert_array_equal(a[1], b[1])


def weights_of(model, variables, target=TARGET):
    """What the attention looked at, captured."""
    _, captured = model.apply(variables, SOURCE, target, LENGTHS, train=False, mutable="intermediates")
    return captured["intermediates"]["weights"][0]


def test_coverage_is_what_was_looked_at_before():
    """Weights of zero for `cover` make it plain Bahdanau; large negative scores for what was read move the eyes on."""
    plain, covering = MODELS["bahdanau"], MODELS["bahdanau"].clone(alignment=Bahdanau(3, coverage=True))
    params = filled(covering)["params"]

    def covered(value, **alignment):
        own = {**params["alignment"], "cover": {"kernel": np.full((1, 3), value, np.float32)}, **alignment}
        return {"params": {**params, "alignment": own}}

    zero = covered(0.0)
    own = {name: entry for name, entry in params["alignment"].items() if name != "cover"}
    without = {"params": {**params, "alignment": own}}
    # tanh at its floor for every key that was seen: -|v| at most, whatever the query
    away = covered(-50.0, weigh={"kernel": np.full((3, 1), 3.0, np.float32)})

    def run(zero, without, away):
        apply = lambda model, v: model.apply(v, SOURCE, TARGET, LENGTHS, train=False)
        steps, cache = step_by_step(covering, away)
        looked = weights_of(covering, away)
        return apply(covering, zero), apply(plain, without), apply(covering, away), looked, steps, cache["seen"]

    y, expected, moved, weights, steps, seen = one_program(run, zero, without, away)
    np.testing.assert_allclose(y, expected, atol=1e-6)
    again = np.minimum(weights, np.cumsum(weights, 1) - weights).sum(-1)
    assert again[0, 1] < 0.7, "the second word looks where the first did not"
    np.testing.assert_allclose(steps, moved, atol=1e-5)
    np.testing.assert_allclose(seen, weights.sum(1), atol=1e-5)


def run(model, variables, target, train=True, seed=0):
    return model.apply(variables, SOURCE, target, train=train, rngs={"dropout": jax.random.key(seed)})


def test_scheduled_sampling_goes_from_the_targets_to_the_models_own_words():
    forced = MODELS["bahdanau"]
    scrambled = TARGET.copy()
    scrambled[:, 1:] = 7

    def both(variables, target, scrambled):
        one = lambda share_and_target: run(forced.clone(sampling=share_and_target[0]), variables, share_and_target[1])
        shares = np.float32([0, 1, 1, 0.5])
        none, free, blind, half = jax.lax.map(one, (shares, jnp.stack([target, target, scrambled, target])))
        own = jnp.concatenate([target[:, :1], jnp.argmax(free, -1)[:, :-1]], 1)
        forced_, of_own = jax.lax.map(lambda t: run(forced, variables, t), jnp.stack([target, own]))
        evaluated = [run(model, variables, target, train=False) for model in (forced.clone(sampling=1.0), forced)]
        return none, free, blind, half, forced_, of_own, evaluated

    none, free, blind, half, teacher, of_own, evaluated = one_program(both, filled(forced), TARGET, scrambled)
    np.testing.assert_allclose(none, teacher, atol=1e-5)
    np.testing.assert_allclose(free, blind, atol=1e-6)  # only the start token is read
    np.testing.assert_allclose(of_own, free, atol=1e-5)
    assert np.abs(half - free).max() > 1e-4
    assert np.abs(half - teacher).max() > 1e-4
    np.testing.assert_array_equal(*evaluated)


@pytest.mark.slow
def test_rates_may_be_traced_over_a_population():
    def member(rate, variables):
        model = MODELS["luong"].clone(rate=rate, sampling=rate)
        return jax.grad(lambda v: (run(model, v, TARGET) ** 2).mean())(variables)

    grads = one_program(jax.vmap(member, (0, None)), np.float32([0.0, 0.3]), filled(MODELS["luong"]))
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert all(np.abs(g[0]).max() > 0 for g in jax.tree.leaves(grads["params"]["encoder"]))


def test_a_decoder_must_not_read_backwards():
    with pytest.raises(UserError, match="bidirectional=True"):
        filled(Seq2Seq(8, decoder=BOTH_WAYS))


WRONG = {
    "variational=True": {"layers": 2, "rate": 0.1, "variational": True},
    "recurrent_rate=0.2": {"recurrent_rate": 0.2},
    "kernel_map=": {"kernel_map": partial(DropConnect, rate=0.5)},
}


@pytest.mark.parametrize("words", WRONG)
def test_a_decoder_cannot_keep_one_mask_a_sequence(words):
    """Unrolled step by step it would draw a mask at each: not what `Recurrent` promises. An encoder keeps its own."""
    core = Recurrent(GRU(5), **WRONG[words])
    with pytest.raises(UserError, match=f"decoder has {words}"):
        filled(Seq2Seq(8, width=6, encoder=core, decoder=core))
    filled(Seq2Seq(8, width=6, encoder=core, decoder=Recurrent(GRU(5), layers=2, rate=0.1)))


@cache
def first_looks():
    """Attention weights of both queries, for two start tokens."""
    models = {query: MODELS["bahdanau"].clone(query=query) for query in ("state", "token")}
    targets = [np.concatenate([np.full((2, 1), token), TARGET[:, 1:]], 1) for token in (1, 2)]
    run = lambda variables: {q: [weights_of(m, variables[q], t) for t in targets] for q, m in models.items()}
    return one_program(run, {query: filled(model) for query, model in models.items()})


@pytest.mark.parametrize("query", ["state", "token"])
def test_attention_is_a_distribution_over_the_source_and_can_be_captured(query):
    for weights in first_looks()[query]:
        assert weights.shape == (2, 5, 4)
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
        np.testing.assert_array_equal(weights[1, :, 2:], 0)


def test_a_query_with_the_token_looks_elsewhere_after_another_token():
    """The first state is the same for any start token: only a query with the token can tell two of them apart."""
    of_state, of_token = (np.stack(first_looks()[query])[:, :, 0] for query in ("state", "token"))
    np.testing.assert_array_equal(*of_state)
    assert np.abs(of_token[0] - of_token[1]).max() > 1e-3
    with pytest.raises(UserError, match=r"query='word'.*'state'.*'token'"):
        filled(MODELS["bahdanau"].clone(query="word"))
