"""Beam search against every sequence there is, and its limits."""

from functools import cache, partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.decode import beam_search, generate, length_penalty, step_of
from jaxdl.layers.recurrent import GRU, Recurrent
from jaxdl.models.rnn import LanguageModel
from jaxdl.models.transformer import Config, Decoder
from tests.programs import one_program
from tests.tables import rows

KEY = jax.random.key(0)
VOCAB, END, STEPS = 3, 2, 4
MODELS = {
    "transformer": Decoder(Config(vocab=VOCAB, width=8, depth=1, heads=2, hidden=8)),
    "gru": LanguageModel(VOCAB, 4, Recurrent(GRU(4))),
}


def filled(model, seed):
    shapes = jax.eval_shape(partial(model.init, train=False), KEY, np.zeros((1, 2), int))["params"]
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: random.normal(0, 0.9, s.shape).astype(s.dtype), shapes)


def all_sequences():
    """Every continuation: ended at its first end token, or STEPS long without one."""
    for n in range(1, STEPS + 1):
        for body in product(range(VOCAB), repeat=n):
            if END not in body[:-1] and (body[-1] == END or n == STEPS):
                yield body


SEQUENCES = list(all_sequences())


@cache
def wide(name):
    """Searches with every penalty, and log p of every sequence behind each of two prompts, in one program."""
    model, alphas = MODELS[name], {"transformer": (0.6,), "gru": (0.0, 2.0)}[name]
    padded = np.zeros((2, len(SEQUENCES), 2 + STEPS), int)
    for i, body in enumerate(SEQUENCES):
        padded[0, i, : 2 + len(body)] = [0, 1, *body]
        padded[1, i, : 1 + len(body)] = [1, *body]

    def run(params, prompts, lengths, padded):
        options = {"steps": STEPS, "end": END, "beams": 16, "pad": -1}
        start = (step_of(model), params, model.start(2, 2 + STEPS), prompts, lengths)
        found = [beam_search(*start, **options, penalty=length_penalty(alpha)) for alpha in alphas]
        return found, jax.nn.log_softmax(model.apply({"params": params}, padded, train=False))

    given = (np.array([[0, 1], [1, 0]]), np.array([2, 1]), padded.reshape(-1, 2 + STEPS))
    found, log_p = one_program(run, filled(model, 1), *given)
    return dict(zip(alphas, found, strict=True)), log_p.reshape(2, len(SEQUENCES), 2 + STEPS, VOCAB)


WIDE = {"transformer 0.6": ("transformer", 0.6), "gru 0": ("gru", 0.0), "gru 2": ("gru", 2.0)}


@rows(WIDE, default=["gru 0", "gru 2"])
def test_a_wide_beam_finds_the_best_of_all_sequences(row):
    name, alpha = row
    found, log_p = wide(name)
    got = found[alpha]
    for row, n in ((0, 2), (1, 1)):
        scores = [
            sum(float(log_p[row, i, n - 1 + t, token]) for t, token in enumerate(body)) / ((5 + len(body)) / 6) ** alpha
            for i, body in enumerate(SEQUENCES)
        ]
        order = np.argsort(scores)[::-1]
        for rank in range(3):
            best = SEQUENCES[order[rank]]
            assert got.tokens[row, rank].tolist() == [*best, *[-1] * (STEPS - len(best))]
            assert got.lengths[row, rank] == len(best)
            np.testing.assert_allclose(got.scores[row, rank], scores[order[rank]], rtol=1e-4)


def looked_up(params, cache, tokens, positions):
    """A model of one table: the logits of what follows each token."""
    return params[tokens], cache


def log(*rows):
    with np.errstate(divide="ignore"):
        return np.log(np.float32(rows))


NOTHING, START = np.zeros(1, np.float32), np.zeros((1, 1), int)


def test_the_end_token_may_be_a_number_of_numpy():
    table = log([0.1, 0.4, 0.5], [0.2, 0.2, 0.6], [0.0, 0.0, 1.0])
    search = partial(beam_search, looked_up, steps=3, beams=2)
    ends = (END, np.int32(END), np.array([END]), jnp.array([END]))
    want, *others = one_program(lambda *start: [search(*start, end=end).tokens for end in ends], table, NOTHING, START)
    assert want[0, 0, 0] == END
    for tokens in others:
        np.testing.assert_array_equal(tokens, want)


def test_one_beam_is_greedy():
    model, prompt = MODELS["gru"], np.array([[0], [1]])

    def both(params):
        start = (step_of(model), params, model.start(2), prompt)
        beam = beam_search(*start, steps=6, end=END, beams=1, penalty=length_penalty(0.0))
        return beam, generate(*start, steps=6, end=END)

    params = jax.tree.map(lambda *leaves: np.stack(leaves), *(filled(model, seed) for seed in (1, 2, 3)))
    beam, one = one_program(partial(jax.lax.map, both), params)
    np.testing.assert_array_equal(beam.tokens[:, :, 0], one.tokens)
    np.testing.assert_allclose(beam.scores[:, :, 0], one.log_probs, rtol=1e-5)


def test_the_search_stops_when_nothing_better_can_come():
    """The end is nearly certain: one call for the prompt, and at most one more."""
    calls = []

    def sure(params, cache, tokens, positions):
        jax.debug.callback(lambda _: calls.append(1), positions, ordered=True)
        logits = jnp.where(jnp.arange(3) == END, 10.0, 0.0)
        return jnp.broadcast_to(logits, (*tokens.shape, 3)), cache

    got = one_program(lambda *start: beam_search(sure, None, *start, steps=40, end=END, beams=1), NOTHING, START)
    jax.effects_barrier()
    assert len(calls) == 1
    assert got.lengths.tolist() == [[1]]


def test_fewer_sequences_than_beams_leave_minus_infinity():
    table = log([0.0, 0.4, 0.6], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0])  # 0 → 2, or 0 → 1 → 2
    search = partial(beam_search, looked_up, steps=3, end=END, penalty=length_penalty(0))
    got = one_program(partial(search, beams=4), table, NOTHING, START)
    np.testing.assert_allclose(np.exp(got.scores[0]), [0.6, 0.4, 0, 0], rtol=1e-5)
    assert got.tokens[0, :2].tolist() == [[2, 0, 0], [1, 2, 0]]
    with pytest.raises(ValueError, match="beams=0"):
        jax.eval_shape(partial(search, beams=0), table, NOTHING, START)


def test_the_penalty_is_the_papers():
    np.testing.assert_allclose(length_penalty(0.6)(np.float32([1.0, 7.0])), [1, 2**0.6], rtol=1e-6)
