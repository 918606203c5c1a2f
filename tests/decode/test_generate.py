"""Generation: cached equals uncached for every model, prompts of different lengths, end tokens, sampling by count."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.decode import beam_search, generate, greedy, sample, step_of
from jaxdl.decode.pick import keep_top_k, keep_top_p
from jaxdl.layers.alignment import Bahdanau
from jaxdl.layers.position import ALiBi, Learned, Rotary, Shaw, SinusoidalRelative, T5Bias
from jaxdl.layers.recurrent import GRU, LSTM, Recurrent
from jaxdl.models.rnn import LanguageModel
from jaxdl.models.seq2seq import Seq2Seq
from jaxdl.models.transformer import Config, Decoder, EncoderDecoder

KEY = jax.random.key(0)
VOCAB = 7
SMALL = Config(vocab=VOCAB, width=8, depth=2, heads=2, hidden=16, order="first")
MODELS = {
    "transformer": Decoder(SMALL),
    "grouped_rotary": Decoder(SMALL.but(kv_heads=1, position=None, relative=Rotary, gate=True)),
    "t5_bias": Decoder(SMALL.but(position=None, relative=T5Bias)),
    "alibi_norm_last": Decoder(SMALL.but(position=None, relative=ALiBi, order="last")),
    "transformer_xl": Decoder(SMALL.but(position=None, relative=SinusoidalRelative)),
    "shaw_window": Decoder(SMALL.but(relative=partial(Shaw, 2), window=(2, 0))),
    "lstm": LanguageModel(VOCAB, 6, Recurrent(LSTM(5), layers=2)),
    "gru_tied": LanguageModel(VOCAB, 6, Recurrent(GRU(5)), tied=True),
}
PROMPT, LENGTHS = jnp.array([[3, 1, 4], [2, 0, 0]]), jnp.array([3, 1])


def filled(model, *inputs, seed=0):
    shapes = jax.eval_shape(partial(model.init, train=False), KEY, *inputs)["params"]
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(random.normal(0, 0.7, s.shape), s.dtype), shapes)


def by_hand(logits_of, prompt, steps, end=None):
    """The plain loop: the whole sequence again for every token."""
    tokens, score = list(prompt), 0.0
    for _ in range(steps):
        logits = logits_of(jnp.array([tokens]))[0, -1]
        token = int(jnp.argmax(logits))
        score += float(jax.nn.log_softmax(logits)[token])
        tokens.append(token)
        if token == end:
            break
    return tokens[len(prompt) :], score


@pytest.mark.parametrize("name", MODELS)
def test_cached_is_uncached_for_prompts_of_different_lengths(name):
    model = MODELS[name]
    params = filled(model, PROMPT)
    run = jax.jit(partial(generate, step_of(model), steps=6))
    got = run(params, model.start(2, 8), PROMPT, LENGTHS)
    # causal: what stands behind a token does not matter, so one shape (and one compilation) serves all lengths
    apply = jax.jit(partial(model.apply, train=False))
    whole = lambda t: apply({"params": params}, jnp.pad(t, ((0, 0), (0, 9 - t.shape[1]))))[:, : t.shape[1]]
    for row, prompt in enumerate(([3, 1, 4], [2])):
        tokens, score = by_hand(whole, prompt, 6)
        assert got.tokens[row].tolist() == tokens
        np.testing.assert_allclose(got.log_probs[row], score, rtol=1e-4)


@pytest.mark.parametrize("write", [generate, partial(beam_search, end=0)])
def test_a_cache_that_is_too_small_is_refused(write):
    """Keys past the last slot would be forgotten; a state that does not grow has room for any number of tokens."""
    decoder, recurrent = MODELS["transformer"], MODELS["lstm"]
    translator = EncoderDecoder(SMALL)
    params, both = filled(decoder, PROMPT), filled(translator, PROMPT, PROMPT)
    words = "the cache has 5 slots, a prompt of 3 and steps=9 need 11"
    shape = lambda *call, **options: jax.eval_shape(partial(write, *call, **options))
    with pytest.raises(ValueError, match=words):
        shape(step_of(decoder), params, decoder.start(2, 5), PROMPT, steps=9)
    shape(step_of(decoder), params, decoder.start(2, 11), PROMPT, steps=9)
    start = lambda source: translator.apply({"params": both}, source, 5, method="start")
    cache = jax.eval_shape(start, jax.ShapeDtypeStruct((2, 30), jnp.int32))
    with pytest.raises(ValueError, match=words):  # the 30 slots of the source are no room for the target
        shape(step_of(translator), both, cache, PROMPT, steps=9)
    shape(step_of(recurrent), filled(recurrent, PROMPT), recurrent.start(2), PROMPT, steps=9)


def test_a_cache_is_no_longer_than_the_table_of_positions():
    learned = SMALL.but(position=partial(Learned, 6))
    decoder, translator = Decoder(learned), EncoderDecoder(learned)
    words = "slots=7: the model has learned 6 positions"
    with pytest.raises(ValueError, match=words):
        decoder.start(1, 7)
    with pytest.raises(ValueError, match=words):
        decoder.apply({"params": filled(decoder, PROMPT)}, 1, 7, method="start")
    with pytest.raises(ValueError, match=words):
        translator.apply({"params": filled(translator, PROMPT, PROMPT)}, PROMPT, 7, method="start")
    assert decoder.start(1, 6)["self"][0].slots == 6


TRANSLATORS = [
    EncoderDecoder(SMALL),
    EncoderDecoder(SMALL.but(relative=T5Bias, order="last")),
    Seq2Seq(VOCAB, width=6, alignment=Bahdanau(4)),
]


@pytest.mark.parametrize("model", TRANSLATORS)
def test_translators_write_what_teacher_forcing_would_predict(model):
    source, lengths = jnp.array([[1, 2, 3, 4], [5, 6, 0, 0]]), jnp.array([4, 2])
    params = filled(model, source, source, lengths)
    start = jnp.zeros((2, 1), int)

    @jax.jit
    def translate(params):
        cache = model.apply({"params": params}, source, 6, lengths, method="start")
        return generate(step_of(model), params, cache, start, steps=6)

    got = translate(params)
    written = jnp.concatenate([start, got.tokens[:, :-1]], 1)
    logits = model.apply({"params": params}, source, written, lengths, train=False)
    np.testing.assert_array_equal(jnp.argmax(logits, -1), got.tokens)
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), got.tokens[..., None], -1)[..., 0].sum(-1)
    np.testing.assert_allclose(got.log_probs, log_p, rtol=1e-4)


# -- a model of one table: p(next | last), so that everything can be computed by hand ------------------------------------

TABLE = jnp.log(jnp.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.7], [0.7, 0.1, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1]]))


def chain(params, cache, tokens, positions):
    """The cache counts calls and remembers the last position of each row."""
    seen = jnp.maximum(cache["seen"], positions.max(-1))
    return params[tokens], {"calls": cache["calls"] + 1, "seen": seen}


def fresh(batch):
    return {"calls": jnp.zeros(batch, int), "seen": jnp.zeros(batch, int)}


def test_rows_stop_at_end_tokens_and_the_loop_with_the_last_of_them():
    prompt = jnp.array([[0], [3], [2]])
    got = generate(chain, TABLE, fresh(3), prompt, steps=50, end=3, pad=9)
    assert got.lengths.tolist() == [1, 2, 2]  # 0 → 3; 3 → 1 → 3; 2 → 0 → 3
    assert got.tokens[:, :3].tolist() == [[3, 9, 9], [1, 3, 9], [0, 3, 9]]
    np.testing.assert_allclose(jnp.exp(got.log_probs), [0.4, 0.6 * 0.7, 0.7 * 0.4], rtol=1e-5)
    several = generate(chain, TABLE, fresh(3), prompt, steps=50, end=(1, 3))
    assert several.lengths.tolist() == [1, 1, 2]

    calls = []

    def counted(params, cache, tokens, positions):
        jax.debug.callback(lambda p: calls.append(p.tolist()), positions, ordered=True)
        return chain(params, cache, tokens, positions)

    jax.block_until_ready(generate(counted, TABLE, fresh(3), prompt, steps=50, end=3))
    jax.effects_barrier()
    assert calls == [[[0], [0], [0]], [[-1], [1], [1]]]  # finished rows are padding; nothing is computed for nobody


def test_samples_follow_the_distribution_and_a_row_does_not_depend_on_the_others():
    n = 4000
    prompt = jnp.zeros((n, 1), int)

    def run(**options):
        return generate(chain, TABLE, fresh(n), prompt, steps=1, key=KEY, pick=sample(**options)).tokens[:, 0]

    share = lambda tokens: np.bincount(tokens, minlength=4) / n
    p = np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(share(run()), p, atol=0.03)
    np.testing.assert_allclose(share(run(temperature=0.5)), p**2 / (p**2).sum(), atol=0.03)
    np.testing.assert_allclose(share(run(top_k=2)), [0, 0, 3 / 7, 4 / 7], atol=0.03)
    np.testing.assert_allclose(share(run(top_p=0.75)), [0, 2 / 9, 3 / 9, 4 / 9], atol=0.03)
    np.testing.assert_array_equal(run(top_p=1e-6), 3)
    few = generate(chain, TABLE, fresh(5), prompt[:5], steps=1, key=KEY, pick=sample()).tokens[:, 0]
    np.testing.assert_array_equal(few, run()[:5])


def test_a_row_may_have_a_key_of_its_own():
    """Its draws then follow its key wherever it stands, and differ from those of other keys."""
    keys, prompt = jax.random.split(KEY, 300), jnp.zeros((300, 1), int)
    run = lambda keys: generate(chain, TABLE, fresh(len(keys)), prompt[: len(keys)], steps=4, key=keys, pick=sample())
    whole = run(keys).tokens
    np.testing.assert_array_equal(run(keys[5:25]).tokens, whole[5:25])
    assert len(np.unique(np.asarray(whole), axis=0)) > 50
    np.testing.assert_allclose(np.bincount(np.asarray(whole)[:, 0], minlength=4) / 300, [0.1, 0.2, 0.3, 0.4], atol=0.1)


def test_top_p_of_one_keeps_every_token():
    """In float32 the sum over a vocabulary of GPT-2's size reaches 1 long before its last token."""
    logits = 2 * jax.random.normal(KEY, (1, 50_257))
    kept = jax.jit(lambda logits, p: jnp.isfinite(keep_top_p(logits, p)).sum())
    assert kept(logits, 1.0) == 50_257
    assert kept(logits, 0.9) < 25_000


def test_temperature_and_top_p_may_be_traced():
    run = lambda t, p: sample(temperature=t, top_p=p)(KEY, TABLE)
    got = jax.jit(jax.vmap(run))(jnp.array([1e-4, 1.0]), jnp.array([1.0, 0.3]))
    np.testing.assert_array_equal(got[0], greedy(KEY, TABLE))


def test_filters_keep_what_they_say():
    logits = jax.random.normal(KEY, (5, 9))
    for k in (1, 4, 9, 20):
        kept = jnp.isfinite(keep_top_k(logits, k))
        np.testing.assert_array_equal(kept.sum(-1), min(k, 9))
    for p in (0.1, 0.5, 0.9):
        probability = np.asarray(jax.nn.softmax(logits))
        kept = np.asarray(jnp.isfinite(keep_top_p(logits, p)))
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
        (lambda: generate(chain, TABLE, fresh(1), jnp.zeros((1, 1), int), steps=1, pick=sample()), "key=None"),
        (lambda: generate(chain, TABLE, fresh(1), jnp.zeros((1, 1), int), steps=0), "steps=0"),
        (lambda: generate(chain, TABLE, fresh(1), jnp.zeros((1, 0), int), steps=1), "prompt is empty"),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(ValueError, match=words):
        call()
