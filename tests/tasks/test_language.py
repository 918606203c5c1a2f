"""Next and masked tokens: the sums against the formula, perplexity, what counts nowhere, a state that is carried on."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.data import text as texts
from jaxdl.data.text.tokenizers import Characters
from jaxdl.engine.loop import Limits
from jaxdl.experiment import Experiment
from jaxdl.layers.recurrent import GRU, Recurrent
from jaxdl.models.rnn import LanguageModel
from jaxdl.models.transformer import Config, Decoder
from jaxdl.models.transformer_heads import MaskedLanguageModel
from jaxdl.optim import sgd
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.language import IGNORE, MaskedToken, NextToken
from jaxdl.tracing import rows_from
from tests.programs import one_program

STEP = np.int32(0)
SMALL = Config(vocab=7, width=8, depth=1, heads=2, hidden=8, order="first")
BATCH = {
    "x": np.array([[1, 2, 3, 4], [5, 6, 0, 0], [1, 1, 1, 1]]),
    "y": np.array([[2, 3, 4, 5], [6, 0, IGNORE, IGNORE], [1, 1, 1, 1]]),
    "characters": np.float32([8, 3, 4]),
    "mask": np.float32([1, 1, 0]),
}


def key():
    return jax.random.key(0)


def objective(task, params, batch, train=False):
    return task.objective(params, {}, batch, key(), STEP, train=train)


def test_loss_is_the_mean_over_the_tokens_that_count():
    task = NextToken(Decoder(SMALL), smoothing=0.3)

    def run(batch):
        params, _ = task.init(key(), batch)
        log_p = jax.nn.log_softmax(task.model.apply({"params": params}, batch["x"], train=False))
        asked = {name: batch[name] for name in ("x", "mask")}
        told = [task.predict(params, {}, given, key()) for given in (batch, asked)]
        return log_p, *(objective(task, params, batch, train) for train in (False, True)), *told

    log_p, (loss, (_, metrics)), (smoothed, _), outputs, asked = one_program(run, BATCH)
    counts = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    nll = [-log_p[i][t][BATCH["y"][i, t]] for i, t in counts]
    other = [-(log_p[i][t].sum() - log_p[i][t][BATCH["y"][i, t]]) / 6 for i, t in counts]
    assert loss == pytest.approx(np.mean(nll), rel=1e-5)  # an evaluation does not smooth
    assert metrics["loss"][1] == 6
    hits = sum(int(log_p[i][t].argmax()) == BATCH["y"][i, t] for i, t in counts)
    assert metrics["accuracy"] == pytest.approx([hits, 6])
    assert metrics["bits_per_character"] == pytest.approx([sum(nll) / math.log(2), 11.0], rel=1e-5)
    assert smoothed == pytest.approx(np.mean([0.7 * a + 0.3 * b for a, b in zip(nll, other, strict=True)]), rel=1e-5)

    real = {name: value[:2] for name, value in outputs.items()}
    report = task.report(real, BATCH["y"][:2])
    assert report["perplexity"] == pytest.approx(math.exp(np.mean(nll)), rel=1e-5)
    np.testing.assert_allclose(asked["log_likelihood"][0, :3], outputs["log_likelihood"][0, :3], rtol=1e-6)
    assert (asked["log_likelihood"][:, -1] == 0).all()


def test_padding_has_no_gradient():
    task = NextToken(Decoder(SMALL))

    def run(batch, changed):
        params, _ = task.init(key(), batch)
        slope = lambda y: jax.grad(lambda params: objective(task, params, {**batch, "y": y}, train=True)[0])(params)
        return jax.lax.map(slope, jnp.stack([batch["y"], changed]))

    changed = BATCH["y"].copy()
    changed[2] = 3
    for both in jax.tree.leaves(one_program(run, BATCH, changed)):
        np.testing.assert_array_equal(both[0], both[1])


def packed():
    """Two documents in one row, one in the other, and padding."""
    rows = texts.pack([np.array([1, 2, 3]), np.array([4, 5]), np.array([6, 1, 2, 3, 4])], 6, whole=True)
    return {**rows, "mask": np.ones(2, np.float32)}


def test_packed_documents_are_kept_apart_or_refused():
    batch, masked = packed(), MaskedToken(MaskedLanguageModel(SMALL.but(order="last")), mask_token=0, vocab=7)
    alone = {name: batch[name][:1, 3:5] for name in ("x", "y", "segments", "positions")} | {"mask": np.ones(1)}

    def run(batch, alone):
        found = []
        for task in (NextToken(Decoder(SMALL)), masked):
            params, state = task.init(key(), batch)
            jax.eval_shape(lambda batch, t=task, p=params: objective(t, p, batch, train=True)[0], batch)
            found.append([task.logits(params, state, given, key(), train=False)[0][0] for given in (batch, alone)])
        return found

    for whole, part in one_program(run, batch, alone):
        np.testing.assert_allclose(whole[3:5], part, atol=1e-5)
    words = "the data pack documents, but LanguageModel takes no segments"
    with pytest.raises(ValueError, match=words):
        NextToken(LanguageModel(7, 4, Recurrent(GRU(4)))).init(key(), batch)


def test_masked_tokens_do_not_look_at_padding():
    """Where `y` says that a row has ended, more or other padding changes neither loss nor gradient."""
    task = MaskedToken(MaskedLanguageModel(SMALL.but(order="last")), mask_token=6, vocab=7, rate=0.5)
    x, y = np.array([[1, 2, 3, 4, 5, 1, 2, 3]]), np.array([[2, 3, 4, 5, 1, *[IGNORE] * 3]])
    other = x.copy()
    other[:, 5:] = 0

    def run(x, other, y):
        batch = {"x": x, "y": y, "mask": jnp.ones(1)}
        params, _ = task.init(key(), batch)
        params = jax.tree.map(lambda a: a + 0.3 * jax.random.normal(key(), a.shape), params)
        both = lambda x: jax.value_and_grad(lambda p: objective(task, p, {**batch, "x": x}, train=True)[0])(params)
        return jax.lax.map(both, jnp.stack([x, other]))

    loss, slopes = one_program(run, x, other, y)
    assert loss[0] > 0
    for both in (loss, *jax.tree.leaves(slopes)):
        np.testing.assert_allclose(both[0], both[1], atol=1e-6)


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


@cache
def stateful():
    text = "".join(chr(97 + (i * i) % 11) for i in range(400))
    data = texts.windows(text, Characters.of(text), batch=4, context=6, contiguous=True)
    task = NextToken(LanguageModel(data.tokenizer.size, 5, Recurrent(GRU(5)), stateful=True))
    return Experiment(data=data, task=task, optimizer=sgd(0.0), steps=3)


@pytest.mark.slow
@pytest.mark.programs(40, "a run of the loop with its log and report")
def test_a_run_keeps_its_tokenizer_and_tells_its_perplexity(tmp_path):
    run = jaxdl.train(stateful, run=tmp_path, quiet=True, limits=Limits(log_every=1))
    assert (run.folder / "tokenizer.json").is_file()
    metrics = run.evaluate("validation").metrics
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["loss"]), rel=1e-5)


def test_training_carries_the_state():
    program = prepare(Setup.of(stateful, {}))
    source = program.place(stateful().data.source(0, 3, 0))
    state = program.chunk(program.init(), source, np.int32(3), np.int32(1))[0]
    data, model = stateful().data, stateful().task.model.clone(stateful=False)

    def carried(params, source):
        tokens = jnp.concatenate([data.train_batch(source, 0, jnp.int32(t))["x"] for t in range(3)], 1)
        return model.apply({"params": params}, tokens, train=False, return_carry=True)[1]

    carry = one_program(carried, state.params, dict(data.source(0, 1, 0)))
    for kept, wanted in zip(jax.tree.leaves(state.model_state), jax.tree.leaves(carry), strict=True):
        np.testing.assert_allclose(kept, wanted, rtol=1e-5, atol=1e-6)


def test_masked_tokens():
    task = MaskedToken(MaskedLanguageModel(SMALL.but(order="last")), mask_token=6, vocab=7, rate=0.15)
    rows = np.random.default_rng(0).integers(0, 6, (400, 50))
    kept = np.where(np.arange(50)[None] < 45, rows, IGNORE)
    batch = {"x": rows, "mask": np.ones(400, np.float32), "y": kept}
    small = {"x": rows[:3, :8], "y": kept[:3, :8], "mask": np.ones(3, np.float32)}

    def run(batch, small):
        part = {name: value[100:120] for name, value in batch.items()}
        with rows_from(100):
            _, later = task.masked(part, key(), train=True)
        evaluated = [task.masked(b, key(), train=False)[0] for b in (batch, part)]
        params, state = task.init(key(), small)
        told = objective(task, params, small), task.predict(params, state, small, key())
        return *task.masked(batch, key(), train=True), later, evaluated, *told

    read, guess, later, (whole, cut), (loss, (_, metrics)), outputs = one_program(run, batch, small)
    assert not guess[:, 45:].any()
    assert (read[~guess] == rows[~guess]).all()
    n = guess.sum()
    assert n / (400 * 45) == pytest.approx(0.15, abs=4 * math.sqrt(0.15 * 0.85 / 18000))
    assert (read[guess] == 6).mean() == pytest.approx(0.8 + 0.1 / 7, abs=4 * math.sqrt(0.16 / n))
    others = np.bincount(read[guess & (read != 6) & (read != rows)], minlength=7)
    assert others[:6] == pytest.approx(others.sum() / 6, abs=4 * math.sqrt(others.sum() / 6)), (
        "any token, equally often"
    )
    assert (read[guess] == rows[guess]).mean() == pytest.approx(0.1 + 0.1 / 7, abs=4 * math.sqrt(0.1 / n))

    # an evaluation draws by the row, training by its number
    np.testing.assert_array_equal(later, guess[100:120])
    np.testing.assert_array_equal(whole[100:120], cut)
    assert (whole != rows).mean() > 0.1
    assert outputs["guessed"].sum() == metrics["loss"][1] > 0
    assert task.report(outputs, rows[:3, :8])["perplexity"] == pytest.approx(math.exp(float(loss)), rel=1e-5)


def test_where_nothing_was_guessed_nothing_is_reported():
    task = MaskedToken(MaskedLanguageModel(SMALL), mask_token=6, vocab=7)
    outputs = {"guessed": np.zeros((2, 3), bool), "log_likelihood": np.zeros((2, 3), np.float32)}
    assert task.report(outputs, np.zeros((2, 3), np.int32)) == {}
