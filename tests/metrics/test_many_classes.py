"""Reports on many classes: scikit-learn's numbers, ties included, in memory and time that grow with the examples."""

import time
import tracemalloc

import jax
import numpy as np
import pytest
import sklearn.metrics as sk

from jaxdl.metrics import classification as c
from jaxdl.metrics import curves
from jaxdl.tasks.classification import Classification
from tests.programs import one_program
from tests.tasks.given import Given


def tied(n, classes, seed=0):
    """Probabilities in steps of 1/16, so that most scores have an equal."""
    rng = np.random.default_rng(seed)
    p = rng.multinomial(16, np.full(classes, 1 / classes), n) / 16
    return p, rng.integers(0, classes, n)


@pytest.mark.parametrize("classes", [3, 60])
def test_tied_ranks(classes):
    """400 rows: of 3 classes the positives are sorted, of 60 they are counted."""
    p, y = tied(400, classes)
    assert (np.bincount(y) > curves.FEW).all() == (classes == 3)
    np.testing.assert_allclose(c.roc_auc(p, y), sk.roc_auc_score(y, p, multi_class="ovr"), rtol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_of_equal_probabilities_the_lower_class_comes_first(k):
    p, y = tied(400, 6)
    best = np.argsort(-p, axis=-1, kind="stable")[:, :k]
    assert c.top_k(p, y, k=k) == np.mean([label in row for label, row in zip(y, best, strict=True)])


def seconds(action):
    """Processor time, the best of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def random_case(n, classes):
    rng = np.random.default_rng(0)
    p = rng.random((n, classes), dtype=np.float32)
    return p / p.sum(1, keepdims=True), rng.integers(0, classes, n)


@pytest.mark.slow
def test_a_report_costs_less_than_one_sort():
    """A ranking of all probabilities costs more than everything that is reported."""
    p, y = random_case(4000, 1000)
    assert seconds(lambda: c.report(p, y)) < seconds(lambda: np.argsort(-p, axis=-1, kind="stable"))


@pytest.mark.slow
def test_imagenets_validation_set_takes_three_processor_seconds_at_most():
    p, y = random_case(50_000, 1000)
    assert seconds(lambda: c.report(p, y)) <= 3


def skewed(n=3000, classes=200):
    """Probabilities of a classifier that is right more often for classes of a higher number."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, n)
    z = rng.normal(size=(n, classes)) + 6 * np.eye(classes)[y] * (y / classes)[:, None]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return p, y


def test_the_worst_classes_of_many_are_shown():
    p, y = skewed()
    out, best = c.report(p, y), p.argmax(1)
    recall = sk.recall_score(y, best, average=None)
    shown = out["per_class_accuracy"].classes
    assert len(shown) == c.WORST == len(set(shown))
    np.testing.assert_allclose(out["per_class_accuracy"].values, np.sort(recall)[: c.WORST], rtol=1e-12)
    np.testing.assert_allclose(out["per_class_accuracy"].values, recall[shown], rtol=1e-12)
    whole = sk.confusion_matrix(y, best)
    matrix = out["confusion_matrix"].counts
    np.testing.assert_array_equal(matrix[:, :-1], whole[np.ix_(shown, shown)])
    np.testing.assert_array_equal(matrix.sum(1), whole.sum(1)[shown])
    np.testing.assert_allclose(out["f1"], sk.f1_score(y, best, average="macro"), rtol=1e-12)
    np.testing.assert_allclose(out["balanced_accuracy"], sk.balanced_accuracy_score(y, best), rtol=1e-12)


def test_a_task_of_many_classes_keeps_no_probabilities():
    """1,200 classes: observed in a compiled function, with an ignored label, beside the whole matrix on the host."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 1200)).astype(np.float32), rng.integers(0, 1200, 50).astype(np.int32)
    y[::2], y[7] = x[::2].argmax(1), -100
    task = Classification(Given())
    seen = one_program(lambda x, y: task.observe({}, {}, {"x": x, "y": y}, jax.random.key(0)), x, y)
    assert {a.shape for a in seen.values()} == {(50,)}
    p = np.exp(np.float64(x)) / np.exp(np.float64(x)).sum(1, keepdims=True)
    out, kept = task.report(seen, y), y >= 0
    assert "roc_auc" not in out
    assert out["examples"] == 49
    np.testing.assert_allclose(out["log_loss"], sk.log_loss(y[kept], p[kept], labels=np.arange(1200)), rtol=1e-5)
    for name, value in c.report(p, np.where(kept, y, -1)).items():
        if isinstance(value, float):
            np.testing.assert_allclose(out[name], value, rtol=1e-5, err_msg=name)
    assert set(out["misclassified"].rows) <= set(np.flatnonzero(kept & (x.argmax(1) != y)))


def test_memory_grows_with_the_examples():
    """2,000 examples of 100,000 classes: a confusion matrix would take 75 GiB, the probabilities 0.8."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 100_000, 2000)
    scored = {"label": np.where(rng.random(2000) < 0.5, y, 0), "classes": np.full(2000, 100_000)}
    scored |= {name: rng.random(2000) for name in ("confidence", "own", "squared_error")}
    scored["rank"] = np.where(scored["label"] == y, 0, 9)
    tracemalloc.start()
    out = c.report_of_scores(scored, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out["accuracy"] == (scored["label"] == y).mean()
    assert peak < 2**24
