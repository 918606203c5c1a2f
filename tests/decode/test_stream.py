"""The tokens of a stream are those of `generate`, however they are cut; beyond its context the model reads anew."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.decode import generate, sample, step_of, stream
from jaxdl.layers.position import Learned
from jaxdl.layers.recurrent import LSTM, Recurrent
from jaxdl.models.rnn import LanguageModel
from jaxdl.models.transformer import Config, Decoder
from tests.programs import one_program
from tests.tables import rows

KEY = jax.random.key(1)
MODELS = {
    "transformer": Decoder(Config(vocab=7, width=8, depth=1, heads=2, hidden=8, order="first", embed_init=1.0)),
    "lstm": LanguageModel(7, 6, Recurrent(LSTM(5))),
}
PROMPT = np.array([[3, 1, 4], [2, 0, 5]], np.int32)


def filled(model):
    shapes = jax.eval_shape(partial(model.init, train=False), KEY, PROMPT)["params"]
    random = np.random.default_rng(0)
    return jax.tree.map(lambda s: random.normal(0, 0.7, s.shape).astype(s.dtype), shapes)


def wanted(model, params, key, **options):
    """The tokens of `generate`."""
    slots = PROMPT.shape[1] + options["steps"]
    write = lambda params, key: generate(step_of(model), params, model.start(2, slots), PROMPT, key=key, **options)
    return one_program(write, params, key).tokens


EAGER = "every length of a piece is looked at eagerly for its end, behind two programs for prompt and chunk"


@pytest.mark.programs(16, EAGER)
@rows(MODELS, default=["transformer"], name="model")
def test_a_stream_is_what_generate_writes(model):
    params, pick = filled(model), sample(temperature=1.3, top_k=5)
    pieces = list(stream(step_of(model), params, model.start, PROMPT, steps=11, pick=pick, key=KEY, chunk=4))
    assert [p.shape[1] for p in pieces] == [1, 4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(pieces, 1), wanted(model, params, KEY, steps=11, pick=pick))


@pytest.mark.programs(16, EAGER)
def test_beyond_its_positions_it_reads_the_last_half_anew():
    model = Decoder(Config(vocab=7, width=8, depth=1, heads=2, hidden=8, position=partial(Learned, 6)))
    params = filled(model)
    pieces = stream(step_of(model), params, model.start, PROMPT[:1], steps=10, limit=6, chunk=2)
    got = np.concatenate(list(pieces), 1)[0].tolist()
    apply = jax.jit(partial(model.apply, train=False))
    seen, expected = PROMPT[0].tolist(), []
    for _ in range(10):
        seen = seen[-3:] if len(seen) >= 6 else seen
        row = np.array([seen + [0] * (6 - len(seen))])
        expected.append(int(np.asarray(apply({"params": params}, row))[0, len(seen) - 1].argmax()))
        seen.append(expected[-1])
    assert got == expected


@pytest.mark.programs(16, EAGER)
def test_it_ends_when_every_row_has():
    step = lambda params, cache, tokens, positions: (jax.nn.one_hot((tokens + 1) % 7, 7), cache)  # counts
    start = lambda batch, slots: jnp.zeros((batch, 1))
    pieces = stream(step, {}, start, np.array([[1], [3]]), steps=50, end=5, chunk=2)
    assert np.concatenate(list(pieces), 1).tolist() == [[2, 3, 4, 5, 6], [4, 5, 6, 0, 1]]


@pytest.mark.parametrize(("wrong", "words"), [({"steps": 0}, "steps=0"), ({"limit": 1}, "limit=1")])
def test_what_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        next(stream(None, {}, None, PROMPT, **{"steps": 3, **wrong}))


@pytest.mark.programs(16, EAGER)
def test_rows_may_have_keys_of_their_own_and_drawing_needs_one():
    model, pick, keys = MODELS["lstm"], sample(), jax.random.split(KEY, 2)
    params = filled(model)
    pieces = list(stream(step_of(model), params, model.start, PROMPT, steps=5, pick=pick, key=keys, chunk=4))
    np.testing.assert_array_equal(np.concatenate(pieces, 1), wanted(model, params, keys, steps=5, pick=pick))
    with pytest.raises(ValueError, match=r"key=None: sampling needs a jax\.random\.key"):
        next(stream(step_of(model), params, model.start, PROMPT, steps=5, pick=pick))
