"""Translation: its loss by hand, padding that counts nowhere, writing as the model alone would, and what it reports."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment.text import back_translate
from jaxdl.data.text.tokenizers import SPECIALS, Characters, Words
from jaxdl.layers.alignment import Bahdanau, Luong
from jaxdl.layers.recurrent import GRU, Recurrent
from jaxdl.models.seq2seq import Seq2Seq
from jaxdl.models.transformer import Config, EncoderDecoder
from jaxdl.tasks.seq2seq import Translation, cross_attention, symbol
from tests.programs import one_program

LETTERS, WIDER = (Characters.of(letters, specials=SPECIALS) for letters in ("abcd", "abcdefgh"))
PAD, START, END = LETTERS.pad, LETTERS.start, LETTERS.end
X = np.array([[4, 5, 6, END], [7, END, PAD, PAD], [5, 5, END, PAD]], np.int32)
Y = np.array([[6, 5, 4, END], [7, END, PAD, PAD], [4, END, PAD, PAD]], np.int32)
BATCH = {"x": X, "y": Y, "mask": np.float32([1, 1, 0])}
MODELS = {
    "recurrent": Seq2Seq(
        LETTERS.size, width=4, encoder=Recurrent(GRU(6)), decoder=Recurrent(GRU(6)), alignment=Luong()
    ),
    "transformer": EncoderDecoder(Config(LETTERS.size, 8, depth=1, heads=2, hidden=8, order="first")),
}


def task(model="recurrent", **more):
    return Translation(MODELS[model] if isinstance(model, str) else model, LETTERS, LETTERS, steps=5, **more)


@pytest.fixture(scope="module", params=["recurrent", pytest.param("transformer", marks=pytest.mark.slow)])
def learned(request):
    """A task and parameters large enough that different inputs give different outputs."""
    made = task(request.param, attention=True)
    params, model_state = one_program(made.init, jax.random.key(1), BATCH)
    return made, (jax.tree.map(lambda a: 3 * a, params), model_state)


def objective(task, weights, batch, train=False, step=0):
    return task.objective(*weights, batch, jax.random.key(0), jnp.int32(step), train=train)


def loss_of(task, weights, batch, train=False, step=0):
    return one_program(lambda w, b, step: objective(task, w, b, train, step), weights, batch, step)


@pytest.fixture(scope="module")
def losses(learned):
    """Of one model: logits, losses with and without smoothing, and of a batch with more padding, in one program."""
    made, weights = learned
    smooth = task(made.model, smoothing=jnp.float32(0.3))
    inputs = np.concatenate([np.full((3, 1), START), Y[:, :-1]], 1)
    wider = {**BATCH, "x": np.pad(X, ((0, 0), (0, 3))), "y": np.pad(Y, ((0, 0), (0, 2)))}

    def run(weights, batch, wider):
        apply = lambda x, y: made.model.apply({"params": weights[0]}, x, y, jnp.array([4, 2, 3]), train=False)
        return {
            "logits": apply(batch["x"], jnp.asarray(inputs)),
            "plain": objective(made, weights, batch),
            "smooth": objective(smooth, weights, batch)[0],
            "trained": [objective(task, weights, batch, train=True)[0] for task in (made, smooth)],
            "wider": objective(made, weights, wider)[0],
        }

    return one_program(run, weights, BATCH, wider)


def test_the_loss_is_that_of_the_formula(losses):
    loss, (_, metrics) = losses["plain"]
    logits = losses["logits"].astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    kept = [(r, t) for r in (0, 1) for t in range(4) if Y[r, t] != PAD]  # row 2 is masked
    by_hand = -np.mean([log_p[r, t, Y[r, t]] for r, t in kept])
    assert loss == pytest.approx(by_hand, rel=1e-5)
    assert metrics["loss"][1] == metrics["token_accuracy"][1] == len(kept) == 6
    right = sum(log_p[r, t].argmax() == Y[r, t] for r, t in kept)
    assert metrics["token_accuracy"][0] == right
    assert losses["wider"] == pytest.approx(float(loss), rel=1e-5)


def test_smoothing_is_for_training_only(losses):
    assert losses["smooth"] == pytest.approx(float(losses["plain"][0]), rel=1e-6)
    plain, smooth = losses["trained"]
    assert abs(smooth - plain) > 1e-2


def test_writes_what_the_model_thinks_likeliest_token_by_token(learned):
    made, weights = learned
    out = one_program(lambda w, b: made.predict(*w, b, jax.random.key(0)), weights, BATCH)
    given = np.full((3, 6), PAD)
    given[:, 0] = START
    lengths = np.array([4, 2, 3])
    full = jax.jit(lambda p, t: made.model.apply({"params": p}, X, t, jnp.asarray(lengths), train=False))
    alive, written = np.ones(3, bool), np.full((3, 5), PAD)
    for t in range(5):
        best = np.asarray(full(weights[0], given[:, :5]))[:, t].argmax(-1)
        written[:, t] = np.where(alive, best, PAD)
        alive &= best != END
        given[:, t + 1] = best
    np.testing.assert_array_equal(out["tokens"], written)
    np.testing.assert_array_equal(out["source"], X)
    real = X != PAD
    for row in range(3):
        n = int(out["length"][row])
        np.testing.assert_allclose(out["attention"][row, :n][:, real[row]].sum(-1), 1, rtol=1e-5)
        np.testing.assert_array_equal(out["attention"][row, :n][:, ~real[row]], 0)


@pytest.mark.slow
def test_a_wider_search_finds_nothing_less_likely():
    made = task(penalty=0.0)

    def run(batch):
        params, state = made.init(jax.random.key(2), batch)
        params = jax.tree.map(lambda a: 4 * a, params)
        return [t.predict(params, state, batch, jax.random.key(0)) for t in (made, task(beams=4, penalty=0.0))]

    greedy, wide = one_program(run, BATCH)
    assert (wide["score"] >= greedy["score"] - 1e-5).all()
    assert wide["tokens"].shape == greedy["tokens"].shape == (3, 5)


@pytest.mark.slow
def test_two_translators_paraphrase():
    """There and back is one augmentation; with p = 0 nothing changes, with p = 1 every row is what the way back writes."""
    made = task()

    def run(x):
        there = made.rewriter(made.init(jax.random.key(3), BATCH), temperature=None)
        change = lambda p: back_translate(there, there, p, pad=PAD)(jax.random.key(0), {"x": x})["x"]
        return change(0.0), change(1.0), there(None, there(None, x))

    same, changed, back = one_program(run, X)
    np.testing.assert_array_equal(same, X)
    np.testing.assert_array_equal(changed, back[:, :4])


@pytest.mark.slow
def test_a_rewriter_draws_each_row_with_its_own_key(learned):
    """Another key, another paraphrase; a row's is the same wherever the row stands, so micro-batches change nothing."""
    made, weights = learned

    def run(weights, x):
        rewrite = lambda keys, x, temperature=3.0: made.rewriter(weights, temperature=temperature)(keys, x)
        keys, same = jax.random.split(jax.random.key(5), 32), jnp.tile(x[:1], (32, 1))
        drawn = jax.lax.map(lambda keys: rewrite(keys, same), jnp.stack([keys, keys[::-1]]))
        return drawn, rewrite(keys[:3], x, None), rewrite(keys[:3], x, 1e-4)

    (drawn, reversed_keys), likeliest, cold = one_program(run, weights, X)
    assert len(np.unique(drawn, axis=0)) > 8
    np.testing.assert_array_equal(reversed_keys, drawn[::-1])
    np.testing.assert_array_equal(cold, likeliest)


