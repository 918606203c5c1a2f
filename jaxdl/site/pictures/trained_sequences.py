"""Small models of sequences that some pictures show at work, each trained in a few seconds on bundled data."""

import re
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl import losses
from jaxdl.data import files
from jaxdl.data.table import series
from jaxdl.data.text import text_classes, translation
from jaxdl.data.text.symbols import Characters
from jaxdl.inspect.gates import gates_over_time
from jaxdl.layers.alignment import Bahdanau
from jaxdl.layers.attention import MultiHead
from jaxdl.layers.position import T5Bias
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from jaxdl.models.fasttext import FastText
from jaxdl.models.rnn import Forecaster
from jaxdl.models.seq2seq import Seq2Seq
from jaxdl.site.pictures.trained import brief_training, drawn_rows, quick_jit

STEPS = 160
LOOKBACK, HORIZON, HIDDEN = 132, 24, 6
"""Months that a forecaster reads and forecasts, and its units."""
CELLS = {"rnn": RNN(HIDDEN), "lstm": LSTM(HIDDEN), "gru": GRU(HIDDEN)}


class Forecast(NamedTuple):
    """One window of the test rows: what is read, what follows, and what the network makes of it, in sunspots."""

    read: Float[np.ndarray, "lookback"]
    truth: Float[np.ndarray, "horizon"]
    forecast: Float[np.ndarray, "horizon"]
    gates: dict[str, Float[np.ndarray, "lookback hidden"]]


@cache
def trained_cells() -> dict[str, Forecast]:
    """RNN, LSTM and GRU, each trained to forecast sunspots, on the same window."""
    data = series.sunspots(lookback=LOOKBACK, horizon=HORIZON, batch=16)
    x, y = (np.asarray(data.splits["train"][k]) for k in "xy")
    centre, scale = data.center[0], data.scale[0]
    test = data.splits["test"]
    at = int(np.argmax(test["x"][:, -1, 0] > 0) + 430)

    def train(x: Array, y: Array, window: Array) -> dict[str, Any]:
        found = {}
        for name, cell in CELLS.items():
            model: Any = Forecaster(horizon=HORIZON, core=Recurrent(cell), from_last=True)

            def loss(params: Any, rows: Array, model: Any = model) -> Array:
                return losses.squared_error(model.apply(params, x[rows], train=True), y[rows]).mean()

            start = model.init(jax.random.key(0), x[:1], train=False)
            params = brief_training(loss, start, drawn_rows(jax.random.key(1), 200, 16, len(x)), peak=1e-2)
            forecast = model.apply(params, window, train=False)
            if name == "rnn":  # it has no gates
                shown = {"hidden": Recurrent(cell).apply({"params": params["params"]["core"]}, window, train=False)[0]}
            else:
                shown = gates_over_time(cell, params["params"]["core"]["layer_0"], window)
            found[name] = forecast, shown
        return found

    standard = ((x - centre) / scale, (y - centre) / scale, (test["x"][at : at + 1] - centre) / scale)
    found = jax.device_get(quick_jit(train)(*standard))
    return {
        name: Forecast(
            test["x"][at, :, 0],
            test["y"][at, :, 0],
            forecast[0, :, 0] * scale + centre,
            {gate: values[0] for gate, values in shown.items()},
        )
        for name, (forecast, shown) in found.items()
    }


class Translated(NamedTuple):
    """English words, the parts of the German word that the model wrote, and where it looked for each part."""

    english: list[str]
    german: list[str]
    weights: Float[np.ndarray, "parts words"]
    candidates: list[list[tuple[str, float]]]
    """For each part the three likeliest ones with their probabilities."""


@cache
def trained_translator() -> tuple[list[Translated], float]:
    """Numbers below 1000 that were not trained on, in words; and how many of 200 such are translated exactly."""
    source, target = translation.number_tokenizers("de", "parts")
    table = translation.number_table()[:1000]
    x, y = (
        translation.padded_tokens([side.encode(row[i]) for row in table], side).astype(np.int32)
        for i, side in enumerate((source, target))
    )
    order = np.random.default_rng(0).permutation(1000)
    held, known = order[:200], order[200:]
    model: Any = Seq2Seq(
        vocab=target.size,
        source_vocab=source.size,
        width=48,
        encoder=Recurrent(GRU(48), residual=True),
        decoder=Recurrent(GRU(48)),
        alignment=Bahdanau(24),
        query="token",
    )

    def train(x: Array, y: Array, held: Array) -> tuple[Array, Array]:
        before = jnp.concatenate([jnp.full((len(y), 1), target.start, y.dtype), y[:, :-1]], 1)
        lengths = (x != source.pad).sum(-1)

        def loss(params: Any, rows: Array) -> Array:
            logits = model.apply(params, x[rows], before[rows], lengths[rows], train=True)
            real = y[rows] != target.pad
            return (losses.cross_entropy(logits, y[rows]) * real).sum() / real.sum()

        start = model.init(jax.random.key(0), x[:1], before[:1], lengths[:1], train=False)
        params = brief_training(loss, start, drawn_rows(jax.random.key(1), STEPS, 48, 800), peak=8e-3)

        logits, seen = model.apply(params, x[held], before[held], lengths[held], train=False, mutable=["intermediates"])
        return jax.nn.softmax(logits), seen["intermediates"]["weights"][0]

    everything = np.concatenate([known, held])
    p, weights = jax.device_get(quick_jit(train)(x[everything], y[everything], np.arange(800, 1000)))
    found = p.argmax(-1)
    shown, exact = [], 0
    for i, number in enumerate(held):
        # where every token that follows the right ones is right, so is what greedy search writes
        right = y[number] != target.pad
        exact += bool((found[i] == y[number])[right].all())
        words = [source.decode([t]) if t != source.end else "end" for t in x[number] if t != source.pad]
        name = lambda t: target.decode([t]) if t != target.end else "end"
        best = [[(name(int(t)), float(row[t])) for t in np.argsort(-row)[:3]] for row in p[i][right]]
        parts = [candidates[0][0] for candidates in best]
        shown.append(Translated(words, parts, weights[i][: len(parts), : len(words)], best))
    return shown, exact / len(held)


