"""Generation: cached equals uncached for every model, prompts of different lengths, end tokens, sampling by count."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.decode import beam_search, generate, recompute, sample, step_of
from jaxdl.decode.pick import keep_top_k, keep_top_p
from jaxdl.layers.alignment import Bahdanau
from jaxdl.layers.position import ALiBi, Learned, Rotary, Shaw, SinusoidalRelative, T5Bias
from jaxdl.layers.recurrent import GRU, LSTM, Recurrent
from jaxdl.models.rnn import LanguageModel
from jaxdl.models.seq2seq import Seq2Seq
from jaxdl.models.transformer import Config, Decoder, EncoderDecoder
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows

KEY = jax.random.key(0)
VOCAB = 7
SMALL = Config(vocab=VOCAB, width=8, depth=2, heads=2, hidden=16, order="first")
FLAT = SMALL.but(depth=1)
MODELS = {
    "transformer": Decoder(SMALL),
    "grouped_rotary": Decoder(FLAT.but(kv_heads=1, position=None, relative=Rotary, gate=True)),
    "t5_bias": Decoder(FLAT.but(position=None, relative=T5Bias)),
    "alibi_norm_last": Decoder(FLAT.but(position=None, relative=ALiBi, order="last")),
    "transformer_xl": Decoder(FLAT.but(position=None, relative=SinusoidalRelative)),
    "shaw_window": Decoder(FLAT.but(relative=partial(Shaw, 2), window=(2, 0))),
    "lstm": LanguageModel(VOCAB, 6, Recurrent(LSTM(5), layers=2)),
    "gru_tied": LanguageModel(VOCAB, 6, Recurrent(GRU(5)), tied=True),
}
PROMPT, LENGTHS = np.array([[3, 1, 4], [2, 0, 0]]), np.array([3, 1])


def filled(model, *inputs, seed=0):
    shapes = jax.eval_shape(partial(model.init, train=False), KEY, *inputs)["params"]
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: random.normal(0, 0.7, s.shape).astype(s.dtype), shapes)


@rows(MODELS, default=["transformer", "lstm"], name="model")
def test_cached_is_uncached_for_prompts_of_different_lengths(model):
    """The whole sequence at once would choose the same tokens, each after those before it."""
    steps = 6

    def run(params, prompt, lengths):
        got = generate(step_of(model), params, model.start(2, 8), prompt, lengths, steps=steps)
        at = lengths[:, None] + jnp.arange(steps)[None]
        whole = jnp.pad(prompt, ((0, 0), (0, steps))).at[jnp.arange(2)[:, None], at].set(got.tokens)
        logits = model.apply({"params": params}, whole, train=False)
        return got, jnp.take_along_axis(jax.nn.log_softmax(logits), at[..., None] - 1, 1)

    got, log_p = one_program(run, filled(model, PROMPT), PROMPT, LENGTHS)
    np.testing.assert_array_equal(log_p.argmax(-1), got.tokens)
    np.testing.assert_allclose(got.log_probs, log_p.max(-1).sum(-1), rtol=1e-4)


def test_a_model_without_a_cache_writes_the_same():
    model, steps = MODELS["transformer"], 5

    def run(params, prompt, lengths):
        step = recompute(lambda params, text: model.apply({"params": params}, text, train=False))
        cached = generate(step_of(model), params, model.start(2, 8), prompt, lengths, steps=steps)
        return cached, generate(step, params, jnp.zeros((2, 8), jnp.int32), prompt, lengths, steps=steps)

    cached, anew = one_program(run, filled(model, PROMPT), PROMPT, LENGTHS)
    np.testing.assert_array_equal(anew.tokens, cached.tokens)
    np.testing.assert_allclose(anew.log_probs, cached.log_probs, rtol=1e-4)


@pytest.mark.parametrize("write", [generate, partial(beam_search, end=0)])
def test_a_cache_that_is_too_small_is_refused(write):
    """Keys past the last slot would be forgotten; a state that does not grow has room for any number of tokens."""
    decoder, recurrent = MODELS["transformer"], MODELS["lstm"]
    translator = EncoderDecoder(SMALL)
    params, both = filled(decoder, PROMPT), filled(translator, PROMPT, PROMPT)
    words = "the cache has 5 slots, a prompt of 3 and steps=9 need 11"
    shape = lambda *call, **options: jax.eval_shape(partial(write, *call, **options))
    started = lambda model, *sizes: jax.eval_shape(partial(model.start, *sizes))
    with pytest.raises(UserError, match=words):
        shape(step_of(decoder), params, started(decoder, 2, 5), PROMPT, steps=9)
    fits = lambda model, *given: jax.eval_shape(lambda p, c: write(step_of(model), p, c, PROMPT, steps=9), *given)
    fits(decoder, params, started(decoder, 2, 11))
    start = lambda params, source: translator.apply({"params": params}, source, 5, method="start")
    cache = jax.eval_shape(start, both, jax.ShapeDtypeStruct((2, 30), jnp.int32))
    with pytest.raises(UserError, match=words):  # the 30 slots of the source are no room for the target
        shape(step_of(translator), both, cache, PROMPT, steps=9)
    fits(recurrent, filled(recurrent, PROMPT), started(recurrent, 2))


def test_a_cache_is_no_longer_than_the_table_of_positions():
    learned = SMALL.but(position=partial(Learned, 6))
    decoder, translator = Decoder(learned), EncoderDecoder(learned)
    words = "slots=7.* 6 "
    start = lambda model, params, *args: jax.eval_shape(
        lambda p: model.apply({"params": p}, *args, 7, method="start"), params
    )
    with pytest.raises(UserError, match=words):
        decoder.start(1, 7)
    with pytest.raises(UserError, match=words):
        start(decoder, filled(decoder, PROMPT), 1)
    with pytest.raises(UserError, match=words):
        start(translator, filled(translator, PROMPT, PROMPT), PROMPT)
    assert jax.eval_shape(lambda: decoder.start(1, 6))["self"][0].slots == 6


TRANSLATORS = {
    "absolute": EncoderDecoder(SMALL),
    "relative": EncoderDecoder(FLAT.but(relative=T5Bias, order="last")),
    "recurrent": Seq2Seq(VOCAB, width=6, encoder=Recurrent(GRU(4)), decoder=Recurrent(GRU(4)), alignment=Bahdanau(4)),
}


@rows(TRANSLATORS, default=["relative"], name="model")
def test_translators_write_what_teacher_forcing_would_predict(model):
    source, lengths, start = np.array([[1, 2, 3, 4], [5, 6, 0, 0]]), np.array([4, 2]), np.zeros((2, 1), int)

    def run(params, source, lengths):
        cache = model.apply({"params": params}, source, 6, lengths, method="start")
        got = generate(step_of(model), params, cache, start, steps=6)
        written = jnp.concatenate([start, got.tokens[:, :-1]], 1)
        return got, jax.nn.log_softmax(model.apply({"params": params}, source, written, lengths, train=False))

    got, log_p = one_program(run, filled(model, source, source, lengths), source, lengths)
    np.testing.assert_array_equal(log_p.argmax(-1), got.tokens)
    np.testing.assert_allclose(got.log_probs, log_p.max(-1).sum(-1), rtol=1e-4)


# -- a model of one table: p(next | last), so that everything can be computed by hand ------------------------------------

P = np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.7], [0.7, 0.1, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1]])
TABLE = np.log(P).astype(np.float32)


def chain(params, cache, tokens, positions):
    """The cache counts calls and remembers the last position of each row."""
    seen = jnp.maximum(cache["seen"], positions.max(-1))
    return params[tokens], {"calls": cache["calls"] + 1, "seen": seen}


def fresh(batch):
    return {"calls": jnp.zeros(batch, int), "seen": jnp.zeros(batch, int)}


def test_rows_stop_at_end_tokens_and_the_loop_with_the_last_of_them():
    calls = []

    def counted(params, cache, tokens, positions):
        jax.debug.callback(lambda p: calls.append(p.tolist()), positions, ordered=True)
        return chain(params, cache, tokens, positions)

    def run(table, prompt):
        one = generate(chain, table, fresh(3), prompt, steps=50, end=3, pad=9)
        several = generate(chain, table, fresh(3), prompt, steps=50, end=(1, 3))
        return one, several, generate(counted, table, fresh(3), prompt, steps=50, end=3)

    got, several, _ = one_program(run, TABLE, np.array([[0], [3], [2]]))
    jax.effects_barrier()
    assert got.lengths.tolist() == [1, 2, 2]  # 0 → 3; 3 → 1 → 3; 2 → 0 → 3
    assert got.tokens[:, :3].tolist() == [[3, 9, 9], [1, 3, 9], [0, 3, 9]]
    np.testing.assert_allclose(np.exp(got.log_probs), [0.4, 0.6 * 0.7, 0.7 * 0.4], rtol=1e-5)
    assert several.lengths.tolist() == [1, 1, 2]
    assert calls == [[[0], [0], [0]], [[-1], [1], [1]]]  # finished rows are padding; nothing is computed for nobody


def test_samples_follow_the_distribution_and_a_row_does_not_depend_on_the_others():
    n = 4000
    options = {
        "plain": {},
        "cold": {"temperature": 0.5},
        "top_k": {"top_k": 2},
        "top_p": {"top_p": 0.75},
        "one": {"top_p": 1e-6},
    }

    def run(table, prompt):
        write = lambda rows, **o: generate(
            chain, table, fresh(rows), prompt[:rows], steps=1, key=KEY, pick=sample(**o)
        ).tokens[:, 0]
        return {name: write(n, **o) for name, o in options.items()} | {"few": write(5)}

    got = one_program(run, TABLE, np.zeros((n, 1), int))
    share = lambda name: np.bincount(got[name], minlength=4) / n
    p = np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(share("plain"), p, atol=0.03)
    np.testing.assert_allclose(share("cold"), p**2 / (p**2).sum(), atol=0.03)
    np.testing.assert_allclose(share("top_k"), [0, 0, 3 / 7, 4 / 7], atol=0.03)
    np.testing.assert_allclose(share("top_p"), [0, 2 / 9, 3 / 9, 4 / 9], atol=0.03)
    np.testing.assert_array_equal(got["one"], 3)
    np.testing.assert_array_equal(got["few"], got["plain"][:5])


def test_a_row_may_have_a_key_of_its_own():
    """Its draws then follow its key wherever it stands, and differ from those of other keys."""

    def run(table):
        keys = jax.random.split(KEY, 300)
        write = lambda keys: (
            generate(
                chain, table, fresh(len(keys)), jnp.zeros((len(keys), 1), int), steps=4, key=keys, pick=sample()
            ).tokens
        )
        return write(keys), write(keys[5:25])

    whole, part = one_program(run, TABLE)
    np.testing.assert_array_equal(part, whole[5:25])
    assert len(np.unique(whole, axis=0)) > 50
    np.testing.assert_allclose(np.bincount(whole[:, 0], minlength=4) / 300, [0.1, 0.2, 0.3, 0.4], atol=0.1)


def test_top_p_of_one_keeps_every_token():
    """In float32 the sum over a vocabulary of GPT-2's size reaches 1 long before its last token."""
    logits = np.random.default_rng(0).normal(0, 2, (1, 50_257)).astype(np.float32)
    kept = lambda p, logits: jnp.isfinite(keep_top_p(logits, p)).sum()
    every, most = one_program(jax.vmap(kept, (0, None)), np.float32([1.0, 0.9]), logits)
    assert every == 50_257
    assert most < 25_000