@pytest.mark.slow
def test_coverage_is_added_to_the_loss_of_training():
    """See et al. 2017, eq. 11 to 13: λ·Σ_j min(w_tj, Σ_(s<t) w_sj), over the same tokens."""
    model = MODELS["recurrent"].clone(alignment=Bahdanau(4, coverage=True))
    made, plain = task(model, coverage=jnp.float32(0.7)), task(model)

    def run(batch):
        params, state = made.init(jax.random.key(1), batch)
        weights = (jax.tree.map(lambda a: 3 * a, params), state)
        looks = made.weights_of(*weights, batch["x"], batch["y"])
        without = objective(plain, weights, batch, train=True)[0]
        evaluated = objective(made, weights, batch)[0]
        return looks, state, *objective(made, weights, batch, train=True), without, evaluated

    looks, state, loss, (new, metrics), without, evaluated = one_program(run, BATCH)
    kept = [(r, t) for r in (0, 1) for t in range(4) if Y[r, t] != PAD]
    by_hand = np.mean([sum(min(looks[r, t, j], looks[r, :t, j].sum()) for j in range(4)) for r, t in kept])
    assert by_hand > 0.1
    assert new == state
    assert loss - without == pytest.approx(0.7 * by_hand, rel=1e-4)
    assert metrics["coverage"][0] / metrics["coverage"][1] == pytest.approx(by_hand, rel=1e-4)
    assert metrics["loss"][0] / metrics["loss"][1] == pytest.approx(float(without), rel=1e-5)
    assert evaluated == pytest.approx(float(without), rel=1e-5)


@pytest.mark.slow
def test_scheduled_sampling_grows_with_the_step():
    made = task(sampling=lambda step: step / 10.0)

    def run(batch, steps):
        weights = made.init(jax.random.key(1), batch)
        sampled = jax.lax.map(lambda step: objective(made, weights, batch, True, step)[0], steps)
        return objective(task(), weights, batch, True)[0], sampled, objective(made, weights, batch, step=10)[0]

    plain, (first, later), evaluated = one_program(run, BATCH, np.array([0, 10]))
    assert first == pytest.approx(float(plain), rel=1e-6)
    assert abs(later - plain) > 1e-4
    assert evaluated == pytest.approx(float(plain), rel=1e-6)