TEXT = "select the items"
TASKS = ("the letter before", "the letter behind", "the last vowel before")


class Heads(NamedTuple):
    """Attention of the heads of one layer at `text`, and the share of its answers that are right on all texts."""

    text: str
    maps: Float[np.ndarray, "heads queries keys"]
    accuracy: float


def letter_answers(x: np.ndarray, vowels: list[int]) -> np.ndarray:
    """What each place of a text `(n, time)` is asked: the tokens of `TASKS`, 0 where there is none, `(n, time, 3)`."""
    before, behind, vowel = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    before[:, 1:], behind[:, :-1] = x[:, :-1], x[:, 1:]
    for j in range(1, x.shape[1]):
        vowel[:, j] = np.where(np.isin(x[:, j - 1], vowels), x[:, j - 1], vowel[:, j - 1])
    return np.stack([before, behind, vowel], -1)


@cache
def trained_heads() -> Heads:
    """One layer of attention with three heads and relative positions that answers three questions about every letter."""
    table = text_classes.read_labelled(files.BUNDLED / "languages.tsv")
    english = (text.lower() for text, label in zip(table.texts, table.labels, strict=True) if label == "en")
    lines = [line for line in english if re.fullmatch("[a-z ]{10,}", line)]
    tokenizer, time, width = Characters.of(lines, specials=("<pad>",)), 24, 48
    x = np.zeros((len(lines), time), np.int32)
    for row, line in zip(x, lines, strict=True):
        row[: len(line)] = tokenizer.encode(line)[:time]
    answers = letter_answers(x, [tokenizer.encode(v)[0] for v in "aeiou"])
    layer: Any = MultiHead(width, len(TASKS), relative=T5Bias(buckets=16, max_distance=24))

    def train(x: Array, y: Array, given: Array) -> tuple[Array, Array]:
        def answer(params: Any, x: Array, **options: Any) -> Any:
            return layer.apply(params["layer"], params["embedding"][x], train=False, **options)

        def logits_of(params: Any, x: Array) -> Array:
            return (answer(params, x) @ params["head"]).reshape(*x.shape, len(TASKS), tokenizer.size)

        def loss(params: Any, rows: Array) -> Array:
            real = (x[rows] != 0)[..., None]
            return (losses.cross_entropy(logits_of(params, x[rows]), y[rows]) * real).sum() / real.sum()

        embedding = 0.5 * jax.random.normal(jax.random.key(5), (tokenizer.size, width))
        start = {
            "embedding": embedding,
            "layer": layer.init(jax.random.key(0), embedding[None, :4], train=False),
            "head": 0.1 * jax.random.normal(jax.random.key(1), (width, len(TASKS) * tokenizer.size)),
        }
        params = brief_training(loss, start, drawn_rows(jax.random.key(2), 400, 24, len(x)), peak=3e-2)
        _, seen = answer(params, given, mutable=["intermediates"])
        right = (logits_of(params, x).argmax(-1) == y).all(-1)
        return seen["intermediates"]["weights"][0][0], (right * (x != 0)).sum() / (x != 0).sum()

    given = np.array([tokenizer.encode(TEXT)], np.int32)
    maps, accuracy = jax.device_get(quick_jit(train)(x, answers, given))
    return Heads(TEXT, maps, float(accuracy))


class Languages(NamedTuple):
    """Probabilities of the languages for some sentences of the test split, and the accuracy on the split."""

    names: tuple[str, ...]
    texts: list[str]
    labels: list[int]
    probabilities: Float[np.ndarray, "texts languages"]
    accuracy: float


@cache
def languages_at_work() -> Languages:
    """fastText on the n-grams of characters of sentences in twenty languages."""
    data = text_classes.languages(batch=64, time=48)
    model: Any = FastText(len(data.classes), buckets=4096, width=24, sizes=(1, 2, 3), pad=data.tokenizer.pad)
    (x, y), (test, truth) = (
        (data.splits[part]["x"].astype(np.int32), np.asarray(data.splits[part]["y"])) for part in ("train", "test")
    )

    def train(x: Array, y: Array, test: Array) -> Array:
        def loss(params: Any, rows: Array) -> Array:
            return losses.cross_entropy(model.apply(params, x[rows], train=True), y[rows]).mean()

        start = model.init(jax.random.key(0), x[:1], train=False)
        params = brief_training(loss, start, drawn_rows(jax.random.key(1), 300, 64, len(y)), peak=5e-2)
        return jax.nn.softmax(model.apply(params, test, train=False))

    p = np.asarray(quick_jit(train)(x, y, test))
    codes = ("en", "de", "fr", "pl", "fi")
    lengths = (test != data.tokenizer.pad).sum(1)
    rows = [int(np.flatnonzero((truth == data.classes.index(c)) & (lengths > 16) & (lengths < 34))[2]) for c in codes]
    texts = [data.tokenizer.decode(test[i]) for i in rows]
    return Languages(data.classes, texts, truth[rows].tolist(), p[rows], float((p.argmax(1) == truth).mean()))
