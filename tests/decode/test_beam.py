"""Beam search against every sequence there is, and its limits."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.decode import beam_search, generate, length_penalty, step_of
from jaxdl.layers.recurrent import GRU, Recurrent
from jaxdl.models.rnn import LanguageModel
from jaxdl.models.transformer import Config, Decoder

KEY = jax.random.key(0)
VOCAB, END, STEPS = 3, 2, 4
MODELS = {
    "transformer": Decoder(Config(vocab=VOCAB, width=8, depth=1, heads=2, hidden=8)),
    "gru": LanguageModel(VOCAB, 4, Recurrent(GRU(4))),
}


def filled(model, seed):
    shapes = jax.eval_shape(partial(model.init, train=False), KEY, jnp.zeros((1, 2), int))["params"]
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(random.normal(0, 0.9, s.shape), s.dtype), shapes)


def all_sequences():
    """Every continuation: ended at its first end token, or STEPS long without one."""
    for n in range(1, STEPS + 1):
        for body in product(range(VOCAB), repeat=n):
            if END not in body[:-1] and (body[-1] == END or n == STEPS):
                yield body


@pytest.mark.parametrize(("name", "alpha"), [("transformer", 0.6), ("gru", 0.0), ("gru", 2.0)])
def test_a_wide_beam_finds_the_best_of_all_sequences(name, alpha):
    model = MODELS[name]
    search = jax.jit(
        partial(beam_search, step_of(model), steps=STEPS, end=END, beams=16, penalty=length_penalty(alpha), pad=-1)
    )
    prompts, lengths = jnp.array([[0, 1], [1, 0]]), jnp.array([2, 1])
    sequences = list(all_sequences())
    padded = np.zeros((2, len(sequences), 2 + STEPS), int)
    for i, body in enumerate(sequences):
        padded[0, i, : 2 + len(body)] = [0, 1, *body]
        padded[1, i, : 1 + len(body)] = [1, *body]
    params = filled(model, 1)
    got = search(params, model.start(2, 2 + STEPS), prompts, lengths)
    log_p = jax.nn.log_softmax(
        model.apply({"params": params}, jnp.asarray(padded).reshape(-1, 2 + STEPS), train=False)
    ).reshape(2, len(sequences), 2 + STEPS, VOCAB)
    for row, n in ((0, 2), (1, 1)):
        scores = [
            sum(float(log_p[row, i, n - 1 + t, token]) for t, token in enumerate(body)) / ((5 + len(body)) / 6) ** alpha
            for i, body in enumerate(sequences)
        ]
        order = np.argsort(scores)[::-1]
        for rank in range(3):
            best = sequences[order[rank]]
            assert got.tokens[row, rank].tolist() == [*best, *[-1] * (STEPS - len(best))]
            assert got.lengths[row, rank] == len(best)
            np.testing.assert_allclose(got.scores[row, rank], scores[order[rank]], rtol=1e-4)


def test_the_end_token_may_be_a_number_of_numpy():
    step = lambda params, cache, tokens, positions: (params[tokens], cache)
    table = jnp.log(jnp.array([[0.1, 0.4, 0.5], [0.2, 0.2, 0.6], [0.0, 0.0, 1.0]]))
    search = partial(beam_search, step, table, jnp.zeros(1), jnp.zeros((1, 1), int), steps=3, beams=2)
    for end in (np.int32(END), jnp.int32(END), np.array([END])):
        np.testing.assert_array_equal(search(end=end).tokens, search(end=END).tokens)


def test_one_beam_is_greedy():
    model, prompt = MODELS["gru"], jnp.array([[0], [1]])

    @jax.jit
    def both(params):
        beam = beam_search(
            step_of(model), params, model.start(2), prompt, steps=6, end=END, beams=1, penalty=length_penalty(0.0)
        )
        return beam, generate(step_of(model), params, model.start(2), prompt, steps=6, end=END)

    for seed in (1, 2, 3):
        beam, one = both(filled(model, seed))
        np.testing.assert_array_equal(beam.tokens[:, 0], one.tokens)
        np.testing.assert_allclose(beam.scores[:, 0], one.log_probs, rtol=1e-5)


def test_the_search_stops_when_nothing_better_can_come():
    """The end is nearly certain: one call for the prompt, and at most one more."""
    calls = []

    def sure(params, cache, tokens, positions):
        jax.debug.callback(lambda _: calls.append(1), positions, ordered=True)
        logits = jnp.where(jnp.arange(3) == END, 10.0, 0.0)
        return jnp.broadcast_to(logits, (*tokens.shape, 3)), cache

    got = beam_search(sure, None, jnp.zeros(1), jnp.zeros((1, 1), int), steps=40, end=END, beams=1)
    jax.block_until_ready(got)
    jax.effects_barrier()
    assert len(calls) == 1
    assert got.lengths.tolist() == [[1]]


def test_fewer_sequences_than_beams_leave_minus_infinity():
    table = jnp.log(jnp.array([[0.0, 0.4, 0.6], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]))  # 0 → 2, or 0 → 1 → 2
    step = lambda params, cache, tokens, positions: (params[tokens], cache)
    got = beam_search(
        step, table, jnp.zeros(1), jnp.zeros((1, 1), int), steps=3, end=END, beams=4, penalty=length_penalty(0)
    )
    np.testing.assert_allclose(jnp.exp(got.scores[0]), [0.6, 0.4, 0, 0], rtol=1e-5)
    assert got.tokens[0, :2].tolist() == [[2, 0, 0], [1, 2, 0]]
    with pytest.raises(ValueError, match="beams=0"):
        beam_search(step, table, jnp.zeros(1), jnp.zeros((1, 1), int), steps=3, end=END, beams=0)


def test_the_penalty_is_the_papers():
    np.testing.assert_allclose(length_penalty(0.6)(jnp.array([1.0, 7.0])), [1, 2**0.6], rtol=1e-6)
