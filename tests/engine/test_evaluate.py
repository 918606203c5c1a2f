"""Exact evaluation: one number whatever the batch size, with soft, weighted and ignored labels, and its report."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxdl import prepare
from jaxdl.data.stream import InMemory
from jaxdl.engine.evaluate import evaluate, means
from jaxdl.experiment import Experiment
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.mlp import MLP
from jaxdl.optim import sgd
from jaxdl.tasks.classification import BinaryClassification, Classification
from jaxdl.tasks.regression import Regression

BATCHES = (1, 7, 64, 150)
SIZE = 150


def arrays(kind):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(SIZE, 5)).astype(np.float32)
    y = rng.integers(0, 3, SIZE).astype(np.int32)
    if kind == "soft":
        y = rng.dirichlet(np.ones(3), SIZE).astype(np.float32)
    elif kind == "ignored":
        y[140:] = -100  # with batches of 1 and 7, some hold nothing that counts
        y[::9] = -100
    elif kind == "binary":
        y = (y == 1).astype(np.int32)
    elif kind == "regression":
        y = (x @ np.arange(5.0) * 10 + 100).astype(np.float32)
    return {"x": x, "y": y}


def model(classes=3):
    return MLP(features=(7,), classes=classes, rate=0.5, norm=BatchNorm)


TASKS = {
    "integers": Classification(model()),
    "soft": Classification(model()),
    "ignored": Classification(model()),
    "weighted": Classification(model(), class_weights=(0.2, 1.0, 5.0)),
    "binary": BinaryClassification(model(1)),
    "regression": Regression(model(1), center=100.0, scale=30.0),
}


def evaluated(kind, batch):
    data = InMemory({"train": arrays(kind), "test": arrays(kind)}, batch)
    exp = Experiment(data=data, task=TASKS[kind], optimizer=sgd(0.1), steps=1)
    prepared = prepare(exp)
    program = prepared.program
    fixed = prepare(replace(exp, data=InMemory(data.splits, 64))).program.init(
        {}
    )  # the same weights for each batch size
    return evaluate(program, exp.task, {}, (fixed.params, fixed.model_state), "test"), exp, fixed


@pytest.mark.parametrize("kind", TASKS)
def test_does_not_depend_on_the_batch_size(kind):
    results = [evaluated(kind, batch)[0] for batch in BATCHES]
    whole = results[-1]
    assert len(whole.targets) == SIZE
    for other in results[:-1]:
        assert other.metrics.keys() == whole.metrics.keys()
        for name, value in whole.metrics.items():
            assert other.metrics[name] == pytest.approx(value, rel=2e-6, abs=1e-7), name
        assert other.report.keys() == whole.report.keys()
        for name, value in whole.report.items():
            np.testing.assert_allclose(other.report[name], value, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(other.targets, arrays(kind)["y"])  # in the stored order
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), other.outputs, whole.outputs)


@pytest.mark.parametrize("kind", ["integers", "ignored", "weighted", "soft"])
def test_loss_is_pytorchs_over_the_whole_set(kind):
    torch = pytest.importorskip("torch")
    result, exp, state = evaluated(kind, 7)
    a = arrays(kind)
    logits = exp.task.model.apply({"params": state.params, **state.model_state}, a["x"], train=False)
    y = torch.tensor(a["y"]) if kind == "soft" else torch.tensor(a["y"]).long()
    weight = torch.tensor((0.2, 1.0, 5.0)) if kind == "weighted" else None
    theirs = torch.nn.functional.cross_entropy(torch.tensor(np.array(logits)), y, weight=weight)
    assert result.metrics["loss"] == pytest.approx(theirs.item(), rel=1e-5)


def test_report_and_means_agree():
    result, _, _ = evaluated("ignored", 7)
    counted = arrays("ignored")["y"] >= 0
    assert result.metrics["examples"] == counted.sum()
    labels = result.outputs["label"][counted]
    assert result.metrics["accuracy"] == (labels == arrays("ignored")["y"][counted]).mean()
    assert result.report["confusion_matrix"].sum() == counted.sum()


def test_an_unknown_split_is_named():
    data = InMemory({"train": arrays("integers")}, 8)
    prepared = prepare(Experiment(data=data, task=TASKS["integers"], optimizer=sgd(0.1), steps=1))
    state = prepared.program.init({})
    with pytest.raises(ValueError, match="split = 'test' is not one of train"):
        evaluate(prepared.program, TASKS["integers"], {}, (state.params, state.model_state), "test")


def test_means_divide_once():
    pairs = {"a": (np.float64(6), np.float64(4)), "nothing": (np.float64(0), np.float64(0))}
    assert means(pairs)["a"] == 1.5
    assert np.isnan(means(pairs)["nothing"])


def test_nan_weights_have_no_metrics_and_no_report():
    _, exp, state = evaluated("integers", 64)
    broken = jax.tree.map(lambda a: a * np.nan, state.params)
    result = evaluate(prepare(exp).program, exp.task, {}, (broken, state.model_state), "test")
    assert np.isnan(result.metrics["loss"])
    assert np.isnan(result.metrics["accuracy"])  # argmax of NaN is class 0, which is sometimes right
    assert not result.report
