"""Transcription: the loss and the edits by hand, by PyTorch and by jiwer; padding counts nowhere; what is refused."""

import itertools

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxdl.record.alignment import ctc_alignment
from jaxdl.tasks.ctc import Transcription
from tests.programs import one_program

SYMBOLS = ("", "a", "b", "c")


class Given(nn.Module):
    """A model whose logits are its input, times a parameter of 1."""

    classes: int = 4

    @nn.compact
    def __call__(self, x, lengths, *, train):
        return x * self.param("scale", nn.initializers.ones, (1, 1, 1)), lengths


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(4, 6, 4)).astype(np.float32),
        "length": np.array([6, 4, 5, 2]),
        "y": np.array([[1, 2, 2], [3, 0, 0], [2, 1, 0], [1, 1, 1]]),  # the last one has no alignment in two frames
        "mask": np.ones(4, np.float32),
    }


PARAMS = {"scale": np.ones((1, 1, 1), np.float32)}
TASK = Transcription(Given(), SYMBOLS)


def objective(params, batch):
    return TASK.objective(params, {}, batch, jax.random.key(0), 0, train=True)


def predict(task, batch):
    return one_program(lambda b: task.predict(PARAMS, {}, b, jax.random.key(0)), batch)


@pytest.fixture(scope="module")
def found():
    """Loss, metrics and gradient of a batch, and the loss of the same batch with padding, in one program."""
    given = batch()
    wider = dict(given, x=np.pad(given["x"], ((0, 0), (0, 3), (0, 0)), constant_values=7.0))
    masked = {name: np.concatenate([a, a[:1]]) for name, a in wider.items()} | {"mask": np.float32([1, 1, 1, 1, 0])}

    def both(params, given, masked):
        (loss, (_, metrics)), gradient = jax.value_and_grad(objective, has_aux=True)(params, given)
        return loss, {name: s / w for name, (s, w) in metrics.items()}, gradient, objective(params, masked)[0]

    return one_program(both, PARAMS, given, masked)


def probability(x, labels):
    """The likelihood of a transcript in double precision: the sum over every path that collapses to it."""
    p = np.exp(np.float64(x)) / np.exp(np.float64(x)).sum(1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(4), repeat=len(x)):
        collapsed = [symbol for symbol, _ in itertools.groupby(path) if symbol]
        total += p[np.arange(len(x)), path].prod() * (collapsed == labels)
    return total


def test_the_loss_is_the_mean_over_possible_transcripts(found):
    """Each is divided by the length of its transcript, as PyTorch's mean does; the impossible one is left out."""
    given, (loss, metrics, gradient, _) = batch(), found
    cases = zip(given["x"], given["length"], [[1, 2, 2], [3], [2, 1]], strict=False)
    by_hand = np.mean([-np.log(probability(x[:n], labels)) / len(labels) for x, n, labels in cases])
    assert loss == pytest.approx(by_hand, rel=1e-5)
    assert metrics["loss"] == pytest.approx(float(loss))
    assert metrics["impossible"] == 0.25
    assert np.isfinite(gradient["scale"]).all()


@pytest.mark.parity
def test_the_loss_is_pytorchs(found):
    torch, given = pytest.importorskip("torch"), batch()
    theirs = torch.nn.functional.ctc_loss(
        torch.log_softmax(torch.tensor(given["x"]), -1).transpose(0, 1)[:, :3],
        torch.tensor(given["y"])[:3],
        torch.tensor([6, 4, 5]),
        torch.tensor([3, 1, 2]),
    )
    assert found[0] == pytest.approx(float(theirs), rel=1e-5)


def test_padding_counts_nowhere(found):
    loss, _, _, padded = found
    assert padded == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize("beam", [1, 4])
def test_reports_count_edits(beam):
    task = Transcription(Given(), SYMBOLS, separator=" ", beam=beam)
    given = batch(1)
    outputs = predict(task, given)
    report = task.report(outputs, given["y"])
    said, wanted = ([task.text(row) for row in rows] for rows in (outputs["tokens"], given["y"]))
    assert wanted == ["a b b", "c", "b a", "a a a"]
    edits = sum(edit_distance(a.split(), b.split()) for a, b in zip(said, wanted, strict=True))
    assert report["word_error_rate"] == pytest.approx(edits / 9)
    assert report["character_error_rate"] == pytest.approx(edits / 9)  # a word is one letter
    assert report["exact_match"] == np.mean([a == b for a, b in zip(said, wanted, strict=True)])


def edit_distance(a, b):
    """Levenshtein's, by its definition."""
    if not a or not b:
        return len(a) + len(b)
    change = edit_distance(a[1:], b[1:]) + (a[0] != b[0])
    return min(change, edit_distance(a[1:], b) + 1, edit_distance(a, b[1:]) + 1)


@pytest.mark.parity
def test_reports_are_jiwers():
    task, given = Transcription(Given(), SYMBOLS, separator=" "), batch(1)
    outputs = predict(task, given)
    report = task.report(outputs, given["y"])
    said, wanted = ([task.text(row) for row in rows] for rows in (outputs["tokens"], given["y"]))
    jiwer = pytest.importorskip("jiwer")
    assert report["word_error_rate"] == pytest.approx(jiwer.wer(wanted, said))
    bare = [[text.replace(" ", "") for text in texts] for texts in (wanted, said)]
    assert report["character_error_rate"] == pytest.approx(jiwer.cer(*bare))


def test_a_perfect_model_makes_no_error(tmp_path):
    """Logits that say the transcript: every rate is 0; the picture of how it came about is drawn from the report."""
    y = np.array([[1, 2, 2, 0], [3, 0, 0, 0]])
    paths = np.array([[1, 0, 2, 0, 2, 2], [0, 3, 3, 0, 0, 0]])
    outputs = predict(TASK, {"x": 20 * np.eye(4, dtype=np.float32)[paths], "length": np.array([6, 5])})
    report = TASK.report(outputs, y)
    assert {n: report[n] for n in ("word_error_rate", "character_error_rate", "exact_match")} == {
        "word_error_rate": 0,
        "character_error_rate": 0,
        "exact_match": 1,
    }
    alignment = report["alignment"]
    assert alignment.titles == ["abb", "c"]
    assert TASK.text(outputs["tokens"][0]) == "abb"
    assert ctc_alignment(**alignment.arrays(), path=tmp_path / "plots" / "a.png").stat().st_size > 5000
    assert "alignment" not in Transcription(Given(), SYMBOLS, show=False).report({"tokens": outputs["tokens"]}, y)


REFUSED = {
    "symbols has 3 names for the model's 4 classes": (("", "a", "b"), [[1]]),
    "symbols from 1 to 3, padded with 0, got 4": (SYMBOLS, [[4]]),
    "got -1": (SYMBOLS, [[-1]]),
    "must not have a symbol after a 0": (SYMBOLS, [[1, 0, 2]]),
    "must be integers": (SYMBOLS, [[1.0]]),
}


@pytest.mark.parametrize("case", REFUSED.items(), ids=REFUSED)
def test_bad_transcripts_are_refused(case):
    message, (symbols, y) = case
    with pytest.raises(ValueError, match=message):
        Transcription(Given(), symbols).check(np.array(y))


def test_padded_transcripts_are_taken():
    Transcription(Given(), SYMBOLS).check(np.array([[1, 2, 3], [3, 0, 0], [0, 0, 0]]))
