"""Sequence to sequence: the step by hand, padding, scheduled sampling, what the start and the steps give."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.alignment import Bahdanau, Luong
from jaxdl.layers.dropout import DropConnect
from jaxdl.layers.recurrent import GRU, LSTM, Recurrent
from jaxdl.models.seq2seq import Seq2Seq

KEY = jax.random.key(0)
SOURCE, LENGTHS = jnp.array([[1, 5, 2, 7], [4, 4, 0, 0]]), jnp.array([4, 2])
TARGET = jnp.array([[0, 3, 1, 2, 6], [0, 2, 2, 5, 1]])
BOTH_WAYS = Recurrent(GRU(4), bidirectional=True)
MODELS = {
    "plain": Seq2Seq(8, width=6, encoder=Recurrent(LSTM(5)), decoder=Recurrent(LSTM(5), layers=2)),
    "bahdanau": Seq2Seq(8, 9, 6, BOTH_WAYS, Recurrent(GRU(5)), Bahdanau(3)),
    "luong": Seq2Seq(8, 9, 6, BOTH_WAYS, Recurrent(LSTM(5)), Luong("general", 5)),
}


def filled(model, seed=0):
    shapes = jax.eval_shape(partial(model.init, train=False), KEY, SOURCE, TARGET)
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(random.normal(0, 0.5, s.shape), s.dtype), {"params": shapes["params"]})


@pytest.mark.parametrize("name", MODELS)
def test_teacher_forcing_is_the_steps_one_by_one_and_padding_changes_nothing(name):
    model = MODELS[name]
    variables = filled(model)
    whole = jax.jit(partial(model.apply, train=False))(variables, SOURCE, TARGET, LENGTHS)
    alone = model.apply(variables, SOURCE[1:, :2], TARGET[1:], train=False)
    np.testing.assert_allclose(whole[1], alone[0], atol=1e-5)
    cache = model.apply(variables, SOURCE, 5, LENGTHS, method="start")
    assert {leaf.shape[0] for leaf in jax.tree.leaves(cache)} == {2}
    step = jax.jit(partial(model.apply, method="step"))
    for t in range(5):
        logits, cache = step(variables, cache, TARGET[:, t : t + 1], jnp.full((2, 1), t))
        np.testing.assert_allclose(logits[:, 0], whole[:, t], atol=1e-5)
    _, after = step(variables, cache, TARGET[:, :1], jnp.array([[5], [-1]]))  # padding leaves the state alone
    same = [bool((a[1] == b[1]).all()) for a, b in zip(*map(jax.tree.leaves, (after, cache)), strict=True)]
    assert all(same)


def test_attention_is_a_distribution_over_the_source_and_can_be_captured():
    model = MODELS["bahdanau"]
    _, captured = model.apply(filled(model), SOURCE, TARGET, LENGTHS, train=False, mutable="intermediates")
    weights = captured["intermediates"]["weights"][0]
    assert weights.shape == (2, 5, 4)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(weights[1, :, 2:], 0)


def test_coverage_is_what_was_looked_at_before():
    """Weights of zero for `cover` make it plain Bahdanau; large negative scores for what was read move the eyes on."""
    plain, covering = MODELS["bahdanau"], MODELS["bahdanau"].clone(alignment=Bahdanau(3, coverage=True))
    variables = filled(covering)
    read = partial(covering.apply, train=False, mutable="intermediates")

    def with_cover(value):
        changed = jax.tree.map(lambda a: a, variables)
        changed["params"]["alignment"]["cover"]["kernel"] = jnp.full((1, 3), value)
        return changed

    params = with_cover(0.0)
    without = jax.tree.map(lambda a: a, params)
    del without["params"]["alignment"]["cover"]
    y, _ = read(params, SOURCE, TARGET, LENGTHS)
    np.testing.assert_allclose(y, plain.apply(without, SOURCE, TARGET, LENGTHS, train=False), atol=1e-6)
    params = with_cover(-50.0)  # tanh at its floor for every key that was seen: -|v| at most, whatever the query
    params["params"]["alignment"]["weigh"]["kernel"] = jnp.full((3, 1), 3.0)
    y, captured = read(params, SOURCE, TARGET, LENGTHS)
    weights = captured["intermediates"]["weights"][0]
    again = jnp.minimum(weights, jnp.cumsum(weights, 1) - weights).sum(-1)
    assert again[0, 1] < 0.7, "the second word looks where the first did not"
    cache = covering.apply(params, SOURCE, 5, LENGTHS, method="start")
    step = jax.jit(partial(covering.apply, method="step"))
    for t in range(5):
        logits, cache = step(params, cache, TARGET[:, t : t + 1], jnp.full((2, 1), t))
        np.testing.assert_allclose(logits[:, 0], y[:, t], atol=1e-5)
    np.testing.assert_allclose(cache["seen"], weights.sum(1), atol=1e-5)


def run(model, variables, target, train=True, seed=0):
    return model.apply(variables, SOURCE, target, train=train, rngs={"dropout": jax.random.key(seed)})


def test_scheduled_sampling_goes_from_the_targets_to_the_models_own_words():
    forced = MODELS["bahdanau"]
    variables = filled(forced)
    sampled = lambda share: forced.clone(sampling=share)
    one = jax.jit(lambda share, target: run(sampled(share), variables, target))
    np.testing.assert_allclose(one(0.0, TARGET), run(forced, variables, TARGET), atol=1e-5)
    free = one(1.0, TARGET)
    np.testing.assert_allclose(free, one(1.0, TARGET.at[:, 1:].set(7)), atol=1e-6)  # only the start token is read
    own = jnp.concatenate([TARGET[:, :1], jnp.argmax(free, -1)[:, :-1]], 1)
    np.testing.assert_allclose(run(forced, variables, own), free, atol=1e-5)
    half = one(0.5, TARGET)
    assert jnp.abs(half - free).max() > 1e-4
    assert jnp.abs(half - run(forced, variables, TARGET)).max() > 1e-4
    np.testing.assert_array_equal(
        run(sampled(1.0), variables, TARGET, train=False), run(forced, variables, TARGET, train=False)
    )


def test_rates_may_be_traced_over_a_population():
    variables = filled(MODELS["luong"])

    def member(rate):
        model = MODELS["luong"].clone(rate=rate, sampling=rate)
        return jax.grad(lambda v: (run(model, v, TARGET) ** 2).mean())(variables)

    grads = jax.jit(jax.vmap(member))(jnp.array([0.0, 0.3]))
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert all(jnp.abs(g[0]).max() > 0 for g in jax.tree.leaves(grads["params"]["encoder"]))


def test_a_decoder_must_not_read_backwards():
    with pytest.raises(ValueError, match="bidirectional=True"):
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
    with pytest.raises(ValueError, match=f"decoder has {words}.*: each of its steps would draw a mask of its own"):
        filled(Seq2Seq(8, width=6, encoder=core, decoder=core))
    filled(Seq2Seq(8, width=6, encoder=core, decoder=Recurrent(GRU(5), layers=2, rate=0.1)))


def test_a_query_with_the_token_looks_elsewhere_after_another_token():
    """The first state is the same for any start token: only a query with the token can tell two of them apart."""

    def first_weights(query, token):
        model = MODELS["bahdanau"].clone(query=query)
        target = jnp.full((2, 1), token)
        variables = filled(model)
        _, captured = model.apply(variables, SOURCE, target, LENGTHS, train=False, mutable="intermediates")
        return captured["intermediates"]["weights"][0]

    np.testing.assert_array_equal(first_weights("state", 1), first_weights("state", 2))
    assert np.abs(first_weights("token", 1) - first_weights("token", 2)).max() > 1e-3
    with pytest.raises(ValueError, match="query='word': take 'state' or 'token'"):
        filled(MODELS["bahdanau"].clone(query="word"))