def test_temperature_and_top_p_may_be_traced():
    run = lambda t, p: sample(temperature=t, top_p=p)(KEY, TABLE)
    got = one_program(jax.vmap(run), np.float32([1e-4, 1.0]), np.float32([1.0, 0.3]))
    np.testing.assert_array_equal(got[0], TABLE.argmax(-1))


def test_filters_keep_what_they_say():
    logits = np.random.default_rng(0).normal(size=(5, 9)).astype(np.float32)
    ks, ps = (1, 4, 9, 20), (0.1, 0.5, 0.9)

    def run(logits):
        return [keep_top_k(logits, k) for k in ks], [keep_top_p(logits, p) for p in ps], jax.nn.softmax(logits)

    by_k, by_p, probability = one_program(run, logits)
    for k, kept in zip(ks, by_k, strict=True):
        np.testing.assert_array_equal(np.isfinite(kept).sum(-1), min(k, 9))
    for p, kept in zip(ps, by_p, strict=True):
        kept = np.isfinite(kept)
        for row in range(5):
            inside = np.sort(probability[row][kept[row]])
            assert inside.sum() >= p > inside[1:].sum()
            assert inside[0] >= probability[row][~kept[row]].max()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sample(temperature=0.0), "temperature=0.0"),
        (lambda: sample(top_k=0), "top_k=0"),
        (lambda: sample(top_p=1.5), "top_p=1.5"),
        (lambda: generate(chain, TABLE, None, np.zeros((1, 1), int), steps=1, pick=sample()), "key=None"),
        (lambda: generate(chain, TABLE, None, np.zeros((1, 1), int), steps=0), "steps=0"),
        (lambda: generate(chain, TABLE, None, np.zeros((1, 0), int), steps=1), "prompt is empty"),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(UserError, match=words):
        call()
