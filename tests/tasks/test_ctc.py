"""Transcription: the loss is PyTorch's, reports are jiwer's, padding counts nowhere, bad transcripts are refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.record.alignment import ctc_alignment
from jaxdl.tasks.ctc import Transcription

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
        "x": jnp.asarray(rng.normal(size=(4, 6, 4)).astype(np.float32)),
        "length": jnp.array([6, 4, 5, 2]),
        "y": jnp.array([[1, 2, 2], [3, 0, 0], [2, 1, 0], [1, 1, 1]]),  # the last one has no alignment in two frames
        "mask": jnp.ones(4),
    }


def evaluated(task, given):
    params, state = task.init(jax.random.key(0), given)
    loss, (_, metrics) = jax.jit(lambda b: task.objective(params, state, b, jax.random.key(0), 0, train=True))(given)
    return float(loss), {name: float(s / w) for name, (s, w) in metrics.items()}, params, state


def test_the_loss_is_pytorchs_mean_over_possible_transcripts():
    torch = pytest.importorskip("torch")
    task, given = Transcription(Given(), SYMBOLS), batch()
    loss, metrics, params, state = evaluated(task, given)
    theirs = torch.nn.functional.ctc_loss(
        torch.log_softmax(torch.tensor(np.asarray(given["x"])), -1).transpose(0, 1)[:, :3],
        torch.tensor(np.asarray(given["y"]))[:3],
        torch.tensor([6, 4, 5]),
        torch.tensor([3, 1, 2]),
    )
    assert loss == pytest.approx(float(theirs), rel=1e-5)
    assert metrics["loss"] == pytest.approx(loss)
    assert metrics["impossible"] == 0.25
    objective = lambda p: task.objective(p, state, given, jax.random.key(0), 0, train=True)[0]
    gradient = jax.jit(jax.grad(objective))(params)
    assert np.isfinite(jax.tree.leaves(gradient)[0]).all()


def test_padding_counts_nowhere():
    task, given = Transcription(Given(), SYMBOLS), batch()
    wider = dict(given, x=jnp.pad(given["x"], ((0, 0), (0, 3), (0, 0)), constant_values=7.0))
    masked = jax.tree.map(lambda a: jnp.concatenate([a, a[:1]]), wider) | {"mask": jnp.array([1.0, 1, 1, 1, 0])}
    assert evaluated(task, masked)[0] == pytest.approx(evaluated(task, given)[0], rel=1e-6)


@pytest.mark.parametrize("beam", [1, 4])
def test_reports_are_jiwers(beam):
    task = Transcription(Given(), SYMBOLS, separator=" ", beam=beam)
    given = batch(1)
    _, _, params, state = evaluated(task, given)
    outputs = jax.tree.map(np.asarray, jax.jit(lambda b: task.predict(params, state, b, jax.random.key(0)))(given))
    report = task.report(outputs, np.asarray(given["y"]))
    said, wanted = ([task.text(row) for row in rows] for rows in (outputs["tokens"], np.asarray(given["y"])))
    assert wanted == ["a b b", "c", "b a", "a a a"]
    jiwer = pytest.importorskip("jiwer")
    assert report["word_error_rate"] == pytest.approx(jiwer.wer(wanted, said))
    bare = [[text.replace(" ", "") for text in texts] for texts in (wanted, said)]
    assert report["character_error_rate"] == pytest.approx(jiwer.cer(*bare))
    assert report["exact_match"] == np.mean([a == b for a, b in zip(said, wanted, strict=True)])


def test_a_perfect_model_makes_no_error(tmp_path):
    """Logits that say the transcript: every rate is 0; the picture of how it came about is drawn from the report."""
    task = Transcription(Given(), SYMBOLS)
    y = np.array([[1, 2, 2, 0], [3, 0, 0, 0]])
    paths = np.array([[1, 0, 2, 0, 2, 2], [0, 3, 3, 0, 0, 0]])
    given = {"x": jnp.asarray(20.0 * np.eye(4, dtype=np.float32)[paths]), "length": jnp.array([6, 5])}
    params, state = task.init(jax.random.key(0), given)
    outputs = jax.tree.map(np.asarray, jax.jit(lambda b: task.predict(params, state, b, jax.random.key(0)))(given))
    report = task.report(outputs, y)
    assert {n: report[n] for n in ("word_error_rate", "character_error_rate", "exact_match")} == {
        "word_error_rate": 0,
        "character_error_rate": 0,
        "exact_match": 1,
    }
    assert report["ctc_titles"].tolist() == ["abb", "c"]
    assert task.text(outputs["tokens"][0]) == "abb"
    parts = (report[f"ctc_{part}"] for part in ("spectrogram", "posterior", "frames", "symbols", "titles"))
    assert ctc_alignment(*parts, tmp_path / "plots" / "a.png").stat().st_size > 5000
    assert "ctc_posterior" not in Transcription(Given(), SYMBOLS, show=False).report({"tokens": outputs["tokens"]}, y)


REFUSED = {
    "symbols has 3 names for the model's 4 classes": (("", "a", "b"), [[1]]),
    "symbols from 1 to 3, then zeros, got 4": (SYMBOLS, [[4]]),
    "got -1": (SYMBOLS, [[-1]]),
    "must not have a symbol behind a 0": (SYMBOLS, [[1, 0, 2]]),
    "must be integers": (SYMBOLS, [[1.0]]),
}


@pytest.mark.parametrize("case", REFUSED.items(), ids=REFUSED)
def test_bad_transcripts_are_refused(case):
    message, (symbols, y) = case
    with pytest.raises(ValueError, match=message):
        Transcription(Given(), symbols).check(np.array(y))
