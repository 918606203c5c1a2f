"""The tokens of a stream are those of `generate`, however they are cut; beyond its context the model reads anew."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.decode import generate, greedy, sample, step_of, stream
from jaxdl.layers.position import Learned
from jaxdl.layers.recurrent import LSTM, Recurrent
from jaxdl.models.rnn import LanguageModel
from jaxdl.models.transformer import Config, Decoder

KEY = jax.random.key(1)
MODELS = {
    "transformer": Decoder(Config(vocab=7, width=8, depth=1, heads=2, hidden=8, order="first", embed_init=1.0)),
    "lstm": LanguageModel(7, 6, Recurrent(LSTM(5))),
}
PROMPT = np.array([[3, 1, 4], [2, 0, 5]], np.int32)


@pytest.mark.parametrize("name", MODELS)
def test_a_stream_is_what_generate_writes(name):
    model = MODELS[name]
    params = model.init(KEY, PROMPT, train=False)["params"]
    pick = sample(temperature=1.3, top_k=5)
    whole = jax.jit(partial(generate, step_of(model), steps=11, pick=pick))
    wanted = whole(params, model.start(2, 14), PROMPT, key=KEY).tokens
    pieces = list(stream(step_of(model), params, model.start, PROMPT, steps=11, pick=pick, key=KEY, chunk=4))
    assert [p.shape[1] for p in pieces] == [1, 4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(pieces, 1), wanted)


def test_beyond_its_positions_it_reads_the_last_half_anew():
    model = Decoder(Config(vocab=7, width=8, depth=1, heads=2, hidden=8, position=partial(Learned, 6), embed_init=1.0))
    params = model.init(KEY, PROMPT, train=False)["params"]
    pieces = stream(step_of(model), params, model.start, PROMPT[:1], steps=10, limit=6, chunk=2)
    got = np.concatenate(list(pieces), 1)[0].tolist()
    apply = jax.jit(partial(model.apply, {"params": params}, train=False))
    seen, wanted = PROMPT[0].tolist(), []
    for _ in range(10):
        seen = seen[-3:] if len(seen) >= 6 else seen
        row = jnp.array([seen + [0] * (6 - len(seen))])
        wanted.append(int(jnp.argmax(apply(row)[0, len(seen) - 1])))
        seen.append(wanted[-1])
    assert got == wanted


def test_it_ends_when_every_row_has():
    step = lambda params, cache, tokens, positions: (jax.nn.one_hot((tokens + 1) % 7, 7), cache)  # counts
    start = lambda batch, slots: jnp.zeros((batch, 1))
    pieces = stream(step, {}, start, np.array([[1], [3]]), steps=50, end=5, chunk=2)
    assert np.concatenate(list(pieces), 1).tolist() == [[2, 3, 4, 5, 6], [4, 5, 6, 0, 1]]
    assert greedy(KEY, jnp.zeros((1, 2))).tolist() == [0]


@pytest.mark.parametrize(("wrong", "words"), [({"steps": 0}, "steps=0"), ({"limit": 1}, "limit=1")])
def test_what_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        next(stream(None, {}, None, PROMPT, **{"steps": 3, **wrong}))


def test_rows_may_have_keys_of_their_own_and_drawing_needs_one():
    model = MODELS["lstm"]
    params = model.init(KEY, PROMPT, train=False)["params"]
    keys, pick = jax.random.split(KEY, 2), sample()
    whole = jax.jit(partial(generate, step_of(model), steps=5, pick=pick))
    wanted = whole(params, model.start(2, 8), PROMPT, key=keys).tokens
    pieces = list(stream(step_of(model), params, model.start, PROMPT, steps=5, pick=pick, key=keys, chunk=2))
    np.testing.assert_array_equal(np.concatenate(pieces, 1), wanted)
    with pytest.raises(ValueError, match=r"key=None: sampling needs a jax\.random\.key"):
        next(stream(step_of(model), params, model.start, PROMPT, steps=5, pick=pick))