def test_the_report():
    made = task(attention=True)
    wrong = np.array([4, 5, END, PAD])
    outputs = {"tokens": np.stack([Y[0], wrong]), "source": X[:2], "attention": np.full((2, 4, 4), 0.25)}
    report = made.report(outputs, Y[:2])
    assert report["exact_match"] == 0.5
    assert report["cer"] == 0.5  # "ab" for "d": 2 of 4 characters
    assert report["examples"].rows == [["d", "ab", "d"], ["abc", "cba", "cba"]]
    assert report["attention"].weights.shape == (2, 4, 4)
    assert report["attention"].source.tolist() == [["a", "b", "c", "⊣"], ["d", "⊣", "", ""]]
    assert report["attention"].target.tolist() == [["c", "b", "a", "⊣"], ["a", "b", "⊣", ""]]
    assert made.describe({"tokens": Y[0]}) == "cba"
    assert symbol(Characters.of(" ", specials=SPECIALS), 4) == "␣"


def test_nobody_is_right_about_a_word_without_a_token():
    """The reference is "a dog", of which the tokenizer has one word: `<unk>` for the other is no translation of it."""
    words = Words.of(["a", "the", "cat", "sat", "here"])
    made = Translation(None, words, words, steps=6)
    row = lambda text: np.pad([*words.encode(text), words.end], (0, 5 - len(words.encode(text))))
    wanted, told = np.stack([row("a dog"), row("the cat sat here")]), np.stack([row("a dog"), row("the cat sat here")])
    assert (wanted == words.unknown).any()
    outputs = {"tokens": told, "source": wanted}
    report = made.report(outputs, wanted)
    assert report["exact_match"] == 0.5
    assert report["wer"] == 1 / 6
    assert report["cer"] == 1 / (3 + 16)  # it counts as one character
    assert report["examples"].rows[0] == ["a <unk>", "a <unk>", "a <unk>"]
    both = made.report({**outputs, "tokens": wanted[1:]}, wanted[1:])
    assert (both["exact_match"], both["bleu"]) == (1, pytest.approx(100))

    batch = {"x": wanted, "y": wanted, "mask": np.ones(2, np.float32)}
    model = Seq2Seq(words.size, width=4, encoder=Recurrent(GRU(6)), decoder=Recurrent(GRU(6)))
    made = Translation(model, words, words, steps=6)
    params, state = jax.eval_shape(made.init, jax.random.key(0), batch)
    params = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), params)
    params["head"]["bias"][words.unknown] = 9.0  # always says <unk>
    _, (_, metrics) = loss_of(made, (params, state), batch)
    assert metrics["token_accuracy"] == (0, 3 + 5)


WRONG = {
    "beams = 0": {"beams": 0},
    "steps = 0": {"steps": 0},
    "EncoderDecoder has no such field": {"model": MODELS["transformer"], "sampling": lambda step: 0.5},
    "source has 12 tokens, the model 8: set source_vocab=12": {"source": WIDER},
    "source has 12 tokens, the model 9: set source_vocab=12": {
        "model": EncoderDecoder(Config(20), source_vocab=9),
        "source": WIDER,
    },
    "target has 12 tokens, the model 8: set vocab=12": {"target": WIDER},
}


@pytest.mark.parametrize("words", WRONG)
def test_is_not_made_with(words):
    with pytest.raises(ValueError, match=words):
        Translation(**{"model": MODELS["recurrent"], "source": LETTERS, "target": LETTERS, "steps": 5} | WRONG[words])


def test_says_what_is_wrong():
    task().check(Y)
    with pytest.raises(ValueError, match="targets reach token 9, the model's vocab is 8"):
        task("transformer").check(Y + 2)
    with pytest.raises(ValueError, match="must hold the end token"):
        task().check(np.array([[4, 5]]))
    with pytest.raises(ValueError, match="no attention over the source"):
        cross_attention({"encoder": {"weights": (np.zeros((1, 2, 3, 3)),)}})
    with pytest.raises(ValueError, match="no attention over the source"):
        cross_attention({"weights": (np.zeros((1, 2, 0)),)})  # a Seq2Seq without alignment


def test_cross_attention_is_the_mean_over_blocks_and_heads():
    first, second = np.random.default_rng(0).random((2, 1, 3, 4, 5)).astype(np.float32)  # (batch, heads, time, source)
    sown = {f"block_{i}": {"cross_attention": {"weights": (w,)}} for i, w in enumerate((first, second))}
    sown["block_0"]["attention"] = {"weights": (np.ones((1, 3, 4, 4)),)}
    np.testing.assert_allclose(cross_attention({"decoder": sown}), (first + second).mean(1) / 2, rtol=1e-6)
