"""Next and masked tokens: the sums against the formula, perplexity, what counts nowhere, a state that is carried on."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import api
from jaxdl.data import text as texts
from jaxdl.data.tokenizers import Characters
from jaxdl.engine.loop import Limits
from jaxdl.experiment import Experiment
from jaxdl.layers.recurrent import GRU, Recurrent
from jaxdl.models.rnn import LanguageModel
from jaxdl.models.transformer import Config, Decoder
from jaxdl.models.transformer_heads import MaskedLanguageModel
from jaxdl.optim import sgd
from jaxdl.tasks.language import IGNORE, MaskedToken, NextToken
from jaxdl.tracing import rows_from

KEY, STEP = jax.random.key(0), jnp.int32(0)
SMALL = Config(vocab=7, width=8, depth=1, heads=2, hidden=8, order="first")
BATCH = {
    "x": jnp.array([[1, 2, 3, 4], [5, 6, 0, 0], [1, 1, 1, 1]]),
    "y": jnp.array([[2, 3, 4, 5], [6, 0, IGNORE, IGNORE], [1, 1, 1, 1]]),
    "characters": jnp.array([8.0, 3.0, 4.0]),
    "mask": jnp.array([1.0, 1.0, 0.0]),
}


def test_loss_is_the_mean_over_the_tokens_that_count():
    task = NextToken(Decoder(SMALL), smoothing=0.3)
    params, state = task.init(KEY, BATCH)
    logits = task.model.apply({"params": params}, BATCH["x"], train=False)
    log_p = np.asarray(jax.nn.log_softmax(logits))
    counts = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    nll = [-log_p[i][t][int(BATCH["y"][i, t])] for i, t in counts]
    other = [-(log_p[i][t].sum() - log_p[i][t][int(BATCH["y"][i, t])]) / 6 for i, t in counts]

    loss, (_, metrics) = task.objective(params, state, BATCH, KEY, STEP, train=False)
    assert float(loss) == pytest.approx(np.mean(nll), rel=1e-5)  # an evaluation does not smooth
    assert float(metrics["loss"][1]) == 6
    assert [float(v) for v in metrics["bits_per_character"]] == pytest.approx([sum(nll) / math.log(2), 11.0], rel=1e-5)
    smoothed, _ = task.objective(params, state, BATCH, KEY, STEP, train=True)
    assert float(smoothed) == pytest.approx(
        np.mean([0.7 * a + 0.3 * b for a, b in zip(nll, other, strict=True)]), rel=1e-5
    )

    outputs = jax.device_get(task.predict(params, state, BATCH, KEY))
    real = jax.tree.map(lambda a: a[:2], outputs)
    report = task.report(real, np.asarray(BATCH["y"][:2]))
    assert report["perplexity"] == pytest.approx(math.exp(np.mean(nll)), rel=1e-5)
    asked = task.predict(params, state, {"x": BATCH["x"], "mask": BATCH["mask"]}, KEY)
    np.testing.assert_allclose(asked["log_likelihood"][0, :3], outputs["log_likelihood"][0, :3], rtol=1e-6)
    assert (np.asarray(asked["log_likelihood"])[:, -1] == 0).all()


def test_padding_has_no_gradient():
    task = NextToken(Decoder(SMALL))
    params, state = task.init(KEY, BATCH)
    loss = lambda params, y: task.objective(params, state, {**BATCH, "y": y}, KEY, STEP, train=True)[0]
    grad = jax.jit(jax.grad(loss))
    changed = BATCH["y"].at[2].set(3)
    for a, b in zip(*(jax.tree.leaves(grad(params, y)) for y in (BATCH["y"], changed)), strict=True):
        np.testing.assert_array_equal(a, b)


def packed():
    """Two documents in one row, one in the other, and padding."""
    rows = texts.pack([np.array([1, 2, 3]), np.array([4, 5]), np.array([6, 1, 2, 3, 4])], 6, whole=True)
    return {name: jnp.asarray(value) for name, value in rows.items()} | {"mask": jnp.ones(2)}


def test_packed_documents_are_kept_apart_or_refused():
    batch, masked = packed(), MaskedToken(MaskedLanguageModel(SMALL.but(order="last")), mask_token=0, vocab=7)
    alone = {name: batch[name][:1, 3:5] for name in ("x", "y", "segments", "positions")} | {"mask": jnp.ones(1)}
    for task in (NextToken(Decoder(SMALL)), masked):
        params, state = jax.jit(task.init)(KEY, batch)
        logits = jax.jit(lambda batch, task=task, p=params, s=state: task.logits(p, s, batch, KEY, train=False)[0])
        np.testing.assert_allclose(logits(batch)[0, 3:5], logits(alone)[0], atol=1e-5)
        jax.eval_shape(lambda batch, t=task, p=params: t.objective(p, {}, batch, KEY, STEP, train=True)[0], batch)
    words = "the data pack documents, but LanguageModel takes no segments: take a Transformer, or text.windows"
    with pytest.raises(ValueError, match=words):
        NextToken(LanguageModel(7, 4, Recurrent(GRU(4)))).init(KEY, batch)


def test_masked_tokens_do_not_look_at_padding():
    """Where `y` says that a row has ended, more or other padding changes neither loss nor gradient."""
    task = MaskedToken(MaskedLanguageModel(SMALL.but(order="last")), mask_token=6, vocab=7, rate=0.5)
    x, y = jnp.array([[1, 2, 3, 4, 5, 1, 2, 3]]), jnp.array([[2, 3, 4, 5, 1, *[IGNORE] * 3]])
    batch = {"x": x, "y": y, "mask": jnp.ones(1)}
    params, state = jax.jit(task.init)(KEY, batch)
    params = jax.tree.map(lambda a: a + 0.3 * jax.random.normal(KEY, a.shape), params)
    loss = lambda params, batch: task.objective(params, state, batch, KEY, STEP, train=True)[0]
    both = jax.jit(jax.value_and_grad(loss))
    one, other = both(params, batch), both(params, {**batch, "x": x.at[:, 5:].set(0)})
    assert one[0] > 0
    for a, b in zip(*(jax.tree.leaves(v) for v in (one, other)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_tokens_beyond_the_vocabulary_are_refused():
    for model in (Decoder(SMALL), LanguageModel(7, 4, Recurrent(GRU(4)))):
        task = NextToken(model)
        task.check(np.array([0, 6, IGNORE]))
        with pytest.raises(ValueError, match=r"tokens must lie in 0 … 6.*got 7"):
            task.check(np.array([7]))
        task.check_tokens(np.array([0, 6]))  # what a prediction is asked for
        for token in (-5, 7, IGNORE):
            with pytest.raises(ValueError, match=rf"tokens must lie in 0 … 6, the model's vocab; got {token}"):
                task.check_tokens(np.array([[0, token]]))
    with pytest.raises(ValueError, match="must be integers, got float32"):
        task.check(np.zeros(2, np.float32))


def test_training_carries_the_state_and_evaluation_starts_from_zero(tmp_path):
    text = "".join(chr(97 + (i * i) % 11) for i in range(400))
    data = texts.windows(text, Characters.of(text), batch=4, context=6, contiguous=True)
    task = NextToken(LanguageModel(data.tokenizer.size, 5, Recurrent(GRU(5)), stateful=True))
    exp = Experiment(data=data, task=task, optimizer=sgd(0.0), steps=3)
    run = api.train(exp, run=tmp_path, quiet=True, limits=Limits(log_every=1))
    params = run.state.params
    source = {k: jnp.asarray(v) for k, v in data.source(0, 1, 0).items()}
    tokens = jnp.concatenate([data.train_batch(source, 0, jnp.int32(t))["x"] for t in range(3)], 1)
    _, carry = LanguageModel(data.tokenizer.size, 5, Recurrent(GRU(5))).apply(
        {"params": params}, tokens, train=False, return_carry=True
    )
    for kept, wanted in zip(jax.tree.leaves(run.state.model_state), jax.tree.leaves(carry), strict=True):
        np.testing.assert_allclose(kept, wanted, rtol=1e-5, atol=1e-6)
    first = api.evaluate(run.prepared.program, task, {}, run.weights, "validation").metrics
    assert first["perplexity"] == pytest.approx(math.exp(first["loss"]), rel=1e-5)
    assert (run.folder / "tokenizer.json").is_file()


def test_masked_tokens():
    task = MaskedToken(MaskedLanguageModel(SMALL.but(order="last")), mask_token=6, vocab=7, rate=0.15)
    rows = np.random.default_rng(0).integers(0, 6, (400, 50))
    batch = {"x": jnp.asarray(rows), "mask": jnp.ones(400), "y": jnp.where(jnp.arange(50)[None] < 45, rows, IGNORE)}
    read, guess = task.masked(batch, KEY, train=True)
    read, guess = np.asarray(read), np.asarray(guess)
    assert not guess[:, 45:].any()
    assert (read[~guess] == rows[~guess]).all()
    n = guess.sum()
    assert n / (400 * 45) == pytest.approx(0.15, abs=4 * math.sqrt(0.15 * 0.85 / 18000))
    assert (read[guess] == 6).mean() == pytest.approx(0.8 + 0.1 / 7, abs=4 * math.sqrt(0.16 / n))
    assert (read[guess] == rows[guess]).mean() == pytest.approx(0.1 + 0.1 / 7, abs=4 * math.sqrt(0.1 / n))

    part = {k: v[100:120] for k, v in batch.items()}  # an evaluation draws by the row, training by its number
    with rows_from(100):
        np.testing.assert_array_equal(task.masked(part, KEY, train=True)[1], guess[100:120])
    whole, cut = (np.asarray(task.masked(b, KEY, train=False)[0]) for b in (batch, part))
    np.testing.assert_array_equal(whole[100:120], cut)
    assert (whole != rows).mean() > 0.1

    small = {"x": batch["x"][:3, :8], "y": batch["y"][:3, :8], "mask": batch["mask"][:3]}
    params, state = task.init(KEY, small)
    loss, (_, metrics) = task.objective(params, state, small, KEY, STEP, train=False)
    outputs = jax.device_get(task.predict(params, state, small, KEY))
    assert outputs["guessed"].sum() == float(metrics["loss"][1]) > 0
    assert task.report(outputs, rows[:3, :8])["perplexity"] == pytest.approx(math.exp(float(loss)), rel=1e-5)


def test_where_nothing_was_guessed_nothing_is_reported():
    task = MaskedToken(MaskedLanguageModel(SMALL), mask_token=6, vocab=7)
    outputs = {"guessed": np.zeros((2, 3), bool), "log_likelihood": np.zeros((2, 3), np.float32)}
    assert task.report(outputs, np.zeros((2, 3), np.int32)) == {}
